// replay FILE|FOLDER...: runs one fuzz target over files, without libFuzzer: what tests/run does with the corpora, and
// how a finding is looked at in a debugger. A law that does not hold ends the process, after the name of its file.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"

// Some targets have one.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

// Files in order of their names, so that a failure is the same one each time.
void collect(const std::string& path, std::vector<std::string>& files) {
  DIR* folder = opendir(path.c_str());
  if (!folder) return files.push_back(path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder))
    if (entry->d_name[0] != '.') names.emplace_back(path + "/" + entry->d_name);
  closedir(folder);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) collect(name, files);
}

bool run(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return false;
  std::vector<uint8_t> bytes;
  uint8_t block[4096];
  for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) bytes.insert(bytes.end(), block, block + n);
  std::fclose(file);
  std::fprintf(stderr, "%s\n", path.c_str());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
  std::vector<std::string> files;
  for (int i = 1; i < argc; i++) collect(argv[i], files);
  for (const std::string& path : files) {
    if (run(path)) continue;
    std::fprintf(stderr, "replay: cannot read %s\n", path.c_str());
    return 2;
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 2 : 0;
}
