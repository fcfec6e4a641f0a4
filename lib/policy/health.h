// Health of one target: a cooldown that only extends, told what happened, asked through Facts.
// Lazy: it reopens by comparison with `now`, no timer is needed. Breakers join here.
#pragma once

#include <optional>

#include "base/time.h"

namespace lb::policy {

// What an attempt showed, as far as health is concerned.
enum class Verdict : uint8_t {
  good,        // It answered.
  no_fault,    // The caller's mistake, or a cancel: says nothing about the target.
  limited,     // 429: out for as long as it said.
  overloaded,  // 503, 529.
  faulty,      // 5xx, broken protocol, connection failures.
  timed_out,   // A phase deadline: fails over without marking down (design.md §0).
  key_refused, // 401, 403: this key is out.
  exhausted,   // Billing: this key is out for long.
  not_found,   // 404 of a model: a fault of the deployment's configuration.
};

struct Cooldowns {
  Duration limited = Duration::from_s(5);       // 429 without a Retry-After; as LiteLLM.
  Duration overloaded = Duration::from_s(5);
  Duration faulty = Duration::from_s(5);
  Duration key_refused = Duration::from_s(60);
  Duration exhausted = Duration::from_s(600);
  Duration not_found = Duration::from_s(60);
  Duration floor = Duration::from_ms(100);      // A Retry-After of 0 must not make a hot loop.
  Duration ceiling = Duration::from_s(86'400);  // reference/wire.md §9.
};

class Health {
 public:
  // Told once an attempt. `told` is what the upstream said (Retry-After). Returns how long it is
  // out from `now`; zero if this outcome does not take it out.
  Duration on_outcome(Verdict verdict, std::optional<Duration> told, const Cooldowns& cooldowns,
                      Instant now);
  Instant open_at() const { return open_at_; }
  // Consecutive attempts that were `faulty`; any `good` clears it.
  uint32_t faults() const { return faults_; }

 private:
  Instant open_at_;
  uint32_t faults_ = 0;
};

}  // namespace lb::policy
