// What the runners of case files share: which files, which of their cases, and what is said of each. --only takes the
// cases with TEXT in their title. --fails expects every case to fail: it proves that they can.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace lb::cases {

inline bool read_file(const char* path, std::string& out) {
  FILE* file = std::fopen(path, "rb");
  if (!file) return false;
  char block[4096];
  for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) out.append(block, n);
  std::fclose(file);
  return true;
}

// The cases of a folder in the order of their names; anything else is one file.
inline std::vector<std::string> files_of(const char* path) {
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

struct CaseFiles {
  const char* only = "";
  bool show = false;
  bool fails = false;
  int count = 0, bad = 0;  // Cases that were run, and that are not as they should be.

  // Takes argv[i], and what belongs to it, if it is an option of every runner.
  bool take_option(int argc, char** argv, int& i) {
    if (!std::strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
    else if (!std::strcmp(argv[i], "--show")) show = true;
    else if (!std::strcmp(argv[i], "--fails")) fails = true;
    else return false;
    return true;
  }

  // `read` makes cases of a file's text; `fault_of` says what is wrong with one, "" if nothing is.
  template <typename Read, typename FaultOf>
  void run(const char* path, Read read, FaultOf fault_of) {
    for (const std::string& file : files_of(path)) run_file(file.c_str(), read, fault_of);
  }

  // The exit status of the program.
  int finish() const {
    std::printf("%d cases, %d wrong\n", count, bad);
    return bad || count == 0;
  }

 private:
  template <typename Read, typename FaultOf>
  void run_file(const char* path, Read read, FaultOf fault_of) {
    std::string text;
    if (!read_file(path, text)) {
      std::printf("%s: cannot be read\n", path);
      bad++;
      return;
    }
    auto cases = read(text);
    if (!cases.ok()) {
      std::printf("%s: %s: %s\n", path, cases.error().where.c_str(), cases.error().message.c_str());
      bad++;
      return;
    }
    for (const auto& one : cases.value()) {
      if (one.title.find(only) == std::string::npos) continue;
      count++;
      if (show) std::printf("%s: %s\n", path, one.title.c_str());
      std::string wrong = fault_of(one);
      if (wrong.empty() != fails) continue;
      bad++;
      std::printf("%s: %s: %s\n", path, one.title.c_str(), fails ? "should fail and does not" : wrong.c_str());
    }
  }
};

}  // namespace lb::cases
