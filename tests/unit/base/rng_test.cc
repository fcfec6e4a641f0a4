#include "base/rng.h"

#include <array>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Rng;

// The sequence of the reference implementation for this seed, as Rosetta Code lists it.
void it_is_splitmix64(void**) {
  Rng rng(1234567);
  for (uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u,
                            16408922859458223821u})
    assert_true(rng.next() == expected);
}

void a_seed_is_replayed(void**) {
  Rng a(5), b(5), c(6);
  bool differs = false;
  for (int i = 0; i < 100; i++) {
    uint64_t draw = a.next();
    assert_true(draw == b.next());
    differs = differs || draw != c.next();
  }
  assert_true(differs);
}

void below_stays_below(void**) {
  Rng rng(1);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(rng.below(1), 0);
    assert_true(rng.below(3) < 3);
    assert_true(rng.below(UINT64_MAX) < UINT64_MAX);
  }
}

// Chi-square with 9 degrees of freedom: 27.9 is passed once in a thousand seeds; this seed is fixed.
void below_is_even(void**) {
  Rng rng(42);
  std::array<double, 10> counts{};
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; i++) counts[rng.below(counts.size())]++;
  double expected = kDraws / 10.0, chi = 0;
  for (double count : counts) chi += (count - expected) * (count - expected) / expected;
  assert_true(chi < 27.9);
}

void unit_is_half_open(void**) {
  Rng rng(3);
  double sum = 0;
  for (int i = 0; i < 10'000; i++) {
    double value = rng.unit();
    assert_true(value >= 0 && value < 1);
    sum += value;
  }
  assert_true(sum > 4800 && sum < 5200);
}

void purposes_do_not_disturb_each_other(void**) {
  Rng seed(9);
  Rng jitter = seed.split("jitter"), pick = seed.split("pick"), again = seed.split("jitter");
  assert_true(jitter.next() == again.next());
  assert_true(jitter.next() != pick.next());
  Rng same(9);
  assert_true(seed.next() == same.next());  // Splitting draws nothing.
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_is_splitmix64), cmocka_unit_test(a_seed_is_replayed),
      cmocka_unit_test(below_stays_below), cmocka_unit_test(below_is_even),
      cmocka_unit_test(unit_is_half_open), cmocka_unit_test(purposes_do_not_disturb_each_other),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
