#include "policy/hedge.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr HedgeSpec kSpec{0.95, Duration::from_ms(50), 0.05, 1000, 2000};

Charge charge(uint64_t input, uint64_t output, uint64_t money = 0) { return {input, output, money}; }

void observe(Hedges& hedges, bool stream, uint64_t count, int64_t ms, const HedgeSpec& spec = kSpec) {
  for (uint64_t i = 0; i < count; i++) hedges.observe(spec, stream, Duration::from_ms(ms));
}

// A bucket is at most 9 % wide.
bool about(std::optional<Duration> value, int64_t ms) {
  return value && value->ns >= ms * 1'000'000 && value->ns <= ms * 1'090'000;
}

void off_is_off(void**) {
  HedgeSpec off;
  Hedges hedges;
  assert_false(off.covers(charge(1, 1)));
  observe(hedges, true, 100, 100, off);
  for (int i = 0; i < 100; i++) hedges.on_call(off);
  assert_false(hedges.after(off, true).has_value());
  assert_false(hedges.after(kSpec, true).has_value());  // Nothing was kept meanwhile either.
  assert_false(hedges.take());
}

void what_costs_too_much_is_never_hedged(void**) {
  assert_true(kSpec.covers(charge(400, 600)));
  assert_false(kSpec.covers(charge(401, 600)));
  assert_true(kSpec.covers(charge(1, 1, 2000)));
  assert_false(kSpec.covers(charge(1, 1, 2001)));
  HedgeSpec unbounded{0.95, Duration::zero(), 0.05, 0, 0};
  assert_true(unbounded.covers(charge(Charge::kTokensMax, Charge::kTokensMax, Charge::kMoneyMax)));
}

void it_waits_until_enough_is_known(void**) {
  Hedges hedges;
  observe(hedges, true, Hedges::kObservedMin - 1, 100);
  assert_false(hedges.after(kSpec, true).has_value());
  observe(hedges, true, 1, 100);
  assert_true(about(hedges.after(kSpec, true), 100));
}

void streams_and_whole_answers_are_apart(void**) {
  Hedges hedges;
  observe(hedges, true, 100, 200);
  assert_false(hedges.after(kSpec, false).has_value());
  observe(hedges, false, 100, 9000);
  assert_true(about(hedges.after(kSpec, true), 200));
  assert_true(about(hedges.after(kSpec, false), 9000));
}

void the_percentile_is_what_it_says(void**) {
  Hedges hedges;
  // Nine of ten take 100 ms, one takes 1000.
  for (int i = 0; i < 40; i++) {
    observe(hedges, true, 9, 100);
    observe(hedges, true, 1, 1000);
  }
  HedgeSpec half = kSpec;
  half.percentile = 0.5;
  assert_true(about(hedges.after(kSpec, true), 1000));
  assert_true(about(hedges.after(half, true), 100));  // As after a reload that changed it.
}

void never_sooner_than_the_floor(void**) {
  Hedges hedges;
  observe(hedges, true, 100, 1);
  assert_int_equal(hedges.after(kSpec, true)->ns, Duration::from_ms(50).ns);
}

void it_follows_a_change(void**) {
  Hedges hedges;
  observe(hedges, true, 100'000, 100);
  observe(hedges, true, 2 * Hedges::kObservedMax, 3000);
  assert_true(about(hedges.after(kSpec, true), 3000));
  observe(hedges, true, 10 * Hedges::kObservedMax, 100);
  assert_true(about(hedges.after(kSpec, true), 100));
}

void what_is_saved_is_bounded(void**) {
  Hedges hedges;
  for (int i = 0; i < 19; i++) hedges.on_call(kSpec);
  assert_false(hedges.take());
  hedges.on_call(kSpec);
  hedges.on_call(kSpec);
  assert_true(hedges.take());
  assert_false(hedges.take());
  for (int i = 0; i < 1'000'000; i++) hedges.on_call(kSpec);
  uint64_t taken = 0;
  while (hedges.take()) taken++;
  assert_int_equal(taken, static_cast<uint64_t>(Hedges::kSavedMax));
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(off_is_off),
      cmocka_unit_test(what_costs_too_much_is_never_hedged),
      cmocka_unit_test(it_waits_until_enough_is_known),
      cmocka_unit_test(streams_and_whole_answers_are_apart),
      cmocka_unit_test(the_percentile_is_what_it_says),
      cmocka_unit_test(never_sooner_than_the_floor),
      cmocka_unit_test(it_follows_a_change),
      cmocka_unit_test(what_is_saved_is_bounded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
