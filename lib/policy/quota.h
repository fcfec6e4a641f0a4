// One limit: an amount of something in a window of time. Charge when a call is dispatched, correct when its true use is
// known: a correction goes to the window in which the charge was made, so it can never make a later one negative.
#pragma once

#include <memory>
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

  uint64_t input = 0;
  uint64_t output = 0;
  uint64_t money = 0;

  // Tokens count as at least one: every call has one.
  int64_t of(Metric metric) const;
  bool operator==(const Charge&) const = default;
};

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
  // `origin`: an instant at which a window of kind fixed or aligned begins.
  Quota(const QuotaSpec& spec, Instant origin);

  const QuotaSpec& spec() const { return spec_; }
  int64_t limit() const { return limit_; }
  // A new amount for the same window; what has been counted stays.
  void set_limit(uint64_t limit);
  int64_t used(Instant now) const;
  bool fits(const Charge& charge, Instant now) const { return used(now) + charge.of(spec_.metric) <= limit_; }
  // Used share of the limit, before `charge`; at least 1 when it does not fit, so that below 1 always means: it fits.
  double share(const Charge& charge, Instant now) const;
  // When it fits if nothing else is charged; never() for one larger than the limit.
  Instant fits_at(const Charge& charge, Instant now) const;

  void charge(const Charge& charge, Instant now) { add(charge.of(spec_.metric), now); }
  // What was charged `at` as `was` took `is` in truth.
  void correct(const Charge& was, const Charge& is, Instant at, Instant now) {
    amend(is.of(spec_.metric) - was.of(spec_.metric), at, now);
  }
  // What was charged `at` never went out.
  void release(const Charge& charge, Instant at, Instant now) { amend(-charge.of(spec_.metric), at, now); }

 private:
  void add(int64_t amount, Instant now);
  void amend(int64_t amount, Instant at, Instant now);
  int64_t window_of(Instant when) const;  // Number of the fixed window that holds it.
  double level(Instant now) const;        // Of the bucket: what is in use.

  QuotaSpec spec_;
  int64_t limit_;
  double per_limit_;  // 1 / limit_.
  Instant origin_;
  std::unique_ptr<SlidingWindow> slots_;  // sliding
  int64_t window_ = INT64_MIN;            // fixed: the one that count_ is for; an origin may lie ahead
  int64_t count_ = 0;
  double level_ = 0;                      // bucket, as of drained_
  Instant drained_;
};

}  // namespace lb::policy
