#include "wire/dialect/fields.h"

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

struct Names {
  Field field;
  std::string_view names[4];  // In the order of Dialect: openai, responses, anthropic, gemini.
};

constexpr Names kNames[] = {
    {Field::temperature, {"temperature", "temperature", "temperature", "generationConfig.temperature"}},
    {Field::top_k, {"top_k", "top_k", "top_k", "generationConfig.topK"}},
    {Field::seed, {"seed", "seed", "seed", "generationConfig.seed"}},
    {Field::presence_penalty,
     {"presence_penalty", "presence_penalty", "presence_penalty", "generationConfig.presencePenalty"}},
    {Field::frequency_penalty,
     {"frequency_penalty", "frequency_penalty", "frequency_penalty", "generationConfig.frequencyPenalty"}},
    {Field::choices, {"n", "n", "n", "generationConfig.candidateCount"}},
    {Field::logprobs, {"logprobs", "include", "logprobs", "generationConfig.responseLogprobs"}},
    {Field::top_logprobs, {"top_logprobs", "top_logprobs", "top_logprobs", "generationConfig.logprobs"}},
    {Field::logit_bias, {"logit_bias", "logit_bias", "logit_bias", "logit_bias"}},
    {Field::stop, {"stop", "stop", "stop_sequences", "generationConfig.stopSequences"}},
    {Field::user, {"user", "user", "metadata.user_id", "user"}},
    {Field::tier, {"service_tier", "service_tier", "service_tier", "serviceTier"}},
    {Field::cache_key, {"prompt_cache_key", "prompt_cache_key", "prompt_cache_key", "cachedContent"}},
    {Field::metadata, {"metadata", "metadata", "metadata", "labels"}},
    {Field::reasoning, {"reasoning_effort", "reasoning", "thinking", "generationConfig.thinkingConfig"}},
    {Field::parallel, {"parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use", ""}},
    {Field::strict, {"tools.function.strict", "tools.strict", "tools.strict", "tools.strict"}},
    {Field::format, {"response_format", "text.format", "output_config.format", "generationConfig.responseMimeType"}},
    {Field::cache_control, {"cache_control", "cache_control", "cache_control", "cache_control"}},
    {Field::citations, {"citations", "annotations", "citations", "citationMetadata"}},
    {Field::name, {"messages.name", "input.name", "messages.name", "contents.name"}},
    {Field::is_error,
     {"messages.is_error", "input.is_error", "messages.content.is_error", "contents.parts.functionResponse.error"}},
    {Field::thinking,
     {"messages.reasoning_content", "input.reasoning", "messages.content.thinking", "contents.parts.thought"}},
    {Field::foreign_tool, {"tools", "tools", "tools", "tools"}},
    {Field::allowed_tools,
     {"tool_choice.allowed_tools", "tool_choice.tools", "tool_choice",
      "toolConfig.functionCallingConfig.allowedFunctionNames"}},
};

constexpr std::string_view kEfforts[] = {"", "none", "minimal", "low", "medium", "high", "xhigh", "max"};

}  // namespace

std::string_view field_name(Dialect dialect, Field field) {
  for (const Names& names : kNames)
    if (names.field == field) return names.names[static_cast<size_t>(dialect)];
  return "";
}

void read_arguments(Inner arguments, Part& call, Store& store) {
  std::string text = decode_inner(arguments);
  if (text.find_first_not_of(" \t\r\n") == text.npos) {
    call.input = store.keep_json("{}");
    return;
  }
  std::string_view kept = store.keep(std::move(text));
  Result<Raw> json = Raw::parse(kept);
  if (json.ok() && json.value().is_object())
    call.input = json.value();
  else
    call.text = arguments;
}

Raw input_object(Inner arguments, Store& store) {
  Part call;
  read_arguments(arguments, call, store);
  return input_object(call, store);
}

Raw input_object(const Part& call, Store& store) {
  if (call.input.is_object()) return call.input;
  std::string_view text = store.keep(decode_inner(call.text));
  if (text.empty()) return store.keep_json("{}");
  Result<Raw> json = Raw::parse(text);
  if (json.ok()) return store.keep_json("{\"value\":" + std::string(json.value().text()) + "}");
  return store.keep_json("{\"error_parsing_arguments\":\"" + std::string(call.text) + "\"}");
}

std::string_view effort_name(Reasoning::Effort effort) { return kEfforts[static_cast<size_t>(effort)]; }

Reasoning::Effort effort_of(std::string_view name) {
  for (size_t i = 1; i < std::size(kEfforts); i++)
    if (kEfforts[i] == name) return static_cast<Reasoning::Effort>(i);
  return Reasoning::Effort::absent;
}

int64_t budget_of(Reasoning::Effort effort) {
  switch (effort) {
    case Reasoning::Effort::absent: return -1;
    case Reasoning::Effort::none: return 0;
    case Reasoning::Effort::minimal:
    case Reasoning::Effort::low: return 1024;
    case Reasoning::Effort::medium: return 8192;
    case Reasoning::Effort::high:
    case Reasoning::Effort::xhigh:
    case Reasoning::Effort::max: return 24576;
  }
  return -1;
}

Reasoning::Effort effort_for(int64_t budget) {
  using Effort = Reasoning::Effort;
  if (budget < 0) return Effort::absent;
  for (Effort effort : {Effort::none, Effort::low, Effort::medium})
    if (budget <= budget_of(effort)) return effort;
  return Effort::high;
}

namespace {

constexpr size_t kSchemaDepthMax = 64;  // As gemini_content_inside.h; what is deeper does not fit.

bool fits_strict(Raw schema, size_t depth) {
  if (!schema.is_object()) return true;
  if (depth == kSchemaDepthMax) return false;
  Raw properties = schema["properties"];
  bool object = properties.is_object() || schema["type"].inner() == "object";
  if (object && (!schema["additionalProperties"].is_false() || schema["required"].size() < properties.size()))
    return false;
  for (std::string_view lists : {"properties", "$defs", "definitions", "anyOf"})
    for (RawWalk at = schema[lists].walk(); at.next();)
      if (!fits_strict(at.value(), depth + 1)) return false;
  return fits_strict(schema["items"], depth + 1);
}

}  // namespace

bool fits_strict(Raw schema) { return fits_strict(schema, 0); }

std::string_view lack(const Part& part) {
  switch (part.kind) {
    case Part::Kind::image:
    case Part::Kind::document:
    case Part::Kind::audio: return part.source.data.empty() ? "has no data" : "";
    case Part::Kind::tool_call: return part.name.empty() ? "is a call without a name" : "";
    case Part::Kind::tool_result:
      for (const Part& one : part.content)
        if (std::string_view what = lack(one); !what.empty()) return what;
      return part.id.empty() ? "does not say which call it answers" : "";
    case Part::Kind::text:
    case Part::Kind::thinking:
    case Part::Kind::redacted:
    case Part::Kind::refusal:
    case Part::Kind::foreign: return "";
  }
  return "";
}

std::optional<bool> shown_thoughts(const Request& request) {
  const Reasoning& asked = request.reasoning;
  if (asked.shown || request.dialect != Dialect::anthropic) return asked.shown;
  if (asked.adaptive || asked.budget.value_or(0) > 0) return true;
  return std::nullopt;
}

Source source_of_url(Inner url) {
  Source source;
  source.kind = Source::Kind::url;
  source.data = url;
  if (!istarts_with(url, "data:")) return source;
  size_t comma = url.find(',');
  std::string_view head = url.substr(5, comma == url.npos ? url.npos : comma - 5);
  if (comma == url.npos || !head.ends_with(";base64")) return source;
  source.kind = Source::Kind::base64;
  source.media_type = split_off(head, ';');
  if (iequals(source.media_type, "image/jpg")) source.media_type = "image/jpeg";  // The others know no "jpg".
  source.data = url.substr(comma + 1);
  return source;
}

std::string url_of_source(const Source& source) {
  if (source.kind != Source::Kind::base64) return std::string(source.data);
  return "data:" + std::string(source.media_type) + ";base64," + std::string(source.data);
}

Part::Kind kind_of_media(Inner media_type) {
  if (istarts_with(media_type, "image/")) return Part::Kind::image;
  if (istarts_with(media_type, "audio/")) return Part::Kind::audio;
  return Part::Kind::document;
}

}  // namespace lb
