// One limit: an amount of something in a window of time. Charge when a call is dispatched, correct when its true use is
// known: a correction goes to the window in which the charge was made, so it can never make a later one negative.
#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "base/window.h"

namespace lb::policy {

enum class Metric : uint8_t { requests, tokens, input_tokens, output_tokens, money };

// What one call takes of each metric. Money is in nano-dollars: one token of a model at 1 USD per million is 1000.
struct Charge {
  // Above every model's context, and so small that no sum of a window overflows: a provider that reports nonsense as
  // usage must not be able to do that.
  static constexpr uint64_t kTokensMax = uint64_t{1} << 40;

  static constexpr uint64_t kMoneyMax = uint64_t{1} << 50;  // A million dollars a call: the same for prices.

  uint64_t input = 0;
  uint64_t output = 0;
  uint64_t money = 0;

  // Tokens count as at least one: every call has one.
  int64_t of(Metric metric) const {
    switch (metric) {
      case Metric::requests: return 1;
      case Metric::tokens: return std::max(bounded(input) + bounded(output), int64_t{1});
      case Metric::input_tokens: return std::max(bounded(input), int64_t{1});
      case Metric::output_tokens: return bounded(output);
      case Metric::money: return static_cast<int64_t>(std::min(money, kMoneyMax));
    }
    return 0;
  }
  bool operator==(const Charge&) const = default;

 private:
  static int64_t bounded(uint64_t tokens) { return static_cast<int64_t>(std::min(tokens, kTokensMax)); }
};

// The largest used share of a limit that still means: it fits.
inline constexpr double kAllButFull = 1 - 1e-12;

enum class WindowKind : uint8_t {
  sliding,  // In no stretch of `period` more than `limit`.
  fixed,    // Windows of `period`, one after the other, from the first configuration on.
  aligned,  // The same from the full minute, hour or day of the wall clock (UTC) on.
  bucket,   // Refills evenly and holds at most `limit`: twice the limit can pass within one period.
};

struct QuotaSpec {
  Metric metric = Metric::requests;
  WindowKind window = WindowKind::sliding;
  Duration period = Duration::from_s(60);
  uint64_t limit = 0;  // More than zero.
  bool operator==(const QuotaSpec&) const = default;
};

// `limit` in any minute.
constexpr QuotaSpec per_minute(Metric metric, uint64_t limit) {
  return {metric, WindowKind::sliding, Duration::from_s(60), limit};
}

class Quota {
 public:
  // `origin`: an instant at which a window of kind fixed or aligned begins. `born`: number of the configuration that
  // brought it: what was charged under an earlier one was not charged to it.
  Quota(const QuotaSpec& spec, Instant origin, uint32_t born = 0);

  const QuotaSpec& spec() const { return spec_; }
  uint32_t born() const { return born_; }
  int64_t limit() const { return limit_; }
  // A new amount for the same window; what has been counted stays.
  void set_limit(uint64_t limit);
  int64_t used(Instant now) const {
    return spec_.window == WindowKind::sliding ? slots_.sum(now) : used_otherwise(now);
  }
  bool fits(const Charge& charge, Instant now) const { return used(now) + charge.of(spec_.metric) <= limit_; }
  // Used share of the limit, before `charge`; at least 1 when it does not fit, so that below 1 always means: it fits.
  double share(const Charge& charge, Instant now) const {
    int64_t in_use = used(now);
    double share = static_cast<double>(in_use) * per_limit_;
    // Below 1 also where rounding has made a full window of it.
    bool fits = in_use + charge.of(spec_.metric) <= limit_;
    return fits ? std::min(share, kAllButFull) : std::max(share, 1.0);
  }
  // When it fits if nothing else is charged; never() for one larger than the limit.
  Instant fits_at(const Charge& charge, Instant now) const;

  void charge(const Charge& charge, Instant now) {
    int64_t amount = charge.of(spec_.metric);
    spec_.window == WindowKind::sliding ? void(slots_.add(amount, now)) : add(amount, now);
  }
  // What was charged `at` as `was` took `is` in truth.
  void correct(const Charge& was, const Charge& is, Instant at, Instant now) {
    if (int64_t amount = is.of(spec_.metric) - was.of(spec_.metric); amount != 0) amend(amount, at, now);
  }
  // What was charged `at` never went out.
  void release(const Charge& charge, Instant at, Instant now) { amend(-charge.of(spec_.metric), at, now); }

 private:
  int64_t used_otherwise(Instant now) const;
  void add(int64_t amount, Instant now);
  void amend(int64_t amount, Instant at, Instant now);
  int64_t window_of(Instant when) const;  // Number of the fixed window that holds it.
  double level(Instant now) const;        // Of the bucket: what is in use.

  QuotaSpec spec_;
  int64_t limit_;
  double per_limit_;     // 1 / limit_.
  uint32_t born_;
  SlidingWindow slots_;  // sliding; next to the limit, for every pick reads both.
  Instant origin_;
  int64_t window_ = INT64_MIN;            // fixed: the one that count_ is for; an origin may lie ahead
  int64_t count_ = 0;
  double level_ = 0;                      // bucket, as of drained_
  Instant drained_;
};

}  // namespace lb::policy
