// Whether a model's text is what was asked for, what of it is passed on, and what the model is told if it is not: JSON,
// also in prose; a JSON Schema; a regular expression; rules for the text. Compiled once, never changed; any thread may
// check. Who is asked again, and how often, is the engine's business, or the host's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/json_schema.h"
#include "wire/pattern.h"

namespace lb {

class Validator {
 public:
  // Objects and lists of a text that are tried against the schema: a reference such as [1] may stand before what is
  // meant. Ours.
  static constexpr size_t kFoundMax = 16;
  // Bytes of an error: it goes to the model, into logs and into error bodies.
  static constexpr size_t kErrorMax = 500;

  enum class Json : uint8_t {
    any,     // The text need be none.
    find,    // It is JSON, or has an object or array within it.
    strict,  // It is JSON and nothing else.
  };
  struct Rules {
    Json json = Json::any;
    std::string schema;            // Text of a JSON Schema; "" none. Then `json` is not any.
    std::string pattern;           // Is found in the text; "" none.
    uint64_t chars_min = 0;        // Unicode characters.
    uint64_t chars_max = UINT64_MAX;
    std::vector<std::string> contains, excludes;
    std::string wanted;            // In words, for the model; "" none.
  };
  // Views into the text that was checked.
  struct Verdict {
    bool valid = false;
    std::string_view kept;         // What of the text is passed on: all of it, or the JSON that was found.
    std::string error;             // Why it is not valid: one sentence without an end.
  };

  // CONFIG errors with a JSON pointer: "/schema/type", "/pattern".
  static Result<Validator> compile(Rules rules);

  Verdict check(std::string_view text) const;
  // What to say to the model whose text was not valid.
  std::string ask_again(std::string_view error) const;

 private:
  explicit Validator(Rules rules) : rules_(std::move(rules)) {}
  Verdict check_json(std::string_view text) const;
  std::string check_text(std::string_view text) const;

  Rules rules_;
  std::optional<JsonSchema> schema_;
  std::optional<Pattern> pattern_;
};

}  // namespace lb
