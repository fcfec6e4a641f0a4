#include "policy/plan.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "policy/pick.h"

namespace lb::policy {

namespace {

struct View {
  std::span<const Facts> facts;
  std::span<const TargetIndex> tried;
  Instant now;

  bool untried(TargetIndex target) const {
    return std::find(tried.begin(), tried.end(), target) == tried.end();
  }
  bool may_take(TargetIndex target) const {
    LB_ASSERT(target < facts.size());
    const Facts& fact = facts[target];
    bool has_slot = fact.concurrency == 0 || fact.in_flight < fact.concurrency;
    return fact.open_at <= now && fact.utilisation < 1 && has_slot && untried(target);
  }
};

using Tier = std::span<const TargetIndex>;

// The array is on the stack: no allocation when picking.
std::optional<TargetIndex> pick(Balance balance, Tier tier, const View& view, Rng& rng) {
  LB_CHECK(tier.size() <= kTargetsMax);
  std::array<TargetIndex, kTargetsMax> fit;
  size_t count = 0;
  for (TargetIndex target : tier)
    if (view.may_take(target)) fit[count++] = target;
  if (count == 0) return std::nullopt;
  switch (balance) {
    case Balance::p2c:
      return pick_p2c(std::span(fit).first(count), view.facts, rng);
  }
  return std::nullopt;
}

// When a target that may not take the call now will, and what it waits for: the obstacle that lasts
// longest.
Decision obstacle(const Facts& fact, Instant now) {
  Decision wait{Decision::Kind::wait, 0, now, Status::LIMITED};
  if (fact.utilisation >= 1) wait.wait_until = std::max(now, fact.frees_at);
  if (fact.concurrency > 0 && fact.in_flight >= fact.concurrency)
    wait.wait_until = Instant::never();
  if (fact.open_at > wait.wait_until) {
    wait.wait_until = fact.open_at;
    wait.why = Status::NO_UPSTREAM;
  }
  return wait;
}

// None may take the call: the earliest that will, among those the call has not tried.
Decision earliest(const Plan& plan, const View& view) {
  Decision best{Decision::Kind::reject, 0, Instant::never(), Status::NO_UPSTREAM};
  for (Tier tier : plan.tiers) {
    for (TargetIndex target : tier) {
      if (!view.untried(target)) continue;
      Decision wait = obstacle(view.facts[target], view.now);
      bool sooner = wait.wait_until < best.wait_until;
      if (best.kind == Decision::Kind::reject || sooner) best = wait;
    }
  }
  return best;
}

}  // namespace

Decision decide(const Plan& plan, std::span<const Facts> facts, const Ask& ask, Instant now,
                Rng& rng) {
  View view{facts, ask.tried, now};
  for (Tier tier : plan.tiers) {
    if (std::optional<TargetIndex> target = pick(plan.balance, tier, view, rng))
      return {Decision::Kind::send, *target, now, Status::OK};
  }
  return earliest(plan, view);
}

}  // namespace lb::policy
