// The vectors of tests/vectors/config; errors.case says how they are written.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "fixture.h"

namespace lb {

inline std::string contents(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (!file) fail_msg("no file %s", path.c_str());
  std::string text;
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) text.append(block, n);
  fclose(file);
  return text;
}

struct Case {
  std::string title, document, expected;
};

inline std::vector<Case> cases_of(const std::string& text) {
  std::vector<Case> cases;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("## ")) {
      cases.push_back({line.substr(3), "", ""});
      inside = true;
    } else if (inside && line.starts_with("-> ")) {
      cases.back().expected = line.substr(3);
      inside = false;
    } else if (inside) {
      cases.back().document += line + '\n';
    }
  }
  return cases;
}

}  // namespace lb
