#include "sim/clients.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "sim/truth.h"

namespace lb::sim {

namespace {

std::string field(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    std::string_view line = split_off(lines, '\n');
    if (istarts_with(line, name) && line.size() > name.size() && line[name.size()] == ':')
      return std::string(trim(line.substr(name.size() + 1, line.size() - name.size() - 2)));
  }
  return "";
}

}  // namespace

void Clients::wrong(const Live& call, const std::string& what) {
  verdict_.broken("call " + std::to_string(call.request().number) + " (" + call.request().model +
                  (call.request().stream ? ", streamed" : "") + ", delivery " +
                  std::to_string(static_cast<int>(call.plan->delivery)) + ", response " +
                  std::to_string(call.response) + "): " + what);
}

void Clients::print(const Live& call, const std::string& what) const {
  if (log_)
    std::printf("%12.6f call %llu: %s\n", static_cast<double>(schedule_.now().ns) / 1e9,
                static_cast<unsigned long long>(call.request().number), what.c_str());
}

void Clients::command_after(Duration delay, uint64_t number, void (Clients::*what)(Live&)) {
  schedule_.after(delay, [this, number, what] {
    commands_.push_back([this, number, what] { (this->*what)(calls_.at(number)); });
  });
}

void Clients::start(const CallPlan& plan) {
  uint64_t number = plan.request.number;
  std::string whole = plan.request.body();
  CallSpec spec;
  spec.sink = this;
  spec.user_data = number;
  spec.delivery = plan.delivery;
  spec.attempts = number % 2 == 0;
  spec.deadline = plan.deadline;
  spec.window_bytes = plan.window;
  spec.head.method = "POST";
  spec.head.target = target_of(plan.request.dialect, plan.request.model, plan.request.stream);
  spec.head.add("content-type", "application/json");
  for (const Field& field : caller_fields(plan.request.dialect)) spec.head.add(field.name, field.value);
  spec.head.add("x-sim-call", std::to_string(number));
  if (!plan.caller.empty()) spec.head.add("x-lb-caller", plan.caller);
  spec.body_complete = !plan.in_pieces;
  if (plan.in_pieces) {
    if (plan.length_known) spec.body_length = whole.size();
  } else {
    spec.body.push(Chunk::copy(whole));
  }
  Live& call = calls_[number];
  call.plan = &plan;
  call.rng = dice(plan_.seed, "client", number);
  call.started = schedule_.now();
  print(call, "start " + plan.request.model + (plan.request.stream ? " streamed" : "") +
                  (plan.in_pieces ? " in pieces" : "") + " taking " + std::to_string(static_cast<int>(plan.taking)) +
                  " window " + std::to_string(plan.window) + (plan.caller.empty() ? "" : " of caller " + plan.caller));
  call.window = plan.window ? plan.window : engine_->config().find_route(plan.request.model)->window_bytes;
  asked_.begin(plan.request, plan.caller, !plan.in_pieces);
  Result<CallId> id = engine_->start(std::move(spec));
  if (!id.ok()) {
    call.done = true;
    if (!excuses_.closing) wrong(call, "not started: " + id.error().message);
    return;
  }
  open_++;
  call.id = id.value();
  if (plan.in_pieces) feed(call, 0);
  if (plan.cancel_after > Duration::zero()) command_after(plan.cancel_after, number, &Clients::cancel);
}

// The body piece by piece, with pauses, and never against the engine's wish.
void Clients::feed(Live& call, size_t from) {
  uint64_t number = call.request().number;
  schedule_.after(Duration::from_us(static_cast<int64_t>(call.rng.below(30'000))), [this, number, from] {
    commands_.push_back([this, number, from] {
      Live& live = calls_.at(number);
      if (live.done) return;
      if (!engine_->body_room(live.id)) return feed(live, from);
      std::string whole = live.request().body();
      size_t n = std::min(whole.size() - from, 1 + static_cast<size_t>(live.rng.below(4096)));
      engine_->append_body(live.id, Chunk::copy(std::string_view(whole).substr(from, n)), from + n == whole.size());
      if (from + n < whole.size()) feed(live, from + n);
    });
  });
}

void Clients::deliver(std::vector<Event>& events) {
  for (Event& event : events) {
    auto place = calls_.find(event.user_data);
    if (place == calls_.end()) return verdict_.broken("an event for an unknown call");
    hash_.mix(static_cast<uint64_t>(event.kind) << 32 | event.code);
    hash_.mix(event.user_data ^ static_cast<uint64_t>(event.time.ns));
    hash_.mix(event.data.size() ^ static_cast<uint64_t>(event.status) << 32);
    static constexpr const char* kNames[] = {"", "attempt", "head", "data", "done", "log", "closed", "room"};
    std::string what = std::string(kNames[static_cast<size_t>(event.kind)]) + " " + std::to_string(event.code) + " " +
                       status_name(event.status);
    print(place->second, what + " " + std::to_string(event.data.size()) + " bytes" +
                             (event.detail && !event.detail->message.empty() ? ": " + event.detail->message : ""));
    if (event.kind != Event::Kind::data && event.kind != Event::Kind::room)
      place->second.told +=
          what + " at " + std::to_string(event.time.ns) + (event.detail ? event.detail->message : "") + "\n";
    on_event(place->second, event);
  }
}

void Clients::on_event(Live& call, Event& event) {
  if (call.done) return wrong(call, "an event after done");
  if (event.call != call.id && call.id != 0) return wrong(call, "the call's id changed");
  switch (event.kind) {
    case Event::Kind::attempt:
      if (call.head) wrong(call, "an attempt after the head");
      return;
    case Event::Kind::head:
      return on_head(call, event);
    case Event::Kind::data:
      return on_data(call, event);
    case Event::Kind::done:
      return on_done(call, event);
    case Event::Kind::room:
      return;
    case Event::Kind::log:
    case Event::Kind::closed:
      return wrong(call, "an event of another kind");
  }
}

void Clients::on_head(Live& call, const Event& event) {
  if (call.head) return wrong(call, "a second head");
  call.head = true;
  asked_.head(call.request().number);
  call.status = static_cast<uint16_t>(event.code);
  call.response = parse_u64(field(event.data.view(), "x-sim-response")).value_or(0);
  if (field(event.data.view(), "x-lb-served-by").empty()) wrong(call, "no x-lb-served-by");
  const Truth* truth = net_->truth(call.response);
  if (!truth) return wrong(call, "a head that no upstream sent");
  if (truth->call != call.request().number) wrong(call, "the answer to another call");
}

void Clients::on_data(Live& call, const Event& event) {
  if (!call.head) return wrong(call, "data before the head");
  // What fills the window up may be one chunk too long; nothing may follow it.
  uint64_t out = call.delivered - call.credited;
  if (call.plan->delivery != Delivery::whole && out >= call.window)
    return wrong(call, std::to_string(out) + " bytes outstanding, with a window of " + std::to_string(call.window));
  if (event.data.empty()) wrong(call, "empty data");
  if (std::exchange(call.latest, schedule_.now()) != schedule_.now()) call.before = call.delivered;
  call.delivered += event.data.size();
  call.body += event.data.view();
  call.pieces.emplace_back(event.data.view());
  if (!call.credit_due) expect_credit(call);
}

void Clients::expect_credit(Live& call) {
  uint64_t number = call.request().number;
  switch (call.plan->taking) {
    case Taking::at_once:
      engine_->credit(call.id, call.delivered - call.credited);
      call.credited = call.delivered;
      return;
    case Taking::soon:
    case Taking::drip:
      call.credit_due = true;
      return command_after(Duration::from_ms(1 + static_cast<int64_t>(number * 7 % 50)), number, &Clients::credit);
    case Taking::late:
      call.credit_due = true;
      // Longer than any timeout of an upstream: a slow caller is no stalled upstream.
      return command_after(Duration::from_s(20), number, &Clients::credit);
  }
}

// For what it has been told before this instant: what comes in the same one may come before or behind this.
void Clients::credit(Live& call) {
  call.credit_due = false;
  if (call.done) return;
  uint64_t out = std::max(call.taken_in(schedule_.now()), call.credited) - call.credited;
  uint64_t n = call.plan->taking == Taking::drip ? (out + 1) / 2 : out;
  call.credited += n;
  if (n < out) {
    call.credit_due = true;
    command_after(Duration::from_ms(1), call.request().number, &Clients::credit);
  } else if (call.delivered > call.credited) {
    expect_credit(call);
  }
  if (n > 0) engine_->credit(call.id, n);
}

void Clients::cancel(Live& call) {
  if (call.done) return;
  print(call, "cancel");
  call.cancelled = true;
  engine_->cancel(call.id);
  cancelled_now_.push_back(call.request().number);
}

void Clients::on_done(Live& call, const Event& event) {
  call.done = true;
  asked_.done(call.request().number);
  open_--;
  (event.status == Status::OK && call.status < 400 ? ok_ : failed_)++;
  if (!event.detail) return wrong(call, "done without detail");
  bool closed = excuses_.closing && event.status == Status::CANCELLED;
  if (event.status == Status::CANCELLED && !call.cancelled && !closed) return wrong(call, "cancelled by nobody");
  bool slow = call.plan->taking == Taking::late || call.plan->taking == Taking::drip;
  if (!slow && schedule_.now() - call.started > plan_.deadline + Duration::from_ms(1))
    wrong(call, "it took longer than its deadline");
  if (event.status == Status::CANCELLED) return;
  const Truth* truth = call.head ? net_->truth(call.response) : nullptr;
  if (!call.head && event.status == Status::OK) return wrong(call, "OK without a head");
  check_promise(call, event, truth);
  if (truth) check_truth(call, *truth, event.status);
}

void Clients::check_promise(const Live& call, const Event& event, const Truth* truth) {
  bool calm = plan_.kind != Plan::Kind::wild;
  if ((!plan_.promised && !calm) || excuses_.failures) return;
  bool excused = truth && after_content(truth->fault) && event.status == Status::BROKEN;
  // A caller that takes a few bytes at a time may be late by itself.
  excused = excused || (event.status == Status::DEADLINE && call.head && call.plan->taking != Taking::at_once);
  bool success = event.status == Status::OK && call.status == 200;
  // A restart, or the end of a spell, may cut any answer.
  for (const HostPlan& host : plan_.hosts)
    for (const Spell& spell : host.spells)
      excused = excused || (spell.kind == Spell::Kind::restarts && event.status == Status::BROKEN);
  if (!success && !excused)
    wrong(call, "failed (" + std::string(status_name(event.status)) + ", " + std::to_string(call.status) + ": " +
                    event.detail->message + ") though a target in good health was there");
}

void Clients::check_truth(const Live& call, const Truth& truth, Status status) {
  std::string complaint;
  if (status == Status::OK) {
    bool by_events = call.status < 400 && call.plan->delivery == Delivery::events && truth.stream;
    Dialect dialect = call.request().dialect;
    complaint = by_events ? check_events(truth, dialect, call.pieces)
                          : check_whole(truth, dialect, call.status, call.body);
    if (call.plan->delivery == Delivery::whole && call.pieces.size() > 1) complaint = "the whole body came in parts";
  } else if (status != Status::BROKEN && status != Status::DEADLINE) {
    complaint = std::string("ended ") + status_name(status) + " after its head";
  } else if (truth.stream && call.plan->delivery == Delivery::bytes) {
    // Nothing can be added for a caller who has used up the window and whose time is over.
    complaint = check_cut_stream(truth, call.request().dialect, call.body, status == Status::DEADLINE);
  }
  if (!complaint.empty()) wrong(call, complaint);
}

void Clients::check_turn() {
  // A turn has a bound of rounds: what is left of it, and not told yet, is for the next one at the same instant.
  if (engine_->next_wake() <= schedule_.now()) return;
  for (uint64_t number : cancelled_now_) {
    const Live& call = calls_.at(number);
    if (!call.done) wrong(call, "cancelled, but not done in the same turn");
    if (net_->serving(number)) wrong(call, "cancelled, but its upstream connection is still open");
  }
  cancelled_now_.clear();
  Engine::Census census = engine_->census();
  if (census.startable > 0)
    verdict_.broken(std::to_string(census.startable) + " calls wait although a target may take them");
  size_t visitors = net_->inbound().open();
  if (census.calls < open_ || census.calls > open_ + visitors)
    verdict_.broken("calls of the engine: " + std::to_string(census.calls) + ", of its clients: " +
                    std::to_string(open_) + ", connections of the gateway: " + std::to_string(visitors));
}

void Clients::check_end() {
  for (const auto& [number, call] : calls_)
    if (!call.done) wrong(call, "never done");
}

std::map<uint64_t, std::string> Clients::told() const {
  std::map<uint64_t, std::string> out;
  for (const auto& [number, call] : calls_) {
    Hash body;
    const Truth* truth = net_->truth(call.response);
    bool same = !truth || truth->dialect == call.request().dialect;
    // What is translated has numbers of lb's requests in it.
    body.mix(same ? call.body : text_in(call.request().dialect, call.body));
    bool whole = call.told.find("done 0 OK") != std::string::npos;
    out[number] = call.told + (whole ? "body " + std::to_string(body.value()) : "");
  }
  return out;
}

}  // namespace lb::sim
