// A file of translations: what comes in, in which dialect, and what it must become in others. The grammar is
// tests/vectors/wire/README.md.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/dialect/translate.h"

namespace lb::translations {

enum class Kind : uint8_t { request, answer, stream, error };

// What must come of it in one dialect.
struct Expected {
  int line = 0;
  Dialect to = Dialect::openai;
  enum class Verdict : uint8_t { done, refused, cut, failed } verdict = Verdict::done;
  std::string text;    // The lines below it; of `refused` what the error must say.
  std::string losses;  // As Losses::text() has them.
};

struct Case {
  std::string title;
  int line = 0;
  Kind kind = Kind::request;
  Dialect from = Dialect::openai;
  uint32_t status = 0;  // Of an error.
  std::string input;
  // "with" lines.
  std::string model, id = "1";
  uint64_t output_max_default = 4096;
  bool stream_usage = true, classic_max_tokens = false, classic_thinking = false, thinking_back = false;
  std::vector<Expected> expected;
};

Result<std::vector<Case>> read_cases(const std::string& text);

// What is not as it should be; "" if all is.
std::string run_case(const Case& which, bool show);

}  // namespace lb::translations
