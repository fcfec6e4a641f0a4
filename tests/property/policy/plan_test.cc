// A call through random worlds until it is rejected: no target twice, never one that may not take it, tiers in their
// order, and every wait is true.
#include "policy/plan.h"

#include <algorithm>
#include <vector>

#include "unit/policy/scene.h"

#include "property/policy/law.h"

namespace lb::policy {
namespace {

Instant soon(Rng& rng) { return later(static_cast<int64_t>(rng.below(20)) - 5); }

Scene any_scene(Rng& rng) {
  size_t targets = 1 + rng.below(rng.below(4) ? 8 : 40);
  std::vector<std::vector<TargetIndex>> tiers(1 + rng.below(4));
  std::vector<double> weights;
  for (TargetIndex i = 0; i < targets; i++) {
    tiers[rng.below(tiers.size())].push_back(i);
    weights.push_back(0.1 + rng.unit());
  }
  Scene scene(tiers, weights);
  for (FactsArray::Entry& entry : scene.entries) {
    Facts& facts = entry.facts;
    if (rng.below(2)) facts.open_at = soon(rng);
    if (facts.open_at > kNow) facts.outage = static_cast<Outage>(1 + rng.below(4));
    facts.utilisation = rng.below(3) ? rng.unit() : 1 + rng.unit();
    if (facts.utilisation >= 1) entry.frees_at = std::max(soon(rng), kNow + Duration{1});
    facts.full = rng.below(5) == 0;
    facts.in_flight = static_cast<uint32_t>(rng.below(5));
  }
  scene.plan.balance = static_cast<Balance>(rng.below(9));
  scene.plan.spill = static_cast<Spill>(rng.below(2));
  scene.plan.when_none = static_cast<WhenNone>(rng.below(3));
  scene.rng = rng;
  return scene;
}

bool may_take(Scene& scene, TargetIndex target) {
  const Facts& facts = scene[target];
  bool tried = std::find(scene.tried.begin(), scene.tried.end(), target) != scene.tried.end();
  return !tried && facts.open_at <= scene.now && !facts.probed && facts.utilisation < 1 && !facts.full;
}

// Until then nothing changes but what the facts themselves say.
void pass(Scene& scene, Instant now) {
  scene.now = now;
  for (FactsArray::Entry& entry : scene.entries)
    if (entry.facts.utilisation >= 1 && entry.frees_at <= now) entry.facts.utilisation = 0.9;
}

void no_target_is_tried_twice(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    // Each turn sends, or waits for something that comes; slots come free in the end.
    for (int turns = 0; turns < 300; turns++) {
      Decision decision = scene.decide();
      if (decision.kind == Decision::Kind::reject)
        return scene.tried.size() == scene.entries.size() ? nullptr : "rejected with one left";
      if (decision.kind == Decision::Kind::wait) {
        if (decision.wait_until <= scene.now) return "waits for the past";
        if (decision.wait_until != Instant::never()) pass(scene, decision.wait_until);
        for (FactsArray::Entry& entry : scene.entries)
          if (rng.below(2)) entry.facts.full = false;
        continue;
      }
      bool again = std::find(scene.tried.begin(), scene.tried.end(), decision.target) != scene.tried.end();
      if (again) return "a target twice";
      bool in_need = decision.by == Decision::By::panic || decision.by == Decision::By::best_effort;
      if (may_take(scene, decision.target) == in_need) return "it may not take it, or it may";
      if (scene[decision.target].full) return "one that is full";
      scene.tried.push_back(decision.target);
    }
    return "no end";
  });
}

// A later tier gets a call only when no target of an earlier one may take it.
void tiers_are_kept(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    Decision decision = scene.decide();
    bool in_need = decision.by == Decision::By::panic || decision.by == Decision::By::best_effort;
    for (const Tier& tier : scene.plan.tiers) {
      auto may = [&](TargetIndex target) { return may_take(scene, target); };
      auto healthy = [&](TargetIndex target) { return scene[target].healthy(scene.now); };
      auto& targets = tier.targets;
      if (std::any_of(targets.begin(), targets.end(), may)) {
        bool here = std::find(targets.begin(), targets.end(), decision.target) != targets.end();
        return here && !in_need ? nullptr : "another tier, or none";
      }
      if (scene.plan.spill == Spill::strict && std::any_of(targets.begin(), targets.end(), healthy)) break;
    }
    return decision.kind != Decision::Kind::send || in_need ? nullptr : "one that may not take it";
  });
}

// At that time it can be sent, and not before.
void a_wait_is_true(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    scene.plan.when_none = WhenNone::fail;
    scene.plan.spill = Spill::spill;
    for (size_t i = 0; i < scene.entries.size(); i++)
      if (rng.below(8)) scene.entries[i].facts.open_at = later(static_cast<int64_t>(1 + rng.below(9)));
    Decision decision = scene.decide();
    if (decision.kind != Decision::Kind::wait) return nullptr;
    bool finite = decision.wait_until != Instant::never();
    pass(scene, (finite ? decision.wait_until : later(1'000'000)) - Duration{1});
    if (scene.decide().kind == Decision::Kind::send) return "it can be sent before";
    if (!finite) return nullptr;
    pass(scene, decision.wait_until);
    return scene.decide().kind == Decision::Kind::send ? nullptr : "it cannot be sent then";
  });
}

void asking_changes_nothing(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    if (scene.plan.balance == Balance::round_robin) return nullptr;
    Rng before = scene.rng;
    Decision one = scene.decide();
    Rng after_one = scene.rng;
    scene.rng = before;
    Decision two = scene.decide();
    if (one.kind != two.kind || one.target != two.target || one.wait_until != two.wait_until || one.by != two.by)
      return "another answer";
    return scene.rng.next() == after_one.next() ? nullptr : "other draws";
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_target_is_tried_twice),
      cmocka_unit_test(tiers_are_kept),
      cmocka_unit_test(a_wait_is_true),
      cmocka_unit_test(asking_changes_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
