// Put before sim/plan.cc, by -include, when it is built for fuzzing: what it draws then comes from the bytes of the
// input, in the order of the draws, and from a seed once they are used up. All other draws stay as they are: the
// headers are read here, before the name changes.
#pragma once

#include "base/rng.h"
#include "sim/dice.h"
#include "sim/plan.h"

namespace lb {

// The bytes that are left of the input. Of sim.cc.
std::string_view& sim_bytes();

class FedRng {
 public:
  explicit FedRng(uint64_t seed) : rest_(seed) {}

  // As many bytes as the bound needs, so that one byte of the input is one decision.
  uint64_t below(uint64_t bound) {
    // The longest prompts of the simulator. Each copy of one is an mmap under ASan, and a run of a second.
    if (bound == 600'000) bound = 60'000;
    std::string_view& bytes = sim_bytes();
    if (bytes.empty()) return rest_.below(bound);
    uint64_t value = 0;
    for (uint64_t most = bound - 1; most > 0 && !bytes.empty(); most >>= 8) {
      value = value << 8 | static_cast<unsigned char>(bytes[0]);
      bytes.remove_prefix(1);
    }
    return value % bound;
  }
  uint64_t next() { return sim_bytes().empty() ? rest_.next() : below(UINT64_MAX); }
  double unit() { return sim_bytes().empty() ? rest_.unit() : static_cast<double>(below(256)) / 256; }
  FedRng split(std::string_view purpose) const {
    FedRng child(0);
    child.rest_ = rest_.split(purpose);
    return child;
  }

 private:
  Rng rest_;
};

namespace sim {

template <typename T>
T one_of(FedRng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(values.size())];
}

}  // namespace sim
}  // namespace lb

#define Rng FedRng
