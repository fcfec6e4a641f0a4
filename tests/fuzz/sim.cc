// The simulator (tests/sim) driven by bytes: hosts, faults, configurations and callers are what the input says, not
// what a seed draws, so that a fuzzer finds its way to rare orders of events. The laws are the simulator's own, and
// that two runs of one input are one.
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
  lb::sim::Outcome first = lb::sim::run(seed, std::getenv("LB_SIM_LOG") != nullptr);
  require(first.broken.empty(), first.broken);
  lb::sim_bytes() = bytes;
  require(lb::sim::run(seed, false).hash == first.hash, "two runs of one input differ");
  return 0;
}
