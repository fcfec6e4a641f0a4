// When a call that has no content yet is sent to a second target, and how often that may be (Dean and Barroso, "The
// Tail at Scale", 2013). State of one route: what its calls took to their first content, and what its hedges may still
// spend. No clock, no chance.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "policy/quota.h"

namespace lb::policy {

struct HedgeSpec {
  double percentile = 0;    // 0 to 1; of the times to first content, after which a call is hedged. 0: never.
  Duration after_min;       // Never sooner.
  double share = 0;         // Hedges, as a share of calls.
  uint64_t tokens_max = 0;  // A call that is expected to take more is never hedged; 0: whatever it takes.
  uint64_t money_max = 0;   // The same in nano-dollars.

  bool on() const { return percentile > 0; }
  bool covers(const Charge& charge) const;
};

class Hedges {
 public:
  // What has been earned and not spent is at most this, so that an hour of quiet does not pay for a minute in which
  // every call is sent twice.
  static constexpr double kSavedMax = 10;
  // Below so many observations a percentile says nothing: the 95th of twenty is the second largest.
  static constexpr uint64_t kObservedMin = 20;
  // Then all that was observed is made to count half, so that a change shows within as many calls.
  static constexpr uint64_t kObservedMax = 1000;

  // A call begins.
  void on_call(const HedgeSpec& spec);
  // How long after its dispatch a call is hedged; nothing while too little is known.
  std::optional<Duration> after(const HedgeSpec& spec, bool stream) const;
  // One hedge goes out. False: the share is used up.
  bool take();
  // What an attempt took to its first content, or how long it had gone without when another won. A plain answer has
  // content when it is whole, so streams count by themselves.
  void observe(const HedgeSpec& spec, bool stream, Duration first_content);

 private:
  static constexpr uint64_t kRefresh = 16;  // The percentile is looked up anew each so many observations.

  struct Kind {
    Histogram observed;
    Duration after;         // The percentile, as of the last look.
    double percentile = 0;  // Which one that was.
  };

  // Whole answers, streams; or empty before the first observation: there can be thousands of routes.
  std::vector<Kind> kinds_;
  double saved_ = 0;
};

}  // namespace lb::policy
