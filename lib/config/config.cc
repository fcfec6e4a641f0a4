#include "config/config.h"

#include "config/check.h"
#include "config/read.h"
#include "config/yaml.h"
#include "wire/json.h"

namespace lb {

namespace {

// A thousand deployments with a hundred models each fit several times.
constexpr size_t kDocumentMax = size_t{16} << 20;

bool looks_like_json(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

// Errors of syntax have no pointer: their place is a line.
Error in_document(const Error& error) {
  std::string where = error.where.empty() ? "" : error.where + ": ";
  return {Status::CONFIG, "", "the document: " + where + error.message};
}

}  // namespace

const ModelConfig* Deployment::find_model(std::string_view model) const {
  for (const ModelConfig& entry : models)
    if (entry.name == model) return &entry;
  return nullptr;
}

const Route* Config::find_route(std::string_view model) const {
  const Route* rest = nullptr;
  for (const Route& route : routes) {
    if (route.model == model) return &route;
    if (route.model == "*") rest = &route;
  }
  return rest;
}

Result<std::shared_ptr<const Config>> parse_config(std::string_view text, Secrets* secrets, SecretUse use) {
  if (text.size() > kDocumentMax)
    return Error{Status::CONFIG, "", "the document is longer than 16 MiB; write less"};
  std::string json;
  if (!looks_like_json(text)) {
    Result<std::string> converted = yaml_to_json(text);
    if (!converted.ok()) return in_document(converted.error());
    json = std::move(converted.value());
    text = json;
  }
  Result<JsonDocument> document = JsonDocument::parse(text);
  if (!document.ok()) return in_document(document.error());
  JsonView root = document.value().root();
  if (Problem problem = check_shape(root)) return std::move(*problem);
  auto config = std::make_shared<Config>();
  if (Problem problem = read_config(root, secrets, use, *config)) return std::move(*problem);
  return std::shared_ptr<const Config>(std::move(config));
}

}  // namespace lb
