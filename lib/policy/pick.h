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

// A place in `among` drawn by weight, other than `but` (kAnyPlace: no such). There is one.
inline constexpr size_t kAnyPlace = static_cast<size_t>(-1);
size_t draw(std::span<const TargetIndex> among, std::span<const Facts> facts, size_t but, Rng& rng);

// The better of two distinct members of `among`, drawn by weight: drawn evenly, no target of n could ever get more than
// 2/n of the calls, whatever its weight. The only one if there is one. `among` is not empty. With few calls in flight
// the heavier of a pair takes all: its load is the lower one until it carries its share.
TargetIndex pick_p2c(std::span<const TargetIndex> among, std::span<const Facts> facts, Rng& rng);

}  // namespace lb::policy
