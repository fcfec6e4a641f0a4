// The simulator (tests/sim) driven by bytes: hosts, faults, configurations and callers are what the input says, not
// what a seed draws, so that a fuzzer finds its way to rare orders of events. The laws are the simulator's own.
#include "sim/scenario.h"

#include "fuzz/fuzz.h"

namespace lb {

std::string_view& sim_bytes();
std::string_view& sim_bytes() {
  static std::string_view bytes;
  return bytes;
}

}  // namespace lb

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  uint64_t seed = lb::hash_text(bytes);
  lb::sim_bytes() = bytes;
  lb::sim::Plan plan = lb::sim::draw_plan(seed);
  lb::sim::Outcome out = lb::sim::run_all(plan, std::getenv("LB_SIM_LOG") != nullptr);
  require(out.broken.empty(), out.broken);
  return 0;
}
