// A balancer with targets of which each may share a deployment, a key and an endpoint, one plan over them, and the
// calls of its tests.
#pragma once

#include <utility>
#include <vector>

#include "policy/balancer.h"

namespace lb::policy {

// Not at a full minute, nor a full second.
inline constexpr Instant kNow{1'000'000'300'000'000};

constexpr Instant later(int64_t ms) { return kNow + Duration::from_ms(ms); }

struct Stage {
  Balancer balancer{1};
  Settings settings;
  Plan plan;
  Ask ask;
  Prompt prompt;
  ScopeIndex caller = kNoScope;
  Instant now = kNow;

  explicit Stage(Duration wall = Duration::zero()) {
    balancer.configure(settings, wall, kNow);
    plan.when_none = WhenNone::fail;
    ask.charge = {10, 0, 0};
  }

  void configure() { balancer.configure(settings, Duration::zero(), now); }
  ScopeIndex scope(const ScopeSpec& spec = {}) {
    ScopeIndex index = balancer.add_scope();
    balancer.set_scope(index, spec, true);
    return index;
  }
  // Each in a tier of its own where `apart`, else in the first.
  TargetIndex target(const TargetSpec& spec = {}, bool apart = false) {
    TargetIndex index = balancer.add_target();
    balancer.set_target(index, spec, true);
    std::vector<TargetIndex> targets;
    if (apart || plan.tiers.empty()) plan.tiers.emplace_back();
    else targets = plan.tiers.back().targets;
    targets.push_back(index);
    std::vector<double> weights(targets.size(), 1);
    plan.tiers.back() = Tier(targets, weights);
    return index;
  }

  Decision decide() { return balancer.decide(plan, ask, caller, now); }
  Facts facts(TargetIndex target) { return balancer.facts(plan, ask, target, now); }
  Reservation reserve(TargetIndex target) {
    Reservation out;
    balancer.reserve(plan, target, ask, prompt, caller, now, out);
    return out;
  }
  Duration settle(const Reservation& reservation, const Ended& ended) {
    return balancer.settle(plan, reservation, ended, now);
  }
  Duration settle(const Reservation& reservation, Verdict verdict, Ended::Took took = Ended::Took::unknown) {
    Ended ended;
    ended.verdict = verdict;
    ended.took = took;
    return settle(reservation, ended);
  }
  // An attempt that ends at once.
  Duration attempt(TargetIndex target, Verdict verdict) { return settle(reserve(target), verdict); }

  bool sends() { return decide().kind == Decision::Kind::send; }
  bool waits_until(Instant until) {
    Decision decision = decide();
    return decision.kind == Decision::Kind::wait && decision.wait_until == until;
  }
  // Never mind how long it waits.
  bool too_large() {
    Decision decision = decide();
    return decision.kind == Decision::Kind::reject && decision.why == Status::LIMITED;
  }
  bool waits() { return decide().kind == Decision::Kind::wait; }
};

constexpr QuotaSpec fixed_minute(Metric metric, uint64_t limit) {
  return {metric, WindowKind::fixed, Duration::from_s(60), limit};
}

}  // namespace lb::policy
