#include "sim/clients.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "wire/json.h"

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

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

void Clients::wrong(const Live& call, const std::string& what) {
  verdict_.broken("call " + std::to_string(call.plan.number) + " (" + call.plan.model +
                  (call.plan.stream ? ", streamed" : "") + ", delivery " +
                  std::to_string(static_cast<int>(call.plan.delivery)) + ", response " + std::to_string(call.response) +
                  "): " + what);
}

void Clients::print(const Live& call, const std::string& what) const {
  if (log_)
    std::printf("%12.6f call %llu: %s\n", static_cast<double>(schedule_.now().ns) / 1e9,
                static_cast<unsigned long long>(call.plan.number), what.c_str());
}

void Clients::start(CallPlan plan) {
  std::string whole = plan.before + quoted(plan.model) + plan.after;
  CallSpec spec;
  spec.sink = this;
  spec.user_data = plan.number;
  spec.delivery = plan.delivery;
  spec.attempts = plan.number % 2 == 0;
  spec.deadline = plan.deadline;
  spec.window_bytes = plan.window;
  spec.head.method = "POST";
  spec.head.target = "/v1/chat/completions";
  spec.head.add("content-type", "application/json");
  spec.head.add("authorization", "Bearer of-the-caller");
  spec.head.add("x-sim-call", std::to_string(plan.number));
  spec.body_complete = !plan.in_pieces;
  if (plan.in_pieces) {
    if (rng_.below(2)) spec.body_length = whole.size();
  } else {
    spec.body.push(Chunk::copy(whole));
  }
  Live& call = calls_[plan.number];
  call.plan = std::move(plan);
  call.started = schedule_.now();
  print(call, "start " + call.plan.model + (call.plan.stream ? " streamed" : "") +
                  (call.plan.in_pieces ? " in pieces" : "") + " taking " +
                  std::to_string(static_cast<int>(call.plan.taking)) + " window " + std::to_string(call.plan.window));
  call.window = call.plan.window ? call.plan.window : engine_->config().find_route(call.plan.model)->window_bytes;
  open_++;
  Result<CallId> id = engine_->start(std::move(spec));
  if (!id.ok()) return wrong(call, "not started: " + id.error().message);
  call.id = id.value();
  if (call.plan.in_pieces) feed(call, 0);
  if (call.plan.cancel_after > Duration::zero())
    schedule_.after(call.plan.cancel_after, [this, number = call.plan.number] { cancel(number); });
}

// The body piece by piece, with pauses, and never against the engine's wish.
void Clients::feed(Live& call, size_t from) {
  std::string whole = call.plan.before + quoted(call.plan.model) + call.plan.after;
  uint64_t number = call.plan.number;
  schedule_.after(Duration::from_us(static_cast<int64_t>(rng_.below(30'000))), [this, number, from, whole] {
    Live& live = calls_[number];
    if (live.done) return;
    if (!engine_->body_room(live.id)) return feed(live, from);
    size_t n = std::min(whole.size() - from, 1 + static_cast<size_t>(rng_.below(4096)));
    engine_->append_body(live.id, Chunk::copy(std::string_view(whole).substr(from, n)), from + n == whole.size());
    if (from + n < whole.size()) feed(live, from + n);
  });
}

void Clients::deliver(std::vector<Event>& events) {
  for (Event& event : events) {
    auto place = calls_.find(event.user_data);
    if (place == calls_.end()) return verdict_.broken("an event for an unknown call");
    mix(static_cast<uint64_t>(event.kind) << 32 | event.code);
    mix(event.user_data ^ static_cast<uint64_t>(event.time.ns));
    mix(event.data.size() ^ static_cast<uint64_t>(event.status) << 32);
    static constexpr const char* kNames[] = {"", "attempt", "head", "data", "done", "log", "closed", "room"};
    print(place->second, std::string(kNames[static_cast<size_t>(event.kind)]) + " " + std::to_string(event.code) + " " +
                             status_name(event.status) + " " + std::to_string(event.data.size()) + " bytes");
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
  call.status = static_cast<uint16_t>(event.code);
  call.response = parse_u64(field(event.data.view(), "x-sim-response")).value_or(0);
  if (field(event.data.view(), "x-lb-served-by").empty()) wrong(call, "no x-lb-served-by");
  if (!net_->truth(call.response)) wrong(call, "a head that no upstream sent");
}

void Clients::on_data(Live& call, const Event& event) {
  if (!call.head) return wrong(call, "data before the head");
  // What fills the window up may be one chunk too long; nothing may follow it.
  uint64_t out = call.delivered - call.credited;
  if (call.plan.delivery != Delivery::whole && out >= call.window)
    return wrong(call, std::to_string(out) + " bytes outstanding, with a window of " + std::to_string(call.window));
  if (event.data.empty()) wrong(call, "empty data");
  call.delivered += event.data.size();
  call.body += event.data.view();
  call.pieces.emplace_back(event.data.view());
  if (call.credit_due) return;
  switch (call.plan.taking) {
    case Taking::at_once:
      call.credited += event.data.size();
      return engine_->credit(call.id, event.data.size());
    case Taking::soon:
    case Taking::drip:
      call.credit_due = true;
      return schedule_.after(Duration::from_ms(static_cast<int64_t>(rng_.below(50))),
                             [this, number = call.plan.number] { credit(number); });
    case Taking::late:
      call.credit_due = true;
      // Longer than any timeout of an upstream: a slow caller is no stalled upstream.
      return schedule_.after(Duration::from_s(20), [this, number = call.plan.number] { credit(number); });
  }
}

void Clients::credit(uint64_t number) {
  Live& call = calls_[number];
  call.credit_due = false;
  uint64_t out = call.delivered - call.credited;
  if (call.done || out == 0) return;
  uint64_t n = call.plan.taking == Taking::drip ? 1 + rng_.below(out) : out;
  call.credited += n;
  print(call, "credit " + std::to_string(n));
  engine_->credit(call.id, n);
  if (n == out || call.done) return;
  call.credit_due = true;
  schedule_.after(Duration::from_ms(1), [this, number] { credit(number); });
}

void Clients::cancel(uint64_t number) {
  Live& call = calls_[number];
  if (call.done) return;
  print(call, "cancel");
  call.cancelled = true;
  engine_->cancel(call.id);
  cancelled_now_.push_back(number);
}

void Clients::on_done(Live& call, const Event& event) {
  call.done = true;
  open_--;
  (event.status == Status::OK && call.status < 400 ? ok_ : failed_)++;
  if (!event.detail) return wrong(call, "done without detail");
  if (call.cancelled && event.status != Status::CANCELLED) return wrong(call, "cancelled, and yet it ended otherwise");
  if (event.status == Status::CANCELLED && !call.cancelled) return wrong(call, "cancelled by nobody");
  bool slow = call.plan.taking == Taking::late || call.plan.taking == Taking::drip;
  if (!slow && schedule_.now() - call.started > promise_.deadline_max + Duration::from_ms(1))
    wrong(call, "it took longer than its deadline");
  if (call.cancelled) return;
  const Truth* truth = call.head ? net_->truth(call.response) : nullptr;
  if (!call.head && event.status == Status::OK) return wrong(call, "OK without a head");
  if (promise_.no_failure) {
    bool excused = truth && after_content(truth->fault) && event.status == Status::BROKEN;
    bool success = event.status == Status::OK && call.status == 200;
    if (!success && !excused)
      wrong(call, "failed (" + std::string(status_name(event.status)) + ", " + std::to_string(call.status) + ": " +
                      event.detail->message + ") though a target in good health was there");
  }
  if (!truth) return;
  if (event.status == Status::OK) return check_success(call, *truth);
  check_break(call, *truth, event.status);
}

void Clients::check_success(const Live& call, const Truth& truth) {
  std::string said = " (" + std::string(fault_name(truth.fault)) + ")";
  if (call.status < 400 && !truth.good) return wrong(call, "a bad answer was presented as a success" + said);
  if (call.status >= 400 && truth.status != 200 && call.status != truth.status)
    return wrong(call, "status " + std::to_string(call.status) + " instead of " + std::to_string(truth.status));
  if (call.status < 400 && call.plan.delivery == Delivery::events && truth.stream) {
    if (call.pieces != truth.events) wrong(call, "events differ from what the upstream sent" + said);
    return;
  }
  if (call.body != truth.body)
    wrong(call, "the body differs from what the upstream sent" + said + ": " + std::to_string(call.body.size()) +
                    " bytes instead of " + std::to_string(truth.body.size()));
  if (call.plan.delivery == Delivery::whole && call.pieces.size() > 1) wrong(call, "the whole body came in parts");
}

// Half an answer: whole events of what was sent, and then the protocol's own error event.
void Clients::check_break(const Live& call, const Truth& truth, Status status) {
  if (status != Status::BROKEN && status != Status::DEADLINE)
    return wrong(call, std::string("ended ") + status_name(status) + " after its head");
  if (!truth.stream || call.plan.delivery != Delivery::bytes) return;
  size_t error = call.body.rfind("data: {\"error\":");
  if (error == std::string::npos) {
    // Nothing can be added for a caller who has used up the window and whose time is over.
    if (status == Status::DEADLINE) return;
    return wrong(call, "a broken stream without an error event");
  }
  if (call.body.find("data: [DONE]", error) != std::string::npos) wrong(call, "[DONE] after an error event");
  std::string before = call.body.substr(0, error);
  while (before.ends_with("\n\n\n")) before.pop_back();
  bool whole = truth.body.compare(0, before.size(), before) == 0;
  if (!whole && before.ends_with("\n\n")) {
    // An event that was too long to be held has been closed in the middle.
    before.resize(before.size() - 2);
    whole = truth.body.compare(0, before.size(), before) == 0;
  }
  if (!whole)
    wrong(call, "what came before the error event was never sent (" + std::string(fault_name(truth.fault)) + ")");
}

void Clients::on_request_head(uint64_t number, uint32_t host, uint64_t) {
  auto place = calls_.find(number);
  if (place == calls_.end()) return verdict_.broken("a request of an unknown call");
  Live& call = place->second;
  if (call.head) wrong(call, "a request went upstream after the head was delivered");
  if (call.done) wrong(call, "a request went upstream after done");
  // A second time is right only after a kept-alive connection died before it said anything, and only once.
  uint32_t times = ++call.asked[host];
  print(call, "asks host " + std::to_string(host));
  if (!promise_.again && (times > 2 || (times == 2 && net_->heard(number, host))))
    wrong(call, "host " + std::to_string(host) + " was tried again");
}

void Clients::on_request(const Seen& seen) {
  auto place = calls_.find(parse_u64(seen.head.get("x-sim-call")).value_or(0));
  if (place == calls_.end()) return;
  Live& call = place->second;
  if (seen.head.find("x-lb-route")) wrong(call, "x-lb-route went upstream");
  std::string key = "Bearer key-of-h" + std::to_string(seen.host);
  if (seen.head.get("authorization") != key)
    wrong(call, "host " + std::to_string(seen.host) + " got the authorization \"" +
                    std::string(seen.head.get("authorization")) + "\"");
  for (const std::string& name : names[{seen.host, call.plan.model}])
    if (seen.body == call.plan.before + quoted(name) + call.plan.after) return;
  wrong(call, "host " + std::to_string(seen.host) + " got another body than the caller sent");
}

void Clients::check_turn() {
  for (uint64_t number : cancelled_now_) {
    const Live& call = calls_[number];
    if (!call.done) wrong(call, "cancelled, but not done in the same turn");
    if (net_->serving(number)) wrong(call, "cancelled, but its upstream connection is still open");
  }
  cancelled_now_.clear();
  Engine::Census census = engine_->census();
  if (census.startable > 0)
    verdict_.broken(std::to_string(census.startable) + " calls wait although a target may take them");
  if (census.calls != open_)
    verdict_.broken("calls of the engine: " + std::to_string(census.calls) +
                    ", of the clients: " + std::to_string(open_));
}

void Clients::check_end() {
  for (const auto& [number, call] : calls_)
    if (!call.done) wrong(call, "never done");
}

}  // namespace lb::sim
