// Choice among targets that may take the call. Pure; no allocation.
#pragma once

#include "base/rng.h"
#include "policy/facts.h"

namespace lb::policy {

// How loaded a target is: calls in flight (with this one) by weight, over the headroom that its
// limits leave. Lower is better.
double load(const Facts& facts);

// The one with the lower load; `one` when they are equal, so that the order of the draws decides.
inline TargetIndex better(TargetIndex one, TargetIndex two, std::span<const Facts> facts) {
  return load(facts[two]) < load(facts[one]) ? two : one;
}

// The better of two distinct members of `among` drawn at random; the only one if there is one.
// `among` is not empty.
TargetIndex pick_p2c(std::span<const TargetIndex> among, std::span<const Facts> facts, Rng& rng);

}  // namespace lb::policy
