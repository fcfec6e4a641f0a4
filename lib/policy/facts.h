// What a policy may know, as plain values: the facts of a target (a deployment for one model), a plan over targets and
// an ask go in, a decision comes out. Nothing here reads a clock or draws a number by itself.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "policy/alias.h"
#include "policy/estimate.h"
#include "policy/health.h"
#include "policy/hedge.h"
#include "policy/quota.h"

namespace lb::policy {

using TargetIndex = uint32_t;
inline constexpr TargetIndex kNoTarget = UINT32_MAX;

enum class Balance : uint8_t {
  p2c,           // The less loaded of two drawn by weight: calls in flight by weight, over the headroom of its limits;
                 // where the calls are nearly as many, the one whose limits are less used.
  p2c_tokens,    // The one of two with fewer tokens in flight by weight.
  peak_ewma,     // The one of two with the lower product of calls in flight and time to first content.
  least_active,  // Of all, the one with the fewest calls in flight by weight; among equals the least recently used.
  random,        // By weight.
  round_robin,   // Smooth and weighted, as nginx.
  top_k,         // Any of the first k, in the order written, that may take it.
  max_headroom,  // Of all, the one with the most tokens left in its window.
  host,          // The host's own function says; p2c where there is none.
};

// What happens when no target may take a call.
enum class WhenNone : uint8_t {
  panic,        // Faults are forgiven, least bad first: limits, told waits and refused keys are not.
  best_effort,  // Any target, least bad first, whatever holds it back.
  fail,         // Nothing: the call waits, or is told the shortest true wait.
};

enum class Spill : uint8_t {
  spill,   // A later tier takes what the earlier may not take now.
  strict,  // A later tier takes calls only when every target of the earlier is out; one that is full is waited for.
};

struct Facts {
  Instant open_at;           // Out of rotation until then (cooldown, breaker); in the past when it is fine.
  Outage outage = Outage::none;
  Instant changes_at = Instant::never();  // When the first of what keeps it out ends.
  bool doubtful = false;     // Its last attempt was a fault, or it has just come back.
  bool probed = false;       // Half-open, and its one probe is out.
  bool full = false;         // All slots of the target, or of what it shares, are taken.
  uint32_t in_flight = 0;
  double weight = 1;
  double warmth = 1;         // Below 1 during the slow start: the share of its weight that it gets.
  double utilisation = 0;    // Used share of its tightest limit; at least 1: the call does not fit.
  double tokens_in_flight = 0;
  double headroom = 0;       // Tokens left behind this call in its tightest window; kBoundless without limits.
  Duration latency;          // Recent time to first content; zero: none known.
  Instant used_at;           // Last dispatch.

  static constexpr double kBoundless = 1e18;
  bool healthy(Instant now) const { return open_at <= now && !probed; }
  bool may_take(Instant now) const { return healthy(now) && !full && utilisation < 1; }
};

// Where a decision gets its facts: for one call, as of one instant.
class FactsSource {
 public:
  virtual Facts facts(TargetIndex target) const = 0;
  // When its limits will let the call through; `now` where they do already, never() for one that is too large.
  virtual Instant frees_at(TargetIndex target) const = 0;
  // Which deployment it belongs to: targets of one, for several models, have the same number.
  virtual uint32_t deployment(TargetIndex target) const = 0;

 protected:
  ~FactsSource() = default;
};

// Targets that share the calls of a route, and how to draw one of them by weight in constant time.
struct Tier {
  std::vector<TargetIndex> targets;
  AliasTable draw;                 // Over `targets`.
  std::vector<double> current;     // round_robin: nginx's current_weight.

  Tier() = default;
  Tier(std::vector<TargetIndex> targets_, std::span<const double> weights);
};

// Plans hold at most so many targets in a tier (checked by the configuration).
inline constexpr size_t kTargetsMax = 1024;

// A target as a host's own selector sees it.
struct Candidate {
  TargetIndex target;
  Facts facts;
};

// How the calls of a route are spread.
struct PlanSpec {
  Balance balance = Balance::p2c;
  uint32_t top_k = 3;           // As claude-code-provider-balancer.
  Spill spill = Spill::spill;
  WhenNone when_none = WhenNone::panic;
  double panic_share = 0;       // Below this share of healthy targets in a tier its faults are forgiven.
  Duration sticky = Duration::zero();  // Go on with the deployment that served last within this; zero: off.
  bool fail_back = false;       // Sticky: leaves it for an earlier tier that is back.
  Duration affinity = Duration::zero();  // A key stays with its target for so long after its last call; zero: off.
  Estimate estimate = Estimate::learned;
  HedgeSpec hedge;
};

// A route, resolved to targets. What changes is the state of round robin, and what has been learnt.
struct Plan : PlanSpec {
  std::vector<Tier> tiers;
  Duration mean_latency;  // Of all its targets, for peak_ewma.
  Estimator estimator;    // Of the route's model.
  Hedges hedges;
};

struct Ask {
  std::span<const TargetIndex> tried;  // Of this call; never taken again.
  bool retry = false;                  // It has failed before, also where nothing counts as tried.
  Charge charge;                       // What it is expected to take.
  uint64_t affinity = 0;               // Key of its session or prompt; 0: none.
  bool waits = true;                   // It may wait: then one that is full is better than one with a fault.
  Duration patience;                   // Affinity: how long a wait for its own target its cached tokens are worth.
};

struct Decision {
  enum class Kind : uint8_t {
    send,    // To `target`.
    wait,    // None may take it before `wait_until`; never(): when a call in flight ends.
    reject,  // Nothing is left to wait for: every target has been tried, or the call is larger than the limits of all.
  } kind = Kind::reject;
  TargetIndex target = kNoTarget;
  Instant wait_until;
  Status why = Status::OK;  // wait: NO_UPSTREAM (out) or LIMITED (limits); reject: the same.
  // How a target was chosen.
  enum class By : uint8_t { balance, affinity, sticky, panic, best_effort, caller, hedge } by = By::balance;
  // wait: when something about a target changes, so that the decision may be another.
  Instant look_at = Instant::never();
};

}  // namespace lb::policy
