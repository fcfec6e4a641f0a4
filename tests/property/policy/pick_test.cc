// Whatever is drawn: shares follow weights, the worse of two is never picked, and who may not take the call changes
// nothing for the others.
#include "policy/pick.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "property/policy/chance.h"
#include "unit/policy/scene.h"

#include "property/policy/law.h"

namespace lb::policy {
namespace {

constexpr Balance kPairs[] = {Balance::p2c, Balance::p2c_tokens, Balance::peak_ewma};
constexpr Balance kAll[] = {Balance::p2c,    Balance::p2c_tokens,  Balance::peak_ewma,   Balance::least_active,
                            Balance::random, Balance::round_robin, Balance::top_k, Balance::max_headroom};

std::vector<double> any_weights(Rng& rng, size_t count) {
  std::vector<double> out(count);
  bool whole = rng.below(2) == 0, same = rng.below(4) == 0;
  if (same) return std::vector<double>(count, 1.0);
  for (double& weight : out) weight = whole ? static_cast<double>(1 + rng.below(9)) : std::exp2(10 * rng.unit() - 5);
  return out;
}

void any_load(Facts& facts, Rng& rng) {
  facts.in_flight = static_cast<uint32_t>(rng.below(rng.below(2) ? 4 : 40));
  facts.utilisation = rng.below(2) ? 0 : 0.999 * rng.unit();
  facts.tokens_in_flight = static_cast<double>(rng.below(5'000));
  facts.latency = Duration::from_ms(static_cast<int64_t>(rng.below(1'000)));
  facts.headroom = static_cast<double>(rng.below(5));
  facts.used_at = Instant{static_cast<int64_t>(rng.below(5))};
  if (rng.below(8) == 0) facts.warmth = 0.1 + 0.9 * rng.unit();
}

void any_obstacle(Scene& scene, TargetIndex target, Rng& rng) {
  switch (rng.below(5)) {
    case 0: scene[target].full = true; break;
    case 1: scene[target].open_at = kNow + Duration{1}; break;
    case 2: scene[target].probed = true; break;
    case 3: scene[target].utilisation = 1 + rng.unit(); break;
    case 4: scene.tried.push_back(target); break;
  }
}

Scene any_scene(Rng& rng, size_t most) {
  Scene scene(any_weights(rng, 2 + rng.below(most - 1)));
  scene.plan.mean_latency = Duration::from_ms(300);
  scene.plan.top_k = 1 + static_cast<uint32_t>(rng.below(5));
  scene.ask.charge = {rng.below(1'000), rng.below(1'000), 0};
  for (FactsArray::Entry& entry : scene.entries) any_load(entry.facts, rng);
  scene.rng = rng;
  return scene;
}

// --- Shares ---

void tables_draw_by_weight(void**) {
  holds(300, [](Rng& rng) -> const char* {
    std::vector<double> weights = any_weights(rng, 2 + rng.below(30));
    AliasTable table(weights);
    std::vector<uint64_t> drawn(weights.size());
    for (uint64_t i = 0; i < kCases; i++) drawn[table.draw(rng)]++;
    return follows(drawn, weights) ? nullptr : "draws do not follow the weights";
  });
}

// Of equally loaded targets the first that is drawn.
void equals_share_by_weight(void**) {
  holds(60, [](Rng& rng) -> const char* {
    Scene scene(std::vector<double>(2 + rng.below(10), 1));
    scene.plan.balance = rng.below(2) ? Balance::random : kPairs[rng.below(3)];
    std::vector<double> weights;
    for (FactsArray::Entry& entry : scene.entries) {
      uint64_t weight = 1 + rng.below(9);
      entry.facts.weight = static_cast<double>(weight);
      entry.facts.in_flight = static_cast<uint32_t>(6 * weight - 1);
      entry.facts.tokens_in_flight = static_cast<double>(6 * weight - 1);
      weights.push_back(entry.facts.weight);
    }
    scene.plan.tiers[0] = Tier(Scene::all(weights.size()), weights);
    scene.rng = rng;
    std::vector<uint64_t> picked(weights.size());
    for (uint64_t i = 0; i < kCases; i++) picked[*scene.pick()]++;
    return follows(picked, weights) ? nullptr : "picks do not follow the weights";
  });
}

// A constant number of calls, each as long as any other: one ends, the next begins.
struct Running {
  std::vector<TargetIndex> calls;
  std::vector<uint64_t> picked;
};

Running run(Scene& scene, size_t calls, size_t steps) {
  Running out{{}, std::vector<uint64_t>(scene.entries.size())};
  for (size_t step = 0; step < steps; step++) {
    if (out.calls.size() == calls) {
      size_t ended = scene.rng.below(calls);
      scene[out.calls[ended]].in_flight--;
      scene[out.calls[ended]].tokens_in_flight--;
      out.calls[ended] = out.calls.back();
      out.calls.pop_back();
    }
    TargetIndex target = *scene.pick();
    scene[target].in_flight++;
    scene[target].tokens_in_flight++;
    out.calls.push_back(target);
    out.picked[target]++;
  }
  return out;
}

void shares_follow_weights_under_load(void**) {
  constexpr size_t kSteps = 30'000;
  const std::vector<std::vector<double>> all{{1, 1},    {1, 1, 1, 1, 1},      {2, 1},
                                             {4, 1, 1}, {1, 1.5, 2, 2.5, 3}, {20, 1, 1, 1, 1, 1, 1}};
  for (Balance balance : {Balance::p2c, Balance::p2c_tokens, Balance::peak_ewma, Balance::least_active}) {
    for (const std::vector<double>& weights : all) {
      Scene scene(weights);
      scene.plan.balance = balance;
      double sum = 0;
      for (double weight : weights) sum += weight;
      Running running = run(scene, 100 * weights.size(), kSteps);
      for (size_t i = 0; i < weights.size(); i++) {
        double share = static_cast<double>(running.picked[i]) / kSteps, wanted = weights[i] / sum;
        assert_true(std::fabs(share - wanted) < 0.08 * wanted);
      }
    }
  }
}

// The power of two choices: with as many calls as targets the fullest has a few, where one draw each would give it
// five or six.
void no_target_piles_up(void**) {
  holds(20, [](Rng& rng) -> const char* {
    Scene scene(std::vector<double>(100, 1));
    scene.rng = rng;
    run(scene, 100, 3'000);
    for (const FactsArray::Entry& entry : scene.entries)
      if (entry.facts.in_flight > 4) return "too many calls on one";
    return nullptr;
  });
}

// Over any stretch of turns each gets its share, to less than one turn for each target.
void turns_follow_weights(void**) {
  holds(kCases / 10, [](Rng& rng) -> const char* {
    size_t count = 2 + rng.below(6);
    Scene scene(any_weights(rng, count));
    scene.plan.balance = Balance::round_robin;
    double sum = 0;
    for (FactsArray::Entry& entry : scene.entries) sum += entry.facts.weight;
    std::vector<double> turns(count);
    for (int turn = 1; turn <= 60; turn++) {
      turns[*scene.pick()]++;
      for (TargetIndex i = 0; i < count; i++)
        if (std::fabs(turns[i] - turn * scene[i].weight / sum) > static_cast<double>(count - 1)) return "unfair turns";
    }
    return nullptr;
  });
}

// --- Better and worse ---

void of_two_never_the_worse(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng, 2);
    scene.plan.balance = kPairs[rng.below(3)];
    bool first = lighter(scene[0], scene[1], scene.plan, scene.ask);
    bool second = lighter(scene[1], scene[0], scene.plan, scene.ask);
    if (first && second) return "each lighter than the other";
    TargetIndex picked = *scene.pick();
    return (picked == 0 ? !second : !first) ? nullptr : "the worse of two";
  });
}

// Where at least two may take the call, the one that is worse than all others does not get it.
void never_the_worst_of_all(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng, 40);
    scene.plan.balance = kPairs[rng.below(3)];
    std::vector<TargetIndex> left;
    for (TargetIndex i = 0; i < scene.entries.size(); i++) {
      if (rng.below(3) == 0) any_obstacle(scene, i, rng);
      else left.push_back(i);
    }
    if (left.empty()) return scene.pick() ? "one that may not take it" : nullptr;
    TargetIndex picked = *scene.pick();
    bool worst = std::all_of(left.begin(), left.end(), [&](TargetIndex other) {
      return other == picked || lighter(scene[other], scene[picked], scene.plan, scene.ask);
    });
    return left.size() > 1 && worst ? "the worst of all" : nullptr;
  });
}

void always_one_that_may(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng, 20);
    scene.plan.balance = kAll[rng.below(8)];
    size_t left = scene.entries.size();
    std::vector<bool> may(left, true);
    for (TargetIndex i = 0; i < scene.entries.size(); i++) {
      if (rng.below(3)) continue;
      any_obstacle(scene, i, rng);
      may[i] = false;
      left--;
    }
    std::optional<TargetIndex> picked = scene.pick();
    if (picked.has_value() != (left > 0)) return "one or none";
    return !picked || may[*picked] ? nullptr : "one that may not take it";
  });
}

// --- Who may not take it ---

// The same scene without those that may not take the call; `kept` names those that are left.
Scene without(const Scene& scene, const std::vector<TargetIndex>& kept) {
  std::vector<double> weights;
  for (TargetIndex target : kept) weights.push_back(scene.entries[target].facts.weight);
  Scene out(weights);
  for (size_t i = 0; i < kept.size(); i++) out.entries[i] = scene.entries[kept[i]];
  out.plan.balance = scene.plan.balance;
  out.plan.mean_latency = scene.plan.mean_latency;
  out.plan.top_k = scene.plan.top_k;
  out.ask.charge = scene.ask.charge;
  return out;
}

void who_may_not_take_it_changes_nothing(void**) {
  holds(80, [](Rng& rng) -> const char* {
    // Also so many that draws alone would not find those that may.
    bool many = rng.below(4) == 0;
    Scene scene = any_scene(rng, many ? 150 : 12);
    scene.plan.balance = kAll[rng.below(8)];
    std::vector<TargetIndex> kept;
    for (TargetIndex i = 0; i < scene.entries.size(); i++) {
      if (kept.size() == 5 || rng.below(many ? 30 : 3)) any_obstacle(scene, i, rng);
      else kept.push_back(i);
    }
    if (kept.empty()) return nullptr;
    Scene alone = without(scene, kept);
    alone.rng = Rng(rng.next());
    std::vector<uint64_t> picked(scene.entries.size()), picked_alone(scene.entries.size());
    for (int i = 0; i < 4'000; i++) {
      picked[*scene.pick()]++;
      picked_alone[kept[*alone.pick()]]++;
    }
    return alike(picked, picked_alone) ? nullptr : "another distribution";
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(tables_draw_by_weight),
      cmocka_unit_test(equals_share_by_weight),
      cmocka_unit_test(shares_follow_weights_under_load),
      cmocka_unit_test(no_target_piles_up),
      cmocka_unit_test(turns_follow_weights),
      cmocka_unit_test(of_two_never_the_worse),
      cmocka_unit_test(never_the_worst_of_all),
      cmocka_unit_test(always_one_that_may),
      cmocka_unit_test(who_may_not_take_it_changes_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
