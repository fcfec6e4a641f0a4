// What answers have to be: `validate` of a route.
#include "config/read.h"

namespace lb {

namespace {

using schema::Key;

std::vector<std::string> texts(JsonView list) {
  std::vector<std::string> out;
  for (JsonView view = list.first(); view.present(); view = view.next()) out.emplace_back(view.string());
  return out;
}

}  // namespace

Problem read_validate(const Place& place, JsonView view, std::shared_ptr<const AnswerRules>& out) {
  if (!view.present()) return std::nullopt;
  auto part = [](JsonView of, Key key) { return of[schema::row(key).segment()]; };
  Validator::Rules rules;
  if (part(view, Key::validate_json).present())
    rules.json = static_cast<Validator::Json>(read_choice(view, Key::validate_json) + 1);  // `any` is not offered.
  JsonView schema = part(view, Key::validate_schema), text = part(view, Key::validate_text);
  if (schema.present()) rules.schema = schema.print();
  rules.pattern = read_string(view, Key::validate_pattern);
  rules.wanted = read_string(view, Key::validate_wanted);
  rules.chars_min = read_integer(text, Key::validate_min_chars);
  if (part(text, Key::validate_max_chars).present()) rules.chars_max = read_integer(text, Key::validate_max_chars);
  rules.contains = texts(part(text, Key::validate_contains));
  rules.excludes = texts(part(text, Key::validate_excludes));
  if (rules.chars_min > rules.chars_max)
    return place.at("text").error("has a `min_chars` above `max_chars`; write a smaller one");
  bool any = rules.json != Validator::Json::any || schema.present() || !rules.pattern.empty() || text.size() > 0;
  if (!any) return place.error("checks nothing; write `json`, `schema`, `pattern` or `text`");
  Result<Validator> validator = Validator::compile(std::move(rules));
  if (!validator.ok())
    return Error{Status::CONFIG, place.pointer() + validator.error().where, validator.error().message};
  out = std::make_shared<const AnswerRules>(
      AnswerRules{std::move(validator.value()), static_cast<uint32_t>(read_integer(view, Key::validate_asks)),
                  static_cast<uint32_t>(read_integer(view, Key::validate_hold_bytes))});
  return std::nullopt;
}

}  // namespace lb
