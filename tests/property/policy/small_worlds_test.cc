// All worlds of up to three targets: every outage, limit, slot and try, in every arrangement of tiers, under every rule
// of spilling and of need, against the rule written down a second time.
#include "policy/plan.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "unit/policy/scene.h"

#include "property/policy/law.h"

namespace lb::policy {
namespace {

struct State {
  Outage outage = Outage::none;
  int64_t out_ms = 0;  // From now.
  bool probed = false, full = false;
  double used = 0;
  int64_t frees_ms = 0;
  uint32_t in_flight = 0;
};

// What a target can be, alone and together. Times differ, so that there is an earliest.
const State kStates[] = {
    {},
    {.used = 0.5, .in_flight = 3},
    {Outage::fault, 3},
    {Outage::fault, 9},
    {Outage::told, 3},
    {Outage::key, 5},
    {Outage::manual, 4},
    {Outage::fault, -2, true},
    {.full = true},
    {.used = 1, .frees_ms = 4},
    {.used = 1.5, .frees_ms = 7},
    {Outage::fault, 6, false, false, 1, 8},
    {Outage::fault, 6, false, true},
    {Outage::told, 9, false, false, 2, 2},
    {Outage::fault, -2, true, false, 1, 5},
};
constexpr size_t kKinds = std::size(kStates);
constexpr size_t kEach = 2 * kKinds;  // Tried, or not.

using Tiers = std::vector<std::vector<TargetIndex>>;

// The rule a second time, in the words of facts.h.
struct Oracle {
  const Plan& plan;
  const Tiers& tiers;
  std::vector<State> states;
  std::vector<bool> tried;

  bool out(TargetIndex t) const { return states[t].out_ms > 0 || states[t].probed; }
  bool room(TargetIndex t) const { return !states[t].full && states[t].used < 1; }
  bool panics(const std::vector<TargetIndex>& tier) const {
    double healthy = 0;
    for (TargetIndex t : tier) healthy += out(t) ? 0 : 1;
    return healthy / static_cast<double>(tier.size()) < plan.panic_share;
  }

  const std::vector<TargetIndex>& tier_of(TargetIndex t) const {
    return *std::find_if(tiers.begin(), tiers.end(), [&](const std::vector<TargetIndex>& tier) {
      return std::find(tier.begin(), tier.end(), t) != tier.end();
    });
  }

  // When it may take the call, in ms from now, and why not yet.
  struct Ready {
    int64_t ms;
    Status why;
  };
  // `need`: a fault would be forgiven.
  Ready ready(TargetIndex t, bool need) const {
    const State& state = states[t];
    if (state.full) return {INT64_MAX, Status::LIMITED};
    if (need && state.outage == Outage::fault && state.used >= 1) return {state.frees_ms, Status::LIMITED};
    if (state.probed) return {INT64_MAX, Status::NO_UPSTREAM};
    int64_t fits = state.used < 1 ? 0 : state.frees_ms;
    if (state.out_ms > fits) return {state.out_ms, Status::NO_UPSTREAM};
    return {fits, Status::LIMITED};
  }

  // In need: worse is larger. Nothing: not even then.
  using Badness = std::tuple<int, double>;
  std::optional<Badness> badness(TargetIndex t) const {
    const State& state = states[t];
    if (state.full) return std::nullopt;
    if (plan.when_none == WhenNone::panic) {
      if (!out(t) || state.outage != Outage::fault || state.used >= 1) return std::nullopt;
      return Badness{0, static_cast<double>(state.out_ms)};
    }
    if (!out(t)) return Badness{0, state.used};
    if (state.outage == Outage::manual) return std::nullopt;
    int kind = state.outage == Outage::fault ? 1 : state.outage == Outage::told ? 2 : 3;
    return Badness{kind, static_cast<double>(state.out_ms)};
  }

  const char* check(Scene& scene, const Decision& decision) const {
    std::vector<TargetIndex> left;
    for (const auto& tier : tiers) {
      bool forgive = panics(tier), healthy = false;
      std::vector<TargetIndex> able;
      for (TargetIndex t : tier) {
        if (tried[t]) continue;
        left.push_back(t);
        healthy = healthy || !out(t);
        if (room(t) && (!out(t) || (forgive && states[t].outage == Outage::fault))) able.push_back(t);
      }
      if (!able.empty()) return check_sent(scene, able, decision);
      if (healthy && plan.spill == Spill::strict) break;
    }
    return check_need(left, decision);
  }

  const char* check_sent(Scene& scene, const std::vector<TargetIndex>& able, const Decision& decision) const {
    if (decision.kind != Decision::Kind::send || decision.why != Status::OK) return "not sent";
    if (decision.by != Decision::By::balance) return "sent for another reason";
    if (std::find(able.begin(), able.end(), decision.target) == able.end()) return "sent to one that may not take it";
    std::vector<double> loads;
    for (TargetIndex t : able) loads.push_back(load(scene[t], plan, scene.ask));
    std::sort(loads.begin(), loads.end());
    bool worst = loads.size() > 1 && load(scene[decision.target], plan, scene.ask) > loads[loads.size() - 2];
    return worst ? "the worst of all" : nullptr;
  }

  const char* check_need(const std::vector<TargetIndex>& left, const Decision& decision) const {
    if (left.empty())
      return decision.kind == Decision::Kind::reject && decision.why == Status::NO_UPSTREAM ? nullptr : "not rejected";
    std::vector<std::pair<Badness, TargetIndex>> bad;
    bool healthy = false;
    for (TargetIndex t : left) {
      healthy = healthy || !out(t);
      if (std::optional<Badness> here = badness(t)) bad.push_back({*here, t});
    }
    bool need = plan.when_none == WhenNone::best_effort || (plan.when_none == WhenNone::panic && !healthy);
    if (need && !bad.empty()) {
      Badness least = std::min_element(bad.begin(), bad.end())->first;
      auto by = plan.when_none == WhenNone::panic ? Decision::By::panic : Decision::By::best_effort;
      if (decision.kind != Decision::Kind::send || decision.by != by) return "not sent in need";
      return badness(decision.target) == least && !tried[decision.target] ? nullptr : "not the least bad";
    }
    auto when = [&](TargetIndex t) {
      return ready(t, panics(tier_of(t)) || (plan.when_none == WhenNone::panic && !healthy));
    };
    const TargetIndex first = *std::min_element(
        left.begin(), left.end(), [&](TargetIndex a, TargetIndex b) { return when(a).ms < when(b).ms; });
    if (decision.kind != Decision::Kind::wait || decision.why != when(first).why)
      return "it does not wait, or not for that";
    Instant until = when(first).ms == INT64_MAX ? Instant::never() : later(when(first).ms);
    return decision.wait_until == until ? nullptr : "waits for another time";
  }
};

void put(Scene& scene, TargetIndex target, const State& state) {
  Facts& facts = scene[target];
  facts.outage = state.outage;
  facts.open_at = state.outage == Outage::none ? Instant{} : later(state.out_ms);
  facts.probed = state.probed;
  facts.full = state.full;
  facts.utilisation = state.used;
  facts.in_flight = state.in_flight;
  scene.entries[target].frees_at = later(state.frees_ms);
}

size_t visit(const Tiers& tiers, size_t targets, Spill spill, WhenNone when_none, double panic_share) {
  Scene scene(tiers, std::vector<double>(targets, 1));
  scene.plan.spill = spill;
  scene.plan.when_none = when_none;
  scene.plan.panic_share = panic_share;
  Oracle oracle{scene.plan, tiers, std::vector<State>(targets), std::vector<bool>(targets)};
  size_t worlds = 1;
  for (size_t i = 0; i < targets; i++) worlds *= kEach;
  for (size_t number = 0; number < worlds; number++) {
    scene.tried.clear();
    size_t rest = number;
    for (TargetIndex i = 0; i < targets; i++, rest /= kEach) {
      oracle.states[i] = kStates[rest % kEach % kKinds];
      oracle.tried[i] = rest % kEach >= kKinds;
      if (oracle.tried[i]) scene.tried.push_back(i);
      put(scene, i, oracle.states[i]);
    }
    if (const char* broken = oracle.check(scene, scene.decide()))
      fail_msg("%s: world %zu of %zu targets in %zu tiers, spill %d, in need %d, panic share %f", broken, number,
               targets, tiers.size(), static_cast<int>(spill), static_cast<int>(when_none), panic_share);
  }
  return worlds;
}

size_t visit_all(const std::vector<Tiers>& arrangements, size_t targets) {
  size_t seen = 0;
  for (const Tiers& tiers : arrangements)
    for (Spill spill : {Spill::spill, Spill::strict})
      for (WhenNone when_none : {WhenNone::panic, WhenNone::best_effort, WhenNone::fail})
        for (double share : {0.0, 0.6}) seen += visit(tiers, targets, spill, when_none, share);
  return seen;
}

constexpr size_t kRules = 2 * 3 * 2;

void one_target(void**) { assert_int_equal(visit_all({{{0}}}, 1), kRules * kEach); }

void two_targets(void**) {
  assert_int_equal(visit_all({{{0, 1}}, {{0}, {1}}, {{1}, {0}}}, 2), 3 * kRules * kEach * kEach);
}

void three_targets(void**) {
  size_t seen = visit_all({{{0, 1, 2}}, {{0, 1}, {2}}, {{0}, {1, 2}}, {{0}, {1}, {2}}}, 3);
  assert_int_equal(seen, 4 * kRules * kEach * kEach * kEach);
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
