#include "policy/alias.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <cmath>
#include <vector>

#include "unit/base/dies.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

AliasTable table(std::vector<double> weights) { return AliasTable(weights); }

void assert_drawn_by_weight(const std::vector<double>& weights) {
  constexpr int kDraws = 100'000;
  AliasTable alias(weights);
  assert_int_equal(alias.size(), weights.size());
  double sum = 0;
  for (double weight : weights) sum += weight;
  std::vector<int> drawn(weights.size());
  Rng rng(5);
  for (int i = 0; i < kDraws; i++) drawn.at(alias.draw(rng))++;
  for (size_t i = 0; i < weights.size(); i++) {
    double share = weights[i] / sum;
    double five_deviations = 5 * std::sqrt(share * (1 - share) * kDraws);
    assert_true(std::fabs(drawn[i] - share * kDraws) <= five_deviations + 1);
  }
}

void an_empty_one_has_no_size(void**) {
  assert_int_equal(AliasTable().size(), 0);
  assert_int_equal(table({}).size(), 0);
}

void the_only_one_is_always_drawn(void**) {
  for (double weight : {1e-9, 1.0, 1e9}) {
    AliasTable alias = table({weight});
    Rng rng(1);
    for (int i = 0; i < 100; i++) assert_int_equal(alias.draw(rng), 0);
  }
}

void draws_follow_the_weights(void**) {
  assert_drawn_by_weight({1, 1});
  assert_drawn_by_weight({3, 3, 3, 3, 3});
  assert_drawn_by_weight({1, 2});
  assert_drawn_by_weight({2, 1});
  assert_drawn_by_weight({1, 2, 3, 4});
  assert_drawn_by_weight({0.1, 0.1, 0.1, 10});
  assert_drawn_by_weight({10, 0.1, 0.1, 0.1});
  assert_drawn_by_weight({1, 1, 1, 1, 1.5});
  assert_drawn_by_weight({1e-6, 1, 1e6});
}

void the_smallest_weight_is_not_forgotten(void**) {
  AliasTable alias = table({1000, 1});
  Rng rng(3);
  int small = 0;
  for (int i = 0; i < 100'000; i++) small += alias.draw(rng) == 1;
  assert_true(small > 50 && small < 150);  // A hundred, five standard deviations.
}

// Only what weights are to each other counts.
void a_scale_changes_nothing(void**) {
  AliasTable one = table({1, 5, 2}), many = table({1024, 5120, 2048});
  Rng here(9), there(9);
  for (int i = 0; i < 10'000; i++) assert_int_equal(one.draw(here), many.draw(there));
}

void weights_are_positive(void**) {
  assert_true(dies([] { table({1, 0}); }));
  assert_true(dies([] { table({-1, 1}); }));
  assert_true(dies([] { table({std::nan(""), 1}); }));
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_one_has_no_size),
      cmocka_unit_test(the_only_one_is_always_drawn),
      cmocka_unit_test(draws_follow_the_weights),
      cmocka_unit_test(the_smallest_weight_is_not_forgotten),
      cmocka_unit_test(a_scale_changes_nothing),
      cmocka_unit_test(weights_are_positive),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
