// What a policy may know of a target (a deployment for one model), as plain values: an array of
// these and an Ask go in, a Decision comes out. Nothing here reads a clock or draws a number by
// itself.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/time.h"

namespace lb::policy {

enum class Balance : uint8_t {
  p2c,  // The better of two drawn at random.
};

using TargetIndex = uint32_t;

struct Facts {
  Instant open_at;          // Out of rotation until then (cooldown); in the past when it is fine.
  uint32_t in_flight = 0;
  uint32_t concurrency = 0; // Calls it may have at a time; 0: no limit.
  double weight = 1;
  double utilisation = 0;   // Used share of its limits, tokens or requests; >= 1: none left.
  Instant frees_at;         // When utilisation falls below 1; only read where it is >= 1.
};

// A route, resolved to targets.
struct Plan {
  std::vector<std::vector<TargetIndex>> tiers;
  Balance balance = Balance::p2c;
};

struct Ask {
  std::span<const TargetIndex> tried;  // Of this call; never taken again.
};

struct Decision {
  enum class Kind : uint8_t {
    send,    // To `target`.
    wait,    // None may take it before `wait_until`; never(): when a call in flight ends.
    reject,  // Every target has been tried: nothing is left to wait for.
  } kind = Kind::reject;
  TargetIndex target = 0;
  Instant wait_until;
  Status why = Status::OK;  // wait: NO_UPSTREAM (cooling) or LIMITED (limits); reject: NO_UPSTREAM.
};

}  // namespace lb::policy
