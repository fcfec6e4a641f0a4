#include "wire/json_schema.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "wire/characters.h"
#include "wire/escape.h"
#include "wire/json.h"
#include "wire/json_schema_inside.h"

namespace lb {

namespace {

using Word = SchemaRule::Word;
using Fault = JsonSchema::Fault;
constexpr uint32_t kNone = SchemaRule::kNone;

// Bytes in a message of what the value, the schema, or a fault within a fault says itself.
constexpr size_t kQuotedMax = 100;

std::string cut(std::string_view text) {
  return std::string(cut_text(text, kQuotedMax)) + (text.size() > kQuotedMax ? "..." : "");
}

uint8_t types_of(Raw value) {
  switch (value.type()) {
    case JsonType::null: return kNull;
    case JsonType::boolean: return kBoolean;
    case JsonType::number:
      return Decimal(value.text()).integer() ? uint8_t{kInteger | kNumber} : uint8_t{kNumber};
    case JsonType::string: return kString;
    case JsonType::array: return kArray;
    case JsonType::object: return kObject;
    case JsonType::absent: return 0;
  }
  return 0;
}

std::string names_of(uint8_t types) {
  std::string out;
  for (size_t i = 0; i < std::size(kSchemaTypes); i++) {
    if (!(types >> i & 1)) continue;
    bool vowel = std::string_view("aio").find(kSchemaTypes[i][0]) != std::string_view::npos;
    std::string_view article = (1u << i) == kNull ? "" : vowel ? "an " : "a ";
    out.append(out.empty() ? "" : " or ").append(article).append(kSchemaTypes[i]);
  }
  return out;
}

// "at least 2", "from 2 to 5", "at most 5".
std::string range(const SchemaRule& rule) {
  std::string low = std::to_string(rule.low), high = std::to_string(rule.high);
  if (rule.high == UINT64_MAX) return "at least " + low;
  return rule.low == 0 ? "at most " + high : "from " + low + " to " + high;
}

// Where a value stands within the one that is checked.
struct Path {
  const Path* up = nullptr;
  std::string_view name = {};  // Of a member, bytes.
  size_t index = 0;            // Of an element.
  bool element = false;

  std::string pointer() const {
    if (!up) return "";
    return up->pointer() + (element ? "/" + std::to_string(index) : json_pointer_step(name));
  }
};

}  // namespace

std::string canonical_json(Raw value) {
  if (value.is_number()) return Decimal(value.text()).text();
  if (value.is_string()) return json_quote(value.decoded());
  if (!value.is_array() && !value.is_object()) return std::string(value.text());
  std::vector<std::string> parts;
  for (RawWalk at = value.walk(); at.next();)
    parts.push_back((value.is_object() ? json_quote(decode_inner(at.key())) + ":" : "") + canonical_json(at.value()));
  if (value.is_object()) std::sort(parts.begin(), parts.end());
  std::string out(1, value.text().front());
  for (const std::string& part : parts) out.append(out.size() > 1 ? "," : "").append(part);
  return out + value.text().back();
}

class SchemaCheck {
 public:
  SchemaCheck(const JsonSchema::Compiled& schema, Raw value)
      : schema_(schema),
        pattern_steps_(JsonSchema::kPatternStepsMin + JsonSchema::kPatternStepsPerByte * value.text().size()) {}

  std::optional<Fault> run(Raw value) {
    Fault fault;
    bool fits = visit(0, value, Path(), fault);
    if (gave_up_) return Fault{"", "is too deep or too long to be checked against this schema"};
    return fits ? std::nullopt : std::optional(fault);
  }

 private:
  struct Parts {
    std::vector<std::pair<std::string, Raw>> members;
    std::vector<Raw> elements;
    size_t size() const { return members.size() + elements.size(); }
    bool has(std::string_view name) const {
      return std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
    }
  };

  bool visit(uint32_t node, Raw value, const Path& at, Fault& fault);
  bool keeps(const SchemaRule& rule, Raw value, const Parts& parts, const Path& at, Fault& fault);
  bool scalar(const SchemaRule& rule, Raw value, const Path& at, Fault& fault);
  bool array(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault);
  bool contains(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault);
  bool object(const SchemaRule& rule, Raw value, const Parts& parts, const Path& at, Fault& fault);
  bool members(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault);
  bool combined(const SchemaRule& rule, Raw value, const Path& at, Fault& fault);
  bool some_of(const SchemaRule& rule, Raw value, const Path& at, Fault& fault);
  bool matches(const Pattern& pattern, std::string_view text);

  // False, with what was wanted.
  static bool fail(Fault& fault, const Path& at, std::string message) {
    fault = {at.pointer(), std::move(message)};
    return false;
  }
  bool give_up() {
    gave_up_ = true;
    return false;
  }

  const JsonSchema::Compiled& schema_;
  uint64_t steps_ = JsonSchema::kStepsMax;
  uint64_t pattern_steps_;
  uint32_t depth_ = 0;
  bool gave_up_ = false;
};

bool SchemaCheck::visit(uint32_t node, Raw value, const Path& at, Fault& fault) {
  uint64_t cost = 1 + value.text().size() / JsonSchema::kBytesPerStep;
  if (gave_up_ || depth_ == JsonSchema::kDepthMax || steps_ < cost) return give_up();
  steps_ -= cost;
  depth_++;
  const std::vector<SchemaRule>& rules = schema_.nodes[node].rules;
  Parts parts;
  auto inside = [](const SchemaRule& rule) { return rule.word >= Word::items && rule.word <= Word::dependent; };
  if (std::any_of(rules.begin(), rules.end(), inside)) {
    for (RawWalk each = value.walk(); each.next();) {
      if (value.is_object())
        parts.members.emplace_back(decode_inner(each.key()), each.value());
      else
        parts.elements.push_back(each.value());
    }
  }
  bool fits = std::all_of(rules.begin(), rules.end(),
                          [&](const SchemaRule& rule) { return keeps(rule, value, parts, at, fault); });
  depth_--;
  return fits && !gave_up_;
}

bool SchemaCheck::keeps(const SchemaRule& rule, Raw value, const Parts& parts, const Path& at, Fault& fault) {
  switch (rule.word) {
    case Word::never:
      return fail(fault, at, "must not be there");
    case Word::type: case Word::among: case Word::minimum: case Word::maximum: case Word::multiple_of:
    case Word::length: case Word::pattern:
      return scalar(rule, value, at, fault);
    case Word::items: case Word::items_size: case Word::unique: case Word::contains:
      return !value.is_array() || array(rule, parts, at, fault);
    case Word::members: case Word::members_size: case Word::names: case Word::required: case Word::dependent:
      return !value.is_object() || object(rule, value, parts, at, fault);
    case Word::all_of: case Word::any_of: case Word::one_of: case Word::not_one: case Word::condition:
    case Word::reference:
      return combined(rule, value, at, fault);
  }
  return false;
}

bool SchemaCheck::matches(const Pattern& pattern, std::string_view text) {
  std::optional<bool> found = pattern.matches_within(text, pattern_steps_);
  return found ? *found : give_up();
}

bool SchemaCheck::scalar(const SchemaRule& rule, Raw value, const Path& at, Fault& fault) {
  if (rule.word == Word::type) {
    uint8_t types = types_of(value);
    if (rule.types & types) return true;
    if (types & kInteger) types = kInteger;
    return fail(fault, at, "wanted " + names_of(rule.types) + ", not " + names_of(types));
  }
  if (rule.word == Word::among) {
    std::string text = canonical_json(value);
    if (std::find(rule.words.begin(), rule.words.end(), text) != rule.words.end()) return true;
    return fail(fault, at, (rule.said.starts_with('[') ? "wanted one of " : "wanted ") + cut(rule.said) + ", not " +
                               cut(value.text()));
  }
  if (value.is_number() && (rule.word == Word::minimum || rule.word == Word::maximum)) {
    int side = Decimal(value.text()).compare(rule.number);
    if (rule.word == Word::maximum) side = -side;
    if (side > 0 || (side == 0 && !rule.exclusive)) return true;
    std::string word = rule.word == Word::minimum ? (rule.exclusive ? "above " : "at least ")
                                                  : (rule.exclusive ? "below " : "at most ");
    return fail(fault, at, "wanted a number " + word + rule.said + ", not " + cut(value.text()));
  }
  if (value.is_number() && rule.word == Word::multiple_of && !Decimal(value.text()).multiple_of(rule.number))
    return fail(fault, at, "wanted a multiple of " + rule.said + ", not " + cut(value.text()));
  if (!value.is_string()) return true;
  if (rule.word == Word::length) {
    CharacterCount count;
    count.begin();
    count.add(value.inner());
    uint64_t length = count.total();
    if (length >= rule.low && length <= rule.high) return true;
    return fail(fault, at, "wanted " + range(rule) + " characters, not " + std::to_string(length));
  }
  if (rule.word == Word::pattern && !matches(rule.patterns[0], value.decoded()))
    return fail(fault, at, "wanted a text in which " + cut(rule.said) + " is found, not " + cut(value.text()));
  return true;
}

bool SchemaCheck::array(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault) {
  size_t size = parts.elements.size();
  if (rule.word == Word::items_size) {
    if (size >= rule.low && size <= rule.high) return true;
    return fail(fault, at, "wanted " + range(rule) + " elements, not " + std::to_string(size));
  }
  if (rule.word == Word::unique) {
    std::set<std::string> seen;
    for (size_t i = 0; i < size; i++)
      if (!seen.insert(canonical_json(parts.elements[i])).second)
        return fail(fault, Path{&at, {}, i, true}, "is the same as an element before it; wanted each once");
    return true;
  }
  if (rule.word == Word::contains) return contains(rule, parts, at, fault);
  for (size_t i = 0; i < size; i++) {
    uint32_t node = i < rule.nodes.size() ? rule.nodes[i] : rule.rest;
    if (node != kNone && !visit(node, parts.elements[i], Path{&at, {}, i, true}, fault)) return false;
  }
  return true;
}

bool SchemaCheck::contains(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault) {
  uint64_t found = 0;
  Fault why{"", "there is none"};
  for (size_t i = 0; i < parts.elements.size(); i++)
    if (visit(rule.rest, parts.elements[i], Path{&at, {}, i, true}, why)) found++;
  if (found >= rule.low && found <= rule.high) return true;
  return fail(fault, at, "wanted " + range(rule) + " elements that fit `contains`, not " + std::to_string(found) +
                             (found < rule.low ? "; " + cut(why.text()) : ""));
}

bool SchemaCheck::object(const SchemaRule& rule, Raw value, const Parts& parts, const Path& at, Fault& fault) {
  if (rule.word == Word::members) return members(rule, parts, at, fault);
  if (rule.word == Word::members_size) {
    if (parts.size() >= rule.low && parts.size() <= rule.high) return true;
    return fail(fault, at, "wanted " + range(rule) + " members, not " + std::to_string(parts.size()));
  }
  if (rule.word == Word::names) {
    for (const auto& [name, member] : parts.members) {
      std::string quoted = json_quote(name);
      Fault why;
      if (!visit(rule.rest, Raw::parse(quoted).value(), Path(), why))
        return fail(fault, at, "has a member called " + cut(quoted) + ": " + why.message);
    }
    return true;
  }
  if (rule.word == Word::dependent && !parts.has(rule.said)) return true;
  for (const std::string& name : rule.words) {
    if (parts.has(name)) continue;
    std::string why = rule.word == Word::dependent ? ", which " + cut(json_quote(rule.said)) + " needs" : "";
    return fail(fault, at, "lacks the member " + cut(json_quote(name)) + why);
  }
  return rule.rest == kNone || visit(rule.rest, value, at, fault);
}

bool SchemaCheck::members(const SchemaRule& rule, const Parts& parts, const Path& at, Fault& fault) {
  for (const auto& [name, value] : parts.members) {
    Path here{&at, name};
    auto named = rule.named.find(name);
    bool known = named != rule.named.end();
    if (known && !visit(named->second, value, here, fault)) return false;
    for (size_t i = 0; i < rule.patterns.size(); i++) {
      if (!matches(rule.patterns[i], name)) continue;
      known = true;
      if (!visit(rule.nodes[i], value, here, fault)) return false;
    }
    if (!known && rule.rest != kNone && !visit(rule.rest, value, here, fault)) return false;
  }
  return true;
}

bool SchemaCheck::combined(const SchemaRule& rule, Raw value, const Path& at, Fault& fault) {
  Fault aside;
  switch (rule.word) {
    case Word::reference:
      return visit(rule.rest, value, at, fault);
    case Word::all_of:
      return std::all_of(rule.nodes.begin(), rule.nodes.end(),
                         [&](uint32_t node) { return visit(node, value, at, fault); });
    case Word::not_one:
      return !visit(rule.rest, value, at, aside) || fail(fault, at, "fits what `not` rules out");
    case Word::condition: {
      uint32_t then = rule.nodes[visit(rule.nodes[0], value, at, aside) ? 1 : 2];
      return then == kNone || visit(then, value, at, fault);
    }
    default:
      return some_of(rule, value, at, fault);
  }
}

// anyOf, oneOf. Where none fits, the one that was followed furthest into the value says why: it was likely meant.
bool SchemaCheck::some_of(const SchemaRule& rule, Raw value, const Path& at, Fault& fault) {
  size_t found = 0;
  Fault nearest, why;
  for (uint32_t node : rule.nodes) {
    if (visit(node, value, at, why)) {
      found++;
      if (rule.word == Word::any_of) return true;
    } else if (nearest.message.empty() || std::count(why.where.begin(), why.where.end(), '/') >
                                              std::count(nearest.where.begin(), nearest.where.end(), '/')) {
      nearest = why;
    }
  }
  if (found == 1) return true;
  if (found > 1)
    return fail(fault, at, "fits " + std::to_string(found) + " of the schemas of `oneOf`; wanted exactly one");
  return fail(fault, at, "fits none of the " + std::to_string(rule.nodes.size()) + " schemas of " +
                             (rule.word == Word::any_of ? "`anyOf`" : "`oneOf`") +
                             (nearest.message.empty() ? "" : "; of the nearest, " + cut(nearest.text())));
}

JsonSchema::JsonSchema(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

std::optional<JsonSchema::Fault> JsonSchema::check(Raw value) const {
  return SchemaCheck(*compiled_, value).run(value);
}
std::string_view JsonSchema::text() const { return compiled_->text; }

}  // namespace lb
