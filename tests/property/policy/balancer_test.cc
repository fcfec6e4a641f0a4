// Random configurations and random calls: what is counted comes back, nothing goes where it may not, limits hold by a
// ledger kept apart, and every wait is true.
#include "policy/balancer.h"

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "property/policy/law.h"

namespace lb::policy {
namespace {

using By = Decision::By;
using Kind = Decision::Kind;

constexpr Instant kBegin{1'000'000'300'000'000};

Duration any_ms(Rng& rng, uint64_t below) { return Duration::from_ms(static_cast<int64_t>(rng.below(below))); }

struct Call {
  Reservation reservation;
  Charge charge;
};

// Everything that calls can be counted against; caller last.
constexpr size_t kPlaces = 5;

struct World {
  Balancer balancer;
  Settings settings;
  Plan plan;
  Instant now = kBegin;
  std::vector<ScopeIndex> callers;
  std::vector<ScopeSpec> scope_specs;
  std::vector<TargetSpec> targets;
  std::vector<Call> calls;  // In flight.
  // What went through, for requests in sliding windows: when, and by which target and caller.
  struct Sent {
    Instant at;
    std::array<ScopeIndex, kPlaces> places;
  };
  std::vector<Sent> sent;
  std::vector<Instant> down_until;  // By hand.
  bool exact = true;    // Windows with whole numbers only.
  bool forced = false;  // Something was sent in need, over its budget perhaps.

  explicit World(Rng& rng) : balancer(rng.next()) {}

  uint32_t in_flight_of(size_t place, ScopeIndex index) const {
    auto here = [&](const Call& call) { return places(call.reservation)[place] == index; };
    return static_cast<uint32_t>(std::count_if(calls.begin(), calls.end(), here));
  }
  static std::array<ScopeIndex, kPlaces> places(const Reservation& r) {
    return {r.target, r.shared[0], r.shared[1], r.shared[2], r.shared[3]};
  }
  const ScopeSpec* spec_at(size_t place, ScopeIndex index) const {
    if (index == kNoScope) return nullptr;
    return place == 0 ? &targets[index].own : &scope_specs[index];
  }
};

QuotaSpec any_quota(World& world, Rng& rng) {
  QuotaSpec spec;
  spec.metric = static_cast<Metric>(rng.below(4));
  spec.window = static_cast<WindowKind>(rng.below(4));
  if (spec.window == WindowKind::bucket) world.exact = false;
  spec.period = Duration::from_ms(static_cast<int64_t>(100 + rng.below(20'000)));
  spec.limit = spec.metric == Metric::requests ? 1 + rng.below(8) : 60 + rng.below(300);
  return spec;
}

ScopeSpec any_limits(World& world, Rng& rng) {
  ScopeSpec spec;
  if (rng.below(2)) spec.concurrency = static_cast<uint32_t>(rng.below(4));
  for (uint64_t n = rng.below(3); n > 0; n--) {
    QuotaSpec quota = any_quota(world, rng);
    bool known = std::any_of(spec.quotas.begin(), spec.quotas.end(), [&](const QuotaSpec& other) {
      return other.metric == quota.metric && other.window == quota.window && other.period == quota.period;
    });
    if (!known) spec.quotas.push_back(quota);
  }
  return spec;
}

ScopeIndex any_scope(World& world, Rng& rng) {
  ScopeIndex index = world.balancer.add_scope();
  world.scope_specs.push_back(any_limits(world, rng));
  world.balancer.set_scope(index, world.scope_specs.back(), true);
  return index;
}

void any_plan(World& world, Rng& rng) {
  Plan& plan = world.plan;
  plan.balance = static_cast<Balance>(rng.below(9));
  plan.spill = static_cast<Spill>(rng.below(2));
  plan.when_none = rng.below(2) ? WhenNone::fail : static_cast<WhenNone>(rng.below(3));
  plan.panic_share = rng.below(4) ? 0 : rng.unit();
  plan.sticky = rng.below(4) ? Duration::zero() : any_ms(rng, 20'000);
  plan.fail_back = rng.below(2) == 0;
  plan.affinity = rng.below(3) ? Duration::zero() : any_ms(rng, 20'000);
  size_t count = 1 + rng.below(5);
  std::vector<TargetIndex> tier;
  std::vector<double> weights;
  std::array<ScopeIndex, 2> keys{any_scope(world, rng), any_scope(world, rng)};
  ScopeIndex deployment = any_scope(world, rng), endpoint = any_scope(world, rng);
  for (size_t i = 0; i < count; i++) {
    TargetSpec spec;
    spec.own = any_limits(world, rng);
    spec.weight = 0.2 + 2 * rng.unit();
    spec.deployment = static_cast<uint32_t>(rng.below(3));
    if (rng.below(3) == 0) spec.in_deployment = deployment;
    if (rng.below(2)) spec.with_key = keys[rng.below(2)];
    if (rng.below(2)) spec.at_endpoint = endpoint;
    TargetIndex index = world.balancer.add_target();
    world.balancer.set_target(index, spec, true);
    world.targets.push_back(spec);
    world.down_until.push_back({});
    tier.push_back(index);
    weights.push_back(spec.weight);
    if (i + 1 < count && rng.below(3)) continue;
    plan.tiers.emplace_back(tier, weights);
    tier.clear();
    weights.clear();
  }
}

World any_world(Rng& rng) {
  World world(rng);
  BreakerSpec& breaker = world.settings.health.breaker;
  breaker.errors = static_cast<uint32_t>(rng.below(4));
  breaker.volume = static_cast<uint32_t>(2 + rng.below(10));
  breaker.open = Duration::from_ms(static_cast<int64_t>(50 + rng.below(3'000)));
  breaker.slow = rng.below(3) ? Duration::zero() : Duration::from_ms(500);
  world.settings.refund_failed = rng.below(2) == 0;
  world.settings.bindings = static_cast<uint32_t>(rng.below(6));
  world.balancer.configure(world.settings, any_ms(rng, 100'000'000), world.now);
  any_plan(world, rng);
  world.callers = {kNoScope, any_scope(world, rng)};
  return world;
}

Ask any_ask(const World& world, Rng& rng) {
  Ask ask;
  ask.charge = {rng.below(40), rng.below(20), 0};
  if (world.plan.affinity > Duration::zero()) ask.affinity = rng.below(8);
  ask.patience = any_ms(rng, 500);
  return ask;
}

Ended any_end(Rng& rng) {
  Ended ended;
  ended.verdict = rng.below(2) ? Verdict::good : static_cast<Verdict>(rng.below(kVerdicts));
  ended.took = static_cast<Ended::Took>(rng.below(5));
  if (rng.below(2)) ended.input = rng.below(rng.below(10) ? 40 : 4'000);
  if (rng.below(2)) ended.output = rng.below(60);
  if (rng.below(5) == 0) ended.told = any_ms(rng, 4'000);
  if (rng.below(10) == 0) ended.cool = any_ms(rng, 4'000);
  if (rng.below(10) == 0) ended.mark = static_cast<Mark>(rng.below(6));
  if (rng.below(2)) ended.first_content = any_ms(rng, 1'000);
  return ended;
}

// --- What must be so after each step ---

const char* check_counts(const World& world) {
  for (TargetIndex t = 0; t < world.targets.size(); t++)
    if (world.balancer.in_flight(t) != world.in_flight_of(0, t)) return "another count of calls of a target";
  for (ScopeIndex s = 0; s < world.scope_specs.size(); s++) {
    uint32_t calls = 0;
    for (size_t place = 1; place < kPlaces; place++) calls += world.in_flight_of(place, s);
    if (world.balancer.scope_in_flight(s) != calls) return "another count of calls of a scope";
  }
  return nullptr;
}

// Slots, and requests in sliding windows, of all that the call was counted against.
const char* check_limits(const World& world, const Reservation& reservation) {
  auto places = World::places(reservation);
  for (size_t place = 0; place < kPlaces; place++) {
    const ScopeSpec* spec = world.spec_at(place, places[place]);
    if (!spec) continue;
    if (spec->concurrency && world.in_flight_of(place, places[place]) > spec->concurrency) return "too many at a time";
    for (const QuotaSpec& quota : spec->quotas) {
      if (quota.metric != Metric::requests || quota.window != WindowKind::sliding || world.forced) continue;
      auto counts = [&](const World::Sent& sent) {
        return sent.places[place] == places[place] && sent.at > world.now - quota.period;
      };
      auto count = std::count_if(world.sent.begin(), world.sent.end(), counts);
      if (static_cast<uint64_t>(count) > quota.limit) return "too many requests in a window";
    }
  }
  return nullptr;
}

const char* check_send(World& world, const Ask& ask, ScopeIndex caller, const Decision& decision) {
  Facts facts = world.balancer.facts(world.plan, ask, decision.target, world.now);
  if (facts.full) return "one that is full";
  if (world.down_until[decision.target] > world.now) return "one that was taken out by hand";
  switch (decision.by) {
    case By::panic:
      if (world.plan.when_none != WhenNone::panic || facts.outage != Outage::fault || facts.utilisation >= 1)
        return "no case of panic";
      break;
    case By::best_effort:
      if (world.plan.when_none != WhenNone::best_effort || facts.outage == Outage::manual) return "no best effort";
      world.forced = true;
      break;
    case By::caller: return "sent by a caller's limits";
    case By::hedge: return "a hedge that nobody asked for";
    case By::balance:
      if (world.plan.panic_share > 0 && facts.outage == Outage::fault && facts.utilisation < 1) break;
      [[fallthrough]];
    case By::affinity:
    case By::sticky:
      if (!facts.may_take(world.now)) return "one that may not take it";
      break;
  }
  if (std::find(ask.tried.begin(), ask.tried.end(), decision.target) != ask.tried.end()) return "one that was tried";
  if (caller != kNoScope && world.scope_specs[caller].concurrency &&
      world.balancer.scope_in_flight(caller) >= world.scope_specs[caller].concurrency)
    return "the caller has too many";
  return nullptr;
}

// Whether the time of a wait can be foretold: no need, no tier that waits for another, no word about the future of
// real numbers.
bool foretold(const World& world, const Ask& ask) {
  bool one_tier = world.plan.tiers.size() == 1 || world.plan.spill == Spill::spill;
  return world.plan.when_none == WhenNone::fail && world.plan.panic_share <= 0 && one_tier && world.exact &&
         ask.affinity == 0;
}

const char* check_wait(World& world, const Ask& ask, ScopeIndex caller, const Decision& decision) {
  if (decision.wait_until <= world.now) return "waits for the past";
  if (decision.by == By::caller && caller == kNoScope) return "waits for no caller";
  if (!foretold(world, ask)) return nullptr;
  auto could = [&](Instant at) { return world.balancer.could_send(world.plan, ask, caller, at); };
  bool finite = decision.wait_until != Instant::never();
  if (could((finite ? decision.wait_until : world.now + Duration::from_s(1'000)) - Duration{1}))
    return "it can be sent before";
  if (decision.by == By::caller || !finite) return nullptr;  // The targets may hold it back even then.
  // Nobody knows when a probe ends.
  if (world.balancer.facts(world.plan, ask, decision.target, world.now).probed) return nullptr;
  return could(decision.wait_until) ? nullptr : "it cannot be sent then";
}

// --- Steps ---

const char* begin_call(World& world, Rng& rng) {
  Ask ask = any_ask(world, rng);
  std::vector<TargetIndex> tried;
  for (TargetIndex t = 0; t < world.targets.size(); t++)
    if (rng.below(6) == 0) tried.push_back(t);
  ask.tried = tried;
  ScopeIndex caller = world.callers[rng.below(2)];
  bool could = world.balancer.could_send(world.plan, ask, caller, world.now);
  Decision decision = world.balancer.decide(world.plan, ask, caller, world.now);
  if (decision.kind == Kind::reject) return tried.size() == world.targets.size() ? nullptr : "rejected with one left";
  // Where a key has too many callers a draw decides; nowhere here.
  if (could != (decision.kind == Kind::send)) return "it could, or not";
  if (decision.kind == Kind::wait) return check_wait(world, ask, caller, decision);
  if (const char* broken = check_send(world, ask, caller, decision)) return broken;
  Call call{{}, ask.charge};
  world.balancer.reserve(world.plan, decision.target, ask, {}, caller, world.now, call.reservation);
  if (call.reservation.shared[3] != caller || call.reservation.at != world.now) return "another reservation";
  world.calls.push_back(call);
  world.sent.push_back({world.now, World::places(call.reservation)});
  return check_limits(world, call.reservation);
}

const char* end_call(World& world, Rng& rng) {
  if (world.calls.empty()) return nullptr;
  size_t which = rng.below(world.calls.size());
  Call call = world.calls[which];
  world.calls.erase(world.calls.begin() + static_cast<ptrdiff_t>(which));
  Ended ended = any_end(rng);
  if (ended.took == Ended::Took::nothing) {
    auto same = [&](const World::Sent& sent) {
      return sent.at == call.reservation.at && sent.places == World::places(call.reservation);
    };
    auto at = std::find_if(world.sent.begin(), world.sent.end(), same);
    if (at != world.sent.end()) world.sent.erase(at);
  }
  Duration out = world.balancer.settle(world.plan, call.reservation, ended, world.now);
  if (out < Duration::zero()) return "out for less than nothing";
  Facts facts = world.balancer.facts(world.plan, {}, call.reservation.target, world.now);
  if (out > Duration::zero() && facts.open_at < world.now + out) return "it is not out for as long as it says";
  return nullptr;
}

void hear_something(World& world, Rng& rng) {
  if (world.calls.empty() || rng.below(4)) return;
  const Reservation& reservation = world.calls[rng.below(world.calls.size())].reservation;
  Statement stated{static_cast<Metric>(rng.below(4)), rng.below(200) + 1, rng.below(100), any_ms(rng, 5'000),
                   rng.below(4) == 0};
  if (rng.below(4) == 0) stated.limit.reset();
  if (rng.below(4) == 0) stated.reset.reset();
  if (stated.continuous) world.exact = false;
  world.balancer.hear(reservation, {&stated, 1}, world.now);
}

const char* step(World& world, Rng& rng) {
  if (rng.below(2)) world.now = world.now + any_ms(rng, rng.below(5) ? 300 : 8'000) + Duration{1};
  hear_something(world, rng);
  auto target = static_cast<TargetIndex>(rng.below(world.targets.size()));
  if (rng.below(40) == 0) {
    Duration length = any_ms(rng, 3'000);
    world.balancer.mark_down(target, length, world.now);
    world.down_until[target] = std::max(world.down_until[target], world.now + length);
  }
  if (rng.below(40) == 0) {
    world.balancer.mark_up(target);
    world.down_until[target] = {};
  }
  const char* broken = rng.below(5) < 3 ? begin_call(world, rng) : end_call(world, rng);
  return broken ? broken : check_counts(world);
}

void calls_come_and_go(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    World world = any_world(rng);
    for (int i = 0; i < 40; i++)
      if (const char* broken = step(world, rng)) return broken;
    while (!world.calls.empty())
      if (const char* broken = end_call(world, rng)) return broken;
    if (const char* broken = check_counts(world)) return broken;
    // When all is over nothing is left of it. A bucket may be overfull by a few hundred times.
    world.now = world.now + Duration::from_s(200'000);
    for (TargetIndex t = 0; t < world.targets.size(); t++) {
      Facts facts = world.balancer.facts(world.plan, {}, t, world.now);
      if (facts.utilisation > 0 || facts.tokens_in_flight > 0 || facts.in_flight > 0) return "something is left";
      if (!facts.may_take(world.now)) return "out for ever";
    }
    return nullptr;
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(calls_come_and_go),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
