// lb_sim [--seed N] | [--seeds COUNT [--from N]] [--file seeds.txt]: runs scenarios, each of them twice, and says which
// invariant broke and with which seed. Exit code 1 if any did. With LB_SIM_LOG=1 in the environment, --seed prints what
// the engine logs and what callers are told.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/scenario.h"

namespace {

bool run_one(uint64_t seed, bool verbose) {
  lb::sim::Outcome first = lb::sim::run(seed, verbose && std::getenv("LB_SIM_LOG"));
  if (first.broken.empty() && lb::sim::run(seed, false).hash != first.hash)
    first.broken = "two runs of one seed differ";
  if (verbose)
    std::printf(
        "seed %llu: %llu calls, %llu ok, %llu failed, %llu turns, %.1f s of virtual time, hash %016llx; faults met: "
        "%s\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(first.calls),
        static_cast<unsigned long long>(first.ok), static_cast<unsigned long long>(first.failed),
        static_cast<unsigned long long>(first.turns), first.seconds, static_cast<unsigned long long>(first.hash),
        first.faults.c_str());
  if (first.broken.empty()) return true;
  std::printf("BROKEN with seed %llu: %s\n  again: lb_sim --seed %llu\n", static_cast<unsigned long long>(seed),
              first.broken.c_str(), static_cast<unsigned long long>(seed));
  return false;
}

// One seed a line; # begins a comment.
bool read_seeds(const char* path, std::vector<uint64_t>& out) {
  FILE* file = std::fopen(path, "r");
  if (!file) return false;
  char line[256];
  while (std::fgets(line, sizeof line, file))
    if (line[0] >= '0' && line[0] <= '9') out.push_back(std::strtoull(line, nullptr, 10));
  std::fclose(file);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<uint64_t> seeds;
  uint64_t from = 1, count = 0;
  bool verbose = false;
  for (int i = 1; i < argc; i += 2) {
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (!std::strcmp(argv[i], "--seed")) {
      seeds.push_back(std::strtoull(value, nullptr, 10));
      verbose = true;
    } else if (!std::strcmp(argv[i], "--seeds")) {
      count = std::strtoull(value, nullptr, 10);
    } else if (!std::strcmp(argv[i], "--from")) {
      from = std::strtoull(value, nullptr, 10);
    } else if (!std::strcmp(argv[i], "--file")) {
      if (!read_seeds(value, seeds)) {
        std::fprintf(stderr, "lb_sim: cannot read %s\n", value);
        return 2;
      }
    } else {
      std::fprintf(stderr, "usage: lb_sim [--seed N] [--seeds COUNT [--from N]] [--file FILE]\n");
      return 2;
    }
  }
  for (uint64_t i = 0; i < count; i++) seeds.push_back(from + i);
  int broken = 0;
  for (uint64_t seed : seeds) {
    if (!run_one(seed, verbose) && ++broken == 10) {
      std::printf("ten seeds are broken; the rest is not run\n");
      break;
    }
  }
  std::printf("%zu seeds, %d broken\n", seeds.size(), broken);
  return broken || seeds.empty();
}
