#include "gateway/models.h"

#include <algorithm>

#include "wire/json.h"

namespace lb {

namespace {

// Patterns name no model.
bool is_listed(const Route& route) { return route.model.find('*') == route.model.npos; }

// Nobody knows when it was made, nor what it can do.
void write_model(JsonWriter& json, Api api, std::string_view id) {
  json.begin_object();
  switch (api) {
    case Api::openai:
      json.key("id").value(id).key("object").value("model");
      json.key("created").value(uint64_t{0}).key("owned_by").value("lb");
      break;
    case Api::anthropic:
      json.key("type").value("model").key("id").value(id).key("display_name").value(id);
      json.key("created_at").value("1970-01-01T00:00:00Z");
      break;
    case Api::gemini:
      json.key("name").value("models/" + std::string(id)).key("displayName").value(id);
      json.key("supportedGenerationMethods").begin_array();
      for (const char* method : {"generateContent", "countTokens", "embedContent"}) json.value(method);
      json.end_array();
      break;
  }
  json.end_object();
}

}  // namespace

std::string print_models(const Config& config, Api api) {
  std::string_view first, last;
  JsonWriter json;
  json.begin_object();
  if (api == Api::openai) json.key("object").value("list");
  json.key(api == Api::gemini ? "models" : "data").begin_array();
  for (const Route& route : config.routes) {
    if (!is_listed(route)) continue;
    if (first.empty()) first = route.model;
    last = route.model;
    write_model(json, api, route.model);
  }
  json.end_array();
  if (api == Api::anthropic) {  // One page has them all.
    json.key("has_more").value(false).key("first_id");
    first.empty() ? json.null() : json.value(first);
    json.key("last_id");
    last.empty() ? json.null() : json.value(last);
  }
  json.end_object();
  return json.take();
}

std::optional<std::string> print_model(const Config& config, Api api, std::string_view id) {
  auto same = [&](const Route& route) { return route.model == id && is_listed(route); };
  if (std::none_of(config.routes.begin(), config.routes.end(), same)) return std::nullopt;
  JsonWriter json;
  write_model(json, api, id);
  return json.take();
}

}  // namespace lb
