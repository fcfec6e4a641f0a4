#include "config/config.h"

#include "config/check.h"
#include "config/read.h"
#include "config/scalar.h"
#include "config/yaml.h"
#include "wire/json.h"

namespace lb {

namespace {

bool looks_like_json(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

// Errors of syntax have a line where others have a pointer.
Error in_document(const Error& error) {
  if (error.where.starts_with('/')) return error;
  std::string line = error.where.empty() ? "" : error.where + ": ";
  return {Status::CONFIG, "", "the document: " + line + error.message};
}

Result<JsonDocument> parse_document(std::string_view text) {
  if (text.size() > kDocumentMax)
    return Error{Status::CONFIG, "", "longer than " + std::to_string(kDocumentMax) + " bytes; write less"};
  if (!is_utf8(text)) return Error{Status::CONFIG, "", "not UTF-8; save it in that encoding"};
  if (looks_like_json(text)) return JsonDocument::parse(text);
  Result<std::string> json = yaml_to_json(text);
  if (!json.ok()) return json.error();
  Result<JsonDocument> document = JsonDocument::parse(json.value());
  if (document.ok()) return document;
  return Error{Status::CONFIG, "", document.error().message};  // Its lines are not the lines of the YAML.
}

}  // namespace

bool is_model_pattern(std::string_view name) { return name != "*" && name.find('*') != name.npos; }

// Goes back to the last "*" only, which is enough: what was taken before it fits wherever it ends.
bool fits_pattern(std::string_view pattern, std::string_view model) {
  size_t p = 0, m = 0, star = pattern.npos, taken = 0;
  while (m < model.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = m;
    } else if (p < pattern.size() && pattern[p] == model[m]) {
      p++;
      m++;
    } else if (star != pattern.npos) {
      p = star + 1;
      m = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

const ModelConfig* Deployment::find_model(std::string_view model) const {
  const ModelConfig* fitting = nullptr;
  for (const ModelConfig& entry : models) {
    if (entry.name == model) return &entry;
    if (!fitting && is_model_pattern(entry.name) && fits_pattern(entry.name, model)) fitting = &entry;
  }
  return fitting;
}

const Route* Config::find_route(std::string_view model) const {
  const Route *fitting = nullptr, *rest = nullptr;
  for (const Route& route : routes) {
    if (route.model == model) return &route;
    if (route.model == "*") rest = &route;
    if (!fitting && is_model_pattern(route.model) && fits_pattern(route.model, model)) fitting = &route;
  }
  return fitting ? fitting : rest;
}

const Party* Config::find_caller(std::string_view name) const {
  const Party* rest = nullptr;
  for (const Party& party : callers) {
    if (party.name == name && name != "*") return &party;
    if (party.name == "*") rest = &party;
  }
  return rest;
}

Result<std::shared_ptr<const Config>> parse_config(std::string_view text, Secrets* secrets, SecretUse use) {
  Result<JsonDocument> document = parse_document(text);
  if (!document.ok()) return in_document(document.error());
  JsonView root = document.value().root();
  if (Problem problem = check_shape(root)) return std::move(*problem);
  auto config = std::make_shared<Config>();
  if (Problem problem = read_config(root, secrets, use, *config)) return std::move(*problem);
  return std::shared_ptr<const Config>(std::move(config));
}

}  // namespace lb
