// Any traffic: what a limit lets through in a window is never more than it promises, by a ledger that keeps every
// charge.
#include "policy/quota.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "property/policy/law.h"

namespace lb::policy {
namespace {

struct Entry {
  Instant at;
  Charge charge;
  Charge most = charge;  // What it counted for at any time.
  bool open = true;      // Not settled yet.
  bool released = false;
};

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// What went through, and what it took in truth.
struct Ledger {
  QuotaSpec spec;
  Instant origin;
  Quota quota;
  std::vector<Entry> entries;

  Ledger(const QuotaSpec& spec_, Instant origin_) : spec(spec_), origin(origin_), quota(spec_, origin_) {}

  int64_t amount(const Entry& entry) const { return entry.released ? 0 : entry.charge.of(spec.metric); }
  // Of charges after `from`.
  int64_t since(Instant from) const {
    int64_t sum = 0;
    for (const Entry& entry : entries) sum += entry.at > from ? amount(entry) : 0;
    return sum;
  }
  int64_t in_window(Instant now) const {
    auto number = [&](Instant t) { return floor_divide((t - origin).ns, spec.period.ns); };
    int64_t sum = 0;
    for (const Entry& entry : entries) sum += number(entry.at) == number(now) ? amount(entry) : 0;
    return sum;
  }
  // The most that may have gone through in the window that ends now. Every other window ends with an admission too, or
  // holds no more than one that does.
  bool within(Instant now) const {
    auto limit = static_cast<int64_t>(spec.limit);
    switch (spec.window) {
      case WindowKind::sliding: return since(now - spec.period) <= limit;
      case WindowKind::fixed:
      case WindowKind::aligned: return in_window(now) <= limit;
      case WindowKind::bucket: return since(now - spec.period) <= 2 * limit;
    }
    return false;
  }
  // Nothing that counts is forgotten, and nothing is counted for longer than promised.
  bool counts_right(Instant now) const {
    int64_t used = quota.used(now);
    if (used < 0) return false;
    if (spec.window == WindowKind::bucket) return true;
    if (spec.window != WindowKind::sliding) return used == in_window(now);
    Duration slot{spec.period.ns / 60 + 62};  // Each of the slots is rounded up.
    return used >= since(now - spec.period) && used <= charged_since(now - spec.period - slot);
  }

 private:
  // As `since`, but by the larger of estimate and truth: what is corrected late may count either way.
  int64_t charged_since(Instant from) const {
    int64_t sum = 0;
    for (const Entry& entry : entries) sum += entry.at > from ? entry.most.of(spec.metric) : 0;
    return sum;
  }
};

Duration any_period(Rng& rng) {
  constexpr int64_t kScales[] = {1'000'000, 1'000'000'000, 60'000'000'000, 3'600'000'000'000, 86'400'000'000'000};
  int64_t period = kScales[rng.below(5)];
  return {rng.below(2) ? period : period + static_cast<int64_t>(rng.below(static_cast<uint64_t>(period)))};
}

Ledger any_ledger(Rng& rng, Instant now) {
  QuotaSpec spec;
  spec.metric = rng.below(3) ? Metric::tokens : Metric::requests;
  spec.window = static_cast<WindowKind>(rng.below(4));
  spec.period = any_period(rng);
  spec.limit = 1 + rng.below(spec.metric == Metric::requests ? 12 : 500);
  Instant origin = now + Duration{static_cast<int64_t>(rng.below(static_cast<uint64_t>(spec.period.ns)))};
  return {spec, rng.below(2) ? origin : now};
}

// A moment as likely at a border as anywhere: of a slot, of a window, a period after a charge, or when it says.
Instant any_later(const Ledger& ledger, Instant now, const Charge& charge, Rng& rng) {
  int64_t period = ledger.spec.period.ns, parts[] = {period / 1'000 + 1, period / 60 + 1, period / 7 + 1, 2 * period};
  Instant out = now + Duration{static_cast<int64_t>(rng.below(static_cast<uint64_t>(parts[rng.below(4)])))};
  int64_t slot = std::max<int64_t>(period / 60, 1);
  switch (rng.below(8)) {
    case 0: out = Instant{(now.ns / slot + 1) * slot}; break;
    case 1: out = ledger.quota.fits_at(charge, now); break;
    case 2: out = ledger.origin + Duration{((now - ledger.origin).ns / period + 1) * period}; break;
    case 3:
      if (!ledger.entries.empty()) out = ledger.entries[rng.below(ledger.entries.size())].at + ledger.spec.period;
      break;
    default: return out;
  }
  out = out + Duration{static_cast<int64_t>(rng.below(3)) - 1};
  return out >= now && out < Instant::never() - Duration{period} ? out : now;
}

Charge any_charge(Rng& rng, uint64_t largest) { return {rng.below(largest + 1), rng.below(largest / 2 + 1), 0}; }

// Usage that is known, or an attempt that never went out: of any call, at any time, once.
void settle_some(Ledger& ledger, Instant now, Rng& rng) {
  if (ledger.entries.empty()) return;
  size_t back = rng.below(std::min<size_t>(ledger.entries.size(), 10));
  Entry& entry = ledger.entries[ledger.entries.size() - 1 - back];
  if (!entry.open) return;
  entry.open = false;
  Instant at = entry.at;
  Charge was = entry.charge;
  bool late = now - at >= ledger.spec.period;
  if (rng.below(4) == 0) {
    ledger.quota.release(was, at, now);
    entry.released = !late;
    return;
  }
  Charge is{rng.below(was.input + 1), rng.below(was.output + 1), 0};
  // A bucket has no windows to which a larger truth could be bound.
  if (ledger.spec.window != WindowKind::bucket && rng.below(4) == 0) is = any_charge(rng, 200);
  ledger.quota.correct(was, is, at, now);
  if (is.of(Metric::tokens) > was.of(Metric::tokens)) entry.most = is;
  if (!late) entry.charge = is;
}

void no_window_holds_more(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Instant now{static_cast<int64_t>(1'000'000'000'000 + rng.below(100'000'000'000'000))};
    Ledger ledger = any_ledger(rng, now);
    uint64_t largest = 1 + rng.below(ledger.spec.limit);
    for (int i = 0; i < 40; i++) {
      Charge charge = any_charge(rng, largest);
      now = any_later(ledger, now, charge, rng);
      if (rng.below(3) == 0) settle_some(ledger, now, rng);
      if (!ledger.counts_right(now)) return "it counts something else than what was charged";
      bool fits = ledger.quota.fits(charge, now);
      if (fits != (ledger.quota.share(charge, now) < 1)) return "two answers";
      if (!fits) continue;
      ledger.quota.charge(charge, now);
      ledger.entries.push_back({now, charge});
      if (!ledger.within(now)) return "too much in a window";
    }
    return nullptr;
  });
}

// The first instant at which it fits, if nothing else happens.
void it_fits_when_it_says(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Instant now{static_cast<int64_t>(1'000'000'000'000 + rng.below(100'000'000'000'000))};
    Ledger ledger = any_ledger(rng, now);
    for (uint64_t i = rng.below(30); i > 0; i--) {
      Charge charge = any_charge(rng, 1 + ledger.spec.limit / 2);
      now = any_later(ledger, now, charge, rng);
      ledger.quota.charge(charge, now);
    }
    Charge next = any_charge(rng, ledger.spec.limit);
    Instant at = ledger.quota.fits_at(next, now);
    if (ledger.quota.fits(next, now) != (at <= now)) return "two answers";
    if (at <= now) return nullptr;
    bool too_large = next.of(ledger.spec.metric) > ledger.quota.limit();
    if ((at == Instant::never()) != too_large) return "never, or not";
    if (too_large) return nullptr;
    // A bucket is a real number; it may be one step of the arithmetic beside the truth.
    Duration slack;
    if (ledger.spec.window == WindowKind::bucket) slack = Duration{2 + ledger.spec.period.ns / (1 << 30)};
    if (!ledger.quota.fits(next, at + slack)) return "it does not fit then";
    if (ledger.quota.fits(next, at - slack - Duration{1})) return "it fits before";
    return nullptr;
  });
}

// As fast as it lets us: what it promises can be had.
void a_limit_is_used_up(void**) {
  holds(kCases / 10, [](Rng& rng) -> const char* {
    Instant now{static_cast<int64_t>(1'000'000'000'000 + rng.below(100'000'000'000'000))}, begin = now;
    QuotaSpec spec{Metric::requests, static_cast<WindowKind>(rng.below(4)), any_period(rng), 1 + rng.below(20)};
    Quota quota(spec, now);
    uint64_t passed = 0;
    Instant end = begin + spec.period * 5;
    while (now < end) {
      if (quota.fits({}, now)) {
        quota.charge({}, now);
        passed++;
      } else {
        now = std::max(now + Duration{1}, quota.fits_at({}, now));
      }
    }
    // A sliding one repeats after a sixtieth more than its period.
    if (passed < 5 * spec.limit) return "less than promised";
    return passed <= 6 * spec.limit ? nullptr : "more than promised";
  });
}

// In any order, at any time, with a clock that goes back: nothing is negative, and after a quiet time nothing is left.
void nothing_is_left_over(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Instant now{static_cast<int64_t>(1'000'000'000'000'000 + rng.below(100'000'000'000'000))}, latest = now;
    Ledger ledger = any_ledger(rng, now);
    ledger.quota.set_limit(1 + rng.below(1'000));
    for (int i = 0; i < 40; i++) {
      Instant next = any_later(ledger, now, {}, rng);
      now = rng.below(10) ? next : now - (next - now);
      latest = std::max(latest, now);
      if (rng.below(2)) {
        Charge charge = any_charge(rng, 300);
        ledger.quota.charge(charge, now);
        ledger.entries.push_back({now, charge});
      } else {
        settle_some(ledger, now, rng);
      }
      if (ledger.quota.used(latest) < 0) return "negative";
    }
    // A bucket may be overfull by then, twenty thousand times at most.
    return ledger.quota.used(latest + ledger.spec.period * 20'000) == 0 ? nullptr : "something is left";
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_window_holds_more),
      cmocka_unit_test(it_fits_when_it_says),
      cmocka_unit_test(a_limit_is_used_up),
      cmocka_unit_test(nothing_is_left_over),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
