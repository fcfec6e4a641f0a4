// lb_sim: runs scenarios and says which invariant broke, and how to see it again. Exit code 1 if any did.
//
//   --seed N                  one scenario, with a line about it; with LB_SIM_LOG=1 in the environment all that happens
//   --seeds COUNT [--from N]  many of them: each is run twice, and once more with its turns divided
//   --file FILE               those of a file, one a line
//   --broken COUNT            stops at so many broken ones; 10 by itself
//   --nth N [--most COUNT]    one scenario, and once for each of its port calls (or for COUNT of them, evenly) with
//                             that call failing
//   --nths COUNT [--from N]   the same for many scenarios
//   --shrink N                makes the broken scenario as small as it can, and prints it and all that happens in it
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sim/apart.h"
#include "sim/scenario.h"
#include "sim/shrink.h"

namespace lb::sim {
namespace {

// No scenario takes a second; with a sanitizer on a busy machine some take ten.
constexpr unsigned kSecondsMax = 120;
constexpr int kShrinkRuns = 2000;

unsigned long long number(uint64_t n) { return static_cast<unsigned long long>(n); }

bool report(uint64_t seed, const std::string& how, const std::string& broken) {
  if (broken.empty()) return true;
  std::printf("BROKEN with seed %llu: %s\n  again: lb_sim --%s %llu; smaller: lb_sim --shrink %llu\n", number(seed),
              broken.c_str(), how.c_str(), number(seed), number(seed));
  return false;
}

std::string run_seed(uint64_t seed) { return run_all(draw_plan(seed), false).broken; }

bool run_one(uint64_t seed) {
  std::string broken = run_apart(kSecondsMax, [&] {
    Outcome out = run_all(draw_plan(seed), std::getenv("LB_SIM_LOG") != nullptr);
    std::printf("seed %llu: %llu requests, %llu ok, %llu failed, %llu turns, %llu port calls, %.1f s of virtual time, "
                "hash %016llx; faults met: %s\n",
                number(seed), number(out.calls), number(out.ok), number(out.failed), number(out.turns),
                number(out.port_calls), out.seconds, number(out.hash), out.faults.c_str());
    return out.broken;
  });
  return report(seed, "seed", broken);
}

// Of one scenario, `most` of its port calls fail, one in each run.
std::string run_nth(uint64_t seed, uint64_t most, bool verbose) {
  Plan plan = draw_plan(seed);
  Outcome plain = run(plan, {});
  if (!plain.broken.empty()) return plain.broken;
  uint64_t runs = std::min(most, plain.port_calls);
  for (uint64_t i = 0; i < runs; i++) {
    uint64_t nth = 1 + i * plain.port_calls / runs;
    Outcome out = run(plan, {.log = verbose && std::getenv("LB_SIM_LOG") && runs == 1, .fail_at = nth});
    if (!out.broken.empty())
      return "with port call " + std::to_string(nth) + " (" + out.failed_call + ") failing: " + out.broken;
  }
  if (verbose) std::printf("seed %llu: %llu of %llu port calls failed, one in each run\n", number(seed), number(runs),
                           number(plain.port_calls));
  return "";
}

// Many in one child; where one ends it, the next goes on behind it.
template <typename F>
int run_many(const std::vector<uint64_t>& seeds, const char* how, int broken_max, F work) {
  int broken = 0;
  for (size_t at = 0; at < seeds.size() && broken < broken_max;) {
    // A few hundred at a time: a child is cheap beside them, and what one leaves behind is not carried far.
    size_t to = std::min(at + 200, seeds.size());
    std::string said = run_apart(kSecondsMax * 20, [&] {
      std::string lines;
      int found = broken;
      for (size_t i = at; i < to && found < broken_max; i++) {
        std::string what = work(seeds[i]);
        if (what.empty()) continue;
        lines += std::to_string(i) + " " + what + '\0';
        found++;
      }
      return lines;
    });
    if (said.starts_with("crashed")) {
      for (size_t i = at; i < to && broken < broken_max; i++)
        broken += !report(seeds[i], how, run_apart(kSecondsMax, [&] { return work(seeds[i]); }));
    } else {
      for (size_t from = 0; from < said.size() && broken < broken_max; from = said.find('\0', from) + 1) {
        std::string line = said.c_str() + from;
        size_t space = line.find(' ');
        broken += !report(seeds[std::strtoull(line.c_str(), nullptr, 10)], how, line.substr(space + 1));
      }
    }
    at = to;
  }
  if (broken >= broken_max) std::printf("so many are broken that the rest is not run\n");
  std::printf("%zu seeds, %d broken\n", seeds.size(), broken);
  return broken || seeds.empty();
}

int run_shrink(uint64_t seed) {
  auto breaks = [](const Plan& plan) {
    return run_apart(kSecondsMax, [&] { return run_all(plan, false).broken; });
  };
  Plan plan = draw_plan(seed);
  size_t requests = plan.requests(), hosts = plan.hosts.size();
  Shrunk small = shrink(plan, breaks, kShrinkRuns);
  if (small.broken.empty()) {
    std::printf("seed %llu breaks nothing\n", number(seed));
    return 0;
  }
  std::printf("BROKEN with seed %llu: %s\n\nOf %zu requests and %zu hosts there are left, after %d runs:\n\n%s\n",
              number(seed), small.broken.c_str(), requests, hosts, small.runs, print_plan(small.plan).c_str());
  std::printf("What happens, in seconds:\n\n");
  run_apart(kSecondsMax, [&] { return run_all(small.plan, true).broken; });
  std::printf("\n%s\n", small.broken.c_str());
  return 1;
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

int usage() {
  std::fprintf(stderr, "usage: lb_sim --seed N | --seeds COUNT [--from N] | --file FILE | --nth N [--most COUNT] | "
                       "--nths COUNT [--from N] [--most COUNT] | --shrink N\n");
  return 2;
}

int main(int argc, char** argv) {
  std::vector<uint64_t> seeds, nths, single;
  uint64_t from = 1, count = 0, nth_count = 0, most = UINT64_MAX;
  int broken_max = 10;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return usage();
    uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    auto is = [&](const char* name) { return !std::strcmp(argv[i], name); };
    if (is("--shrink")) return run_shrink(value);
    if (is("--seed")) {
      single.push_back(value);
    } else if (is("--seeds")) {
      count = value;
    } else if (is("--from")) {
      from = value;
    } else if (is("--nth")) {
      nths.push_back(value);
    } else if (is("--nths")) {
      nth_count = value;
    } else if (is("--broken")) {
      broken_max = static_cast<int>(value);
    } else if (is("--most")) {
      most = value;
    } else if (!is("--file") || !read_seeds(argv[i + 1], seeds)) {
      return usage();
    }
  }
  for (uint64_t i = 0; i < count; i++) seeds.push_back(from + i);
  int broken = 0;
  for (uint64_t seed : single) broken += !run_one(seed);
  for (uint64_t seed : nths)
    broken += !report(seed, "nth", run_apart(kSecondsMax * 20, [&] { return run_nth(seed, most, true); }));
  for (uint64_t i = 0; i < nth_count; i++) nths.push_back(from + i);
  if (!seeds.empty()) broken += run_many(seeds, "seed", broken_max, run_seed);
  if (nth_count && broken < broken_max)
    broken += run_many(nths, "nth", broken_max, [&](uint64_t seed) { return run_nth(seed, most, false); });
  if (seeds.empty() && single.empty() && nths.empty()) return usage();
  return broken != 0;
}

}  // namespace
}  // namespace lb::sim

int main(int argc, char** argv) { return lb::sim::main(argc, argv); }
