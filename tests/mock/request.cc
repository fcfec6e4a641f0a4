#include "mock/request.h"

#include <cjson/cJSON.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/text.h"
#include "mock/options.h"

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

// The model that the path names, percent-decoded: between "/deployments/" and the next slash in Azure's classic paths,
// between "/models/" and the last colon in Gemini's.
std::string model_in(Voice voice, std::string_view path) {
  const std::string_view mark = voice == Voice::gemini ? "/models/" : "/deployments/";
  path = path.substr(0, path.find('?'));
  const size_t at = path.find(mark);
  if (at == path.npos) return {};
  std::string_view name = path.substr(at + mark.size());
  name = name.substr(0, voice == Voice::gemini ? name.rfind(':') : name.find('/'));
  std::string model = percent_decode(name);
  // It goes into JSON as it is.
  const auto unfit = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; };
  return std::any_of(model.begin(), model.end(), unfit) ? std::string() : model;
}

// "embedContent" of one, "batchEmbedContents" of many `requests`.
void read_gemini_embeddings(std::string_view json, Ask* out) {
  const std::unique_ptr<cJSON, void (*)(cJSON*)> tree(cJSON_ParseWithLength(json.data(), json.size()), cJSON_Delete);
  out->is_object = cJSON_IsObject(tree.get());
  const cJSON* first = tree.get();
  if (const cJSON* requests = cJSON_GetObjectItemCaseSensitive(first, "requests")) {
    out->inputs = static_cast<uint32_t>(cJSON_GetArraySize(requests));
    first = requests->child;
  }
  const cJSON* dimensions = cJSON_GetObjectItemCaseSensitive(first, "outputDimensionality");
  if (cJSON_IsNumber(dimensions) && dimensions->valuedouble >= 1 && dimensions->valuedouble <= kDimensionsMax)
    out->dimensions = static_cast<uint32_t>(dimensions->valuedouble);
}

void read_embeddings(std::string_view json, Ask* out) {
  const std::unique_ptr<cJSON, void (*)(cJSON*)> tree(cJSON_ParseWithLength(json.data(), json.size()), cJSON_Delete);
  out->is_object = cJSON_IsObject(tree.get());
  const cJSON* input = cJSON_GetObjectItemCaseSensitive(tree.get(), "input");
  // A list of texts or of lists of tokens is many inputs; a list of tokens is one.
  if (cJSON_IsArray(input) && !cJSON_IsNumber(input->child))
    out->inputs = static_cast<uint32_t>(cJSON_GetArraySize(input));
  const cJSON* dimensions = cJSON_GetObjectItemCaseSensitive(tree.get(), "dimensions");
  if (cJSON_IsNumber(dimensions) && dimensions->valuedouble >= 1 && dimensions->valuedouble <= kDimensionsMax)
    out->dimensions = static_cast<uint32_t>(dimensions->valuedouble);
  const cJSON* format = cJSON_GetObjectItemCaseSensitive(tree.get(), "encoding_format");
  out->base64 = cJSON_IsString(format) && std::strcmp(format->valuestring, "base64") == 0;
}

}  // namespace

Endpoint endpoint_of(std::string_view method, std::string_view path) {
  static constexpr std::pair<std::string_view, Endpoint> kEnds[] = {
      {"/chat/completions", Endpoint::chat},
      {"/completions", Endpoint::completions},
      {"/embeddings", Endpoint::embeddings},
      {"/responses", Endpoint::responses},
      {"/responses/input_tokens", Endpoint::count_input},
      {"/messages", Endpoint::messages},
      {"/messages/count_tokens", Endpoint::count_messages},
      {":generateContent", Endpoint::generate},
      {":streamGenerateContent", Endpoint::generate},
      {":countTokens", Endpoint::count_contents},
      {":embedContent", Endpoint::embed},
      {":batchEmbedContents", Endpoint::embed_batch},
  };
  path = path.substr(0, path.find('?'));
  if (method == "POST") {
    for (const auto& [end, endpoint] : kEnds)
      if (path.ends_with(end)) return endpoint;
    return path == "/mock/control" ? Endpoint::control : Endpoint::unknown;
  }
  if (method != "GET") return Endpoint::unknown;
  if (path == "/mock/journal") return Endpoint::journal;
  if (path.ends_with("/models")) return Endpoint::models;
  if (path.find("/models/") != path.npos) return Endpoint::model;
  return path == "/" ? Endpoint::about : Endpoint::unknown;
}

bool counts_as_call(Endpoint endpoint) { return endpoint < Endpoint::models; }

Voice voice_of(Endpoint endpoint) {
  if (endpoint < Endpoint::messages || endpoint >= Endpoint::models) return Voice::openai;
  return endpoint < Endpoint::generate ? Voice::anthropic : Voice::gemini;
}

bool reads_all(Endpoint endpoint) {
  return endpoint == Endpoint::embeddings || endpoint == Endpoint::embed || endpoint == Endpoint::embed_batch ||
         endpoint == Endpoint::control;
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
  out->voice = voice_of(endpoint);
  out->model = model_in(out->voice, path);
  if (out->model.empty() && out->voice != Voice::gemini) out->model = find_text(json, "\"model\"");
  out->key = query(path, "key");
  out->stream = out->include_usage = out->base64 = out->array = false;
  out->calls.clear();
  out->dimensions = 0;
  out->inputs = 1;
  out->is_object = first != json.npos && json[first] == '{' && json[json.find_last_not_of(" \t\r\n")] == '}';
  if (endpoint == Endpoint::embeddings) return read_embeddings(json, out);
  if (endpoint == Endpoint::embed || endpoint == Endpoint::embed_batch) return read_gemini_embeddings(json, out);
  if (endpoint == Endpoint::count_input || endpoint == Endpoint::count_messages) return;
  if (out->voice == Voice::gemini) {
    out->stream = path.substr(0, path.find('?')).ends_with(":streamGenerateContent");
    out->array = out->stream && query(path, "alt") != "sse";
    return;
  }
  out->stream = find_first(json, "\"stream\"") == 't';
  out->include_usage = out->stream && find_first(json, "\"include_usage\"") == 't';
}

std::string_view query(std::string_view path, std::string_view name) {
  for (size_t at = path.find('?'); at != path.npos; at = path.find('&', at + 1)) {
    const std::string_view rest = path.substr(at + 1);
    if (rest.starts_with(name) && rest.substr(name.size()).starts_with('='))
      return rest.substr(name.size() + 1, rest.find('&') - name.size() - 1);
  }
  return {};
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
