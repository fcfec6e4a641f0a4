#include "mock/models.h"

#include "mock/text.h"

namespace lb::mock {

// 2025-01-01: any fixed time.
void add_model(Voice voice, std::string_view name, std::string* out) {
  switch (voice) {
    case Voice::openai:
      return add(out, "{\"id\":\"", name, "\",\"object\":\"model\",\"created\":1735689600,\"owned_by\":\"mock\"}");
    case Voice::anthropic:
      return add(out, "{\"type\":\"model\",\"id\":\"", name, "\",\"display_name\":\"", name,
                 "\",\"created_at\":\"2025-01-01T00:00:00Z\"}");
    case Voice::gemini:
      return add(out, "{\"name\":\"models/", name, "\",\"version\":\"1\",\"displayName\":\"", name,
                 "\",\"inputTokenLimit\":1048576,\"outputTokenLimit\":65536,\"supportedGenerationMethods\":"
                 "[\"generateContent\",\"countTokens\",\"embedContent\"]}");
  }
}

void add_models(Voice voice, const std::vector<std::string>& names, std::string* out) {
  *out += voice == Voice::openai ? "{\"object\":\"list\",\"data\":["
          : voice == Voice::gemini ? "{\"models\":[" : "{\"data\":[";
  for (size_t i = 0; i < names.size(); i++) {
    if (i) *out += ',';
    add_model(voice, names[i], out);
  }
  *out += ']';
  if (voice == Voice::anthropic && !names.empty())  // One page has them all.
    add(out, ",\"has_more\":false,\"first_id\":\"", names.front(), "\",\"last_id\":\"", names.back(), "\"");
  if (voice == Voice::anthropic && names.empty()) *out += ",\"has_more\":false,\"first_id\":null,\"last_id\":null";
  *out += '}';
}

Voice voice_of_list(std::string_view path, std::string_view header_lines) {
  if (!find_field(header_lines, "anthropic-version").empty()) return Voice::anthropic;
  return path.find("/v1beta/") != path.npos ? Voice::gemini : Voice::openai;
}

}  // namespace lb::mock
