#include "engine/engine.h"

#include <algorithm>

#include "base/text.h"
#include "engine/call.h"
#include "engine/head_text.h"
#include "engine/stats.h"

namespace lb {

namespace {

// Rounds of admission and delivery in one turn; what is left waits for the next, so that sockets are not starved.
constexpr int kRoundsMax = 64;

}  // namespace

struct Engine::State : Context {
  State(Net& net_, const EngineOptions& options_, Instant now_) : Context(net_, options_, now_) {}

  Slab<Call> calls;
  std::vector<TimerHeap::Fired> fired;
  bool closing = false;
  bool unfinished = false;  // settle() left work for the next turn.

  void sweep() {
    for (CallId id : ended) calls.remove(id);
    bool any = !ended.empty();
    ended.clear();
    if (any && fleet.has_old_worlds())
      for (UpstreamIndex gone : fleet.sweep()) pool.drop_idle(gone);
  }

  void admit() {
    capacity_freed = false;
    if (waiting.empty()) return;
    waiting.serve([&](CallId id) {
      Call* call = calls.find(id);
      return !call || !call->waiting() || call->admit();
    });
  }

  void fire(const TimerHeap::Fired& timer) {
    auto kind = static_cast<TimerKind>(timer.kind);
    if (kind == TimerKind::probe) return probes.on_timer(static_cast<UpstreamIndex>(timer.owner));
    if (kind == TimerKind::link_connect || kind == TimerKind::link_idle) {
      Link* link = pool.find(timer.owner);
      if (!link) return;
      if (kind == TimerKind::link_idle) return pool.idle_timer(*link, now);
      Call* call = calls.find(link->call);
      if (call && !link->up) call->on_patience(*link);
      return;
    }
    if (Call* call = calls.find(timer.owner)) call->on_timer(kind);
  }
};

Engine::Engine(Net& net, const EngineOptions& options, std::shared_ptr<const Config> config,
               Instant now)
    : state_(std::make_unique<State>(net, options, now)) {
  state_->fleet.configure(std::move(config), state_->wall(), now);
}

Engine::~Engine() {
  State& s = *state_;
  for (uint64_t id : s.calls.ids()) s.calls.remove(id);
  for (uint64_t id : s.pool.ids()) s.pool.drop(*s.pool.find(id));
}

void Engine::begin(Instant now) {
  State& s = *state_;
  if (now < s.now)
    s.meter.clock_regressions++;  // Clamped: time does not run backwards here.
  else
    s.now = now;
  s.timers.take_due(s.now, s.fired);
  for (const TimerHeap::Fired& timer : s.fired) s.fire(timer);
  s.fired.clear();
  s.sweep();
}

void Engine::complete(Completion& completion) {
  State& s = *state_;
  if (completion.kind == Completion::Kind::resolved) {
    Names::Answer answer = s.names.complete(completion, s.limits().dns_ttl, s.now);
    for (uint64_t waiter : answer.waiters) {
      Link* link = s.pool.find(waiter);
      Call* call = link ? s.calls.find(link->call) : nullptr;
      if (call) call->on_addresses(*link, answer);
      else if (link && link->probe) s.probes.on_addresses(*link, answer);
    }
    return s.sweep();
  }
  Link* link = s.pool.find(tag_id(completion.tag));
  // A stale completion: the link was closed earlier in this turn, or tries another address by now.
  if (!link || link->conn != completion.conn) return;
  if (Call* call = s.calls.find(link->call)) {
    call->on_link(*link, completion);
    return s.sweep();
  }
  if (link->probe) return s.probes.on_link(*link, completion);
  // An idle connection has nothing to say: whatever comes ends it.
  if (completion.kind == Completion::Kind::closed) link->conn = 0;
  if (completion.kind != Completion::Kind::written) s.pool.drop(*link);
}

void Engine::settle() {
  State& s = *state_;
  s.unfinished = false;
  for (int round = 0; s.capacity_freed || !s.outbox.empty(); round++) {
    if (round == kRoundsMax) {
      s.unfinished = true;
      return;
    }
    if (s.capacity_freed) s.admit();
    s.sweep();
    s.outbox.flush();
    s.sweep();
  }
}

Instant Engine::next_wake() const {
  return state_->unfinished ? state_->now : state_->timers.next();
}

Head Engine::take_blank_head() { return state_->take_blank(); }

Result<CallId> Engine::start(CallSpec&& spec) {
  State& s = *state_;
  if (s.closing) return Error{Status::CLOSED, "", "the engine is closing"};
  if (s.calls.size() >= s.options.calls_max || s.calls.full())
    return Error{Status::FULL, "",
                 "calls_max (" + std::to_string(s.options.calls_max) + ") calls are in flight"};
  Result<Asked> asked = asked_by(spec.head);
  if (!asked.ok()) return asked.error();
  CallId id = s.calls.next_id();
  s.calls.add(s, id, std::move(spec), std::move(asked.value()));
  s.calls.find(id)->begin();
  return id;
}

void Engine::append_body(CallId id, Chunk bytes, bool last) {
  if (Call* call = state_->calls.find(id)) call->append_body(std::move(bytes), last);
}

void Engine::want_room(CallId id) {
  if (Call* call = state_->calls.find(id)) call->want_room();
}

bool Engine::body_room(CallId id) const {
  Call* call = state_->calls.find(id);
  return !call || call->body_room();
}

void Engine::credit(CallId id, uint64_t bytes) {
  if (Call* call = state_->calls.find(id)) call->credit(bytes);
}

void Engine::cancel(CallId id) {
  if (Call* call = state_->calls.find(id)) call->cancel();
}

void Engine::forget(EventSink& sink) {
  State& s = *state_;
  for (uint64_t id : s.calls.ids())
    if (Call* call = s.calls.find(id); call->sink() == &sink) call->cancel();
  s.outbox.forget(sink);
  if (s.options.log == &sink) s.options.log = nullptr;
}

void Engine::configure(std::shared_ptr<const Config> config) {
  State& s = *state_;
  for (UpstreamIndex gone : s.fleet.configure(std::move(config), s.wall(), s.now)) s.pool.drop_idle(gone);
  s.capacity_freed = true;  // Limits of targets that are kept may have grown.
}

const Config& Engine::config() const { return *state_->fleet.world()->config; }

void Engine::close(bool cancel_rest) {
  State& s = *state_;
  s.closing = true;
  if (!cancel_rest) return;
  for (uint64_t id : s.calls.ids())
    if (Call* call = s.calls.find(id)) call->stop();
}

bool Engine::closing() const { return state_->closing; }
size_t Engine::calls() const { return state_->calls.size(); }
Instant Engine::now() const { return state_->now; }

bool Engine::ready() const {
  const State& s = *state_;
  const std::vector<policy::TargetIndex>& targets = s.fleet.world()->targets;
  return !s.closing && std::any_of(targets.begin(), targets.end(), [&](policy::TargetIndex i) {
    return s.fleet.look(i, s.now).healthy(s.now);
  });
}

bool Engine::mark(std::string_view deployment, std::string_view model, Duration length) {
  state_->capacity_freed = true;
  return state_->fleet.mark(deployment, model, length, state_->now);
}

Fleet& Engine::fleet() { return state_->fleet; }

void Engine::log(LogLevel level, std::string_view message, std::string_view fields) {
  state_->log(level, message, fields);
}

Engine::Census Engine::census() const {
  const State& s = *state_;
  Census census{s.calls.size(),   s.pool.size(), s.pool.idle(),  s.timers.size(),
                s.waiting.size(), 0,             s.replay_bytes, 0};
  for (policy::TargetIndex i = 0; i < s.fleet.target_count(); i++)
    census.in_flight += s.fleet.balancer().in_flight(i);
  for (const policy::Waiting& entry : s.waiting.entries())
    if (Call* call = s.calls.find(entry.call); call && call->startable()) census.startable++;
  return census;
}

std::string Engine::stats_json() const { return print_stats_json(*state_, state_->calls.size()); }
std::string Engine::stats_prometheus() const {
  return print_stats_prometheus(*state_, state_->calls.size());
}

}  // namespace lb
