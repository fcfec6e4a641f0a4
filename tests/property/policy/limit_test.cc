// Any traffic: what a limit admits in any sixty seconds is never more than it allows, by a ledger kept apart.
#include "policy/limit.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <vector>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Duration kMinute = Duration::from_s(60);

struct Charge {
  Instant at;
  uint64_t tokens;
  Limit::Reservation reservation;
  bool open = true;
};

struct Ledger {
  LimitConfig config;
  Limit limit;
  std::vector<Charge> charges;

  uint64_t requests_since(Instant from) const {
    uint64_t count = 0;
    for (auto one = charges.rbegin(); one != charges.rend() && one->at > from; one++) count++;
    return count;
  }
  uint64_t tokens_since(Instant from) const {
    uint64_t sum = 0;
    for (auto one = charges.rbegin(); one != charges.rend() && one->at > from; one++) sum += one->tokens;
    return sum;
  }
  // Takes the call if the limit says that it fits. The window that ends now is then within bounds, and so every
  // other, since each ends with an admission or holds less than one that does.
  bool admit(uint64_t tokens, Instant now) {
    if (limit.utilisation(config, tokens, now) >= 1) return false;
    charges.push_back({now, tokens, limit.reserve(tokens, now)});
    if (config.rpm) assert_true(requests_since(now - kMinute) <= config.rpm);
    if (config.tpm) assert_true(tokens_since(now - kMinute) <= config.tpm);
    return true;
  }
};

// Steps from microseconds to more than a minute.
Duration any_step(Rng& rng) {
  constexpr int64_t kScales[] = {1'000, 1'000'000, 100'000'000, 2'000'000'000, 40'000'000'000};
  return {static_cast<int64_t>(rng.below(static_cast<uint64_t>(kScales[rng.below(rng.below(20) ? 4 : 5)])))};
}

Ledger any_ledger(Rng& rng) {
  Ledger ledger;
  if (rng.below(3)) ledger.config.rpm = 1 + rng.below(30);
  if (rng.below(3)) ledger.config.tpm = 1 + rng.below(5'000);
  return ledger;
}

// Charges that usage lowers or a failed connection takes back: the ledger counts what was used in the end.
void settle_some(Ledger& ledger, Instant now, Rng& rng) {
  if (ledger.charges.empty()) return;
  size_t back = rng.below(std::min<size_t>(ledger.charges.size(), 10));
  Charge& charge = ledger.charges[ledger.charges.size() - 1 - back];
  if (!charge.open) return;
  charge.open = false;
  charge.tokens = rng.below(charge.tokens + 1);
  ledger.limit.settle(charge.reservation, charge.tokens, now);
}

void no_minute_holds_more(void**) {
  for (uint64_t seed = 1; seed <= 300; seed++) {
    Rng rng(seed);
    Ledger ledger = any_ledger(rng);
    Instant now{static_cast<int64_t>(rng.below(100'000'000'000))};
    uint64_t largest = 1 + rng.below(1'000);
    for (int i = 0; i < 1'000; i++) {
      now = now + any_step(rng);
      ledger.admit(1 + rng.below(largest), now);
      if (rng.below(3) == 0) settle_some(ledger, now, rng);
    }
  }
}

// As fast as it lets us: what it takes is all there is, and more than nothing.
void a_limit_is_used_up(void**) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    Rng rng(seed);
    Ledger ledger;
    ledger.config.rpm = 1 + rng.below(50);
    Instant now{static_cast<int64_t>(rng.below(100'000'000'000))};
    Instant end = now + Duration::from_s(610);
    uint64_t admitted = 0;
    while (now < end) {
      if (ledger.admit(1, now)) admitted++;
      else now = ledger.limit.frees_at(ledger.config, 1, now);
    }
    assert_true(admitted >= 10 * ledger.config.rpm);  // Ten minutes of sixty-one seconds at most.
    assert_true(admitted <= 11 * ledger.config.rpm);
  }
}

// frees_at is the first instant at which it fits, if nothing else happens.
void it_frees_when_it_says(void**) {
  for (uint64_t seed = 1; seed <= 2'000; seed++) {
    Rng rng(seed);
    Ledger ledger = any_ledger(rng);
    Instant now{static_cast<int64_t>(rng.below(100'000'000'000))};
    for (uint64_t i = rng.below(60); i > 0; i--) {
      now = now + any_step(rng);
      ledger.limit.reserve(rng.below(500), now);
    }
    uint64_t next = rng.below(600);
    Instant free = ledger.limit.frees_at(ledger.config, next, now);
    bool fits = ledger.limit.utilisation(ledger.config, next, now) < 1;
    if (fits != (free <= now)) fail_msg("seed %zu: two answers", size_t{seed});
    if (fits) continue;
    bool before = ledger.limit.utilisation(ledger.config, next, free - Duration{1}) < 1;
    if (before) fail_msg("seed %zu: free before", size_t{seed});
    bool too_large = ledger.config.tpm > 0 && next > ledger.config.tpm;
    if ((free == Instant::never()) != too_large) fail_msg("seed %zu: never, or not", size_t{seed});
    if (too_large) continue;
    if (ledger.limit.utilisation(ledger.config, next, free) >= 1) fail_msg("seed %zu: not free", size_t{seed});
  }
}

// Whatever the order of reservations, corrections and a clock that goes back: nothing is negative, and after a quiet
// minute nothing is left.
void nothing_is_left_over(void**) {
  for (uint64_t seed = 1; seed <= 500; seed++) {
    Rng rng(seed);
    Limit limit;
    std::vector<Limit::Reservation> open;
    Instant now{static_cast<int64_t>(rng.below(100'000'000'000))}, latest = now;
    for (int i = 0; i < 300; i++) {
      now = rng.below(10) ? now + any_step(rng) : now - any_step(rng);
      if (now < Instant{0}) now = Instant{0};
      latest = std::max(latest, now);
      if (rng.below(2) || open.empty()) {
        open.push_back(limit.reserve(rng.below(1'000), now));
      } else {
        if (rng.below(2)) limit.settle(open.back(), rng.below(2'000), now);
        else limit.release(open.back(), now);
        open.pop_back();
      }
      assert_true(limit.tokens(latest) >= 0);
      assert_true(limit.requests(latest) >= 0);
    }
    assert_int_equal(limit.tokens(latest + Duration::from_s(61)), 0);
    assert_int_equal(limit.requests(latest + Duration::from_s(61)), 0);
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_minute_holds_more),
      cmocka_unit_test(a_limit_is_used_up),
      cmocka_unit_test(it_frees_when_it_says),
      cmocka_unit_test(nothing_is_left_over),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
