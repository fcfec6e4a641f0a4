// Makes a broken scenario small: takes calls, clients, hosts, faults, reloads and settings away for as long as the same
// thing breaks.
#pragma once

#include <functional>
#include <string>

#include "sim/plan.h"

namespace lb::sim {

// What breaks when a plan is run; "" if nothing does.
using Breaks = std::function<std::string(const Plan&)>;

struct Shrunk {
  Plan plan;
  std::string broken;
  int runs = 0;
};

// `plan` breaks. At most `runs_max` runs.
Shrunk shrink(const Plan& plan, const Breaks& breaks, int runs_max);

}  // namespace lb::sim
