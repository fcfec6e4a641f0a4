// Plan -> Decision: composes tiers, balance, affinity, stickiness and what happens when no target may take the call.
// Pure but for the state of round robin in the plan; asks, never tells.
#pragma once

#include "policy/affinity.h"
#include "policy/facts.h"
#include "policy/pick.h"

namespace lb::policy {

// The deployment that served last, for routes that stick to it. One for all models and callers.
struct Sticky {
  uint32_t deployment = UINT32_MAX;
  Instant used_at;
};

// What outlives a decision, and the host's part in it. Null: none.
struct Memory {
  const Bindings* bindings = nullptr;
  const Sticky* sticky = nullptr;
  HostSelector host;
};

// The first tier with an untried target that may take the call now decides; inside it `balance` picks. If no tier has
// one: panic or best effort by the plan, else wait for the earliest of all untried targets, or reject when all have
// been tried.
Decision decide(Plan& plan, const FactsSource& source, const Ask& ask, const Moment& moment, const Memory& memory);

// Whether the place of a binding is still that of its target: it may have been made by another plan.
bool in_plan(const Plan& plan, const Bindings::Binding& bound);
// Where a target stands in a plan; what a binding remembers.
std::optional<Bindings::Binding> place_in(const Plan& plan, TargetIndex target, Instant now);

// Why a target can or cannot take a call, for people.
struct Considered {
  enum class Obstacle : uint8_t { none, tried, out, probing, full, limited };
  TargetIndex target = kNoTarget;
  uint32_t tier = 0;
  Obstacle obstacle = Obstacle::none;
  double load = 0;  // As the balance of the plan sees it; lower is better.
  Facts facts;
  Instant frees_at;  // limited: when it fits.
};
// All targets of the plan, in its order, at most `most`.
std::vector<Considered> explain(const Plan& plan, const FactsSource& source, const Ask& ask, Instant now, size_t most);

// Facts that stand in an array: for tests, and for hosts that have their own.
class FactsArray final : public FactsSource {
 public:
  struct Entry {
    Facts facts;
    Instant frees_at;         // Only read where utilisation is at least 1.
    uint32_t deployment = 0;
  };
  explicit FactsArray(std::span<const Entry> entries) : entries_(entries) {}
  Facts facts(TargetIndex target) const override { return entries_[target].facts; }
  Instant frees_at(TargetIndex target) const override { return entries_[target].frees_at; }
  uint32_t deployment(TargetIndex target) const override { return entries_[target].deployment; }

 private:
  std::span<const Entry> entries_;
};

}  // namespace lb::policy
