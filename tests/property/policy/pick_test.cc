// Whatever is drawn: the worse of two is never picked, and the load spreads as the weights say.
#include "policy/pick.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>
#include <cmath>
#include <vector>

#include "policy/plan.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

std::vector<Facts> random_facts(size_t count, Rng& rng) {
  std::vector<Facts> facts(count);
  for (Facts& one : facts) {
    one.in_flight = static_cast<uint32_t>(rng.below(20));
    one.weight = rng.below(2) ? 1 : 0.1 + 4 * rng.unit();
    one.utilisation = rng.below(2) ? 0 : 0.999 * rng.unit();
  }
  return facts;
}

std::vector<TargetIndex> all(size_t count) {
  std::vector<TargetIndex> out(count);
  for (TargetIndex i = 0; i < count; i++) out[i] = i;
  return out;
}

// The same draws from a copy of the generator: the pick is one of the two, and not the worse.
void never_the_worse_of_the_two_drawn(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    size_t count = 2 + rng.below(30);
    std::vector<Facts> facts = random_facts(count, rng);
    std::vector<TargetIndex> among = all(count);
    Rng draws = rng;
    size_t one = draw(among, facts, kAnyPlace, draws), two = draw(among, facts, one, draws);
    if (one == two || one >= count || two >= count) fail_msg("seed %zu: not a pair", size_t{seed});
    TargetIndex picked = pick_p2c(among, facts, rng);
    if (picked != one && picked != two) fail_msg("seed %zu: not drawn", size_t{seed});
    double best = std::min(load(facts[one]), load(facts[two]));
    if (load(facts[picked]) > best) fail_msg("seed %zu: the worse of two", size_t{seed});
  }
}

// What follows without knowing the draws: where at least two may take the call, the one that is worse than all others
// does not get it.
void never_the_worst_of_all(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    size_t count = 2 + rng.below(40);
    std::vector<Facts> facts = random_facts(count, rng);
    for (Facts& one : facts)
      if (rng.below(3) == 0) one.open_at = Instant{100};
    std::vector<double> loads;
    for (const Facts& one : facts)
      if (one.open_at <= Instant{1}) loads.push_back(load(one));
    if (loads.size() < 2) continue;
    std::sort(loads.begin(), loads.end());
    Plan plan{{all(count)}};
    Decision decision = decide(plan, facts, {}, Instant{1}, rng);
    if (decision.kind != Decision::Kind::send) fail_msg("seed %zu: not sent", size_t{seed});
    bool worst = load(facts[decision.target]) >= loads.back() && loads[loads.size() - 2] < loads.back();
    if (worst) fail_msg("seed %zu: the worst of all", size_t{seed});
  }
}

struct Pool {
  std::vector<Facts> facts;
  std::vector<TargetIndex> running;
  std::vector<uint64_t> picked;
};

// A constant number of calls, each as long as any other: one ends, the next begins.
Pool run(const std::vector<double>& weights, size_t calls, size_t steps, Rng& rng) {
  Pool pool{std::vector<Facts>(weights.size()), {}, std::vector<uint64_t>(weights.size())};
  for (size_t i = 0; i < weights.size(); i++) pool.facts[i].weight = weights[i];
  Plan plan{{all(weights.size())}};
  for (size_t step = 0; step < steps; step++) {
    if (pool.running.size() == calls) {
      size_t ended = rng.below(calls);
      pool.facts[pool.running[ended]].in_flight--;
      pool.running[ended] = pool.running.back();
      pool.running.pop_back();
    }
    Decision decision = decide(plan, pool.facts, {}, Instant{1}, rng);
    assert_true(decision.kind == Decision::Kind::send);
    pool.facts[decision.target].in_flight++;
    pool.running.push_back(decision.target);
    pool.picked[decision.target]++;
  }
  return pool;
}

void assert_shares(const std::vector<double>& weights, uint64_t seed, double tolerance) {
  constexpr size_t kSteps = 60'000;
  Rng rng(seed);
  double sum = 0;
  for (double weight : weights) sum += weight;
  Pool pool = run(weights, 100 * weights.size(), kSteps, rng);
  for (size_t i = 0; i < weights.size(); i++) {
    double share = static_cast<double>(pool.picked[i]) / kSteps, wanted = weights[i] / sum;
    if (std::fabs(share - wanted) > tolerance * wanted)
      fail_msg("seed %zu, target %zu: share %f, not %f", size_t{seed}, i, share, wanted);
  }
}

void shares_follow_weights(void**) {
  for (uint64_t seed = 1; seed <= 3; seed++) {
    assert_shares({1, 1}, seed, 0.02);
    assert_shares({1, 1, 1, 1, 1}, seed, 0.05);
    assert_shares({2, 1}, seed, 0.05);
    assert_shares({4, 1, 1}, seed, 0.05);
    assert_shares({1, 1.5, 2, 2.5, 3}, seed, 0.05);
    assert_shares({20, 1, 1, 1, 1, 1, 1}, seed, 0.06);
    assert_shares(std::vector<double>(12, 1), seed, 0.05);
  }
}

// The power of two choices: with as many calls as targets the fullest has a few, where one draw each would give it
// five or six.
void no_target_piles_up(void**) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    Rng rng(seed);
    Pool pool = run(std::vector<double>(100, 1), 100, 5'000, rng);
    for (const Facts& facts : pool.facts)
      if (facts.in_flight > 4) fail_msg("seed %zu: %u calls on one", size_t{seed}, facts.in_flight);
  }
}

// Draws follow the weights, with and without the one that is taken already.
void draws_follow_weights(void**) {
  constexpr size_t kSteps = 100'000;
  std::vector<Facts> facts(4);
  for (TargetIndex i = 0; i < 4; i++) facts[i].weight = i + 1;
  std::vector<TargetIndex> among = all(4);
  for (size_t but : {kAnyPlace, size_t{3}, size_t{0}}) {
    Rng rng(5);
    std::vector<uint64_t> drawn(4);
    for (size_t i = 0; i < kSteps; i++) drawn[draw(among, facts, but, rng)]++;
    double sum = but == kAnyPlace ? 10 : 10 - facts[but].weight;
    for (size_t i = 0; i < 4; i++) {
      double wanted = i == but ? 0 : facts[i].weight / sum;
      assert_true(std::fabs(static_cast<double>(drawn[i]) / kSteps - wanted) < 0.008);  // Five standard deviations.
    }
  }
}

void who_is_out_does_not_favour_a_neighbour(void**) {
  constexpr size_t kTargets = 64, kSteps = 200'000;
  std::vector<Facts> facts(kTargets);
  for (TargetIndex i = 0; i < kTargets; i++)
    if (i % 4) facts[i].open_at = Instant{100};
  Plan plan{{all(kTargets)}};
  std::vector<uint64_t> picked(kTargets);
  Rng rng(11);
  for (size_t i = 0; i < kSteps; i++) picked[decide(plan, facts, {}, Instant{1}, rng).target]++;
  for (TargetIndex i = 0; i < kTargets; i++) {
    double share = static_cast<double>(picked[i]) / kSteps;
    if (i % 4) assert_int_equal(picked[i], 0);
    else assert_true(share > 0.058 && share < 0.067);  // A sixteenth, five standard deviations.
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(never_the_worse_of_the_two_drawn),
      cmocka_unit_test(never_the_worst_of_all),
      cmocka_unit_test(draws_follow_weights),
      cmocka_unit_test(shares_follow_weights),
      cmocka_unit_test(no_target_piles_up),
      cmocka_unit_test(who_is_out_does_not_favour_a_neighbour),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
