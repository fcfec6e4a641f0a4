// Answers as a whole, usage, errors.
#include "base/text.h"
#include "wire/dialect/fields.h"
#include "wire/dialect/openai_chat.h"
#include "wire/dialect/openai_chat_inside.h"

namespace lb {

namespace {

using Kind = Part::Kind;

Error no_answer(std::string message) { return {Status::PROTOCOL, "", std::move(message)}; }

void read_texts(Raw content, std::vector<Part>& to) {
  auto add = [&](Raw text) {
    if (text.inner().empty()) return;
    to.emplace_back().text = text.inner();
  };
  if (content.is_string()) add(content);
  if (content.is_array())
    for (RawWalk at = content.walk(); at.next();) add(at.value()["text"]);
}

Choice read_choice(Raw value, const std::string& where, Store& store, Losses& lost) {
  Choice choice;
  Raw message = value["message"];
  read_openai_thoughts(message, choice.parts);
  read_texts(message["content"], choice.parts);
  if (Inner refusal = message["refusal"].inner(); !refusal.empty()) {
    Part& part = choice.parts.emplace_back();
    part.kind = Kind::refusal;
    part.text = refusal;
  }
  Raw calls = message["tool_calls"];
  for (RawWalk at = calls.walk(); calls.is_array() && at.next();) {
    Part call;
    call.kind = Kind::tool_call;
    if (read_openai_call(at.value(), call, store)) choice.parts.push_back(std::move(call));
  }
  for (std::string_view member : {"audio", "annotations", "function_call"})
    if (message[member].given() && message[member].size() > 0) lost.add(where + ".message." + std::string(member));
  choice.stop = stop_of_finish_reason(value["finish_reason"]);
  if (value["logprobs"].given()) choice.logprobs = value["logprobs"];
  return choice;
}

// `calls_id`: what ids of calls begin with where they have none (Gemini).
void write_message(JsonText& json, const Choice& choice, const std::string& calls_id, Losses& losses) {
  std::vector<const Part*> thoughts;
  std::string text, refusal;
  bool any = false, calls = false;
  for (const Part& part : choice.parts) {
    if (part.kind == Kind::thinking || part.kind == Kind::redacted) thoughts.push_back(&part);
    if (part.kind == Kind::text) text.append(part.text);
    if (part.kind == Kind::refusal) refusal.append(part.text);
    any = any || part.kind == Kind::text;
    calls = calls || part.kind == Kind::tool_call;
    if (part.kind == Kind::image || part.kind == Kind::audio || part.kind == Kind::document) losses.add("content");
    if (part.kind == Kind::foreign) losses.add(part.raw["type"].inner());
    if (part.kind == Kind::text && !part.signature.empty()) losses.add("signature");
    if (part.citations.given()) losses.add("citations");
  }
  json.key("message").begin_object().inner("role", "assistant").key("content");
  if (any || (!calls && refusal.empty()))
    json.inner(text);
  else
    json.null();
  json.key("refusal");
  if (refusal.empty())
    json.null();
  else
    json.inner(refusal);
  write_openai_thoughts(json, thoughts);
  if (calls) {
    json.key("tool_calls").begin_array();
    size_t index = 0;
    for (const Part& part : choice.parts)
      if (part.kind == Kind::tool_call) write_openai_call(json, part, true, calls_id + std::to_string(index++));
    json.end_array();
  }
  json.end_object();
}

bool has_calls(const Choice& choice) {
  for (const Part& part : choice.parts)
    if (part.kind == Kind::tool_call) return true;
  return false;
}

}  // namespace

std::string_view format_of_origin(Dialect origin) {
  switch (origin) {
    case Dialect::openai: return "unknown";
    case Dialect::responses: return "openai-responses-v1";
    case Dialect::anthropic: return "anthropic-claude-v1";
    case Dialect::gemini: return "google-gemini-v1";
  }
  return "unknown";
}

Dialect origin_of_format(Inner format) {
  if (format == "openai-responses-v1") return Dialect::responses;
  if (format == "anthropic-claude-v1") return Dialect::anthropic;
  if (format == "google-gemini-v1") return Dialect::gemini;
  return Dialect::openai;  // Whoever made it: good for no other.
}

Tokens read_openai_usage(Raw usage) {
  Tokens out;
  out.input = usage["prompt_tokens"].integer();
  out.output = usage["completion_tokens"].integer();
  out.cached = usage["prompt_tokens_details"]["cached_tokens"].integer();
  if (!out.cached) out.cached = usage["prompt_cache_hit_tokens"].integer();  // DeepSeek's.
  out.written = usage["prompt_tokens_details"]["cache_write_tokens"].integer();  // OpenRouter's.
  out.reasoning = usage["completion_tokens_details"]["reasoning_tokens"].integer();
  return out;
}

void write_openai_usage(JsonText& out, const Tokens& usage) {
  uint64_t input = usage.input.value_or(0), output = usage.output.value_or(0);
  out.key("usage").begin_object().number("prompt_tokens", input).number("completion_tokens", output);
  out.number("total_tokens", input + output);
  if (usage.cached || usage.written) {
    out.key("prompt_tokens_details").begin_object();
    if (usage.cached) out.number("cached_tokens", *usage.cached);
    if (usage.written) out.number("cache_write_tokens", *usage.written);
    out.end_object();
  }
  if (usage.reasoning)
    out.key("completion_tokens_details").begin_object().number("reasoning_tokens", *usage.reasoning).end_object();
  out.end_object();
}

Stop stop_of_finish_reason(Raw reason) {
  Inner word = reason.inner();
  if (word.empty()) return Stop::absent;
  if (word == "length" || word == "max_tokens") return Stop::length;
  if (word == "tool_calls" || word == "function_call") return Stop::tools;
  if (word == "content_filter") return Stop::filter;
  return Stop::end;
}

// Some servers say `stop` where there are calls (reference/wire.md §3). A call that was cut off is none to be made.
std::string_view finish_reason(Stop stop, bool called) {
  switch (stop) {
    case Stop::absent:
    case Stop::end:
    case Stop::sequence:
    case Stop::pause:
    case Stop::tools: return called ? "tool_calls" : "stop";
    case Stop::length:
    case Stop::context: return "length";
    case Stop::filter: return "content_filter";
  }
  return "stop";
}

// The words of OpenAI's errors: platform.openai.com/docs/guides/error-codes.
std::string_view openai_error_type(ErrorClass what) {
  switch (what) {
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter:
    case ErrorClass::not_found: return "invalid_request_error";
    case ErrorClass::auth: return "authentication_error";
    case ErrorClass::billing: return "insufficient_quota";
    case ErrorClass::rate_limit: return "rate_limit_error";
    case ErrorClass::overloaded: return "overloaded_error";
    case ErrorClass::timeout: return "timeout_error";
    case ErrorClass::none:
    case ErrorClass::server:
    case ErrorClass::connect:
    case ErrorClass::broken: return "server_error";
  }
  return "server_error";
}

std::string_view openai_error_code(ErrorClass what) {
  switch (what) {
    case ErrorClass::context_length: return "context_length_exceeded";
    case ErrorClass::content_filter: return "content_filter";
    case ErrorClass::billing: return "insufficient_quota";
    case ErrorClass::rate_limit: return "rate_limit_exceeded";
    case ErrorClass::not_found: return "model_not_found";
    case ErrorClass::auth: return "invalid_api_key";
    case ErrorClass::none:
    case ErrorClass::bad_request:
    case ErrorClass::overloaded:
    case ErrorClass::server:
    case ErrorClass::timeout:
    case ErrorClass::connect:
    case ErrorClass::broken: return "";
  }
  return "";
}

std::string openai_error_body_of(uint32_t status, const ErrorFacts& facts) {
  bool told = !facts.message.empty();
  std::string message = told ? facts.message : "the upstream answered with status " + std::to_string(status);
  if (status == 403) return openai_error_body(message, "permission_error", "");
  return openai_error_body(message, openai_error_type(facts.what), openai_error_code(facts.what));
}

void append_openai_id(std::string& out, Inner id, const WriteAnswer& how) {
  if (id.starts_with("chatcmpl-") || how.id.empty()) {
    out.append(id);
    return;
  }
  out.append("chatcmpl-");
  append_inner(out, how.id);
}

Result<Reply> read_openai_answer(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return no_answer("the answer is no JSON: " + json.error().message);
  Raw choices = json.value()["choices"];
  if (says_error(json.value()["error"])) return no_answer("the answer is an error");
  if (!choices.is_array()) return no_answer("the answer has no `choices`");
  Reply reply;
  reply.id = json.value()["id"].inner();
  reply.model = json.value()["model"].inner();
  reply.created = json.value()["created"].integer();
  reply.tier = json.value()["service_tier"].inner();
  reply.fingerprint = json.value()["system_fingerprint"].inner();
  reply.usage = read_openai_usage(json.value()["usage"]);
  for (RawWalk at = choices.walk(); at.next();) {
    std::string where = "choices." + std::to_string(reply.choices.size());
    reply.choices.push_back(read_choice(at.value(), where, store, reply.lost));
  }
  return reply;
}

std::string write_openai_answer(const Reply& reply, const WriteAnswer& how, Losses& losses) {
  std::string out, id;
  append_openai_id(id, reply.id, how);
  JsonText json(out);
  json.begin_object().inner("id", id).inner("object", "chat.completion");
  json.number("created", reply.created.value_or(how.created));
  if (how.model.empty())
    json.inner("model", reply.model);
  else
    json.bytes("model", how.model);
  json.key("choices").begin_array();
  uint64_t index = 0;
  for (const Choice& choice : reply.choices) {
    std::string calls_id = "call_" + encode_inner(how.id) + "_" + std::to_string(index) + "_";
    json.begin_object().number("index", index++);
    write_message(json, choice, calls_id, losses);
    if (!choice.stop_sequence.empty()) losses.add("stop_sequence");
    json.raw("logprobs", choice.logprobs).inner("finish_reason", finish_reason(choice.stop, has_calls(choice)));
    json.end_object();
  }
  json.end_array();
  if (reply.usage.any()) write_openai_usage(json, reply.usage);
  json.given("service_tier", reply.tier).given("system_fingerprint", reply.fingerprint).end_object();
  losses.add(reply.lost);
  return out;
}

}  // namespace lb
