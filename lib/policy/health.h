// Health of a target, a key or an endpoint: cooldowns that only extend, a breaker by consecutive errors, by rate and by
// slowness, half-open with one probe, and a slow start after recovery. Told what happened, asked by comparison with
// `now`: it reopens lazily, no timer is needed.
#pragma once

#include <array>
#include <optional>

#include "base/time.h"

namespace lb::policy {

// What an attempt showed.
enum class Verdict : uint8_t {
  good,         // It answered.
  no_fault,     // The caller's mistake, or a cancel: says nothing about the target.
  limited,      // 429: out for as long as it said, and no fault.
  overloaded,   // 503, 529.
  faulty,       // 5xx, an answer that broke.
  unreachable,  // DNS, TCP or TLS failed: a fault of the endpoint.
  timed_out,    // A phase deadline.
  key_refused,  // 401, 403: this key is out.
  exhausted,    // Billing: this key is out for long.
  not_found,    // 404 of a model: a fault of the deployment's configuration.
};
inline constexpr size_t kVerdicts = 10;

// What a verdict does to health.
enum class Mark : uint8_t {
  none,      // Nothing.
  count,     // Counts towards the breaker.
  cool,      // Out at once, for as long as the upstream said, else for the cooldown of its verdict. No fault.
  down,      // Out at once and a fault: reopens half-open, and for longer each time.
  key,       // The key is out, with every target that uses it.
  endpoint,  // As `down`, for the endpoint with every target on it.
};

struct Cooldowns {
  Duration limited = Duration::from_s(5);       // 429 without a Retry-After; as LiteLLM.
  Duration overloaded = Duration::from_s(5);
  Duration key_refused = Duration::from_s(60);
  Duration exhausted = Duration::from_s(600);
  Duration not_found = Duration::from_s(60);
  Duration floor = Duration::from_ms(100);      // A Retry-After of 0 must not make a hot loop.
  Duration ceiling = Duration::from_s(86'400);  // reference/wire.md §9.
};

struct BreakerSpec {
  uint32_t errors = 3;                        // In a row. reference/systems.md §3.7, the best of the forks; 0: off.
  double rate = 0.5;                          // Share of failures in `window`, once it has `volume` attempts; 0: off.
  uint32_t volume = 10;
  Duration window = Duration::from_s(30);
  Duration slow = Duration::zero();           // An attempt whose first content takes longer is slow; zero: off.
  double slow_rate = 0.5;                     // Share of slow ones that opens.
  Duration open = Duration::from_s(5);        // The first time; doubles with each that follows. As LiteLLM.
  Duration open_max = Duration::from_s(300);  // reference/systems.md §3.7.
  Duration slow_start = Duration::from_s(10);  // To come back to full weight; Envoy's own examples use 10 to 60 s.
};

// All that turns outcomes into health. One for a whole configuration.
struct HealthRules {
  Cooldowns cooldowns;
  BreakerSpec breaker;
  std::array<Mark, kVerdicts> marks = {Mark::none, Mark::none, Mark::cool,     Mark::cool,  Mark::count,
                                       Mark::endpoint, Mark::count, Mark::key, Mark::key,   Mark::cool};
  Mark mark(Verdict verdict) const { return marks[static_cast<size_t>(verdict)]; }
  // How long `verdict` takes a target out where its mark is `cool` or `key`. What the upstream said replaces our guess
  // where it speaks of load; for a key or a model that is refused it can only lengthen ours: quota errors come with
  // the Retry-After of the minute although nothing will have changed by then.
  Duration cooldown(Verdict verdict, std::optional<Duration> told) const;
};

// Why something is out of rotation; the worse the later.
enum class Outage : uint8_t { none, fault, told, key, manual };
inline constexpr size_t kOutages = 5;

class Health {
 public:
  Instant open_at() const { return open_at_; }
  // The worst of what holds it back now, not what lasts longest: that must not hide the others.
  Outage outage(Instant now) const;
  // When one of the things that hold it back ends; never() where none does.
  Instant changes_at(Instant now) const;
  // Open to one more attempt: nothing holds it back, or it is half-open and its probe is not out yet.
  bool may_take(Instant now) const { return open_at_ <= now && !(half_open_ && probing_); }
  bool half_open(Instant now) const { return half_open_ && open_at_ <= now; }
  // 1 in good health; grows from kColdest to 1 after a recovery, so that a recovered target is not flooded.
  double warmth(const BreakerSpec& spec, Instant now) const { return recovering_ ? warmed(spec, now) : 1; }
  uint32_t errors() const { return errors_; }
  // Its last attempt was a fault, or it has just come back: a call that has failed once goes elsewhere if it can.
  bool doubtful(Instant now) const {
    return errors_ > 0 || half_open_ || (open_at_ > Instant() && now < open_at_ + kDoubt);
  }

  // An attempt goes out. True: it is the probe of a half-open breaker, and its end must say so.
  bool on_dispatch(Instant now) {
    if (!half_open_ || probing_ || open_at_ > now) return false;
    probing_ = true;
    return true;
  }
  // It ended. Each returns for how long it is out from `now`; zero if it is not.
  Duration on_good(bool probe, bool slow, const BreakerSpec& spec, Instant now);
  Duration on_fault(bool probe, bool at_once, const BreakerSpec& spec, Instant now);
  // Ended without a word about health: caller's mistake, cancel, or a cooldown that was told.
  void on_neutral(bool probe) { probing_ = probing_ && !probe; }
  // Out until then, or as long as it is already: a cooldown only extends.
  Duration cool(Duration length, Outage why, const Cooldowns& cooldowns, Instant now);

  // A fault keeps it out, or is not known to be over.
  bool faulted(Instant now) const { return half_open_ || until_[static_cast<size_t>(Outage::fault)] > now; }
  // It is known to be back: as after a good probe. What it was told to wait for, and a hand, still hold it.
  void revive(const BreakerSpec& spec, Instant now);

  // By hand: out for `length`, or back at once with nothing remembered.
  void mark_down(Duration length, Instant now);
  void mark_up() { *this = Health(); }

  static constexpr Duration kDoubt = Duration::from_s(60);  // Limits are mostly by the minute.
  static constexpr double kColdest = 0.1;  // Envoy's min_weight_percent.

 private:
  // Attempts of the last `window`, in six parts: the oldest sixth is forgotten at a time.
  struct Part {
    uint32_t all = 0, bad = 0, slow = 0;
  };
  static constexpr int64_t kParts = 6;

  void recover(const BreakerSpec& spec, Instant now);
  double warmed(const BreakerSpec& spec, Instant now) const;
  void record(bool bad, bool slow, const BreakerSpec& spec, Instant now);
  bool too_many(const BreakerSpec& spec) const;
  Duration trip(const BreakerSpec& spec, Instant now);
  Duration extend(Instant until, Outage why, Instant now);

  Instant open_at_;
  Instant recovered_at_;
  std::array<Instant, kOutages> until_{};  // By outage; the latest is open_at_.
  bool half_open_ = false;  // The breaker has opened and no probe has closed it.
  bool probing_ = false;
  bool recovering_ = false;
  uint32_t errors_ = 0;     // In a row.
  Instant erred_at_;        // The last of them.
  uint32_t trips_ = 0;      // In a row: without a full open_max of good health between.
  int64_t part_ = 0;        // Number of the newest part.
  std::array<Part, kParts> parts_{};
};

}  // namespace lb::policy
