#include "policy/health.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};

Duration out_for(Verdict verdict, std::optional<Duration> told = std::nullopt) {
  Health health;
  Duration out = health.on_outcome(verdict, told, {}, kNow);
  if (out == Duration::zero()) assert_true(health.open_at() <= kNow);
  else assert_int_equal(health.open_at().ns, (kNow + out).ns);
  return out;
}

void a_fresh_target_is_in(void**) {
  Health health;
  assert_true(health.open_at() <= Instant{0});
  assert_int_equal(health.faults(), 0);
}

void verdicts_without_a_word_of_the_upstream(void**) {
  assert_int_equal(out_for(Verdict::good).ms(), 0);
  assert_int_equal(out_for(Verdict::no_fault).ms(), 0);
  assert_int_equal(out_for(Verdict::timed_out).ms(), 0);
  assert_int_equal(out_for(Verdict::limited).ms(), 5'000);
  assert_int_equal(out_for(Verdict::overloaded).ms(), 5'000);
  assert_int_equal(out_for(Verdict::faulty).ms(), 5'000);
  assert_int_equal(out_for(Verdict::key_refused).ms(), 60'000);
  assert_int_equal(out_for(Verdict::exhausted).ms(), 600'000);
  assert_int_equal(out_for(Verdict::not_found).ms(), 60'000);
}

// Where it speaks of load its word is law, shorter or longer than our guess.
void the_upstream_says_how_long(void**) {
  for (Verdict verdict : {Verdict::limited, Verdict::overloaded, Verdict::faulty}) {
    assert_int_equal(out_for(verdict, Duration::from_ms(1'500)).ms(), 1'500);
    assert_int_equal(out_for(verdict, Duration::from_s(90)).ms(), 90'000);
  }
}

void what_is_refused_is_out_at_least_as_long_as_we_think(void**) {
  assert_int_equal(out_for(Verdict::key_refused, Duration::from_s(1)).ms(), 60'000);
  assert_int_equal(out_for(Verdict::key_refused, Duration::from_s(61)).ms(), 61'000);
  assert_int_equal(out_for(Verdict::exhausted, Duration::from_s(20)).ms(), 600'000);
  assert_int_equal(out_for(Verdict::exhausted, Duration::from_s(3'600)).ms(), 3'600'000);
  assert_int_equal(out_for(Verdict::not_found, Duration::from_s(1)).ms(), 60'000);
}

void nothing_takes_a_good_target_out(void**) {
  for (Verdict verdict : {Verdict::good, Verdict::no_fault, Verdict::timed_out})
    assert_int_equal(out_for(verdict, Duration::from_s(60)).ns, 0);
}

void waits_have_a_floor_and_a_ceiling(void**) {
  constexpr Cooldowns ours;
  assert_int_equal(out_for(Verdict::limited, Duration::zero()).ms(), 100);
  assert_int_equal(out_for(Verdict::limited, Duration::from_s(-5)).ms(), 100);
  assert_int_equal(out_for(Verdict::limited, ours.floor).ns, ours.floor.ns);
  assert_int_equal(out_for(Verdict::limited, ours.floor + Duration{1}).ns, ours.floor.ns + 1);
  assert_int_equal(out_for(Verdict::limited, ours.ceiling).ms(), 86'400'000);
  assert_int_equal(out_for(Verdict::limited, ours.ceiling + Duration{1}).ms(), 86'400'000);
  assert_int_equal(out_for(Verdict::exhausted, Duration::max()).ms(), 86'400'000);
}

void a_cooldown_only_extends(void**) {
  Health health;
  health.on_outcome(Verdict::limited, Duration::from_s(60), {}, kNow);
  Instant until = health.open_at();
  Duration left = health.on_outcome(Verdict::limited, Duration::from_s(1), {}, kNow + Duration::from_s(10));
  assert_int_equal(left.ms(), 50'000);  // What is left of the longer one.
  assert_int_equal(health.open_at().ns, until.ns);
  assert_int_equal(health.on_outcome(Verdict::good, std::nullopt, {}, kNow + Duration::from_s(11)).ns, 0);
  assert_int_equal(health.open_at().ns, until.ns);
  health.on_outcome(Verdict::limited, Duration::from_s(60), {}, kNow + Duration::from_s(20));
  assert_int_equal(health.open_at().ns, (kNow + Duration::from_s(80)).ns);
}

void faults_are_counted_in_a_row(void**) {
  Health health;
  for (uint32_t i = 1; i <= 3; i++) {
    health.on_outcome(Verdict::faulty, std::nullopt, {}, kNow);
    assert_int_equal(health.faults(), i);
  }
  for (Verdict verdict : {Verdict::no_fault, Verdict::limited, Verdict::overloaded, Verdict::timed_out,
                          Verdict::key_refused, Verdict::exhausted, Verdict::not_found}) {
    health.on_outcome(verdict, std::nullopt, {}, kNow);
    assert_int_equal(health.faults(), 3);
  }
  health.on_outcome(Verdict::good, std::nullopt, {}, kNow);
  assert_int_equal(health.faults(), 0);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_fresh_target_is_in),
      cmocka_unit_test(verdicts_without_a_word_of_the_upstream),
      cmocka_unit_test(the_upstream_says_how_long),
      cmocka_unit_test(what_is_refused_is_out_at_least_as_long_as_we_think),
      cmocka_unit_test(nothing_takes_a_good_target_out),
      cmocka_unit_test(waits_have_a_floor_and_a_ceiling),
      cmocka_unit_test(a_cooldown_only_extends),
      cmocka_unit_test(faults_are_counted_in_a_row),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
