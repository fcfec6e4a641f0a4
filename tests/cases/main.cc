// lb_cases DRIVER [--seeds N] [--only TEXT] [--show] [--fails] PATH...: runs every case of the files, or of the *.case
// of a folder, with each of N seeds (10; what is expected holds for every seed), twice. DRIVER is pure, door or sim:
// see driver.h. --only takes the cases with TEXT in their title. --show prints what each call did, with the first seed.
// --fails expects every case to fail: it proves that they can.
#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cases/case.h"

namespace {

struct Options {
  lb::cases::DriverKind driver = lb::cases::DriverKind::pure;
  uint64_t seeds = 10;
  const char* only = "";
  bool show = false;
  bool fails = false;
};

bool read_file(const char* path, std::string& out) {
  FILE* file = std::fopen(path, "rb");
  if (!file) return false;
  char block[4096];
  for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) out.append(block, n);
  std::fclose(file);
  return true;
}

// The first seed that a case fails with says why; "" if none does.
std::string fault_of(const lb::cases::Case& one, const Options& options) {
  for (uint64_t seed = 1; seed <= options.seeds; seed++) {
    lb::cases::Ran ran = run_case(one, options.driver, seed, options.show && seed == 1);
    if (ran.wrong.empty() && run_case(one, options.driver, seed, false).transcript != ran.transcript)
      ran.wrong = "two runs differ";
    if (!ran.wrong.empty()) return ran.wrong + " (seed " + std::to_string(seed) + ")";
  }
  return "";
}

// Returns how many cases of the file are not as they should be.
int run_file(const char* path, const Options& options, int& count) {
  std::string text;
  if (!read_file(path, text)) {
    std::printf("%s: cannot be read\n", path);
    return 1;
  }
  lb::Result<std::vector<lb::cases::Case>> cases = lb::cases::read_cases(text);
  if (!cases.ok()) {
    std::printf("%s: %s: %s\n", path, cases.error().where.c_str(), cases.error().message.c_str());
    return 1;
  }
  int bad = 0;
  for (const lb::cases::Case& one : cases.value()) {
    if (one.title.find(options.only) == std::string::npos) continue;
    count++;
    if (options.show) std::printf("%s: %s\n", path, one.title.c_str());
    std::string wrong = fault_of(one, options);
    if (wrong.empty() != options.fails) continue;
    bad++;
    std::printf("%s: %s: %s\n", path, one.title.c_str(), options.fails ? "should fail and does not" : wrong.c_str());
  }
  return bad;
}

// The cases of a folder in the order of their names; anything else is one file.
std::vector<std::string> files_of(const char* path) {
  DIR* folder = opendir(path);
  if (!folder) return {path};
  std::vector<std::string> files;
  while (const dirent* entry = readdir(folder)) {
    std::string name = entry->d_name;
    if (name.ends_with(".case")) files.push_back(std::string(path) + "/" + name);
  }
  closedir(folder);
  std::sort(files.begin(), files.end());
  return files;
}

bool read_driver(const char* word, Options& out) {
  if (!std::strcmp(word, "pure")) out.driver = lb::cases::DriverKind::pure;
  else if (!std::strcmp(word, "door")) out.driver = lb::cases::DriverKind::door;
  else if (!std::strcmp(word, "sim")) out.driver = lb::cases::DriverKind::sim;
  else return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc < 3 || !read_driver(argv[1], options)) {
    std::fprintf(stderr, "usage: lb_cases pure|door|sim [--seeds N] [--only TEXT] [--show] [--fails] PATH...\n");
    return 2;
  }
  int bad = 0, count = 0;
  for (int i = 2; i < argc; i++) {
    if (!std::strcmp(argv[i], "--seeds") && i + 1 < argc) options.seeds = std::strtoull(argv[++i], nullptr, 10);
    else if (!std::strcmp(argv[i], "--only") && i + 1 < argc) options.only = argv[++i];
    else if (!std::strcmp(argv[i], "--show")) options.show = true;
    else if (!std::strcmp(argv[i], "--fails")) options.fails = true;
    else
      for (const std::string& path : files_of(argv[i])) bad += run_file(path.c_str(), options, count);
  }
  std::printf("%d cases, %d wrong\n", count, bad);
  return bad || count == 0;
}
