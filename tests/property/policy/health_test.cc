// Any history: a cooldown only extends, and never beyond the ceiling from now.
#include "policy/health.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

std::optional<Duration> any_word(Rng& rng) {
  constexpr int64_t kScales[] = {1'000'000, 1'000'000'000, 100'000'000'000, 1'000'000'000'000'000};
  if (rng.below(2)) return std::nullopt;
  return Duration{static_cast<int64_t>(rng.below(static_cast<uint64_t>(kScales[rng.below(4)])))};
}

Verdict any_verdict(Rng& rng) {
  constexpr Verdict kAll[] = {Verdict::good,    Verdict::no_fault,  Verdict::limited,
                              Verdict::faulty,  Verdict::timed_out, Verdict::overloaded,
                              Verdict::not_found, Verdict::exhausted, Verdict::key_refused};
  return kAll[rng.below(std::size(kAll))];
}

void cooldowns_only_extend(void**) {
  constexpr Cooldowns ours;
  for (uint64_t seed = 1; seed <= 2'000; seed++) {
    Rng rng(seed);
    Health health;
    Instant now{static_cast<int64_t>(rng.below(1'000'000'000'000))};
    uint32_t faults = 0;
    for (int i = 0; i < 50; i++) {
      now = now + Duration{static_cast<int64_t>(rng.below(20'000'000'000))};
      Instant before = health.open_at();
      Verdict verdict = any_verdict(rng);
      Duration out = health.on_outcome(verdict, any_word(rng), ours, now);
      if (health.open_at() < before) fail_msg("seed %zu: shorter", size_t{seed});
      if (health.open_at() > std::max(before, now + ours.ceiling)) fail_msg("seed %zu: too long", size_t{seed});
      if (out == Duration::zero()) assert_true(health.open_at() == before);
      else assert_true(health.open_at() == now + out && out >= ours.floor);
      bool good = verdict == Verdict::good || verdict == Verdict::no_fault || verdict == Verdict::timed_out;
      assert_true(good == (out == Duration::zero()));
      faults = verdict == Verdict::good ? 0 : faults + (verdict == Verdict::faulty ? 1 : 0);
      assert_int_equal(health.faults(), faults);
    }
  }
}

// A longer word of the upstream is never a shorter cooldown.
void longer_words_are_longer_waits(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    Verdict verdict = any_verdict(rng);
    Instant now{static_cast<int64_t>(rng.below(1'000'000'000'000))};
    Duration one = any_word(rng).value_or(Duration::zero()), more = one + any_word(rng).value_or(Duration::zero());
    Health first, second;
    assert_true(first.on_outcome(verdict, one, {}, now) <= second.on_outcome(verdict, more, {}, now));
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(cooldowns_only_extend),
      cmocka_unit_test(longer_words_are_longer_waits),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
