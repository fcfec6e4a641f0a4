// Regular expressions of configurations, and the texts of strangers that they are tried on: the first line is the
// expression, the rest the text. Whatever they are, a match ends soon (the fuzzer's time limit says so), and says the
// same twice; an expression of letters alone is found where the text has it.
#include "wire/pattern.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string expression(lb::split_off(text, '\n'));
  lb::Result<lb::Pattern> pattern = lb::Pattern::compile(expression);
  if (!pattern.ok()) {
    require(!pattern.error().message.empty(), "an error without words");
    return 0;
  }
  bool found = pattern.value().matches(text);
  require(pattern.value().matches(text) == found, "a match that comes and goes");
  lb::Pattern moved = std::move(pattern.value());
  require(moved.matches(text) == found, "a pattern that was moved finds something else");
  bool letters = std::all_of(expression.begin(), expression.end(), [](char c) {
    char low = lb::ascii_lower(c);
    return (low >= 'a' && low <= 'z') || c == ' ';
  });
  if (letters) require(found == (text.find(expression) != text.npos), "plain letters are not found as they stand");
  return 0;
}
