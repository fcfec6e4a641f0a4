#include "mock/request.h"

#include <cjson/cJSON.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace lb::mock {

namespace {

// After the colon of `quoted_key`, from the first byte of the value; npos when there is none.
size_t value_at(std::string_view json, std::string_view quoted_key) {
  for (size_t from = 0; from < json.size();) {
    const void* hit = memmem(json.data() + from, json.size() - from, quoted_key.data(), quoted_key.size());
    if (!hit) break;
    size_t at = static_cast<size_t>(static_cast<const char*>(hit) - json.data()) + quoted_key.size();
    from = at;
    at = json.find_first_not_of(" \t\r\n", at);
    if (at == json.npos || json[at] != ':') continue;
    at = json.find_first_not_of(" \t\r\n", at + 1);
    if (at != json.npos) return at;
  }
  return json.npos;
}

// The part of `path` between "/deployments/" and the next slash: the model of Azure's classic paths.
std::string_view deployment_of(std::string_view path) {
  constexpr std::string_view kMark = "/deployments/";
  const size_t at = path.find(kMark);
  if (at == path.npos) return {};
  std::string_view name = path.substr(at + kMark.size());
  name = name.substr(0, name.find('/'));
  // It goes into JSON as it is.
  return name.find_first_of("\"\\") == name.npos ? name : std::string_view();
}

void read_embeddings(std::string_view json, Ask* out) {
  const std::unique_ptr<cJSON, void (*)(cJSON*)> tree(cJSON_ParseWithLength(json.data(), json.size()), cJSON_Delete);
  out->is_object = cJSON_IsObject(tree.get());
  const cJSON* input = cJSON_GetObjectItemCaseSensitive(tree.get(), "input");
  // A list of texts or of lists of tokens is many inputs; a list of tokens is one.
  if (cJSON_IsArray(input) && !cJSON_IsNumber(input->child))
    out->inputs = static_cast<uint32_t>(cJSON_GetArraySize(input));
  const cJSON* dimensions = cJSON_GetObjectItemCaseSensitive(tree.get(), "dimensions");
  if (cJSON_IsNumber(dimensions) && dimensions->valuedouble >= 1 && dimensions->valuedouble <= 16384)
    out->dimensions = static_cast<uint32_t>(dimensions->valuedouble);
  const cJSON* format = cJSON_GetObjectItemCaseSensitive(tree.get(), "encoding_format");
  out->base64 = cJSON_IsString(format) && std::strcmp(format->valuestring, "base64") == 0;
}

}  // namespace

Endpoint endpoint_of(std::string_view method, std::string_view path) {
  path = path.substr(0, path.find('?'));
  if (method == "POST") {
    if (path.ends_with("/chat/completions")) return Endpoint::chat;
    if (path.ends_with("/completions")) return Endpoint::completions;
    if (path.ends_with("/embeddings")) return Endpoint::embeddings;
    if (path.ends_with("/responses")) return Endpoint::responses;
    if (path == "/mock/control") return Endpoint::control;
    return Endpoint::unknown;
  }
  if (method != "GET") return Endpoint::unknown;
  if (path == "/mock/journal") return Endpoint::journal;
  if (path.ends_with("/models")) return Endpoint::models;
  if (path.find("/models/") != path.npos) return Endpoint::model;
  return path == "/" ? Endpoint::about : Endpoint::unknown;
}

bool counts_as_call(Endpoint endpoint) {
  return endpoint == Endpoint::chat || endpoint == Endpoint::completions || endpoint == Endpoint::embeddings ||
         endpoint == Endpoint::responses;
}

void Body::reset(bool whole) {
  kept_.clear();
  size_ = 0;
  whole_ = whole;
}

bool Body::add(std::string_view data) {
  size_ += data.size();
  if (whole_) {
    if (size_ > kWholeMax) return false;
    kept_ += data;
    return true;
  }
  if (kept_.size() + data.size() <= 3 * kEndKept) {
    kept_ += data;
    return true;
  }
  // The middle goes: the first kEndKept stay, then the last ones.
  if (kept_.size() < kEndKept) {
    const size_t room = kEndKept - kept_.size();
    kept_ += data.substr(0, room);
    data.remove_prefix(room);
  }
  if (data.size() >= kEndKept) {
    kept_.resize(kEndKept);
    kept_ += data.substr(data.size() - kEndKept);
  } else {
    const size_t tail = kEndKept - data.size();
    if (kept_.size() > kEndKept + tail) kept_.erase(kEndKept, kept_.size() - kEndKept - tail);
    kept_ += data;
  }
  return true;
}

std::string_view find_text(std::string_view json, std::string_view quoted_key) {
  const size_t at = value_at(json, quoted_key);
  if (at == json.npos || json[at] != '"') return {};
  for (size_t end = at + 1; end < json.size(); end++) {
    if (json[end] == '"') return json.substr(at + 1, end - at - 1);
    if (json[end] == '\\') end++;
  }
  return {};
}

char find_first(std::string_view json, std::string_view quoted_key) {
  const size_t at = value_at(json, quoted_key);
  return at == json.npos ? '\0' : json[at];
}

void read_ask(Endpoint endpoint, std::string_view path, const Body& body, Ask* out) {
  const std::string_view json = body.kept();
  const size_t first = json.find_first_not_of(" \t\r\n");
  out->model = find_text(json, "\"model\"");
  if (out->model.empty()) out->model = deployment_of(path);
  out->stream = out->include_usage = out->base64 = false;
  out->dimensions = 0;
  out->inputs = 1;
  out->is_object = first != json.npos && json[first] == '{' && json[json.find_last_not_of(" \t\r\n")] == '}';
  if (endpoint == Endpoint::embeddings) return read_embeddings(json, out);
  out->stream = find_first(json, "\"stream\"") == 't';
  out->include_usage = out->stream && find_first(json, "\"include_usage\"") == 't';
}

std::string_view find_field(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    const size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    if (line.size() > name.size() + 1 && line.starts_with(name) && line[name.size()] == ':')
      return line.substr(name.size() + 2);
    if (end == lines.npos) break;
    lines.remove_prefix(end + 2);
  }
  return {};
}

}  // namespace lb::mock
