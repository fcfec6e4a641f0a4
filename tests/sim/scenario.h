// One simulated run: a seed draws hosts with their faults, a configuration over them, and callers; then time runs until
// everything has come to rest. See main.cc for the command.
#pragma once

#include <cstdint>
#include <string>

namespace lb::sim {

struct Outcome {
  std::string broken;    // The first broken invariant; "" if none.
  uint64_t hash = 0;     // Of all that callers were told, with times: equal for equal seeds.
  uint64_t calls = 0, ok = 0, failed = 0;
  uint64_t turns = 0;
  double seconds = 0;    // Of virtual time.
  std::string faults;    // Those that were met, by name and count.
};

// `log`: prints what the engine logs and what callers are told, line by line.
Outcome run(uint64_t seed, bool log);

}  // namespace lb::sim
