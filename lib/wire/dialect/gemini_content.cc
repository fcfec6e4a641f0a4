#include "wire/dialect/gemini_content.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/escape.h"

namespace lb {

const DialectTable kGeminiContent = {
    gemini::read_request, gemini::write_request, gemini::read_answer, gemini::write_answer,
    gemini::stream_reader, gemini::stream_writer, gemini::error_body,
};

namespace gemini {

bool named(std::string_view key, std::string_view name) {
  size_t at = 0;
  for (size_t i = 0; i < key.size(); i++, at++) {
    if (at == name.size()) return false;
    if (key[i] == name[at]) continue;
    bool snake = key[i] == '_' && i + 1 < key.size() && key[i + 1] != name[at] && key[i + 1] == ascii_lower(name[at]);
    if (!snake) return false;
    i++;
  }
  return at == name.size();
}

Raw member(Raw of, std::string_view name) {
  if (!of.is_object()) return {};
  for (RawWalk at = of.walk(); at.next();)
    if (named(at.key(), name)) return at.value();
  return {};
}

Raw parts_of(Raw content, Store& store) {
  Raw parts = member(content, "parts");
  return parts.is_object() ? store.keep_json("[" + std::string(parts.text()) + "]") : parts;
}

Raw number_member(Raw of, std::string_view name, Store& store) {
  Raw value = member(of, name);
  if (value.is_number()) return value;
  if (!value.is_string() || !parse_double(value.inner())) return {};
  Result<Raw> number = Raw::parse(store.keep(std::string(value.inner())));
  return number.ok() && number.value().is_number() ? number.value() : Raw();
}

Stop stop_of(std::string_view reason) {
  if (reason == "STOP" || reason == "OTHER" || reason == "FINISH_REASON_UNSPECIFIED") return Stop::end;
  if (reason == "MAX_TOKENS") return Stop::length;
  for (std::string_view filter : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"})
    if (reason == filter) return Stop::filter;
  if (reason.starts_with("IMAGE_")) return Stop::filter;
  return Stop::end;  // Malformed calls, and what is not known: the model has ended, in whatever way.
}

bool is_malformed(std::string_view reason) {
  return reason == "MALFORMED_FUNCTION_CALL" || reason == "UNEXPECTED_TOOL_CALL" || reason == "TOO_MANY_TOOL_CALLS";
}

std::string_view finish_reason(Stop stop) {
  switch (stop) {
    case Stop::absent:
    case Stop::end:
    case Stop::sequence:
    case Stop::tools:
    case Stop::pause: return "STOP";
    case Stop::length:
    case Stop::context: return "MAX_TOKENS";
    case Stop::filter: return "SAFETY";
  }
  return "STOP";
}

Tokens read_usage(Raw usage) {
  Tokens out;
  if (!usage.is_object()) return out;
  std::optional<uint64_t> tools, candidates;
  for (RawWalk at = usage.walk(); at.next();) {
    std::optional<uint64_t> count = at.value().integer();
    if (named(at.key(), "promptTokenCount")) out.input = count;
    if (named(at.key(), "toolUsePromptTokenCount")) tools = count;
    if (named(at.key(), "cachedContentTokenCount")) out.cached = count;
    if (named(at.key(), "candidatesTokenCount")) candidates = count;
    if (named(at.key(), "thoughtsTokenCount")) out.reasoning = count;
  }
  if (tools) out.input = out.input.value_or(0) + *tools;
  if (candidates || out.reasoning) out.output = candidates.value_or(0) + out.reasoning.value_or(0);
  return out;
}

void append_usage(std::string& out, const Tokens& usage) {
  char comma = '{';
  auto put = [&](std::string_view name, uint64_t value) {
    char digits[24];
    out.push_back(comma);
    out.append("\"").append(name).append("\":");
    out.append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
    comma = ',';
  };
  uint64_t thoughts = usage.reasoning.value_or(0);
  if (usage.input) put("promptTokenCount", *usage.input);
  if (usage.cached) put("cachedContentTokenCount", *usage.cached);
  if (usage.output) put("candidatesTokenCount", *usage.output > thoughts ? *usage.output - thoughts : 0);
  if (usage.reasoning) put("thoughtsTokenCount", thoughts);
  put("totalTokenCount", usage.input.value_or(0) + usage.output.value_or(0));
  out.push_back('}');
}

// google/rpc/code.proto, and the HTTP status that it states for each.
std::string_view rpc_status(uint32_t status) {
  switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 402:
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 409: return "ABORTED";
    case 429: return "RESOURCE_EXHAUSTED";
    case 499: return "CANCELLED";
    case 501: return "UNIMPLEMENTED";
    case 503:
    case 529: return "UNAVAILABLE";
    case 408:
    case 504: return "DEADLINE_EXCEEDED";
    default: return status >= 400 && status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
  }
}

void append_error(std::string& out, uint32_t status, Inner message) {
  out.append("{\"error\":{\"code\":").append(std::to_string(status)).append(",\"message\":\"").append(message);
  out.append("\",\"status\":\"").append(rpc_status(status)).append("\"}}");
}

std::string error_body(uint32_t status, const ErrorFacts& facts) {
  std::string out;
  bool told = !facts.message.empty();
  append_error(out, status, told ? encode_inner(facts.message)
                                 : "the upstream answered with status " + std::to_string(status));
  if (!facts.retry_after) return out;
  // Where the API says how long to wait (google.rpc.RetryInfo).
  out.resize(out.size() - 2);
  out.append(",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"");
  out.append(std::to_string((facts.retry_after->ms_ceil() + 999) / 1000)).append("s\"}]}}");
  return out;
}

}  // namespace gemini

std::string with_gemini_model(std::string_view body, std::string_view model) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return std::string(body);
  std::vector<std::string_view> named;
  auto find_in = [&](Raw request) {
    if (Raw name = gemini::member(request, "model"); name.is_string()) named.push_back(name.text());
  };
  find_in(json.value());
  find_in(gemini::member(json.value(), "generateContentRequest"));
  if (Raw requests = gemini::member(json.value(), "requests"); requests.is_array())
    for (RawWalk at = requests.walk(); at.next();) find_in(at.value());
  std::sort(named.begin(), named.end(), [](auto a, auto b) { return a.data() < b.data(); });
  std::string out, name = json_quote("models/" + std::string(model));
  for (std::string_view old : named) {
    size_t at = static_cast<size_t>(old.data() - body.data());
    out.append(body.substr(0, at)).append(name);
    body.remove_prefix(at + old.size());
  }
  return out.append(body);
}

}  // namespace lb
