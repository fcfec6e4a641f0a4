// All worlds of up to three targets: every cooldown, limit, slot and try, in every arrangement of tiers, against the
// rule written down a second time.
#include "policy/plan.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>
#include <array>
#include <vector>

#include "policy/pick.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};
constexpr size_t kStates = 3 * 4 * 3 * 2;

struct State {
  Facts facts;
  bool tried = false;
};

// In; out for 3 ms; out for 9. Free; half used; full until 3 ms; full until 7. No slots; one left; none left.
State state_of(size_t number) {
  auto digit = [&](size_t base) {
    size_t out = number % base;
    number /= base;
    return out;
  };
  constexpr std::array<int64_t, 3> kOpen{0, 3, 9};
  constexpr std::array<int64_t, 4> kFrees{0, 0, 3, 7};
  constexpr std::array<double, 4> kUsed{0, 0.5, 1, 1};
  State state;
  state.facts.open_at = kNow + Duration::from_ms(kOpen[digit(kOpen.size())]);
  size_t limit = digit(kUsed.size());
  state.facts.utilisation = kUsed[limit];
  state.facts.frees_at = kNow + Duration::from_ms(kFrees[limit]);
  size_t slots = digit(3);
  state.facts.concurrency = slots == 0 ? 0 : 2;
  state.facts.in_flight = slots == 2 ? 2 : 1;
  state.tried = digit(2) == 1;
  return state;
}

// When a target may take the call, and what it waits for until then.
struct Ready {
  Instant at;
  Status why;
};

Ready ready(const Facts& facts) {
  Instant limit = facts.utilisation >= 1 ? facts.frees_at : kNow;
  Instant slot = facts.concurrency > 0 && facts.in_flight >= facts.concurrency ? Instant::never() : kNow;
  Instant at = std::max({facts.open_at, limit, slot, kNow});
  bool cooling = at == facts.open_at && at > std::max(limit, slot);
  return {at, at == kNow ? Status::OK : cooling ? Status::NO_UPSTREAM : Status::LIMITED};
}

using Tiers = std::vector<std::vector<TargetIndex>>;

struct World {
  Tiers tiers;
  std::vector<Facts> facts;
  std::vector<TargetIndex> tried;

  bool left(TargetIndex target) const { return std::find(tried.begin(), tried.end(), target) == tried.end(); }
};

void assert_sent(const World& world, const std::vector<TargetIndex>& able, const Decision& decision) {
  assert_true(decision.kind == Decision::Kind::send && decision.why == Status::OK);
  assert_true(std::find(able.begin(), able.end(), decision.target) != able.end());
  std::vector<double> loads;
  for (TargetIndex target : able) loads.push_back(load(world.facts[target]));
  std::sort(loads.begin(), loads.end());
  bool one_is_worst = loads.size() > 1 && loads[loads.size() - 2] < loads.back();
  if (one_is_worst) assert_true(load(world.facts[decision.target]) < loads.back());
}

void check(const World& world, const Decision& decision) {
  for (const auto& tier : world.tiers) {
    std::vector<TargetIndex> able;
    for (TargetIndex target : tier)
      if (world.left(target) && ready(world.facts[target]).at == kNow) able.push_back(target);
    if (!able.empty()) return assert_sent(world, able, decision);
  }
  const Ready* best = nullptr;
  Ready place;
  for (const auto& tier : world.tiers) {
    for (TargetIndex target : tier) {
      Ready one = ready(world.facts[target]);
      if (!world.left(target) || (best && best->at <= one.at)) continue;
      place = one;
      best = &place;
    }
  }
  assert_true(decision.kind == (best ? Decision::Kind::wait : Decision::Kind::reject));
  assert_true(decision.why == (best ? best->why : Status::NO_UPSTREAM));
  if (best) assert_true(decision.wait_until == best->at);
}

size_t visit(const std::vector<Tiers>& arrangements, size_t targets, uint64_t seed) {
  size_t worlds = 1, seen = 0;
  for (size_t i = 0; i < targets; i++) worlds *= kStates;
  Rng rng(seed);
  for (const Tiers& tiers : arrangements) {
    Plan plan{tiers};
    World world{tiers, std::vector<Facts>(targets), {}};
    for (size_t number = 0; number < worlds; number++, seen++) {
      world.tried.clear();
      size_t rest = number;
      for (TargetIndex i = 0; i < targets; i++, rest /= kStates) {
        State state = state_of(rest % kStates);
        world.facts[i] = state.facts;
        if (state.tried) world.tried.push_back(i);
      }
      check(world, decide(plan, world.facts, Ask{world.tried}, kNow, rng));
    }
  }
  return seen;
}

void one_target(void**) { assert_int_equal(visit({{{0}}}, 1, 1), kStates); }

void two_targets(void**) { assert_int_equal(visit({{{0, 1}}, {{0}, {1}}, {{1}, {0}}}, 2, 2), 3 * kStates * kStates); }

void three_targets(void**) {
  size_t seen = visit({{{0, 1, 2}}, {{0, 1}, {2}}, {{0}, {1, 2}}, {{0}, {1}, {2}}}, 3, 3);
  assert_int_equal(seen, 4 * kStates * kStates * kStates);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_target),
      cmocka_unit_test(two_targets),
      cmocka_unit_test(three_targets),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
