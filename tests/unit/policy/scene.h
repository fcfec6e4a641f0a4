// A plan over targets whose facts stand in an array, and a call that asks: what the tests of choices share.
#pragma once

#include <utility>
#include <vector>

#include "policy/plan.h"

namespace lb::policy {

// Not at a full second: slots and windows must not fall together by luck.
inline constexpr Instant kNow{1'000'000'300'000'000};

constexpr Instant later(int64_t ms) { return kNow + Duration::from_ms(ms); }

struct Scene {
  Plan plan;
  std::vector<FactsArray::Entry> entries;
  std::vector<TargetIndex> tried;
  Ask ask;
  Instant now = kNow;
  Rng rng{7};
  Bindings bindings{16};
  Sticky last;
  HostSelector host;

  // Of each target its weight; `tiers` say where they stand.
  Scene(const std::vector<std::vector<TargetIndex>>& tiers, const std::vector<double>& weights)
      : entries(weights.size()) {
    for (size_t i = 0; i < weights.size(); i++) {
      entries[i].facts.weight = weights[i];
      entries[i].deployment = static_cast<uint32_t>(i);
    }
    for (const std::vector<TargetIndex>& targets : tiers) {
      std::vector<double> those;
      for (TargetIndex target : targets) those.push_back(weights[target]);
      plan.tiers.emplace_back(targets, those);
    }
  }
  // One tier.
  explicit Scene(const std::vector<double>& weights) : Scene({all(weights.size())}, weights) {}

  static std::vector<TargetIndex> all(size_t count) {
    std::vector<TargetIndex> out(count);
    for (TargetIndex i = 0; i < count; i++) out[i] = i;
    return out;
  }

  Facts& operator[](TargetIndex target) { return entries[target].facts; }
  Decision decide() {
    ask.tried = tried;
    return policy::decide(plan, FactsArray(entries), ask, {now, rng}, {&bindings, &last, host});
  }
  std::optional<TargetIndex> pick(size_t tier = 0) {
    ask.tried = tried;
    FactsArray source(entries);
    return policy::pick(plan, plan.tiers[tier], View{source, ask, now}, rng, host);
  }
  std::optional<TargetIndex> rendezvous(uint64_t key) {
    ask.tried = tried;
    ask.affinity = key;
    FactsArray source(entries);
    return pick_rendezvous(plan.tiers[0], View{source, ask, now});
  }
};

}  // namespace lb::policy
