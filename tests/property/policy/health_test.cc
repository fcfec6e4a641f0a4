// Any history: a cooldown only extends, a breaker is monotone in failures, one probe at a time goes through.
#include "policy/health.h"

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "property/policy/law.h"

namespace lb::policy {
namespace {

constexpr Cooldowns kCooldowns;

Instant any_beginning(Rng& rng) { return {static_cast<int64_t>(1'000'000'000'000 + rng.below(1'000'000'000'000))}; }

Duration any_step(Rng& rng) {
  constexpr uint64_t kScales[] = {1'000'000, 1'000'000'000, 10'000'000'000, 400'000'000'000};
  return {static_cast<int64_t>(rng.below(kScales[rng.below(rng.below(5) ? 3 : 4)]))};
}

Duration any_word(Rng& rng) {
  constexpr uint64_t kScales[] = {1'000'000, 1'000'000'000, 100'000'000'000, 1'000'000'000'000'000};
  return {static_cast<int64_t>(rng.below(kScales[rng.below(4)])) - 1'000};
}

BreakerSpec any_spec(Rng& rng) {
  BreakerSpec spec;
  spec.errors = static_cast<uint32_t>(rng.below(6));
  spec.rate = rng.below(3) ? rng.unit() : 0;
  spec.volume = static_cast<uint32_t>(1 + rng.below(12));
  spec.window = Duration::from_ms(static_cast<int64_t>(1 + rng.below(60'000)));
  spec.open = Duration::from_ms(static_cast<int64_t>(1 + rng.below(10'000)));
  spec.open_max = spec.open * static_cast<int64_t>(1 + rng.below(20));
  spec.slow_start = Duration::from_ms(static_cast<int64_t>(rng.below(20'000)));
  return spec;
}

// Attempts that go out and end in any order and any way, with cooldowns in between.
struct Life {
  Health health;
  BreakerSpec spec;
  Instant now;
  std::vector<bool> attempts;  // In flight: whether it is the probe.

  explicit Life(Rng& rng) : spec(any_spec(rng)), now(any_beginning(rng)) {}

  auto probes() const { return std::count(attempts.begin(), attempts.end(), true); }
  bool end_one(Rng& rng) {
    size_t which = rng.below(attempts.size());
    bool probe = attempts[which];
    attempts.erase(attempts.begin() + static_cast<ptrdiff_t>(which));
    return probe;
  }
  // Returns how long it said that it is out.
  Duration step(Rng& rng) {
    now = now + any_step(rng);
    if (rng.below(3) == 0 || attempts.empty()) {
      if (rng.below(10) && !health.may_take(now)) return Duration::zero();  // Some are sent in need.
      attempts.push_back(health.on_dispatch(now));
      return Duration::zero();
    }
    switch (rng.below(8)) {
      case 0:
      case 1: return health.on_good(end_one(rng), rng.below(4) == 0, spec, now);
      case 2:
      case 3: return health.on_fault(end_one(rng), rng.below(4) == 0, spec, now);
      case 4: health.on_neutral(end_one(rng)); return Duration::zero();
      case 5: return health.cool(any_word(rng), rng.below(2) ? Outage::told : Outage::key, kCooldowns, now);
      default: return Duration::zero();
    }
  }
};

void nothing_brings_it_back_sooner(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Life life(rng);
    for (int i = 0; i < 50; i++) {
      Instant before = life.health.open_at();
      Duration out = life.step(rng), longest = std::max(life.spec.open_max, kCooldowns.ceiling);
      if (life.health.open_at() < before) return "shorter";
      if (life.health.open_at() > std::max(before, life.now + longest)) return "too long";
      if (out > Duration::zero() && life.health.open_at() != life.now + out) return "another length than it says";
      if (out < Duration::zero()) return "less than nothing";
      if (out == Duration::zero() && life.health.open_at() > before) return "out, and it does not say so";
      if (life.health.open_at() > life.now && life.health.outage(life.now) == Outage::none) return "out for no reason";
    }
    return nullptr;
  });
}

void one_probe_at_a_time(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Life life(rng);
    for (int i = 0; i < 80; i++) {
      life.step(rng);
      if (life.probes() > 1) return "two probes";
      if (life.probes() == 1 && life.health.may_take(life.now)) return "open beside its probe";
      // Nothing but a cooldown or its probe holds it back for ever.
      Instant open_at = std::max(life.now, life.health.open_at());
      if (life.probes() == 0 && !life.health.may_take(open_at)) return "closed for ever";
    }
    return nullptr;
  });
}

void warmth_grows(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Life life(rng);
    for (int i = 0; i < 60; i++) {
      life.step(rng);
      double warmth = life.health.warmth(life.spec, life.now);
      double later = life.health.warmth(life.spec, life.now + any_step(rng));
      if (warmth < Health::kColdest || warmth > 1 || later < warmth) return "not from a tenth to one";
      if (life.health.warmth(life.spec, life.now + life.spec.slow_start) < 1) return "cold for too long";
    }
    return nullptr;
  });
}

// One failure more never opens it later, nor closes it earlier. What follows is the same for both. Without doubling, as
// a straggler counts for the first length, and without a volume, as good ones are not counted while it is open.
void a_failure_more_is_no_better(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Life life(rng);
    life.spec.open_max = life.spec.open;
    life.spec.volume = 1;
    for (uint64_t i = rng.below(30); i > 0; i--) life.step(rng);
    Health worse = life.health;
    Instant now = life.now;
    worse.on_fault(false, rng.below(4) == 0, life.spec, now);
    for (int i = 0; i < 40; i++) {
      if (worse.open_at() < life.health.open_at()) return "opened later, or closed earlier";
      now = now + any_step(rng);
      bool at_once = rng.below(8) == 0;
      if (rng.below(3)) {
        life.health.on_fault(false, at_once, life.spec, now);
        worse.on_fault(false, at_once, life.spec, now);
      } else {
        life.health.on_good(false, false, life.spec, now);
        worse.on_good(false, false, life.spec, now);
      }
    }
    return nullptr;
  });
}

// The same for the first time that it opens, with doubling and all: the attempts up to there, and one failure more.
void a_failure_more_opens_no_later(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    BreakerSpec spec = any_spec(rng);
    Health one, more;
    Instant now = any_beginning(rng);
    uint64_t when = rng.below(20);
    for (uint64_t i = 0; i < 40; i++) {
      now = now + any_step(rng);
      if (i == when) more.on_fault(false, false, spec, now);
      bool bad = rng.below(2) == 0;
      for (Health* health : {&one, &more})
        bad ? health->on_fault(false, false, spec, now) : health->on_good(false, false, spec, now);
      if (one.open_at() > Instant{0} && more.open_at() == Instant{0}) return "opened later";
      if (one.open_at() > Instant{0}) break;
    }
    return nullptr;
  });
}

// A longer word of the upstream is never a shorter cooldown.
void longer_words_are_longer_waits(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    HealthRules rules;
    auto verdict = static_cast<Verdict>(rng.below(kVerdicts));
    Instant now = any_beginning(rng);
    Duration one = any_word(rng), more = one + std::max(any_word(rng), Duration::zero());
    Health first, second;
    Duration short_one = first.cool(rules.cooldown(verdict, one), Outage::told, kCooldowns, now);
    Duration long_one = second.cool(rules.cooldown(verdict, more), Outage::told, kCooldowns, now);
    return short_one <= long_one ? nullptr : "shorter";
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(nothing_brings_it_back_sooner), cmocka_unit_test(one_probe_at_a_time),
      cmocka_unit_test(warmth_grows),                  cmocka_unit_test(a_failure_more_is_no_better),
      cmocka_unit_test(a_failure_more_opens_no_later), cmocka_unit_test(longer_words_are_longer_waits),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
