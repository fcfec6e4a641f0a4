#include "policy/pick.h"

#include "base/check.h"

namespace lb::policy {

namespace {

// The headroom that counts as none: keeps the quotient finite where a limit is all but used up.
// Small enough that no realistic difference in calls in flight outweighs it.
constexpr double kHeadroomMin = 1e-6;

}  // namespace

double load(const Facts& facts) {
  double headroom = 1 - facts.utilisation;
  if (headroom < kHeadroomMin) headroom = kHeadroomMin;
  return (static_cast<double>(facts.in_flight) + 1) / (facts.weight * headroom);
}

size_t draw(std::span<const TargetIndex> among, std::span<const Facts> facts, size_t but, Rng& rng) {
  double sum = 0;
  for (size_t i = 0; i < among.size(); i++)
    if (i != but) sum += facts[among[i]].weight;
  double left = rng.unit() * sum;
  size_t last = kAnyPlace;  // Where rounding leaves a crumb.
  for (size_t i = 0; i < among.size(); i++) {
    if (i == but) continue;
    last = i;
    left -= facts[among[i]].weight;
    if (left < 0) break;
  }
  LB_CHECK(last != kAnyPlace);
  return last;
}

TargetIndex pick_p2c(std::span<const TargetIndex> among, std::span<const Facts> facts, Rng& rng) {
  LB_CHECK(!among.empty());
  if (among.size() == 1) return among.front();
  size_t one = draw(among, facts, kAnyPlace, rng);
  size_t two = draw(among, facts, one, rng);
  return better(among[one], among[two], facts);
}

}  // namespace lb::policy
