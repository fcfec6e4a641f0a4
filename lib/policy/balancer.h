// What the decisions rest on, and what they leave behind: targets with their health, limits and load, and what they
// share (a deployment, a key, an endpoint, a caller). It reserves when a call is sent and settles when it ends.
// One thread at a time; `now` is an argument and never goes back. No allocation between two configurations.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "policy/plan.h"
#include "policy/settings.h"
#include "policy/stated.h"

namespace lb::policy {

using ScopeIndex = uint32_t;
inline constexpr ScopeIndex kNoScope = UINT32_MAX;

struct TargetSpec {
  ScopeSpec own;
  double weight = 1;
  uint32_t deployment = 0;
  Price price;
  // What it shares with other targets; kNoScope: nothing.
  ScopeIndex in_deployment = kNoScope, with_key = kNoScope, at_endpoint = kNoScope;
};

// What one dispatch charged; kept by the call, settled exactly once.
struct Reservation {
  TargetIndex target = kNoTarget;
  std::array<ScopeIndex, 4> shared{kNoScope, kNoScope, kNoScope, kNoScope};  // Deployment, key, endpoint, caller.
  uint32_t configuration = 0;  // Number of the one that it was made under.
  uint8_t probes = 0;  // Of whose health it is the probe: bit 0 the target's, bits 1 to 3 those of shared[0..2].
  Instant at;
  Charge charge;
  Prompt prompt;
  Sent sent;           // By the target, with this.
};

// How an attempt ended.
struct Ended {
  Verdict verdict = Verdict::good;
  std::optional<Mark> mark;          // Instead of what the rules say.
  std::optional<Duration> told;      // Retry-After.
  std::optional<Duration> cool;      // Instead of the cooldown of the verdict, and of `told`.
  enum class Took : uint8_t {
    usage,    // What `input`, `output` and `cached` say, where they are known; what was estimated where not.
    unknown,  // It may have been served: the estimate stays.
    input,    // Nothing came back before it was cancelled: the output is given back.
    answer,   // An error answer: see Settings::refund_failed.
    nothing,  // It was never sent: all is given back, the request too.
  } took = Took::usage;
  std::optional<uint64_t> input, output, cached;
  std::optional<Duration> first_content;  // From the dispatch.
};

class Balancer {
 public:
  explicit Balancer(uint64_t seed) : rng_(Rng(seed).split("pick")) {}

  // --- What there is; between turns, not while picking ---
  // `wall`: Unix time minus `now`, for windows that are aligned to the wall clock.
  void configure(const Settings& settings, Duration wall, Instant now);
  const Settings& settings() const { return settings_; }
  ScopeIndex add_scope();
  TargetIndex add_target();
  // The same again, or changed: what has been counted stays where a limit is the same. `fresh`: nothing stays.
  void set_scope(ScopeIndex index, const ScopeSpec& spec, bool fresh);
  void set_target(TargetIndex index, const TargetSpec& spec, bool fresh);
  void set_host(size_t (*choose)(void*, const Candidate*, size_t), void* context);

  // --- One call ---
  // `caller`: kNoScope where nobody is counted. Changes nothing but the state of round robin.
  Decision decide(Plan& plan, const Ask& ask, ScopeIndex caller, Instant now);
  // The answer to `decide` without its side effects.
  bool could_send(const Plan& plan, const Ask& ask, ScopeIndex caller, Instant now) const;
  // Fills `out`, for the call to keep where it is: copies of a fresh struct are what a pick would wait for most.
  void reserve(Plan& plan, TargetIndex target, const Ask& ask, const Prompt& prompt, ScopeIndex caller, Instant now,
               Reservation& out);
  // Returns for how long the target, its key or its endpoint is out because of it; zero if not.
  Duration settle(Plan& plan, const Reservation& reservation, const Ended& ended, Instant now);
  // What the answer's head states of the provider's limits.
  void hear(const Reservation& reservation, std::span<const Statement> stated, Instant now);
  // A call begins; an attempt after its first wants to go. False: the retry budget is spent.
  void on_call(Instant now) { budget_.on_call(settings_.budget, now); }
  bool take_retry(Instant now) { return budget_.take(settings_.budget, now); }
  Rng& rng() { return rng_; }
  // What a call of that prompt is expected to take.
  static Charge expect(const Plan& plan, const Prompt& prompt);
  // When the earliest target of the plan takes the call, tried or not; nothing if one does now, or as soon as a call
  // ends, or if none ever does.
  std::optional<Duration> shortest_wait(const Plan& plan, const Ask& ask, ScopeIndex caller, Instant now) const;

  // --- A look at them ---
  Facts facts(const Plan& plan, const Ask& ask, TargetIndex target, Instant now) const;
  Instant frees_at(const Ask& ask, TargetIndex target, Instant now) const;
  std::vector<Considered> explain(const Plan& plan, const Ask& ask, Instant now, size_t most) const;
  uint32_t in_flight(TargetIndex target) const { return targets_[target].scope.in_flight; }
  uint32_t scope_in_flight(ScopeIndex scope) const { return scopes_[scope].in_flight; }
  size_t target_count() const { return targets_.size(); }

  // A fault keeps it out, or is not known to be over.
  bool faulted(TargetIndex target, Instant now) const;
  // An active probe has found it alive: what a fault held against it and its endpoint is over.
  void revive(TargetIndex target, Instant now);

  // --- By hand ---
  void mark_down(TargetIndex target, Duration length, Instant now);
  void mark_up(TargetIndex target);

 private:
  struct Scope {
    uint32_t in_flight = 0;
    uint32_t concurrency = 0;
    std::vector<Quota> quotas;
    Health health;
  };
  // What a pick reads stands in front: with a thousand targets, lines of the processor's cache are what it costs.
  struct alignas(64) Target {
    double weight = 1;
    double tokens_in_flight = 0;
    std::array<ScopeIndex, 3> shared{kNoScope, kNoScope, kNoScope};
    uint32_t deployment = 0;
    Instant used_at;
    Duration latency;       // Peak EWMA of the time to first content.
    Instant latency_at;
    Scope scope;
    StatedLimits stated;
    Price price;
  };
  class Source;

  std::optional<Decision> held_by_caller(const Ask& ask, ScopeIndex caller, Instant now) const;
  void set_quotas(Scope& scope, const ScopeSpec& spec);
  Instant origin(const QuotaSpec& spec) const;
  static void absorb(const Scope& scope, const BreakerSpec& breaker, const Charge& charge, Instant now, Facts& facts);
  double headroom(const Target& target, const Ask& ask, Instant now) const;
  Charge priced(const Target& target, Charge charge, uint64_t cached) const;
  Charge true_charge(const Target& target, const Reservation& reservation, const Ended& ended) const;
  Duration judge(Target& target, const Reservation& reservation, const Ended& ended, Instant now);
  void learn_latency(Plan& plan, Target& target, Duration sample, Instant now) const;
  Duration latency_of(const Plan& plan, const Target& target, Instant now) const;
  template <typename F>
  void each_scope(const Reservation& reservation, F f);

  Settings settings_;
  Duration wall_;
  std::vector<Target> targets_;
  std::vector<Scope> scopes_;
  Bindings bindings_;
  Sticky sticky_;
  RetryBudget budget_;
  HostSelector host_;
  std::vector<Candidate> host_scratch_;
  Instant epoch_;   // Fixed windows that are not aligned begin here: the first configuration.
  uint32_t configurations_ = 0;
  Rng rng_;
};

}  // namespace lb::policy
