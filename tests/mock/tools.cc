#include "mock/tools.h"

#include <cjson/cJSON.h>
#include <strings.h>

#include <cstring>
#include <memory>

#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr uint32_t kDepthMax = 16;  // Of schemas; one that refers to itself has no end.

const cJSON* member(const cJSON* object, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const cJSON* found = cJSON_GetObjectItemCaseSensitive(object, name)) return found;
  return nullptr;
}

bool says(const cJSON* item, const char* text) {
  return cJSON_IsString(item) && strcasecmp(item->valuestring, text) == 0;
}

void add_json(const cJSON* item, std::string* out) {
  const std::unique_ptr<char, void (*)(void*)> text(cJSON_PrintUnformatted(item), cJSON_free);
  *out += text.get();
}

// A value that the schema allows, as far as types, enums and items say. Gemini's types are in capitals.
void add_value(const cJSON* schema, std::string_view name, uint32_t depth, std::string* out) {
  if (const cJSON* only = member(schema, {"const"})) return add_json(only, out);
  if (const cJSON* list = member(schema, {"enum"}); list && list->child) return add_json(list->child, out);
  const cJSON* type = member(schema, {"type"});
  if (cJSON_IsArray(type)) type = type->child;
  const cJSON* properties = member(schema, {"properties"});
  if (depth == kDepthMax) {
    *out += "null";
  } else if (properties || says(type, "object")) {
    *out += '{';
    for (const cJSON* each = properties ? properties->child : nullptr; each; each = each->next) {
      if (out->back() != '{') *out += ',';
      add_quoted(out, each->string);
      *out += ':';
      add_value(each, each->string, depth + 1, out);
    }
    *out += '}';
  } else if (says(type, "array")) {
    *out += '[';
    if (const cJSON* items = member(schema, {"items"})) add_value(items, name, depth + 1, out);
    *out += ']';
  } else if (says(type, "integer")) {
    *out += '7';
  } else if (says(type, "number")) {
    *out += "2.5";
  } else if (says(type, "boolean")) {
    *out += "true";
  } else {
    add_quoted(out, "mock " + std::string(name));
  }
}

void add_tool(const cJSON* tool, std::vector<ToolCall>* out) {
  if (const cJSON* function = member(tool, {"function"})) tool = function;
  const cJSON* name = member(tool, {"name"});
  if (!cJSON_IsString(name)) return;
  ToolCall call;
  add_inner(&call.name, name->valuestring);
  const cJSON* schema = member(tool, {"parameters", "parametersJsonSchema", "input_schema"});
  if (member(schema, {"properties"})) add_value(schema, "", 0, &call.arguments);
  else call.arguments = "{\"value\":\"mock\"}";
  out->push_back(std::move(call));
}

bool is_result(const cJSON* item) {
  return says(member(item, {"role"}), "tool") || says(member(item, {"type"}), "tool_result") ||
         says(member(item, {"type"}), "function_call_output") || member(item, {"functionResponse"});
}

bool has_results(const cJSON* body) {
  const cJSON* items = member(body, {"messages", "input", "contents"});
  for (const cJSON* item = items ? items->child : nullptr; item; item = item->next) {
    if (is_result(item)) return true;
    const cJSON* parts = member(item, {"content", "parts"});
    for (const cJSON* part = cJSON_IsArray(parts) ? parts->child : nullptr; part; part = part->next)
      if (is_result(part)) return true;
  }
  return false;
}

bool forbids(const cJSON* body) {
  const cJSON* choice = member(body, {"tool_choice"});
  if (!choice) choice = member(member(body, {"toolConfig"}), {"functionCallingConfig"});
  return says(choice, "none") || says(member(choice, {"type", "mode"}), "none");
}

}  // namespace

void choose_calls(std::string_view body, uint32_t count, std::vector<ToolCall>* out) {
  out->clear();
  const std::unique_ptr<cJSON, void (*)(cJSON*)> tree(cJSON_ParseWithLength(body.data(), body.size()), cJSON_Delete);
  if (has_results(tree.get()) || forbids(tree.get())) return;
  const cJSON* tools = member(tree.get(), {"tools"});
  for (const cJSON* tool = tools ? tools->child : nullptr; tool; tool = tool->next) {
    const cJSON* declared = member(tool, {"functionDeclarations"});
    if (!declared) add_tool(tool, out);
    for (const cJSON* each = declared ? declared->child : nullptr; each; each = each->next) add_tool(each, out);
  }
  const size_t offered = out->size();
  if (offered == 0) return;
  for (size_t i = offered; i < count; i++) out->push_back(ToolCall((*out)[i - offered]));
  out->resize(count);
}

std::string_view fragment(std::string_view text, uint32_t index, uint32_t count) {
  const auto edge = [&](uint32_t i) {
    size_t at = text.size() * i / count;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) at++;
    return at;
  };
  return text.substr(edge(index), edge(index + 1) - edge(index));
}

}  // namespace lb::mock
