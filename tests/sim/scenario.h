// Runs a plan: the engine and the gateway over the simulated net, with their callers, until everything is at rest.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/plan.h"

namespace lb::sim {

struct RunOptions {
  bool log = false;      // Prints what the engine logs, what hosts do and what callers are told, line by line.
  uint64_t split = 0;    // Divides the completions of each instant into several turns, by this seed; 0: does not.
  uint64_t fail_at = 0;  // The port call of that number fails; 0: none.
};

struct Outcome {
  std::string broken;    // The first broken invariant; "" if none.
  uint64_t hash = 0;     // Of all that callers were told, with times: equal for equal runs.
  std::map<uint64_t, std::string> told;  // The same in words, by call, where it does not depend on turns.
  uint64_t calls = 0, ok = 0, failed = 0;
  uint64_t turns = 0, port_calls = 0;
  double seconds = 0;    // Of virtual time.
  std::string failed_call;  // What fail_at has hit.
  std::string faults;    // Those that were met, by name and count.
};

Outcome run(const Plan& plan, const RunOptions& options);

// Runs it twice, and once more with divided turns: all of it must hold each time, the first two be told the same, and
// the third too where calls are independent.
Outcome run_all(const Plan& plan, bool log);

}  // namespace lb::sim
