// What became of a case: run() by the functions of wire/dialect (direct.cc) or of lb.h (through_abi.cc), whichever a
// program links.
#pragma once

#include <cstdint>
#include <string>

#include "translations/case.h"

namespace lb::translations {

constexpr uint64_t kCreated = 1'700'000'000;  // Of every answer.

// What became of it, to be compared with what is expected.
struct Became {
  Expected::Verdict verdict = Expected::Verdict::done;
  std::string text;
  std::string losses;
  std::string wrong;  // What must not be, whatever is expected.
};

Became run(const Case& which, Dialect to);
// Whether run() translates that: through lb.h, what stays in its dialect stays as it is.
bool translates(const Case& which, Dialect to);

}  // namespace lb::translations
