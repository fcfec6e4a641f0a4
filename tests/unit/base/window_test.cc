#include "base/window.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Duration;
using lb::Instant;
using lb::SlidingWindow;
using lb::Rng;

constexpr int64_t kSecond = 1'000'000'000;

Instant at(double seconds) { return Instant{static_cast<int64_t>(seconds * 1e9)}; }

void a_charge_counts_for_sixty_seconds_and_less_than_sixty_one(void**) {
  SlidingWindow window(Duration::from_s(60));
  assert_int_equal(window.sum(at(100)), 0);
  window.add(5, at(100.999));
  assert_int_equal(window.sum(at(100.999)), 5);
  assert_int_equal(window.sum(at(160.999)), 5);
  assert_int_equal(window.sum(Instant{161 * kSecond - 1}), 5);
  assert_int_equal(window.sum(at(161)), 0);
  window.add(1, at(161));
  assert_int_equal(window.sum(at(161)), 1);
  assert_int_equal(window.sum(at(10'000)), 0);
}

// One that is no multiple of sixty nanoseconds: the last instant at which the charge must count.
void no_period_is_rounded_down(void**) {
  for (int64_t period : {int64_t{61}, kSecond, 7 * kSecond + 119}) {
    SlidingWindow window(Duration{period});
    int64_t slot = (period + 59) / 60, when = 1'000 * slot - 1;
    window.add(1, Instant{when});
    assert_int_equal(window.sum(Instant{when + period - 1}), 1);
    assert_int_equal(window.sum(Instant{when + 61 * slot}), 0);
  }
}

void it_says_when_the_sum_will_have_fallen(void**) {
  SlidingWindow window(Duration::from_s(60));
  window.add(3, at(10.5));
  window.add(4, at(20));
  assert_true(window.falls_to(7, at(30)) == at(30));
  assert_true(window.falls_to(6, at(30)) == at(71));
  assert_true(window.falls_to(4, at(30)) == at(71));
  assert_true(window.falls_to(3, at(30)) == at(81));
  assert_true(window.falls_to(0, at(30)) == at(81));
  assert_true(window.falls_to(-1, at(30)) == Instant::never());
  assert_int_equal(window.sum(at(70.999)), 7);
  assert_int_equal(window.sum(at(71)), 4);
  assert_int_equal(window.sum(at(81)), 0);
}

void a_correction_goes_to_its_slot(void**) {
  SlidingWindow window(Duration::from_s(60));
  Instant when = window.add(100, at(5));
  window.correct(-60, when, at(50));
  assert_int_equal(window.sum(at(50)), 40);
  assert_int_equal(window.sum(at(65.9)), 40);
  assert_int_equal(window.sum(at(66)), 0);
  window.correct(-40, when, at(66));  // Its slot has left.
  assert_int_equal(window.sum(at(66)), 0);
  Instant late = window.add(10, at(70));
  window.correct(5, late, at(130.9));
  assert_int_equal(window.sum(at(130.9)), 15);
  window.correct(5, late, at(131));
  assert_int_equal(window.sum(at(131)), 0);
  window.correct(5, at(500), at(131));  // Of the future: none of ours.
  assert_int_equal(window.sum(at(131)), 0);
}

void time_that_goes_back_charges_the_newest_slot(void**) {
  SlidingWindow window(Duration::from_s(60));
  window.add(1, at(100));
  Instant when = window.add(2, at(90));
  assert_true(when == at(100));
  assert_int_equal(window.sum(at(90)), 3);
  assert_int_equal(window.sum(at(160.5)), 3);
  assert_int_equal(window.sum(at(161)), 0);
}

// Against a plain list of charges, with gaps of up to two windows.
void it_agrees_with_a_list_of_charges(void**) {
  struct Charge {
    int64_t second;
    int64_t amount;
  };
  for (uint64_t seed = 1; seed <= 30; seed++) {
    Rng rng(seed);
    SlidingWindow window(Duration::from_s(60));
    std::vector<Charge> list;
    int64_t now = static_cast<int64_t>(rng.below(100)) * kSecond;
    auto expected = [&](int64_t when) {
      int64_t sum = 0;
      for (const Charge& charge : list)
        sum += when / kSecond - charge.second < SlidingWindow::kSlots ? charge.amount : 0;
      return sum;
    };
    for (int step = 0; step < 500; step++) {
      now += static_cast<int64_t>(rng.below(rng.below(20) == 0 ? 130 : 3) * static_cast<uint64_t>(kSecond) +
                                  rng.below(static_cast<uint64_t>(kSecond)));
      int64_t amount = static_cast<int64_t>(rng.below(50));
      window.add(amount, Instant{now});
      list.push_back({now / kSecond, amount});
      assert_int_equal(window.sum(Instant{now}), expected(now));
      int64_t later = now + static_cast<int64_t>(rng.below(90)) * kSecond;
      assert_int_equal(window.sum(Instant{later}), expected(later));
      int64_t goal = static_cast<int64_t>(rng.below(100));
      Instant falls = window.falls_to(goal, Instant{now});
      assert_true(expected(falls.ns) <= goal);
      assert_true(falls.ns == now || expected(falls.ns - 1) > goal);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_charge_counts_for_sixty_seconds_and_less_than_sixty_one),
      cmocka_unit_test(no_period_is_rounded_down),
      cmocka_unit_test(it_says_when_the_sum_will_have_fallen),
      cmocka_unit_test(a_correction_goes_to_its_slot),
      cmocka_unit_test(time_that_goes_back_charges_the_newest_slot),
      cmocka_unit_test(it_agrees_with_a_list_of_charges),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
