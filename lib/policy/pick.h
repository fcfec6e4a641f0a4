// Choice inside one tier, among the targets that may take the call. No allocation.
#pragma once

#include <array>
#include <optional>

#include "policy/facts.h"

namespace lb::policy {

// An instant, and the chance that decides in it.
struct Moment {
  Instant now;
  Rng& rng;
};

// A host's own selector: returns the place of one of `count` (at least two) candidates; any other number leaves the
// choice to p2c. It must not call lb.
struct HostSelector {
  size_t (*choose)(void* context, const Candidate* candidates, size_t count) = nullptr;
  void* context = nullptr;
  std::span<Candidate> scratch;  // Room for the largest tier.
};

// What a decision sees: the facts, less what the call has tried.
struct View {
  const FactsSource& source;
  const Ask& ask;
  Instant now;
  bool forgive = false;   // Faults count for nothing: the panic share is reached.
  bool cautious = false;  // The call has failed once: it tries no doubtful target while another may take it.

  bool untried(TargetIndex target) const {
    for (TargetIndex tried : ask.tried)
      if (tried == target) return false;
    return true;
  }
  bool may_take(const Facts& facts) const {
    if (cautious && facts.doubtful) return false;
    if (forgive && facts.outage == Outage::fault) return !facts.full && facts.utilisation < 1;
    return facts.may_take(now);
  }
};

// How loaded a target is; lower is better. `plan` says by what.
double load(const Facts& facts, const Plan& plan, const Ask& ask);

// Whether `one` takes a call rather than `other`, for the balances that draw two. By load; p2c, where the calls in
// flight of two with the same weight are nearly as many, by the utilisation of their limits: how many calls are in
// flight depends on how long they happen to last, how many were sent does not.
bool lighter(const Facts& one, const Facts& other, const Plan& plan, const Ask& ask);

// The target of `tier` that takes the call; nothing when none may.
std::optional<TargetIndex> pick(Plan& plan, Tier& tier, const View& view, Rng& rng, const HostSelector& host);

}  // namespace lb::policy
