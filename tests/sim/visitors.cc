#include "sim/visitors.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "sim/truth.h"
#include "wire/http1.h"

namespace lb::sim {

namespace {

// How long a client waits for the 100 that it asked for before it sends the body all the same (RFC 9110 §10.1.1).
constexpr Duration kContinueWait = Duration::from_s(1);
// Between the end of an answer and the moment when a client has taken it.
constexpr Duration kUnderWay = Duration::from_ms(10);

// What a full socket takes it at most.
Duration taking_time(const VisitorPlan& plan, Duration grain) {
  auto takings = static_cast<int64_t>(plan.buffer / std::min(plan.take_most, plan.buffer)) + 1;
  return (plan.take_gap + grain) * takings;
}

std::string chunked(const std::string& body, Rng& rng) {
  std::string out;
  for (size_t at = 0; at < body.size();) {
    size_t n = std::min(body.size() - at, 1 + static_cast<size_t>(rng.below(rng.below(2) ? 10 : body.size())));
    // Long bodies are not cut into thousands of chunks.
    if (n < body.size() / 100) n = std::min(body.size() - at, body.size() / 100);
    out += chunk_line(n) + body.substr(at, n) + "\r\n";
    at += n;
  }
  return out + std::string(kLastChunk);
}

}  // namespace

void Visitors::print(const Live& visitor, const std::string& what) const {
  if (log_)
    std::printf("%12.6f client %llu: %s\n", static_cast<double>(schedule_.now().ns) / 1e9,
                static_cast<unsigned long long>(visitor.conn), what.c_str());
}

void Visitors::wrong(const Live& visitor, const std::string& what) {
  std::string numbers;
  for (const VisitPlan& visit : visitor.plan->visits) numbers += " " + std::to_string(visit.request.number);
  verdict_.broken("client " + std::to_string(visitor.conn) + " with the requests" + numbers + ": " + what);
}

void Visitors::later(Duration delay, size_t index, void (Visitors::*what)(size_t)) {
  schedule_.after(delay, [this, index, what] { (this->*what)(index); });
}

void Visitors::arrive(const VisitorPlan& plan) {
  size_t index = visitors_.size();
  Live& visitor = visitors_.emplace_back();
  visitor.plan = &plan;
  visitor.conn = net_->inbound().dial(*this, plan.buffer);
  if (visitor.conn == 0) {
    visitor.over = true;
    if (!excuses_.closing && !excuses_.failures) wrong(visitor, "nothing listens");
    return;
  }
  by_conn_[visitor.conn] = index;
  print(visitor, "connects");
  if (plan.leaves != VisitorPlan::Leaves::never) later(plan.leaves_after, index, &Visitors::leave);
  begin(index);
}

// --- Sending ---

void Visitors::compose(Live& visitor, const VisitPlan& visit) {
  static constexpr const char* kLines[] = {"POST ", "GET /v1/models", "HEAD /healthz", "POST /v1/nowhere"};
  const RequestPlan& request = visit.request;
  bool chat = visit.kind == VisitPlan::Kind::chat;
  std::string head = kLines[static_cast<size_t>(visit.kind)] +
                     (chat ? target_of(request.dialect, request.model, request.stream) : "") + " HTTP/1." +
                     (visitor.plan->old ? "0" : "1") + "\r\nHost: lb.test\r\n";
  bool has_body = chat || visit.kind == VisitPlan::Kind::nowhere;
  std::string body = chat ? request.body() : "{}";
  Rng rng = dice(plan_.seed, "visit", request.number);
  if (chat) {
    for (const Field& field : caller_fields(request.dialect)) head += field.name + ": " + field.value + "\r\n";
    head += "X-Sim-Call: " + std::to_string(request.number) + "\r\ncontent-type: application/json\r\n";
  }
  if (visitor.plan->old) head += "Connection: keep-alive\r\n";
  if (has_body) {
    head += visit.chunked ? "Transfer-Encoding: chunked\r\n"
                          : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (visit.chunked) body = chunked(body, rng);
    if (visit.expects) head += "Expect: 100-continue\r\n";
  }
  visitor.out.append(head + "\r\n");
  if (!has_body) return;
  if (!visit.expects || visitor.plan->pipelines) {
    visitor.out.append(body);
  } else {
    visitor.held = std::move(body);
  }
  visitor.expecting += visit.expects;
}

void Visitors::begin(size_t index) {
  Live& visitor = visitors_[index];
  if (visitor.over || visitor.left || visitor.ended) return;
  const VisitPlan& visit = visitor.plan->visits[visitor.begun++];
  visitor.begun_at.push_back(schedule_.now());
  visitor.reader.announce(visit.kind == VisitPlan::Kind::health);
  if (visit.kind == VisitPlan::Kind::chat) asked_.begin(visit.request, "", false);
  compose(visitor, visit);
  if (!visitor.held.empty()) later(kContinueWait, index, &Visitors::call_held);
  if (visitor.plan->pipelines && visitor.begun < visitor.plan->visits.size()) return begin(index);
  if (!std::exchange(visitor.sending, true)) later(Duration::from_us(10), index, &Visitors::push);
}

void Visitors::push(size_t index) {
  Live& visitor = visitors_[index];
  visitor.sending = false;
  if (visitor.over || visitor.left) return;
  // However small the pieces are, a long body does not take thousands of them.
  size_t most = std::max(visitor.plan->send_most, visitor.out.size() / 2000);
  net_->inbound().send(visitor.conn, visitor.out.take(most));
  if (visitor.out.empty()) return;
  visitor.sending = true;
  later(visitor.plan->send_gap, index, &Visitors::push);
}

// The body behind an "expect": it is called for, or nobody has said anything.
void Visitors::call_held(size_t index) {
  Live& visitor = visitors_[index];
  if (visitor.held.empty() || visitor.over || visitor.left) return;
  visitor.out.append(std::exchange(visitor.held, ""));
  if (!std::exchange(visitor.sending, true)) later(Duration::zero(), index, &Visitors::push);
}

void Visitors::leave(size_t index) {
  Live& visitor = visitors_[index];
  if (visitor.over || visitor.ended) return;
  visitor.left = visitor.ended = true;
  bool resets = visitor.plan->leaves == VisitorPlan::Leaves::resets;
  print(visitor, resets ? "resets" : "ends, and is gone");
  if (resets)
    net_->inbound().reset(visitor.conn);
  else
    net_->inbound().end(visitor.conn);
}

// --- Taking ---

void Visitors::on_readable(ConnId conn) {
  size_t index = by_conn_.at(conn);
  Live& visitor = visitors_[index];
  if (visitor.over || std::exchange(visitor.taking, true)) return;
  later(visitor.plan->take_gap, index, &Visitors::pull);
}

void Visitors::pull(size_t index) {
  Live& visitor = visitors_[index];
  Inbound& inbound = net_->inbound();
  visitor.taking = false;
  std::string bytes = inbound.take(visitor.conn, visitor.plan->take_most);
  hash_.mix(visitor.conn);
  hash_.mix(bytes);
  hash_.mix(static_cast<uint64_t>(schedule_.now().ns));
  if (!bytes.empty()) {
    if (!visitor.reader.feed(bytes) && !visitor.left) wrong(visitor, visitor.reader.complaint());
    if (visitor.reader.interim() > visitor.expecting) wrong(visitor, "an interim answer that it did not ask for");
    if (visitor.reader.interim() > 0) call_held(index);
    look(index);
  }
  if (inbound.readable(visitor.conn)) {
    visitor.taking = true;
    later(visitor.plan->take_gap, index, &Visitors::pull);
  } else if (inbound.at_end(visitor.conn)) {
    on_end(visitor);
  }
}

// Looks at what is new among the answers.
void Visitors::look(size_t index) {
  Live& visitor = visitors_[index];
  const auto& answers = visitor.reader.answers();
  if (answers.size() > visitor.begun) return wrong(visitor, "more answers than requests");
  for (size_t i = visitor.checked; i < answers.size() && !visitor.left; i++)
    if (const Truth* truth = truth_of(answers[i])) asked_.head(truth->call);
  while (visitor.checked < visitor.reader.whole()) {
    size_t number = visitor.checked++;
    check_answer(visitor, number);
    after_answer(index);
  }
}

void Visitors::after_answer(size_t index) {
  Live& visitor = visitors_[index];
  const AnswerReader::Answer& answer = visitor.reader.answers()[visitor.checked - 1];
  if (answer.says_close()) visitor.held.clear();
  if (answer.says_close() || visitor.ended || visitor.checked < visitor.begun) return;
  if (visitor.begun < visitor.plan->visits.size())
    return later(visitor.plan->visits[visitor.begun].pause, index, &Visitors::begin);
  if (visitor.plan->lingers) return;
  visitor.ended = true;
  net_->inbound().end(visitor.conn);
}

// --- The end ---

// Nothing but lb and its upstreams can be blamed for what became of its requests.
bool Visitors::patient(const Live& visitor) const {
  return !visitor.left && !visitor.plan->lags && !excuses_.failures && !excuses_.closing;
}

void Visitors::on_end(Live& visitor) {
  visitor.over = true;
  visitor.unclean = net_->inbound().was_reset(visitor.conn);
  print(visitor, visitor.unclean ? "is cut off" : "is at the end");
  size_t whole = visitor.reader.whole();
  if (!visitor.reader.end(!visitor.unclean) && !visitor.left) wrong(visitor, visitor.reader.complaint());
  net_->inbound().forget(visitor.conn);
  if (visitor.reader.whole() > whole) check_answer(visitor, visitor.checked++);  // The end was the end of its body.
  const auto& answers = visitor.reader.answers();
  if (answers.size() > visitor.checked) check_cut(visitor, visitor.checked, truth_of(answers[visitor.checked]));
  bool said_so = !answers.empty() && (answers.back().says_close() || answers.size() > visitor.checked);
  // One that pauses for longer than connections are kept may find its own closed; the clock runs while it takes what
  // its socket holds.
  Duration idle = plan_.configs[0].limits.idle_timeout;
  for (const Config& config : plan_.configs) idle = std::min(idle, config.limits.idle_timeout);
  bool paused = std::any_of(visitor.plan->visits.begin(), visitor.plan->visits.end(), [&](const VisitPlan& visit) {
    return visit.pause + taking_time(*visitor.plan, plan_.grain) + kUnderWay + plan_.grain * 4 >= idle;
  });
  if (visitor.begun > answers.size() && patient(visitor) && !said_so && !paused)
    wrong(visitor, "the connection ended with " + std::to_string(visitor.begun - answers.size()) +
                       " requests unanswered, and nothing that says so");
}

const Truth* Visitors::truth_of(const AnswerReader::Answer& answer) const {
  std::string id = answer.get("x-sim-response");
  return id.empty() ? nullptr : net_->truth(parse_u64(id).value_or(0));
}

// A whole answer: of the right request, and true.
void Visitors::check_answer(Live& visitor, size_t number) {
  const AnswerReader::Answer& answer = visitor.reader.answers()[number];
  const VisitPlan& visit = visitor.plan->visits[number];
  print(visitor, "answer " + std::to_string(answer.status) + " to request " + std::to_string(visit.request.number) +
                     ", " + std::to_string(answer.body.size()) + " bytes");
  if (visit.kind == VisitPlan::Kind::chat) (answer.status < 400 ? ok_ : failed_)++;
  if (visitor.left) return;
  if (visit.kind == VisitPlan::Kind::chat) asked_.done(visit.request.number);
  bool stated = !answer.get("x-sim-response").empty();
  const Truth* truth = truth_of(answer);
  if (stated && !truth) return wrong(visitor, "an answer that no upstream sent");
  if (truth && (visit.kind != VisitPlan::Kind::chat || truth->call != visit.request.number))
    return wrong(visitor, "answer " + std::to_string(number) + " is that of call " + std::to_string(truth->call));
  if (answer.until_close && !visitor.plan->old) wrong(visitor, "only the end of the connection ends an answer");
  truth ? check_whole_answer(visitor, number, truth) : check_own(visitor, number);
}

void Visitors::check_whole_answer(Live& visitor, size_t number, const Truth* truth) {
  const AnswerReader::Answer& answer = visitor.reader.answers()[number];
  // What is cut is unclean to HTTP/1.1; to HTTP/1.0 the end is the end, and the error event, or JSON without its end,
  // is what tells.
  Dialect dialect = visitor.plan->visits[number].request.dialect;
  bool short_json = !truth->good || answer.body.size() < truth->body.size();
  bool json_cut = answer.until_close && !truth->stream && short_json && truth->body.starts_with(answer.body);
  bool says_so = error_event_at(dialect, answer.body) != std::string::npos ||
                 (dialect != truth->dialect && !has_end(dialect, answer.body, Shape::bytes));
  bool stream_cut = answer.until_close && truth->stream && says_so;
  if (answer.until_close && (json_cut || stream_cut)) return check_cut(visitor, number, truth);
  std::string complaint = check_whole(*truth, dialect, static_cast<uint32_t>(answer.status), answer.body);
  if (!complaint.empty()) return wrong(visitor, "answer " + std::to_string(number) + ": " + complaint);
  bool promised = plan_.promised && patient(visitor);
  if (promised && answer.status != 200)
    wrong(visitor, "answer " + std::to_string(number) + " has status " + std::to_string(answer.status) +
                       " though a target in good health was there");
}

// Half an answer: it has to have a reason, and a stream has to say so in its own words.
void Visitors::check_cut(Live& visitor, size_t number, const Truth* truth) {
  const VisitPlan& visit = visitor.plan->visits[number];
  if (visit.kind == VisitPlan::Kind::chat) failed_++;
  if (visitor.left) return;
  if (visit.kind == VisitPlan::Kind::chat) asked_.done(visit.request.number);
  if (!truth) return patient(visitor) ? wrong(visitor, "an answer of lb's own was cut") : void();
  const AnswerReader::Answer& answer = visitor.reader.answers()[number];
  bool late = schedule_.now() - visitor.begun_at[number] >= plan_.deadline;
  bool restarts = std::any_of(plan_.hosts.begin(), plan_.hosts.end(), [](const HostPlan& host) {
    return std::any_of(host.spells.begin(), host.spells.end(),
                       [](const Spell& spell) { return spell.kind == Spell::Kind::restarts; });
  });
  if (truth->good && patient(visitor) && !late && !restarts)
    return wrong(visitor, "a good answer was cut (" + std::string(fault_name(truth->fault)) + ")");
  // Who takes nothing for too long is cut off wherever it is; who is past its deadline may have no room for more.
  bool may_lack = !patient(visitor) || late || visitor.unclean;
  if (!truth->stream) return;
  std::string complaint = check_cut_stream(*truth, visit.request.dialect, answer.body, may_lack);
  bool silent = error_event_at(visit.request.dialect, answer.body) == std::string::npos;
  if (!complaint.empty() && !(may_lack && silent))
    wrong(visitor, "answer " + std::to_string(number) + ": " + complaint);
}

// What lb says by itself: a document, or an error that has a reason.
void Visitors::check_own(Live& visitor, size_t number) {
  const AnswerReader::Answer& answer = visitor.reader.answers()[number];
  std::string place = "answer " + std::to_string(number) + " has status " + std::to_string(answer.status);
  bool client_fault = answer.status == 408;
  if (client_fault && patient(visitor)) return wrong(visitor, place + ", and the client was in time");
  if (client_fault) return;
  switch (visitor.plan->visits[number].kind) {
    case VisitPlan::Kind::models:
    case VisitPlan::Kind::health:
      if (answer.status != 200) wrong(visitor, place);
      return;
    case VisitPlan::Kind::nowhere:
      if (answer.status != 404) wrong(visitor, place);
      return;
    case VisitPlan::Kind::chat:
      break;
  }
  if (answer.status < 400) return wrong(visitor, place + " without an upstream");
  if (answer.body.find("\"error\"") == std::string::npos) wrong(visitor, place + " and is no error");
  if (answer.get("x-lb-request-id").empty()) wrong(visitor, place + " and no x-lb-request-id");
  // An upstream that has been asked may have said so.
  bool asked = !answer.get("x-lb-attempts").empty() && answer.get("x-lb-attempts") != "0";
  if (!asked && (answer.status == 404 || answer.status == 400)) wrong(visitor, place + " for a good request");
  if (plan_.promised && patient(visitor))
    wrong(visitor, place + " though a target in good health was there: " + answer.body);
}

void Visitors::check_turn() {
  for (ConnId conn : net_->inbound().ended()) {
    auto place = by_conn_.find(conn);
    if (place == by_conn_.end()) continue;
    const Live& visitor = visitors_[place->second];
    for (const VisitPlan& visit : visitor.plan->visits)
      if (visit.request.number && net_->serving(visit.request.number))
        wrong(visitor, "it has left, but the upstream connection of its call is still open");
  }
  net_->inbound().ended().clear();
}

void Visitors::check_end() {
  for (const Live& visitor : visitors_)
    if (!visitor.over && !visitor.left) wrong(visitor, "its connection never ended");
}

std::map<uint64_t, std::string> Visitors::told() const {
  std::map<uint64_t, std::string> out;
  for (const Live& visitor : visitors_) {
    for (size_t i = 0; i < visitor.begun && !visitor.left; i++) {
      const VisitPlan& visit = visitor.plan->visits[i];
      std::string& said = out[visit.request.number];
      if (i >= visitor.reader.whole()) continue;
      const AnswerReader::Answer& answer = visitor.reader.answers()[i];
      Hash body;
      // What lb says by itself has numbers in it: of its requests, and of milliseconds. What is translated has the
      // former.
      const Truth* truth = truth_of(answer);
      bool same = truth && truth->dialect == visit.request.dialect;
      if (truth) body.mix(same ? answer.body : text_in(visit.request.dialect, answer.body));
      said = "answer " + std::to_string(answer.status) + ", body " + std::to_string(body.value());
    }
  }
  return out;
}

}  // namespace lb::sim
