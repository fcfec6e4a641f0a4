#include "policy/estimate.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr Estimate kAll[] = {Estimate::learned, Estimate::characters, Estimate::history, Estimate::allowed};
constexpr uint64_t kMost = UINT64_MAX;

void assert_charge(const Charge& charge, uint64_t input, uint64_t output) {
  assert_int_equal(charge.input, input);
  assert_int_equal(charge.output, output);
  assert_int_equal(charge.money, 0);
}

void four_characters_are_a_token(void**) {
  Estimator none;
  for (Estimate how : {Estimate::learned, Estimate::characters, Estimate::allowed}) {
    assert_charge(none.expect(how, {0}, 5), 0, 0);
    assert_charge(none.expect(how, {3}, 5), 0, 0);
    assert_charge(none.expect(how, {4}, 5), 1, 0);
    assert_charge(none.expect(how, {4'003}, 5), 1'000, 0);
    assert_charge(none.expect(how, {8, 2}, 5), 2 + 2 * 765, 0);
  }
}

void what_is_allowed_for_each_choice(void**) {
  Estimator none;
  assert_charge(none.expect(Estimate::allowed, {40, 0, 100}, 5), 10, 100);
  assert_charge(none.expect(Estimate::allowed, {40, 0, 100, 3}, 5), 10, 300);
  assert_charge(none.expect(Estimate::allowed, {40, 0, 100, 0}, 5), 10, 100);
  assert_charge(none.expect(Estimate::characters, {40, 0, 100, 3}, 5), 10, 0);
  // Nothing learnt yet: all that is allowed.
  assert_charge(none.expect(Estimate::learned, {40, 0, 100, 3}, 5), 10, 300);
}

void it_learns_what_a_character_is(void**) {
  Estimator estimator;
  Prompt prompt{400};
  estimator.learn(prompt, 200, std::nullopt);
  assert_true(estimator.ratio() > 1.099 && estimator.ratio() < 1.101);
  for (int i = 0; i < 200; i++) estimator.learn(prompt, 200, std::nullopt);
  assert_int_equal(estimator.expect(Estimate::learned, {40'000}, 5).input / 10, 1'999);  // Rounded down.
  for (int i = 0; i < 200; i++) estimator.learn(prompt, 50, std::nullopt);
  assert_int_equal(estimator.expect(Estimate::learned, {40'000}, 5).input / 10, 500);
  assert_int_equal(estimator.expect(Estimate::characters, {40'000}, 5).input, 10'000);
  assert_int_equal(estimator.expect(Estimate::allowed, {40'000}, 5).input, 10'000);
}

void a_provider_that_counts_something_else(void**) {
  Estimator high, low;
  for (int i = 0; i < 500; i++) {
    high.learn({4}, 1'000'000, std::nullopt);
    low.learn({4'000'000}, 0, std::nullopt);
  }
  assert_true(high.ratio() > 9.99 && high.ratio() <= 10);
  assert_true(low.ratio() < 0.101 && low.ratio() >= 0.1);
  Estimator none;
  none.learn({3}, 100, std::nullopt);  // No token by characters: says nothing of the ratio.
  assert_true(none.ratio() >= 1 && none.ratio() <= 1);
}

void output_as_it_was_before(void**) {
  Estimator estimator;
  estimator.learn({40}, std::nullopt, 50);
  assert_int_equal(estimator.expect(Estimate::learned, {40}, 5).output, 50);
  assert_int_equal(estimator.expect(Estimate::learned, {40, 0, 30}, 5).output, 30);  // At most what is allowed.
  assert_int_equal(estimator.expect(Estimate::learned, {40, 0, 80}, 5).output, 50);
  assert_int_equal(estimator.expect(Estimate::learned, {40, 0, 80, 2}, 5).output, 100);
  assert_int_equal(estimator.expect(Estimate::learned, {40, 0, 0, 3}, 5).output, 150);
  estimator.learn({40}, std::nullopt, 150);
  assert_int_equal(estimator.expect(Estimate::learned, {40}, 5).output, 60);
  Estimator each;
  each.learn({40, 0, 0, 4}, std::nullopt, 100);
  assert_int_equal(each.expect(Estimate::learned, {40}, 5).output, 25);
}

void the_median_of_the_last_calls(void**) {
  Estimator estimator;
  auto median = [&] { return estimator.expect(Estimate::history, {4'000}, 77); };
  assert_charge(median(), 77, 0);
  estimator.learn({4}, 10, 20);
  assert_charge(median(), 30, 0);
  estimator.learn({4}, 1'000, std::nullopt);
  estimator.learn({4}, std::nullopt, 40);
  assert_charge(median(), 40, 0);
  for (int i = 0; i < 64; i++) estimator.learn({4}, 5, 0);  // All that was before is forgotten.
  assert_charge(median(), 5, 0);
  for (int i = 0; i < 31; i++) estimator.learn({4}, 500, 0);
  assert_charge(median(), 5, 0);
  for (int i = 0; i < 2; i++) estimator.learn({4}, 500, 0);
  assert_charge(median(), 500, 0);
}

void what_is_not_reported_teaches_nothing(void**) {
  Estimator estimator;
  estimator.learn({400}, std::nullopt, std::nullopt);
  assert_true(estimator.ratio() >= 1 && estimator.ratio() <= 1);
  assert_charge(estimator.expect(Estimate::history, {400}, 9), 9, 0);
  assert_charge(estimator.expect(Estimate::learned, {400}, 9), 100, 0);
}

// Whatever callers and providers say: no overflow, and no charge that a window could not hold.
void nonsense_stays_bounded(void**) {
  Estimator estimator;
  for (int i = 0; i < 100; i++) {
    for (Estimate how : kAll) {
      for (uint64_t choices : {uint64_t{0}, uint64_t{1}, uint64_t{1'025}, kMost}) {
        Charge charge = estimator.expect(how, {kMost, kMost, kMost, choices}, kMost);
        int64_t tokens = charge.of(Metric::tokens);
        assert_true(tokens > 0 && tokens <= int64_t{2} << 40);
      }
    }
    estimator.learn({kMost, kMost, kMost, kMost}, kMost, kMost);
    estimator.learn({4, 0, 0, 1}, kMost, kMost);
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(four_characters_are_a_token),
      cmocka_unit_test(what_is_allowed_for_each_choice),
      cmocka_unit_test(it_learns_what_a_character_is),
      cmocka_unit_test(a_provider_that_counts_something_else),
      cmocka_unit_test(output_as_it_was_before),
      cmocka_unit_test(the_median_of_the_last_calls),
      cmocka_unit_test(what_is_not_reported_teaches_nothing),
      cmocka_unit_test(nonsense_stays_bounded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
