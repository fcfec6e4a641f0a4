#include "policy/pick.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace lb::policy {

namespace {

// The headroom that counts as none: keeps the quotient finite where a limit is all but used up. Small enough that no
// realistic difference in calls in flight outweighs it.
constexpr double kHeadroomMin = 1e-6;
// Draws that may miss (tried, out, full, cold, or the same twice) before all targets are looked at. While at least half
// of a tier may take calls, sixteen fail once in thousands of picks.
constexpr int kDraws = 16;
// Latencies closer to the mean than this are noise, and equal: a target must be a quarter slower to get less.
constexpr double kLatencyNoise = 1.25;
// Calls in flight that are no more times others are nearly as many: with some ten each, one and a half times is what
// chance alone makes of equal rates.
constexpr double kCallsNoise = 1.5;
// Utilisations closer than this are equal: limits so large that a call is less are not what to go by.
constexpr double kUtilisationNoise = 0.001;
// The most that a latency counts: ten times the mean and a hundred times are both "only when nothing else may".
constexpr double kLatencyFactorMax = 10;

double per_weight(double amount, const Facts& facts) { return amount / (facts.weight * facts.warmth); }

// How much slower than the mean it is, as far as that is more than noise.
double latency_factor(const Facts& facts, const Plan& plan) {
  if (facts.latency == Duration::zero() || plan.mean_latency == Duration::zero()) return 1;
  double ratio = static_cast<double>(facts.latency.ns) / static_cast<double>(plan.mean_latency.ns);
  if (ratio > kLatencyNoise) return std::min(ratio / kLatencyNoise, kLatencyFactorMax);
  if (ratio < 1 / kLatencyNoise) return std::max(ratio * kLatencyNoise, 1 / kLatencyFactorMax);
  return 1;
}

// Those that may take the call, gathered by one look at each.
struct Fit {
  std::array<TargetIndex, kTargetsMax> targets;
  std::array<double, kTargetsMax> weights;
  size_t count = 0;

  Fit(const Tier& tier, const View& view, TargetIndex but) {
    LB_CHECK(tier.targets.size() <= kTargetsMax);
    for (TargetIndex target : tier.targets) {
      if (target == but || !view.untried(target)) continue;
      Facts facts = view.source.facts(target);
      if (!view.may_take(facts)) continue;
      targets[count] = target;
      weights[count++] = facts.weight * facts.warmth;
    }
  }

  std::optional<TargetIndex> draw(Rng& rng) const {
    if (count == 0) return std::nullopt;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += weights[i];
    double left = rng.unit() * sum;
    for (size_t i = 0; i + 1 < count; i++) {
      left -= weights[i];
      if (left < 0) return targets[i];
    }
    return targets[count - 1];
  }
};

// Draws by weight; what may not take the call is drawn again, which leaves exactly the draw among those that may.
class Drawer {
 public:
  Drawer(const Tier& tier, const View& view, Rng& rng) : tier_(tier), view_(view), rng_(rng) {}

  // One other than `but`; its facts are left in `facts`.
  std::optional<TargetIndex> draw(TargetIndex but, Facts& facts) {
    for (; misses_ < kDraws; misses_++) {
      TargetIndex target = tier_.targets[tier_.draw.draw(rng_)];
      if (target == but || !view_.untried(target)) continue;
      facts = view_.source.facts(target);
      if (!view_.may_take(facts)) continue;
      if (facts.warmth < 1 && rng_.unit() >= facts.warmth) continue;
      return target;
    }
    std::optional<TargetIndex> target = Fit(tier_, view_, but).draw(rng_);
    if (target) facts = view_.source.facts(*target);
    return target;
  }

 private:
  const Tier& tier_;
  const View& view_;
  Rng& rng_;
  int misses_ = 0;
};

// Two are drawn by weight: drawn evenly, no target of n could ever get more than 2/n of the calls, whatever its weight.
// With few calls in flight the heavier of a pair takes all: its load is the lower one until it carries its share.
std::optional<TargetIndex> pick_p2c(const Plan& plan, const Tier& tier, const View& view, Rng& rng) {
  Drawer drawer(tier, view, rng);
  Facts first, second;
  std::optional<TargetIndex> one = drawer.draw(kNoTarget, first);
  if (!one || tier.targets.size() == 1) return one;
  std::optional<TargetIndex> two = drawer.draw(*one, second);
  if (!two) return one;
  // Equal: the first, so that the order of the draws decides.
  return lighter(second, first, plan, view.ask) ? two : one;
}

std::optional<TargetIndex> pick_random(const Tier& tier, const View& view, Rng& rng) {
  Facts facts;
  return Drawer(tier, view, rng).draw(kNoTarget, facts);
}

// The best by `score` (higher is better); among equals one at random, each with the same chance.
template <typename Score>
std::optional<TargetIndex> pick_best(const Tier& tier, const View& view, Rng& rng, Score score) {
  std::optional<TargetIndex> best;
  double best_score = 0;
  uint64_t equals = 0;
  for (TargetIndex target : tier.targets) {
    if (!view.untried(target)) continue;
    Facts facts = view.source.facts(target);
    if (!view.may_take(facts)) continue;
    double here = score(facts);
    if (best && here < best_score) continue;
    equals = best && here == best_score ? equals + 1 : 1;
    best_score = here;
    if (equals == 1 || rng.below(equals) == 0) best = target;
  }
  return best;
}

// Lexicographic: calls in flight by weight, then the least recently used, then the order written.
std::optional<TargetIndex> pick_least_active(const Tier& tier, const View& view) {
  std::optional<TargetIndex> best;
  double fewest = 0;
  Instant used_at;
  for (TargetIndex target : tier.targets) {
    if (!view.untried(target)) continue;
    Facts facts = view.source.facts(target);
    if (!view.may_take(facts)) continue;
    double active = per_weight(facts.in_flight, facts);
    if (best && (active > fewest || (active == fewest && facts.used_at >= used_at))) continue;
    best = target;
    fewest = active;
    used_at = facts.used_at;
  }
  return best;
}

// nginx's smooth weighted round robin: each that may take the call gains its weight, the richest is taken and pays all
// that was gained.
std::optional<TargetIndex> pick_round_robin(Tier& tier, const View& view) {
  size_t best = tier.targets.size();
  double gained = 0;
  for (size_t i = 0; i < tier.targets.size(); i++) {
    if (!view.untried(tier.targets[i])) continue;
    Facts facts = view.source.facts(tier.targets[i]);
    if (!view.may_take(facts)) continue;
    double weight = facts.weight * facts.warmth;
    tier.current[i] += weight;
    gained += weight;
    if (best == tier.targets.size() || tier.current[i] > tier.current[best]) best = i;
  }
  if (best == tier.targets.size()) return std::nullopt;
  tier.current[best] -= gained;
  return tier.targets[best];
}

std::optional<TargetIndex> pick_host(const Plan& plan, const Tier& tier, const View& view, Rng& rng,
                                     const HostSelector& host) {
  if (!host.choose) return pick_p2c(plan, tier, view, rng);
  size_t count = 0;
  for (TargetIndex target : tier.targets) {
    if (count == host.scratch.size() || !view.untried(target)) continue;
    Facts facts = view.source.facts(target);
    if (view.may_take(facts)) host.scratch[count++] = {target, facts};
  }
  if (count == 0) return std::nullopt;
  if (count == 1) return host.scratch[0].target;
  size_t chosen = host.choose(host.context, host.scratch.data(), count);
  return chosen < count ? host.scratch[chosen].target : pick_p2c(plan, tier, view, rng);
}

// Any of the first k that may take it. Drawn as they are found, each with the same chance.
std::optional<TargetIndex> pick_top_k(const Tier& tier, const View& view, uint32_t k, Rng& rng) {
  std::optional<TargetIndex> chosen;
  uint64_t found = 0;
  for (TargetIndex target : tier.targets) {
    if (found == k) break;
    if (!view.untried(target) || !view.may_take(view.source.facts(target))) continue;
    if (rng.below(++found) == 0) chosen = target;
  }
  return chosen;
}

}  // namespace

Tier::Tier(std::vector<TargetIndex> targets_, std::span<const double> weights)
    : targets(std::move(targets_)), draw(weights), current(targets.size(), 0.0) {
  LB_CHECK(targets.size() == weights.size());
}

double load(const Facts& facts, const Plan& plan, const Ask& ask) {
  if (plan.balance == Balance::p2c_tokens)
    return per_weight(facts.tokens_in_flight + static_cast<double>(ask.charge.of(Metric::tokens)), facts);
  double calls = per_weight(static_cast<double>(facts.in_flight) + 1, facts);
  if (plan.balance == Balance::peak_ewma) return calls * latency_factor(facts, plan);
  return calls / std::max(1 - facts.utilisation, kHeadroomMin);
}

bool lighter(const Facts& one, const Facts& other, const Plan& plan, const Ask& ask) {
  // Of two with different weights the one that is to get more has the higher utilisation, where their limits do not
  // differ as much: there it says nothing.
  bool comparable = (plan.balance == Balance::p2c || plan.balance == Balance::host) &&
                    one.weight * one.warmth == other.weight * other.warmth &&
                    std::fabs(one.utilisation - other.utilisation) > kUtilisationNoise;
  if (comparable) {
    double calls = static_cast<double>(one.in_flight) + 1, others = static_cast<double>(other.in_flight) + 1;
    if (calls <= kCallsNoise * others && others <= kCallsNoise * calls) return one.utilisation < other.utilisation;
  }
  return load(one, plan, ask) < load(other, plan, ask);
}

std::optional<TargetIndex> pick(Plan& plan, Tier& tier, const View& view, Rng& rng, const HostSelector& host) {
  if (tier.targets.empty()) return std::nullopt;
  switch (plan.balance) {
    case Balance::p2c:
    case Balance::p2c_tokens:
    case Balance::peak_ewma: return pick_p2c(plan, tier, view, rng);
    case Balance::least_active: return pick_least_active(tier, view);
    case Balance::random: return pick_random(tier, view, rng);
    case Balance::round_robin: return pick_round_robin(tier, view);
    case Balance::top_k: return pick_top_k(tier, view, plan.top_k, rng);
    case Balance::max_headroom:
      return pick_best(tier, view, rng, [](const Facts& facts) { return facts.headroom; });
    case Balance::host: return pick_host(plan, tier, view, rng, host);
  }
  return std::nullopt;
}

}  // namespace lb::policy
