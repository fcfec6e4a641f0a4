// A head made of an input's lines, "name: value" each; what a parser would not let through is left out.
#pragma once

#include <string_view>

#include "fuzz/fuzz.h"
#include "wire/http1.h"

namespace lb::fuzz {

inline Head head_of_lines(std::string_view text) {
  Head head;
  while (!text.empty()) {
    std::string_view line = split_off(text, '\n');
    size_t colon = line.find(':');
    if (colon == 0 || colon == line.npos) continue;
    if (line.find_first_of(std::string_view("\r\0", 2)) != line.npos) continue;
    head.add(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return head;
}

}  // namespace lb::fuzz
