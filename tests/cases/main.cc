// lb_cases DRIVER [--seeds N] [--only TEXT] [--show] [--fails] PATH...: runs every case of the files, or of the *.case
// of a folder, with each of N seeds (10; what is expected holds for every seed), twice. DRIVER is pure, door or sim:
// see driver.h. --show prints what each call did, with the first seed. See files.h.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cases/case.h"
#include "cases/files.h"

namespace {

using lb::cases::DriverKind;

// The first seed that a case fails with says why; "" if none does.
std::string fault_of(const lb::cases::Case& one, DriverKind driver, uint64_t seeds, bool show) {
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    lb::cases::Ran ran = run_case(one, driver, seed, show && seed == 1);
    if (ran.wrong.empty() && run_case(one, driver, seed, false).transcript != ran.transcript)
      ran.wrong = "two runs differ";
    if (!ran.wrong.empty()) return ran.wrong + " (seed " + std::to_string(seed) + ")";
  }
  return "";
}

bool read_driver(const char* word, DriverKind& out) {
  if (!std::strcmp(word, "pure")) out = DriverKind::pure;
  else if (!std::strcmp(word, "door")) out = DriverKind::door;
  else if (!std::strcmp(word, "sim")) out = DriverKind::sim;
  else return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  DriverKind driver = DriverKind::pure;
  if (argc < 3 || !read_driver(argv[1], driver)) {
    std::fprintf(stderr, "usage: lb_cases pure|door|sim [--seeds N] [--only TEXT] [--show] [--fails] PATH...\n");
    return 2;
  }
  uint64_t seeds = 10;
  lb::cases::CaseFiles files;
  auto fault = [&](const lb::cases::Case& one) { return fault_of(one, driver, seeds, files.show); };
  for (int i = 2; i < argc; i++) {
    if (!std::strcmp(argv[i], "--seeds") && i + 1 < argc) seeds = std::strtoull(argv[++i], nullptr, 10);
    else if (!files.take_option(argc, argv, i)) files.run(argv[i], lb::cases::read_cases, fault);
  }
  return files.finish();
}
