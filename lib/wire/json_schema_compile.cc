#include <utility>

#include "base/text.h"
#include "wire/dialect/members.h"
#include "wire/escape.h"
#include "wire/json.h"
#include "wire/json_schema_inside.h"

namespace lb {

namespace {

using Word = SchemaRule::Word;
constexpr uint32_t kNone = SchemaRule::kNone;

struct Refused {
  std::string_view word;
  std::string_view remedy;
};
constexpr Refused kRefused[] = {
    {"unevaluatedProperties", "name all members in one place and write additionalProperties there"},
    {"unevaluatedItems", "write prefixItems and items in one place"},
    {"$dynamicRef", "write $ref"},
    {"$recursiveRef", "write $ref"},
    {"nullable", "it is OpenAPI's; write \"null\" among the types"},
};

}  // namespace

class SchemaCompiler {
 public:
  explicit SchemaCompiler(JsonSchema::Compiled& out) : out_(out) {
    for (std::string_view draft : {"draft-03", "draft-04", "draft-06", "draft-07"})
      old_ = old_ || out.root["$schema"].inner().find(draft) != std::string_view::npos;
  }
  std::optional<Error> run() {
    node(out_.root, "");
    // Those that are resolved on the way bring more of them.
    for (size_t i = 0; i < references_.size() && !error_; i++) resolve(Reference(references_[i]));
    return error_;
  }

 private:
  struct Reference {
    uint32_t node;
    size_t rule;
    std::string at, to;
  };

  uint32_t node(Raw schema, const std::string& at);
  void fill(const Members& from, const std::string& at);
  void refuse_unknown(const Members& from, const std::string& at);
  void values(const Members& from, const std::string& at);
  void numbers(const Members& from, const std::string& at);
  void strings(const Members& from, const std::string& at);
  void arrays(const Members& from, const std::string& at);
  void objects(const Members& from, const std::string& at);
  void dependents(const Members& from, const std::string& at);
  void combinations(const Members& from, const std::string& at);
  void definitions(const Members& from, const std::string& at);
  void size(Word word, Raw low, Raw high, const std::string& at);
  void resolve(const Reference& reference);
  Raw find(std::string_view pointer, const std::string& at);

  void fail(const std::string& at, std::string message) {
    if (!error_) error_ = Error{Status::CONFIG, at, std::move(message)};
  }
  uint64_t count(Raw value, const std::string& at);
  std::vector<std::string> strings_of(Raw list, const std::string& at);
  std::vector<uint32_t> nodes_of(Raw list, const std::string& at);
  void add_pattern(std::string text, const std::string& at, SchemaRule& rule);
  SchemaRule& add(Word word) {
    rules_->emplace_back().word = word;
    return rules_->back();
  }

  JsonSchema::Compiled& out_;
  bool old_ = false;  // Of a draft in which nothing counts beside $ref.
  std::map<std::string, uint32_t, std::less<>> nodes_;    // By JSON pointer.
  std::map<std::string, uint32_t, std::less<>> anchors_;
  std::vector<Reference> references_;
  std::vector<SchemaRule>* rules_ = nullptr;  // Of the node that is being filled, ...
  uint32_t index_ = 0;                        // ... which is this one.
  std::optional<Error> error_;
};

uint32_t SchemaCompiler::node(Raw schema, const std::string& at) {
  if (error_) return kNone;
  auto index = static_cast<uint32_t>(out_.nodes.size());
  out_.nodes.emplace_back();
  nodes_[at] = index;
  std::vector<SchemaRule> rules;
  std::vector<SchemaRule>* outer = std::exchange(rules_, &rules);
  uint32_t outer_index = std::exchange(index_, index);
  if (schema.is_object())
    fill(Members(schema), at);
  else if (schema.is_false())
    add(Word::never);
  else if (!schema.is_true())
    fail(at, "is no schema; write an object, true or false");
  rules_ = outer;
  index_ = outer_index;
  out_.nodes[index].rules = std::move(rules);
  return index;
}

void SchemaCompiler::fill(const Members& from, const std::string& at) {
  definitions(from, at);
  if (Raw to = from["$ref"]; to.present()) {
    if (!to.is_string()) fail(at + "/$ref", "is no string; write \"#/$defs/name\"");
    references_.push_back({index_, rules_->size(), at + "/$ref", to.decoded()});
    add(Word::reference);
    if (old_) return;
  }
  refuse_unknown(from, at);
  values(from, at);
  numbers(from, at);
  strings(from, at);
  arrays(from, at);
  objects(from, at);
  dependents(from, at);
  combinations(from, at);
}

void SchemaCompiler::refuse_unknown(const Members& from, const std::string& at) {
  for (const Refused& refused : kRefused)
    if (from[refused.word].present())
      fail(at + "/" + std::string(refused.word), "is not checked here; " + std::string(refused.remedy));
  if (from["$id"].present() && !at.empty())
    fail(at + "/$id", "is not followed here; leave it out, and write references from the beginning of the schema");
}

void SchemaCompiler::values(const Members& from, const std::string& at) {
  if (Raw type = from["type"]; type.present()) {
    SchemaRule& rule = add(Word::type);
    auto take = [&](Raw name) {
      for (size_t i = 0; i < std::size(kSchemaTypes); i++)
        if (name.inner() == kSchemaTypes[i]) return rule.types |= static_cast<uint8_t>(1u << i), true;
      return false;
    };
    bool fine = true;
    for (RawWalk each = type.walk(); type.is_array() && each.next();) fine = take(each.value()) && fine;
    if (!type.is_array()) fine = take(type);
    if (!fine) fail(at + "/type", "is no type; write null, boolean, integer, number, string, array, object, or a list");
  }
  if (Raw list = from["enum"]; list.present()) {
    if (!list.is_array()) fail(at + "/enum", "is no list; write one");
    SchemaRule& rule = add(Word::among);
    for (RawWalk each = list.walk(); each.next();) rule.words.push_back(canonical_json(each.value()));
    rule.said = list.text();
  }
  if (Raw one = from["const"]; one.present()) {
    SchemaRule& rule = add(Word::among);
    rule.words.push_back(canonical_json(one));
    rule.said = one.text();
  }
}

void SchemaCompiler::numbers(const Members& from, const std::string& at) {
  struct Bound {
    std::string_view name, beside;
    Word word;
  };
  for (const Bound& bound : {Bound{"minimum", "exclusiveMinimum", Word::minimum},
                             Bound{"maximum", "exclusiveMaximum", Word::maximum}}) {
    bool exclusive = from[bound.beside].is_true();  // Draft 4.
    for (std::string_view name : {bound.name, bound.beside}) {
      Raw value = from[name];
      bool flag = name == bound.beside && (value.is_true() || value.is_false());
      if (!value.present() || flag) continue;
      if (!value.is_number()) fail(at + "/" + std::string(name), "is no number; write one");
      SchemaRule& rule = add(bound.word);
      rule.number = Decimal(value.is_number() ? value.text() : "0");
      rule.exclusive = exclusive || name == bound.beside;
      rule.said = value.text();
    }
  }
  Raw divisor = from["multipleOf"];
  if (!divisor.present()) return;
  SchemaRule& rule = add(Word::multiple_of);
  if (divisor.is_number()) rule.number = Decimal(divisor.text());
  rule.said = divisor.text();
  bool fits = !rule.number.zero() && !rule.number.negative() && rule.number.digits() <= Decimal::kDivisorDigitsMax;
  if (!fits) fail(at + "/multipleOf", "is no divisor; write a number above 0 with at most 18 digits");
}

uint64_t SchemaCompiler::count(Raw value, const std::string& at) {
  std::optional<uint64_t> count = value.is_number() ? Decimal(value.text()).count() : std::nullopt;
  if (!count) fail(at, "is no count; write 0 or a whole number above");
  return count.value_or(0);
}

void SchemaCompiler::size(Word word, Raw low, Raw high, const std::string& at) {
  if (!low.present() && !high.present()) return;
  SchemaRule& rule = add(word);
  if (low.present()) rule.low = count(low, at);
  if (high.present()) rule.high = count(high, at);
}

void SchemaCompiler::strings(const Members& from, const std::string& at) {
  size(Word::length, from["minLength"], from["maxLength"], at);
  if (Raw pattern = from["pattern"]; pattern.present()) {
    SchemaRule& rule = add(Word::pattern);
    rule.said = pattern.decoded();
    if (!pattern.is_string()) fail(at + "/pattern", "is no string; write a regular expression");
    add_pattern(rule.said, at + "/pattern", rule);
  }
}

void SchemaCompiler::add_pattern(std::string text, const std::string& at, SchemaRule& rule) {
  Result<Pattern> pattern = Pattern::compile(text, Pattern::Syntax::ecma);
  if (pattern.ok())
    rule.patterns.push_back(std::move(pattern.value()));
  else
    fail(at, pattern.error().message);
}

std::vector<uint32_t> SchemaCompiler::nodes_of(Raw list, const std::string& at) {
  std::vector<uint32_t> out;
  if (!list.is_array()) fail(at, "is no list; write a list of schemas");
  for (RawWalk each = list.walk(); list.is_array() && each.next();)
    out.push_back(node(each.value(), at + "/" + std::to_string(out.size())));
  return out;
}

void SchemaCompiler::arrays(const Members& from, const std::string& at) {
  Raw items = from["items"], first = from["prefixItems"];
  // Before 2020 a list of items was what prefixItems is now.
  bool list = items.is_array() && !first.present();
  Raw others = list ? from["additionalItems"] : items;
  if (items.present() || first.present()) {
    SchemaRule rule{.word = Word::items};
    if (list) rule.nodes = nodes_of(items, at + "/items");
    if (first.present()) rule.nodes = nodes_of(first, at + "/prefixItems");
    if (others.present()) rule.rest = node(others, at + (list ? "/additionalItems" : "/items"));
    rules_->push_back(std::move(rule));
  }
  size(Word::items_size, from["minItems"], from["maxItems"], at);
  if (from["uniqueItems"].is_true()) add(Word::unique);
  if (Raw contains = from["contains"]; contains.present()) {
    SchemaRule rule{.word = Word::contains};
    rule.rest = node(contains, at + "/contains");
    Raw low = from["minContains"], high = from["maxContains"];
    rule.low = low.present() ? count(low, at + "/minContains") : 1;
    if (high.present()) rule.high = count(high, at + "/maxContains");
    rules_->push_back(std::move(rule));
  }
}

std::vector<std::string> SchemaCompiler::strings_of(Raw list, const std::string& at) {
  std::vector<std::string> out;
  if (!list.is_array()) fail(at, "is no list; write a list of names");
  for (RawWalk each = list.walk(); list.is_array() && each.next();) {
    if (!each.value().is_string()) fail(at, "names something that is no string; write names only");
    out.push_back(each.value().decoded());
  }
  return out;
}

void SchemaCompiler::objects(const Members& from, const std::string& at) {
  if (Raw names = from["required"]; names.present()) {
    SchemaRule rule{.word = Word::required};
    rule.words = strings_of(names, at + "/required");
    rules_->push_back(std::move(rule));
  }
  size(Word::members_size, from["minProperties"], from["maxProperties"], at);
  if (Raw names = from["propertyNames"]; names.present()) {
    SchemaRule rule{.word = Word::names};
    rule.rest = node(names, at + "/propertyNames");
    rules_->push_back(std::move(rule));
  }
  Raw named = from["properties"], matching = from["patternProperties"], others = from["additionalProperties"];
  if (!named.present() && !matching.present() && !others.present()) return;
  SchemaRule rule{.word = Word::members};
  for (Raw map : {named, matching})
    if (map.present() && !map.is_object())
      fail(at + (map.text().data() == named.text().data() ? "/properties" : "/patternProperties"),
           "is no object; write one of names and schemas");
  for (RawWalk each = named.walk(); named.is_object() && each.next();) {
    std::string name = decode_inner(each.key());
    rule.named[name] = node(each.value(), at + "/properties" + json_pointer_step(name));
  }
  for (RawWalk each = matching.walk(); matching.is_object() && each.next();) {
    std::string text = decode_inner(each.key());
    std::string here = at + "/patternProperties" + json_pointer_step(text);
    add_pattern(std::move(text), here, rule);
    rule.nodes.push_back(node(each.value(), here));
  }
  if (others.present()) rule.rest = node(others, at + "/additionalProperties");
  rules_->push_back(std::move(rule));
}

void SchemaCompiler::dependents(const Members& from, const std::string& at) {
  // `dependencies` was both, until 2019.
  for (std::string_view word : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    Raw map = from[word];
    std::string here = at + "/" + std::string(word);
    if (map.present() && !map.is_object()) fail(here, "is no object; write one of names and what they need");
    for (RawWalk each = map.walk(); map.is_object() && each.next();) {
      SchemaRule rule{.word = Word::dependent};
      rule.said = decode_inner(each.key());
      std::string there = here + json_pointer_step(rule.said);
      bool list = word == "dependentRequired" || (word == "dependencies" && each.value().is_array());
      if (list)
        rule.words = strings_of(each.value(), there);
      else
        rule.rest = node(each.value(), there);
      rules_->push_back(std::move(rule));
    }
  }
}

void SchemaCompiler::combinations(const Members& from, const std::string& at) {
  struct List {
    std::string_view name;
    Word word;
  };
  for (const List& list : {List{"allOf", Word::all_of}, List{"anyOf", Word::any_of}, List{"oneOf", Word::one_of}}) {
    Raw value = from[list.name];
    if (!value.present()) continue;
    SchemaRule rule{.word = list.word};
    rule.nodes = nodes_of(value, at + "/" + std::string(list.name));
    rules_->push_back(std::move(rule));
  }
  if (Raw value = from["not"]; value.present()) {
    SchemaRule rule{.word = Word::not_one};
    rule.rest = node(value, at + "/not");
    rules_->push_back(std::move(rule));
  }
  if (!from["if"].present()) return;
  SchemaRule rule{.word = Word::condition};
  for (std::string_view name : {"if", "then", "else"})
    rule.nodes.push_back(from[name].present() ? node(from[name], at + "/" + std::string(name)) : kNone);
  rules_->push_back(std::move(rule));
}

// Also those that nothing refers to: a mistake in one is a mistake.
void SchemaCompiler::definitions(const Members& from, const std::string& at) {
  for (std::string_view word : {"$defs", "definitions"}) {
    Raw map = from[word];
    for (RawWalk each = map.walk(); map.is_object() && each.next();)
      node(each.value(), at + "/" + std::string(word) + json_pointer_step(decode_inner(each.key())));
  }
  for (std::string_view word : {"$anchor", "$dynamicAnchor"})
    if (Raw name = from[word]; name.is_string()) anchors_.emplace(name.decoded(), index_);
}

// The value at `pointer`, which is "" or begins with a slash.
Raw SchemaCompiler::find(std::string_view pointer, const std::string& at) {
  Raw value = out_.root;
  while (!pointer.empty() && value.present()) {
    pointer.remove_prefix(1);
    size_t end = std::min(pointer.find('/'), pointer.size());
    std::string name;
    for (size_t i = 0; i < end; i++) {
      bool escape = pointer[i] == '~' && i + 1 < end;
      name += escape ? (pointer[++i] == '1' ? '/' : '~') : pointer[i];
    }
    pointer.remove_prefix(end);
    Raw next = value[name];
    std::optional<uint64_t> index = parse_u64(name);
    for (RawWalk each = value.walk(); value.is_array() && index && each.next();)
      if ((*index)-- == 0) next = each.value(), index.reset();
    value = next;
  }
  if (!value.present()) fail(at, "leads nowhere; write \"#/$defs/\" and a name that stands there");
  return value;
}

void SchemaCompiler::resolve(const Reference& reference) {
  std::string to = percent_decode(reference.to);
  // A schema may call itself by its name.
  std::string id = out_.root["$id"].decoded();
  if (!id.empty() && to.starts_with(id)) to.erase(0, id.size());
  uint32_t found = kNone;
  if (to.empty() || to == "#") {
    found = 0;
  } else if (!to.starts_with('#')) {
    fail(reference.at, "leads out of the schema, where nothing is fetched; write what it means under $defs");
  } else if (to[1] != '/') {
    auto anchor = anchors_.find(std::string_view(to).substr(1));
    if (anchor != anchors_.end())
      found = anchor->second;
    else
      fail(reference.at, "names no $anchor of the schema; write \"#/$defs/\" and a name that stands there");
  } else {
    std::string pointer = to.substr(1);
    auto known = nodes_.find(pointer);
    if (known != nodes_.end()) {
      found = known->second;
    } else if (Raw value = find(pointer, reference.at); value.present()) {
      found = node(value, pointer);
    }
  }
  out_.nodes[reference.node].rules[reference.rule].rest = found;
}

Result<JsonSchema> JsonSchema::compile(std::string_view text) {
  if (text.size() > kTextMax)
    return Error{Status::CONFIG, "", "has more than " + std::to_string(kTextMax) + " bytes; write a smaller schema"};
  auto compiled = std::make_unique<Compiled>();
  compiled->text = text;
  Result<Raw> root = Raw::parse(compiled->text);
  if (!root.ok()) return Error{Status::CONFIG, "", root.error().message + "; write an object"};
  compiled->root = root.value();
  if (std::optional<Error> error = SchemaCompiler(*compiled).run()) return *error;
  return JsonSchema(std::move(compiled));
}

}  // namespace lb
