#include "policy/pick.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <array>
#include <vector>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

Facts facts_with(uint32_t in_flight, double weight = 1, double utilisation = 0) {
  Facts facts;
  facts.in_flight = in_flight;
  facts.weight = weight;
  facts.utilisation = utilisation;
  return facts;
}

void more_calls_are_more_load(void**) {
  assert_true(load(facts_with(0)) < load(facts_with(1)));
  assert_true(load(facts_with(1000)) < load(facts_with(1001)));
}

void more_weight_is_less_load(void**) {
  assert_true(load(facts_with(3, 2)) < load(facts_with(3, 1)));
  // Twice the weight carries twice the calls, this one included.
  assert_true(load(facts_with(3, 2)) <= load(facts_with(1, 1)) && load(facts_with(3, 2)) >= load(facts_with(1, 1)));
}

void less_headroom_is_more_load(void**) {
  assert_true(load(facts_with(1, 1, 0.2)) < load(facts_with(1, 1, 0.8)));
  assert_true(load(facts_with(0, 1, 0.99)) > load(facts_with(50, 1, 0)));
}

void no_headroom_is_finite(void**) {
  for (double utilisation : {1.0, 1.5, 1e300}) {
    double most = load(facts_with(0, 1, utilisation));
    assert_true(most > load(facts_with(100'000, 1, 0.5)));
    assert_true(most < 1e300);
  }
}

void the_better_of_two(void**) {
  std::array<Facts, 3> facts{facts_with(5), facts_with(2), facts_with(5)};
  assert_int_equal(better(0, 1, facts), 1);
  assert_int_equal(better(1, 0, facts), 1);
  assert_int_equal(better(0, 2, facts), 0);  // Equals: the first drawn.
  assert_int_equal(better(2, 0, facts), 2);
}

void the_only_one(void**) {
  std::array<Facts, 3> facts{facts_with(0), facts_with(0), facts_with(9)};
  std::array<TargetIndex, 1> among{2};
  Rng rng(1);
  assert_int_equal(pick_p2c(among, facts, rng), 2);
}

// Two are always two different ones: of a pair the better is picked every time.
void of_a_pair_always_the_better(void**) {
  std::array<Facts, 4> facts{facts_with(0), facts_with(7), facts_with(0), facts_with(3)};
  std::array<TargetIndex, 2> among{1, 3};
  Rng rng(2);
  for (int i = 0; i < 1000; i++) assert_int_equal(pick_p2c(among, facts, rng), 3);
}

void equals_share(void**) {
  std::array<Facts, 4> facts{};
  std::array<TargetIndex, 4> among{0, 1, 2, 3};
  std::array<int, 4> count{};
  Rng rng(3);
  for (int i = 0; i < 40'000; i++) count[pick_p2c(among, facts, rng)]++;
  for (int n : count) assert_true(n > 9'600 && n < 10'400);  // Four standard deviations are 346.
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(more_calls_are_more_load),   cmocka_unit_test(more_weight_is_less_load),
      cmocka_unit_test(less_headroom_is_more_load), cmocka_unit_test(no_headroom_is_finite),
      cmocka_unit_test(the_better_of_two),          cmocka_unit_test(the_only_one),
      cmocka_unit_test(of_a_pair_always_the_better), cmocka_unit_test(equals_share),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
