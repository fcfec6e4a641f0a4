#include "wire/validate.h"

#include <algorithm>

#include "base/text.h"
#include "wire/escape.h"
#include "wire/json_find.h"

namespace lb {

namespace {

uint64_t characters(std::string_view text) {
  return static_cast<uint64_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Result<Validator> Validator::compile(Rules rules) {
  if (!rules.schema.empty() && rules.json == Json::any) rules.json = Json::find;
  Validator out(std::move(rules));
  if (!out.rules_.schema.empty()) {
    Result<JsonSchema> schema = JsonSchema::compile(out.rules_.schema);
    if (!schema.ok()) return Error{Status::CONFIG, "/schema" + schema.error().where, schema.error().message};
    out.schema_ = std::move(schema.value());
  }
  if (!out.rules_.pattern.empty()) {
    Result<Pattern> pattern = Pattern::compile(out.rules_.pattern);
    if (!pattern.ok()) return Error{Status::CONFIG, "/pattern", pattern.error().message};
    out.pattern_ = std::move(pattern.value());
  }
  return out;
}

Validator::Verdict Validator::check(std::string_view text) const {
  Verdict verdict{true, text, ""};
  if (rules_.json != Json::any) verdict = check_json(text);
  if (verdict.valid) {
    verdict.error = check_text(verdict.kept);
    verdict.valid = verdict.error.empty();
  }
  if (verdict.error.size() > kErrorMax) verdict.error = std::string(cut_text(verdict.error, kErrorMax)) + "...";
  return verdict;
}

Validator::Verdict Validator::check_json(std::string_view text) const {
  auto judge = [&](Raw value, std::string_view kept) {
    std::optional<JsonSchema::Fault> fault = schema_ ? schema_->check(value) : std::nullopt;
    return Verdict{!fault, kept, fault ? "its JSON does not fit the schema: " + fault->text() : ""};
  };
  Result<Raw> whole = Raw::parse(text);
  if (whole.ok()) return judge(whole.value(), text);
  if (rules_.json == Json::strict) return {false, "", "it is not JSON and nothing else: " + whole.error().message};
  JsonFinder finder(text);
  Verdict first;
  for (size_t i = 0; i < kFoundMax; i++) {
    Raw value = finder.next();
    if (!value.present()) break;
    Verdict verdict = judge(value, value.text());
    if (verdict.valid) return verdict;
    if (i == 0) first = std::move(verdict);
  }
  if (first.error.empty()) first.error = "there is no whole JSON object or array in it";
  return first;
}

std::string Validator::check_text(std::string_view text) const {
  uint64_t length = characters(text);
  if (length < rules_.chars_min)
    return "it has " + std::to_string(length) + " characters; wanted at least " + std::to_string(rules_.chars_min);
  if (length > rules_.chars_max)
    return "it has " + std::to_string(length) + " characters; wanted at most " + std::to_string(rules_.chars_max);
  for (const std::string& part : rules_.contains)
    if (text.find(part) == text.npos) return "it lacks " + json_quote(part);
  for (const std::string& part : rules_.excludes)
    if (text.find(part) != text.npos) return "it has " + json_quote(part) + " in it";
  if (pattern_ && !pattern_->matches(text))
    return "the regular expression " + json_quote(rules_.pattern) + " is not found in it";
  return "";
}

std::string Validator::ask_again(std::string_view error) const {
  std::string out = "This answer cannot be used: " + std::string(error) + ".\nAnswer once more";
  out += rules_.json == Json::any ? "." : " with JSON, and nothing before or after it.";
  if (!rules_.wanted.empty()) out += "\nWhat is wanted: " + rules_.wanted;
  if (schema_) out += "\nIt has to fit this JSON Schema:\n" + rules_.schema;
  if (rules_.chars_min > 0) out += "\nIt has to have at least " + std::to_string(rules_.chars_min) + " characters.";
  if (rules_.chars_max < UINT64_MAX)
    out += "\nIt has to have at most " + std::to_string(rules_.chars_max) + " characters.";
  for (const std::string& part : rules_.contains) out += "\nIt has to contain " + json_quote(part) + ".";
  for (const std::string& part : rules_.excludes) out += "\nIt must not contain " + json_quote(part) + ".";
  if (pattern_) out += "\nThis regular expression has to be found in it: " + rules_.pattern;
  return out;
}

}  // namespace lb
