// lb_translations [--only TEXT] [--show] [--fails] PATH...: runs every case of the files, or of the *.case of a folder.
// --only takes the cases with TEXT in their title. --show prints what each became. --fails expects every case to fail:
// it proves that they can.
#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "translations/case.h"

namespace {

using lb::translations::Case;

struct Options {
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

// Returns how many cases of the file are not as they should be.
int run_file(const char* path, const Options& options, int& count) {
  std::string text;
  if (!read_file(path, text)) {
    std::printf("%s: cannot be read\n", path);
    return 1;
  }
  lb::Result<std::vector<Case>> cases = lb::translations::read_cases(text);
  if (!cases.ok()) {
    std::printf("%s: %s: %s\n", path, cases.error().where.c_str(), cases.error().message.c_str());
    return 1;
  }
  int bad = 0;
  for (const Case& one : cases.value()) {
    if (one.title.find(options.only) == std::string::npos) continue;
    count++;
    if (options.show) std::printf("%s: %s\n", path, one.title.c_str());
    std::string wrong = run_case(one, options.show);
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

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int bad = 0, count = 0;
  for (int i = 1; i < argc; i++) {
    if (!std::strcmp(argv[i], "--only") && i + 1 < argc) options.only = argv[++i];
    else if (!std::strcmp(argv[i], "--show")) options.show = true;
    else if (!std::strcmp(argv[i], "--fails")) options.fails = true;
    else
      for (const std::string& path : files_of(argv[i])) bad += run_file(path.c_str(), options, count);
  }
  std::printf("%d cases, %d wrong\n", count, bad);
  return bad || count == 0;
}
