// A call through random worlds until it is rejected: no target twice, and never one that may not take it.
#include "policy/plan.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>
#include <vector>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};

struct World {
  Plan plan;
  std::vector<Facts> facts;
};

Instant soon(Rng& rng) { return kNow + Duration::from_ms(static_cast<int64_t>(rng.below(20)) - 5); }

World random_world(Rng& rng) {
  World world;
  size_t targets = 1 + rng.below(rng.below(4) ? 8 : 40);
  size_t tiers = 1 + rng.below(4);
  world.plan.tiers.resize(tiers);
  for (TargetIndex i = 0; i < targets; i++) {
    world.plan.tiers[rng.below(tiers)].push_back(i);
    Facts& facts = world.facts.emplace_back();
    if (rng.below(2)) facts.open_at = soon(rng);
    facts.utilisation = rng.below(3) ? rng.unit() : 1 + rng.unit();
    if (facts.utilisation >= 1) facts.frees_at = std::max(soon(rng), kNow + Duration{1});
    facts.concurrency = static_cast<uint32_t>(rng.below(4));
    facts.in_flight = static_cast<uint32_t>(rng.below(5));
    facts.weight = 0.1 + rng.unit();
  }
  std::erase_if(world.plan.tiers, [](const auto& tier) { return tier.empty(); });
  return world;
}

bool may_take(const Facts& facts, Instant now) {
  bool has_slot = facts.concurrency == 0 || facts.in_flight < facts.concurrency;
  return facts.open_at <= now && facts.utilisation < 1 && has_slot;
}

// Until `now` nothing changes but what the facts themselves say.
void pass_time(World& world, Instant now, Rng& rng) {
  for (Facts& facts : world.facts) {
    if (facts.utilisation >= 1 && facts.frees_at <= now) facts.utilisation = 0.9;
    if (facts.in_flight > 0 && rng.below(2)) facts.in_flight--;
  }
}

void no_target_is_tried_twice(void**) {
  for (uint64_t seed = 1; seed <= 5'000; seed++) {
    Rng rng(seed);
    World world = random_world(rng);
    std::vector<TargetIndex> tried;
    Instant now = kNow;
    // Each turn sends, or waits for something that comes; slots come free in the end.
    for (int turns = 0;; turns++) {
      if (turns > 200) fail_msg("seed %zu: no end", size_t{seed});
      Decision decision = decide(world.plan, world.facts, Ask{tried}, now, rng);
      if (decision.kind == Decision::Kind::reject) break;
      if (decision.kind == Decision::Kind::wait) {
        bool when_a_call_ends = decision.wait_until == Instant::never();
        if (decision.wait_until <= now) fail_msg("seed %zu: waits for the past", size_t{seed});
        if (!when_a_call_ends) now = decision.wait_until;
        pass_time(world, now, rng);
        continue;
      }
      bool again = std::find(tried.begin(), tried.end(), decision.target) != tried.end();
      if (again) fail_msg("seed %zu: target %u twice", size_t{seed}, decision.target);
      if (!may_take(world.facts[decision.target], now)) fail_msg("seed %zu: it may not take it", size_t{seed});
      tried.push_back(decision.target);
    }
    if (tried.size() != world.facts.size()) fail_msg("seed %zu: rejected with one left", size_t{seed});
  }
}

// A later tier gets a call only when no target of an earlier one may take it.
void tiers_are_kept(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    World world = random_world(rng);
    Decision decision = decide(world.plan, world.facts, {}, kNow, rng);
    if (decision.kind != Decision::Kind::send) {
      for (const Facts& facts : world.facts) assert_false(may_take(facts, kNow));
      continue;
    }
    for (const auto& tier : world.plan.tiers) {
      if (std::find(tier.begin(), tier.end(), decision.target) != tier.end()) break;
      for (TargetIndex target : tier)
        if (may_take(world.facts[target], kNow)) fail_msg("seed %zu: a tier too late", size_t{seed});
    }
  }
}

void asking_changes_nothing(void**) {
  for (uint64_t seed = 1; seed <= 2'000; seed++) {
    Rng rng(seed);
    World world = random_world(rng);
    Rng one = rng, two = rng;
    Decision first = decide(world.plan, world.facts, {}, kNow, one);
    Decision second = decide(world.plan, world.facts, {}, kNow, two);
    assert_true(first.kind == second.kind && first.target == second.target && first.wait_until == second.wait_until);
    assert_true(one.next() == two.next());
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_target_is_tried_twice),
      cmocka_unit_test(tiers_are_kept),
      cmocka_unit_test(asking_changes_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
