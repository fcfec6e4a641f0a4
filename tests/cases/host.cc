#include "cases/host.h"

#include <algorithm>

#include "wire/openai.h"

namespace lb::cases {

std::string Host::configure(const std::string& document) {
  Result<std::shared_ptr<const Config>> config = parse_config(document, nullptr, SecretUse::read);
  if (!config.ok()) return config.error().where + ": " + config.error().message;
  config_ = config.value();
  freed_ = true;
  std::string wrong = chooser_->configure(config_, document, now());
  run_to(now());
  return wrong;
}

void Host::start(const CallText& text, Record& record) {
  Call& call = calls_[text.number];
  call.text = text;
  call.record = &record;
  call.config = config_;
  record.started = call.waiting_since = now();
  call.route = config_->find_route(text.model);
  if (!call.route) {
    record.done = true;
    record.end = "404";
    record.ended = now();
    calls_.erase(text.number);
    return;
  }
  call.deadline = now() + call.route->deadline;
  call.caller_key = hash_text(text.caller);
  if (const Party* party = config_->find_caller(text.caller)) call.share = party->share;
  if (std::optional<double> priority = parse_double(text.priority)) call.priority = static_cast<int32_t>(*priority);
  Question question = question_of(call);
  call.tokens = question.prompt.characters / 4 + text.max;
  chooser_->begin(question, now());
  schedule_.at(call.deadline, [this, number = text.number] {
    if (auto at = calls_.find(number); at != calls_.end()) deadline_passed(at->second);
  });
  go(call);
  run_to(now());
}

Question Host::question_of(const Call& call) const {
  Question out;
  out.text = call.text;
  out.deadline = call.deadline;
  OpenAiRequest request;
  request.feed(call.text.body());
  out.prompt = {request.text_characters(), request.images(), request.output_tokens_max(), request.choices()};
  out.affinity = call.text.session;
  if (!out.affinity.empty() || out.prompt.characters / 4 < call.route->affinity_tokens) return out;
  out.affinity = request.prompt_cache_key().empty() ? request.user() : request.prompt_cache_key();
  if (out.affinity.empty() && call.route->affinity == Affinity::prompt)
    out.affinity = "begins with " + std::to_string(request.prefix_hash());
  return out;
}

void Host::go(Call& call) {
  Pick pick = chooser_->pick(call.text.number, now());
  switch (pick.kind) {
    case Pick::Kind::send: return ask(call, pick);
    case Pick::Kind::wait: return wait(call, pick);
    case Pick::Kind::again:
      if (pick.until > now()) return later(pick.until, call.text.number, call.serial, &Host::go);
      return go(call);
    case Pick::Kind::none: return give_up(call, pick.limited);
  }
}

void Host::ask(Call& call, const Pick& pick) {
  call.at = pick.deployment;
  call.asked = now();
  call.serial++;
  call.record->attempts.push_back(pick.deployment);
  call.record->asking = true;
  bool refused = upstreams_.peek(call.at).kind == Answer::Kind::refused;
  if (call.text.held && !refused) return;
  auto to = std::find_if(call.config->deployments.begin(), call.config->deployments.end(),
                         [&](const Deployment& d) { return d.name == pick.deployment; });
  Answer answer = upstreams_.take(call.at);
  Duration patience = refused ? to->timeouts.connect : to->timeouts.head;
  uint64_t number = call.text.number;
  if (answer.kind == Answer::Kind::timeout || answer.after >= patience)
    return later(now() + patience, number, call.serial, &Host::timed_out);
  schedule_.after(answer.after, [this, number, serial = call.serial, answer] {
    auto at = calls_.find(number);
    if (at != calls_.end() && at->second.serial == serial) answered(at->second, answer);
  });
}

void Host::later(Instant when, uint64_t number, uint32_t serial, void (Host::*what)(Call&)) {
  schedule_.at(when, [this, number, serial, what] {
    auto at = calls_.find(number);
    if (at != calls_.end() && at->second.serial == serial) (this->*what)(at->second);
  });
}

void Host::timed_out(Call& call) { came(call, {Outcome::Kind::timeout, nullptr, false, now() - call.asked}, "504"); }

void Host::answered(Call& call, const Answer& answer) {
  Outcome outcome{Outcome::Kind::answer, &answer, call.text.stream, now() - call.asked};
  std::string end = answer.status >= 300 ? std::to_string(answer.status) : answer.holds_error() ? "502" : "ok";
  switch (answer.kind) {
    case Answer::Kind::response:
      break;
    case Answer::Kind::timeout:
      return timed_out(call);
    case Answer::Kind::refused:
      outcome.kind = Outcome::Kind::refused;
      end = "502";
      break;
    case Answer::Kind::cut_late:
    case Answer::Kind::cut:
      bool delivered = answer.kind == Answer::Kind::cut_late && call.text.stream;
      outcome.kind = delivered ? Outcome::Kind::broken : Outcome::Kind::cut;
      end = delivered ? "broken" : "502";
      break;
  }
  came(call, outcome, std::move(end));
}

void Host::came(Call& call, const Outcome& outcome, std::string end) {
  call.record->asking = false;
  call.serial++;
  freed_ = true;
  call.end = std::move(end);
  if (!chooser_->report(call.text.number, outcome, now())) return give_up(call, false);
  go(call);
}

void Host::wait(Call& call, const Pick& pick) {
  Instant limit = std::min(call.waiting_since + call.route->wait, call.deadline);
  bool in_time = now() < limit && (pick.until <= limit || pick.until == Instant::never());
  if (!in_time || (!call.listed && waiting_.size() >= call.config->limits.waiting)) return give_up(call, pick.limited);
  if (!call.listed) waiting_.add({call.text.number, call.caller_key, call.share, call.tokens, call.priority});
  call.listed = true;
  schedule_.at(std::min(limit, pick.until), [this] { freed_ = true; });
}

// Waiting calls, in fair order, look whether they may go now.
void Host::serve() {
  freed_ = false;
  waiting_.serve([&](uint64_t number) {
    auto at = calls_.find(number);
    if (at == calls_.end()) return true;
    size_t before = at->second.record->attempts.size();
    Record* record = at->second.record;
    go(at->second);
    bool gone = record->done || record->attempts.size() > before;
    if (gone && !record->done) at->second.listed = false;
    return gone;
  });
}

void Host::give_up(Call& call, bool limited) {
  bool ok = call.end == "ok" || call.end == "broken";
  finish(call, call.end.empty() ? limited ? "429" : "503" : call.end, !ok);
}

void Host::finish(Call& call, std::string end, bool wait) {
  Record& record = *call.record;
  if (wait) record.wait = chooser_->shortest_wait(call.text.number, now());
  record.end = std::move(end);
  record.done = true;
  record.asking = false;
  record.ended = now();
  uint64_t number = call.text.number;
  chooser_->end(number);
  // In the round of `serve` it is the queue itself that takes it out.
  if (call.listed) freed_ = true;
  calls_.erase(number);
}

void Host::deadline_passed(Call& call) {
  if (call.record->asking) {
    freed_ = true;
    chooser_->report(call.text.number, {Outcome::Kind::timeout, nullptr, false, now() - call.asked}, now());
  }
  if (call.listed) waiting_.remove(call.text.number);
  finish(call, "504", true);
}

void Host::finish(uint64_t number, const Answer* answer) {
  auto at = calls_.find(number);
  if (at == calls_.end() || !at->second.record->asking) return;
  answered(at->second, answer ? *answer : upstreams_.take(at->second.at));
  run_to(now());
}

void Host::cancel(uint64_t number) {
  auto at = calls_.find(number);
  if (at == calls_.end()) return;
  Call& call = at->second;
  if (call.record->asking) {
    freed_ = true;
    chooser_->report(number, {Outcome::Kind::cancelled, nullptr, false, now() - call.asked}, now());
  }
  if (call.listed) waiting_.remove(number);
  finish(call, "cancelled", false);
  run_to(now());
}

void Host::mark(const std::string& deployment, Duration length) {
  chooser_->mark(deployment, length, now());
  freed_ = true;
  run_to(now());
}

void Host::run_to(Instant when) {
  do {
    while (freed_) serve();
    Instant due = std::min(schedule_.next(), when);
    schedule_.run_to(due);
  } while (freed_ || schedule_.next() <= when || schedule_.now() < when);
}

std::string Host::unrest() const {
  if (uint32_t n = chooser_->in_flight()) return std::to_string(n) + " in flight";
  if (!calls_.empty()) return std::to_string(calls_.size()) + " calls open";
  return waiting_.empty() ? "" : std::to_string(waiting_.size()) + " waiting";
}

}  // namespace lb::cases
