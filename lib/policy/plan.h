// Route -> tiers -> candidates -> Decision: composes the other policies. Pure; asks, never tells.
#pragma once

#include "base/rng.h"
#include "policy/facts.h"

namespace lb::policy {

// The first tier with a target that is untried and may take the call now decides; inside it
// `balance` picks. If no tier has one: wait for the earliest of all untried targets, or reject when
// all have been tried. Plans hold at most kTargetsMax targets in a tier (checked by the
// configuration).
inline constexpr size_t kTargetsMax = 1024;
Decision decide(const Plan& plan, std::span<const Facts> facts, const Ask& ask, Instant now,
                Rng& rng);

}  // namespace lb::policy
