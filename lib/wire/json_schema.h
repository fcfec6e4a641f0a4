// JSON Schema: whether a value fits, and where it does not. None of the libraries for C++ does for a server without
// exceptions: valijson ends the process on a bad schema, RapidJSON stops at draft 4, nlohmann's throws; and none bounds
// its work. So this is the vocabulary of draft 2020-12 that asserts something, over raw.h, with those words of drafts 4
// to 7 that are still written (`definitions`, lists of `items` with `additionalItems`, `dependencies`, exclusive bounds
// that are booleans). Held against the official test suite by tests/schema.
//
// References stay within the schema ("#", "#/$defs/a", "#name"). What would assert something and is not known
// (unevaluatedProperties, $dynamicRef, references that lead out) is refused when the schema is compiled. `format` and
// the contentX words are annotations, as the specification has them by default. Numbers are compared as they are
// written. Patterns are ECMA's as PCRE2 has them (pattern.h).
//
// Compiled once, never changed; any thread may check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/raw.h"

namespace lb {

class JsonSchema {
 public:
  // Bytes of a schema. Ours: what OpenAI takes for structured output (120,000 characters), and as much again.
  static constexpr size_t kTextMax = 256 * 1024;
  // Schemas within one another, by references and by the value's nesting: a recursive one needs two for each level of
  // the value. 300 KiB of stack at most (GCC 12, -O2), where the smallest that a thread of macOS has is 512.
  static constexpr uint32_t kDepthMax = 256;
  // Of one check: schemas applied to values, each with as many steps more as its text has kBytesPerStep. About 100 ns
  // each, so that the worst takes a tenth of a second; what models say needs a few thousand.
  static constexpr uint64_t kStepsMax = 1'000'000;
  static constexpr size_t kBytesPerStep = 64;
  // The allowance of all its patterns together, as Pattern counts it; and for each byte of the value.
  static constexpr uint64_t kPatternStepsMin = 4'000'000;
  static constexpr uint64_t kPatternStepsPerByte = 8;

  struct Fault {
    std::string where;    // JSON pointer into the value; "" is the value itself.
    std::string message;  // "wanted an integer, not a string"
    // "at /a/0: wanted an integer, not a string"
    std::string text() const { return (where.empty() ? "the value as a whole" : "at " + where) + ": " + message; }
  };

  // CONFIG errors, with a JSON pointer into the schema.
  static Result<JsonSchema> compile(std::string_view text);
  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

  // What does not fit, the first of it; nothing if all does. A check that takes too long does not fit.
  std::optional<Fault> check(Raw value) const;
  std::string_view text() const;

 private:
  struct Compiled;
  friend class SchemaCompiler;
  friend class SchemaCheck;
  explicit JsonSchema(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace lb
