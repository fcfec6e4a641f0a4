// A schema as json_schema_compile.cc makes it and json_schema.cc applies it: nodes, which are schemas, of rules, which
// are keywords that assert something, or what several of them together do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wire/decimal.h"
#include "wire/json_schema.h"
#include "wire/pattern.h"

namespace lb {

struct SchemaRule {
  enum class Word : uint8_t {
    never,        // The schema `false`.
    type,         // types.
    among,        // words: canonical texts; said.
    minimum,      // number, exclusive.
    maximum,
    multiple_of,  // number.
    length,       // low, high: characters.
    pattern,      // patterns[0], said.
    items,        // nodes: of the first elements; rest: of the others.
    items_size,   // low, high.
    unique,
    contains,     // rest; low, high: elements that fit it.
    members,      // named, patterns with nodes, rest.
    members_size,
    names,        // rest: of each name.
    required,     // words.
    dependent,    // said: of objects that have this member; words: those it needs; rest: what they fit.
    all_of,       // nodes.
    any_of,
    one_of,
    not_one,      // rest.
    condition,    // nodes: if, then, else; kNone where there is none.
    reference,    // rest.
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  Word word;
  uint8_t types = 0;       // kNull | kString ...
  bool exclusive = false;
  uint64_t low = 0, high = UINT64_MAX;
  uint32_t rest = kNone;   // A node.
  Decimal number;
  std::string said;
  std::vector<std::string> words;
  std::vector<uint32_t> nodes;
  std::map<std::string, uint32_t, std::less<>> named;
  std::vector<Pattern> patterns;
};

struct SchemaNode {
  std::vector<SchemaRule> rules;
};

struct JsonSchema::Compiled {
  std::string text;
  Raw root;  // Of the text.
  std::vector<SchemaNode> nodes;  // The first is the schema as a whole.
};

inline constexpr std::string_view kSchemaTypes[] = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};
enum : uint8_t { kNull = 1, kBoolean = 2, kInteger = 4, kNumber = 8, kString = 16, kArray = 32, kObject = 64 };

// Equal values have equal texts: members sorted, numbers and strings in one spelling.
std::string canonical_json(Raw value);

}  // namespace lb
