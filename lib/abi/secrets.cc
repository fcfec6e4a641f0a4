#include "abi/secrets.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace lb {

Result<std::string> HostSecrets::env(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (!value)
    return Error{Status::CONFIG, "", "the environment has no variable " + std::string(name) + "; set it and export it"};
  return std::string(value);
}

Result<std::string> HostSecrets::file(std::string_view path) {
  std::string name(path);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(name.c_str(), "rbe"), std::fclose);
  if (!file) return Error{Status::CONFIG, "", "cannot read the file " + name + ": " + std::strerror(errno)};
  std::string text;
  char block[4096];
  while (size_t got = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, got);
    if (text.size() > kFileMax) return Error{Status::CONFIG, "", "the file " + name + " is longer than 4 MiB"};
  }
  if (std::ferror(file.get())) return Error{Status::CONFIG, "", "cannot read the file " + name};
  // Editors end files with a newline; it is not part of the secret.
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace lb
