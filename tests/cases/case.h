// A file of cases: what is configured, what happens, and what is expected of it. tests/vectors/policy/README.md is the
// grammar.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lb::cases {

struct Line {
  int number = 0;
  std::string text;
};

// A configuration, or steps under it.
struct Section {
  bool steps = false;
  std::string engine;  // Which one, where there are several; "" the only one.
  std::string document;
  std::vector<Line> lines;
};

struct Case {
  std::string title;
  int line = 0;
  std::vector<Section> sections;
};

// The cases of a file, or what is wrong with it.
Result<std::vector<Case>> read_cases(const std::string& text);

enum class DriverKind : uint8_t { pure, door, sim };
struct Ran {
  std::string wrong;       // What was expected and is not so, with its line; "" if all is as expected.
  std::string transcript;  // What became of each call.
};
// `show`: prints what each call did.
Ran run_case(const Case& which, DriverKind driver, uint64_t seed, bool show);

}  // namespace lb::cases
