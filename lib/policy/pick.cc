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

TargetIndex pick_p2c(std::span<const TargetIndex> among, std::span<const Facts> facts, Rng& rng) {
  LB_CHECK(!among.empty());
  if (among.size() == 1) return among.front();
  // Distinct without a second try: the other is drawn from the places that are left.
  size_t one = static_cast<size_t>(rng.below(among.size()));
  size_t two = static_cast<size_t>(rng.below(among.size() - 1));
  if (two >= one) two++;
  return better(among[one], among[two], facts);
}

}  // namespace lb::policy
