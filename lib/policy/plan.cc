#include "policy/plan.h"

#include <algorithm>
#include <utility>

namespace lb::policy {

namespace {

using By = Decision::By;

// A target keeps its keys until it has so many calls, and so many times the load of another. SGLang's router leaves its
// cache-aware choice at 64 and 1.5.
constexpr uint32_t kManyCalls = 64;
constexpr double kOverrun = 1.5;

Decision send(TargetIndex target, Instant now, By by) {
  return {Decision::Kind::send, target, now, Status::OK, by};
}

class Decider {
 public:
  Decider(Plan& plan, const View& view, Rng& rng, const Memory& memory)
      : plan_(plan), view_(view), rng_(rng), memory_(memory) {}

  Decision decide() {
    if (std::optional<Decision> stuck = sticky()) return *stuck;
    if (std::optional<Decision> bound = affinity()) return *bound;
    view_.cautious = !view_.ask.tried.empty();
    std::optional<TargetIndex> target = in_tiers();
    if (!target && std::exchange(view_.cautious, false)) target = in_tiers();
    if (target) return send(*target, view_.now, By::balance);
    view_.forgive = false;
    return none_may(std::span(plan_.tiers).first(open_tiers_));
  }

 private:
  static Decision nothing() {
    return {Decision::Kind::reject, kNoTarget, Instant::never(), Status::NO_UPSTREAM, By::balance};
  }

  bool may_take(TargetIndex target) const {
    return view_.untried(target) && view_.may_take(view_.source.facts(target));
  }

  // Of the first tier that has one. Counts the tiers that may take calls: all, or up to the first that is not out as a
  // whole.
  std::optional<TargetIndex> in_tiers() {
    open_tiers_ = 0;
    for (Tier& tier : plan_.tiers) {
      open_tiers_++;
      view_.forgive = in_panic(tier);
      if (std::optional<TargetIndex> target = in_tier(tier)) return target;
      if (closes(tier)) break;
    }
    return std::nullopt;
  }

  std::optional<TargetIndex> in_tier(Tier& tier) {
    if (view_.ask.affinity && plan_.affinity > Duration::zero())
      if (std::optional<TargetIndex> target = pick_rendezvous(tier, view_)) return target;
    return pick(plan_, tier, view_, rng_, memory_.host);
  }

  // The deployment that served last, while that is not too long ago.
  std::optional<Decision> sticky() {
    if (plan_.sticky == Duration::zero() || !memory_.sticky) return std::nullopt;
    if (memory_.sticky->deployment == UINT32_MAX || view_.now - memory_.sticky->used_at > plan_.sticky)
      return std::nullopt;
    for (const Tier& tier : plan_.tiers) {
      bool other = false;
      for (TargetIndex target : tier.targets) {
        if (!may_take(target)) continue;
        if (view_.source.deployment(target) == memory_.sticky->deployment) return send(target, view_.now, By::sticky);
        other = true;
      }
      if (other && plan_.fail_back) return std::nullopt;
      if (closes(tier)) return std::nullopt;
    }
    return std::nullopt;
  }

  // The target whose cache has the prompt: left when it is out, or when waiting for it costs more than the cached
  // tokens are worth.
  std::optional<Decision> affinity() {
    if (!view_.ask.affinity || plan_.affinity == Duration::zero() || !memory_.bindings) return std::nullopt;
    const Bindings::Binding* bound = memory_.bindings->find(view_.ask.affinity);
    if (!bound || view_.now - bound->used_at > plan_.affinity || !in_plan(plan_, *bound)) return std::nullopt;
    if (!view_.untried(bound->target)) return std::nullopt;
    for (uint32_t i = 0; i < bound->tier; i++)
      if (closes(plan_.tiers[i])) return std::nullopt;
    Facts facts = view_.source.facts(bound->target);
    if (facts.may_take(view_.now)) {
      if (overrun(plan_.tiers[bound->tier], bound->target, facts)) return std::nullopt;
      return send(bound->target, view_.now, By::affinity);
    }
    if (!facts.healthy(view_.now) || facts.full) return std::nullopt;
    Instant frees_at = view_.source.frees_at(bound->target);
    if (frees_at - view_.now > view_.ask.patience) return std::nullopt;
    return Decision{Decision::Kind::wait, bound->target, frees_at, Status::LIMITED, By::affinity};
  }

  // Far more calls are on it than on another drawn by weight: one key has too many callers for one target.
  bool overrun(const Tier& tier, TargetIndex target, const Facts& facts) {
    if (facts.in_flight < kManyCalls) return false;
    TargetIndex other = tier.targets[tier.draw.draw(rng_)];
    Facts facts_there = view_.source.facts(other);
    return other != target && view_.untried(other) && view_.may_take(facts_there) &&
           load(facts, plan_, view_.ask) > kOverrun * load(facts_there, plan_, view_.ask);
  }

  // While it is not out as a whole, the tiers behind it take no calls.
  bool closes(const Tier& tier) const { return plan_.spill == Spill::strict && any_healthy(tier); }

  bool any_healthy(const Tier& tier) const {
    return std::any_of(tier.targets.begin(), tier.targets.end(), [&](TargetIndex target) {
      return view_.untried(target) && view_.source.facts(target).healthy(view_.now);
    });
  }

  bool in_panic(const Tier& tier) const {
    if (plan_.panic_share <= 0) return false;
    auto healthy = std::count_if(tier.targets.begin(), tier.targets.end(), [&](TargetIndex target) {
      return view_.source.facts(target).healthy(view_.now);
    });
    return static_cast<double>(healthy) < plan_.panic_share * static_cast<double>(tier.targets.size());
  }

  // When a target that may not take the call now will, and what it waits for: the obstacle that lasts longest.
  // `forgiven`: a fault is no obstacle.
  Decision obstacle(TargetIndex target, const Facts& facts, bool forgiven) const {
    Decision wait{Decision::Kind::wait, target, view_.now, Status::LIMITED, By::balance};
    if (facts.utilisation >= 1) wait.wait_until = std::max(view_.now, view_.source.frees_at(target));
    // In need it would be taken in spite of a fault, were it not for its limits.
    if (forgiven && facts.outage == Outage::fault && facts.utilisation >= 1 && !facts.full) return wait;
    if (facts.full || (facts.probed && facts.open_at <= view_.now)) wait.wait_until = Instant::never();
    if (facts.open_at > wait.wait_until) {
      wait.wait_until = facts.open_at;
      wait.why = Status::NO_UPSTREAM;
    }
    if (facts.probed && !facts.full) wait.why = Status::NO_UPSTREAM;
    return wait;
  }

  // `ever`: there is one that will let the call through in the end.
  void earliest_in(const Tier& tier, Decision& best, bool& ever) const {
    bool forgiven = panics_ || in_panic(tier);
    for (TargetIndex target : tier.targets) {
      if (!view_.untried(target)) continue;
      Facts facts = view_.source.facts(target);
      Decision wait = obstacle(target, facts, forgiven);
      if (best.kind == Decision::Kind::reject || wait.wait_until < best.wait_until) best = wait;
      ever = ever || facts.utilisation < 1 || view_.source.frees_at(target) < Instant::never();
    }
  }

  // How bad a target is that may not take the call; less is better. Nothing: never to be used.
  struct Badness {
    int rank = 0;
    double within = 0;
    bool operator<(const Badness& other) const {
      return rank != other.rank ? rank < other.rank : within < other.within;
    }
  };
  std::optional<Badness> badness(const Facts& facts) const {
    if (facts.full) return std::nullopt;  // A concurrency cap is the user's word, also in need.
    bool out = !facts.healthy(view_.now);
    if (plan_.when_none == WhenNone::panic && (!out || facts.outage != Outage::fault || facts.utilisation >= 1))
      return std::nullopt;
    // One that cools down must not look better than one that is over its budget.
    if (!out) return Badness{0, facts.utilisation};
    auto until = static_cast<double>(facts.open_at.ns);
    switch (facts.outage) {
      case Outage::none:
      case Outage::fault: return Badness{1, until};
      case Outage::told: return Badness{2, until};
      case Outage::key:
        // Asking again with a key that is refused changes nothing within one call.
        if (view_.ask.retry) return std::nullopt;
        return Badness{3, until};
      case Outage::manual: return std::nullopt;
    }
    return std::nullopt;
  }

  // No target of `tiers` may take the call. Never zero targets when some exist, as far as the plan allows.
  Decision none_may(std::span<const Tier> tiers) {
    bool healthy = std::any_of(tiers.begin(), tiers.end(), [&](const Tier& tier) { return any_healthy(tier); });
    // While a healthy one is only full, faults are not forgiven: waiting for it is better, if it may be waited for.
    panics_ = plan_.when_none == WhenNone::panic && !(healthy && view_.ask.waits);
    Decision otherwise = nothing();
    bool ever = false;
    for (const Tier& tier : tiers) earliest_in(tier, otherwise, ever);
    if (otherwise.kind == Decision::Kind::reject) return otherwise;
    otherwise.look_at = otherwise.wait_until;
    for (const Tier& tier : plan_.tiers)
      for (TargetIndex target : tier.targets)
        otherwise.look_at = std::min(otherwise.look_at, view_.source.facts(target).changes_at);
    if (!ever) otherwise = {Decision::Kind::reject, kNoTarget, Instant::never(), Status::LIMITED, By::balance};
    if (plan_.when_none == WhenNone::fail) return otherwise;
    if (plan_.when_none == WhenNone::panic && !panics_) return otherwise;
    TargetIndex least = kNoTarget;
    Badness least_bad;
    uint64_t equals = 0;
    for (const Tier& tier : tiers) {
      for (TargetIndex target : tier.targets) {
        if (!view_.untried(target)) continue;
        std::optional<Badness> bad = badness(view_.source.facts(target));
        if (!bad || (least != kNoTarget && least_bad < *bad)) continue;
        equals = least == kNoTarget || *bad < least_bad ? 1 : equals + 1;
        least_bad = *bad;
        if (equals == 1 || rng_.below(equals) == 0) least = target;
      }
    }
    if (least == kNoTarget) return otherwise;
    return send(least, view_.now, plan_.when_none == WhenNone::panic ? By::panic : By::best_effort);
  }

  Plan& plan_;
  View view_;
  Rng& rng_;
  const Memory& memory_;
  size_t open_tiers_ = 0;
  bool panics_ = false;
};

}  // namespace

Decision decide(Plan& plan, const FactsSource& source, const Ask& ask, const Moment& moment, const Memory& memory) {
  return Decider(plan, View{source, ask, moment.now}, moment.rng, memory).decide();
}

std::vector<Considered> explain(const Plan& plan, const FactsSource& source, const Ask& ask, Instant now, size_t most) {
  using Obstacle = Considered::Obstacle;
  View view{source, ask, now};
  std::vector<Considered> out;
  for (uint32_t t = 0; t < plan.tiers.size(); t++) {
    for (TargetIndex target : plan.tiers[t].targets) {
      if (out.size() == most) return out;
      Considered& c = out.emplace_back();
      c.target = target;
      c.tier = t;
      c.facts = source.facts(target);
      c.load = load(c.facts, plan, ask);
      c.frees_at = c.facts.utilisation < 1 ? now : source.frees_at(target);
      c.obstacle = !view.untried(target)        ? Obstacle::tried
                   : c.facts.open_at > now      ? Obstacle::out
                   : c.facts.probed             ? Obstacle::probing
                   : c.facts.full               ? Obstacle::full
                   : c.facts.utilisation >= 1   ? Obstacle::limited
                                                : Obstacle::none;
    }
  }
  return out;
}

bool in_plan(const Plan& plan, const Bindings::Binding& bound) {
  return bound.tier < plan.tiers.size() && bound.place < plan.tiers[bound.tier].targets.size() &&
         plan.tiers[bound.tier].targets[bound.place] == bound.target;
}

std::optional<Bindings::Binding> place_in(const Plan& plan, TargetIndex target, Instant now) {
  for (uint32_t t = 0; t < plan.tiers.size(); t++) {
    const std::vector<TargetIndex>& targets = plan.tiers[t].targets;
    auto at = std::find(targets.begin(), targets.end(), target);
    if (at != targets.end()) return Bindings::Binding{t, static_cast<uint32_t>(at - targets.begin()), target, now};
  }
  return std::nullopt;
}

}  // namespace lb::policy
