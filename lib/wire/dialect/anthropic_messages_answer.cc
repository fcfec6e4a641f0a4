// Answers as a whole, usage, ids, errors.
#include "base/text.h"
#include "wire/anthropic.h"
#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/anthropic_messages_inside.h"
#include "wire/dialect/fields.h"
#include "wire/dialect/signature.h"

namespace lb {

namespace {

using Kind = Part::Kind;

constexpr std::string_view kIdMark = "lb_";

Error no_answer(std::string message) { return {Status::PROTOCOL, "", std::move(message)}; }

bool plain_id_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

void read_block(Raw block, const std::string& where, Choice& choice, Store& store, Losses& lost) {
  Inner type = block["type"].inner();
  Part part;
  if (type == "text") {
    part.text = block["text"].inner();
    if (block["citations"].size() > 0) part.citations = block["citations"];
    if (part.text.empty()) return;
  } else if (type == "thinking") {
    part.kind = Kind::thinking;
    part.text = block["thinking"].inner();
    part.signature = block["signature"].inner();
    part.origin = Dialect::anthropic;
    if (part.text.empty() && part.signature.empty()) return;
  } else if (type == "redacted_thinking") {
    part.kind = Kind::redacted;
    part.text = block["data"].inner();
    part.origin = Dialect::anthropic;
  } else if (type == "tool_use") {
    part.kind = Kind::tool_call;
    part.id = block["id"].inner();
    part.name = block["name"].inner();
    part.input = block["input"].is_object() ? block["input"] : store.keep_json("{}");
  } else {
    lost.add(where);
    return;
  }
  choice.parts.push_back(std::move(part));
}

void write_signature(JsonText& json, std::optional<Dialect> origin, Inner data) {
  std::string text;
  append_signature(text, Dialect::anthropic, origin.value_or(Dialect::openai), false, data);
  json.inner(text);
}

void write_part(JsonText& json, const Part& part, const WriteAnswer& how, size_t index, Store& store, Losses& losses) {
  switch (part.kind) {
    case Kind::text:
    case Kind::refusal:
      if (!part.signature.empty()) losses.add("signature");
      if (part.text.empty()) return;
      json.begin_object().inner("type", "text").inner("text", part.text).given("citations", part.citations);
      json.end_object();
      return;
    case Kind::thinking:
      json.begin_object().inner("type", "thinking").inner("thinking", part.text).key("signature");
      if (part.signature.empty())
        json.inner("");  // So it is not sent back: reference/wire.md §6.
      else
        write_signature(json, part.origin, part.signature);
      json.end_object();
      return;
    case Kind::redacted:
      json.begin_object().inner("type", "redacted_thinking").key("data");
      write_signature(json, part.origin, part.text);
      json.end_object();
      return;
    case Kind::tool_call: {
      if (!part.signature.empty()) {  // Before the call: see signs_call().
        json.begin_object().inner("type", "thinking").inner("thinking", "").key("signature");
        write_signature(json, part.origin, part.signature);
        json.end_object();
      }
      std::string id;
      append_call_id(id, part.id);
      if (id.empty()) id = "toolu_" + encode_inner(how.id) + "_" + std::to_string(index);
      json.begin_object().inner("type", "tool_use").inner("id", id).inner("name", part.name);
      json.raw("input", input_object(part, store)).end_object();
      return;
    }
    case Kind::image:
    case Kind::audio:
    case Kind::document:
    case Kind::tool_result: losses.add("content"); return;
    case Kind::foreign: losses.add(part.raw["type"].inner()); return;
  }
}

}  // namespace

void append_call_id(std::string& out, Inner id) {
  static constexpr char kHex[] = "0123456789abcdef";
  bool plain = !id.starts_with(kIdMark);
  for (char c : id) plain = plain && (plain_id_byte(c) || c == '_');
  if (plain) {
    out.append(id);
    return;
  }
  out.append(kIdMark);
  for (char c : id) {
    if (plain_id_byte(c)) {
      out.push_back(c);
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out.push_back('_');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
}

Inner read_call_id(Inner id, Store& store) {
  if (!id.starts_with(kIdMark)) return id;
  std::string out;
  for (size_t i = kIdMark.size(); i < id.size(); i++) {
    if (id[i] != '_') {
      out.push_back(id[i]);
      continue;
    }
    int high = i + 2 < id.size() ? hex_value(id[i + 1]) : -1, low = i + 2 < id.size() ? hex_value(id[i + 2]) : -1;
    if (high < 0 || low < 0) return id;  // Somebody else's.
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  // What was an inner is one again; anything else is not ours.
  return Raw::parse("\"" + out + "\"").ok() ? Inner(store.keep(std::move(out))) : id;
}

void AnthropicUsage::take(Raw usage) {
  for (RawWalk at = usage.walk(); usage.is_object() && at.next();) {
    std::optional<uint64_t> value = at.value().integer();
    if (!value) continue;
    if (at.is("input_tokens")) input = value;
    if (at.is("output_tokens")) output = value;
    if (at.is("cache_read_input_tokens")) cached = value;
    if (at.is("cache_creation_input_tokens")) written = value;
  }
}

Tokens AnthropicUsage::tokens() const {
  Tokens out;
  if (input) out.input = *input + cached.value_or(0) + written.value_or(0);
  out.cached = cached;
  out.written = written;
  out.output = output;
  return out;
}

// The API always has both numbers: 0 stands for what is not known.
void write_anthropic_usage(JsonText& out, const Tokens& usage) {
  uint64_t input = usage.input.value_or(0), cache = usage.cached.value_or(0) + usage.written.value_or(0);
  out.key("usage").begin_object().number("input_tokens", input > cache ? input - cache : 0);
  if (usage.written) out.number("cache_creation_input_tokens", *usage.written);
  if (usage.cached) out.number("cache_read_input_tokens", *usage.cached);
  out.number("output_tokens", usage.output.value_or(0)).end_object();
}

Stop stop_of_reason(Inner reason) {
  if (reason.empty()) return Stop::absent;
  if (reason == "max_tokens") return Stop::length;
  if (reason == "stop_sequence") return Stop::sequence;
  if (reason == "tool_use") return Stop::tools;
  if (reason == "refusal") return Stop::filter;
  if (reason == "pause_turn") return Stop::pause;
  if (reason == "model_context_window_exceeded") return Stop::context;
  return Stop::end;
}

// See finish_reason of the OpenAI side.
std::string_view anthropic_stop_reason(Stop stop, bool called) {
  switch (stop) {
    case Stop::absent:
    case Stop::end:
    case Stop::tools: return called ? "tool_use" : "end_turn";
    case Stop::sequence: return called ? "tool_use" : "stop_sequence";
    case Stop::pause: return called ? "tool_use" : "pause_turn";
    case Stop::length: return "max_tokens";
    case Stop::filter: return "refusal";
    case Stop::context: return "model_context_window_exceeded";
  }
  return "end_turn";
}

// reference/wire.md §9.
std::string_view anthropic_error_type(ErrorClass what) {
  switch (what) {
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter: return "invalid_request_error";
    case ErrorClass::auth: return "authentication_error";
    case ErrorClass::billing: return "billing_error";
    case ErrorClass::rate_limit: return "rate_limit_error";
    case ErrorClass::overloaded: return "overloaded_error";
    case ErrorClass::not_found: return "not_found_error";
    case ErrorClass::timeout: return "timeout_error";
    case ErrorClass::none:
    case ErrorClass::server:
    case ErrorClass::connect:
    case ErrorClass::broken: return "api_error";
  }
  return "api_error";
}

std::string anthropic_error_body_of(uint32_t status, const ErrorFacts& facts) {
  bool told = !facts.message.empty();
  std::string message = told ? facts.message : "the upstream answered with status " + std::to_string(status);
  // The status says more than its class.
  bool by_status = status == 403 || status == 413 || status == 504;
  return anthropic_error_body(message, by_status ? anthropic_error_type(status) : anthropic_error_type(facts.what));
}

void append_anthropic_id(std::string& out, Inner id, const WriteAnswer& how) {
  if (id.starts_with("msg_") || how.id.empty()) {
    out.append(id);
    return;
  }
  out.append("msg_");
  append_inner(out, how.id);
}

Result<Reply> read_anthropic_answer(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return no_answer("the answer is no JSON: " + json.error().message);
  Raw content = json.value()["content"];
  if (says_error(json.value()["error"])) return no_answer("the answer is an error");
  if (!content.is_array()) return no_answer("the answer has no `content`");
  Reply reply;
  reply.id = json.value()["id"].inner();
  reply.model = json.value()["model"].inner();
  AnthropicUsage usage;
  usage.take(json.value()["usage"]);
  reply.usage = usage.tokens();
  reply.tier = json.value()["usage"]["service_tier"].inner();
  Choice& choice = reply.choices.emplace_back();
  size_t index = 0;
  for (RawWalk at = content.walk(); at.next(); index++)
    read_block(at.value(), "content." + std::to_string(index), choice, store, reply.lost);
  choice.stop = stop_of_reason(json.value()["stop_reason"].inner());
  choice.stop_sequence = json.value()["stop_sequence"].inner();
  return reply;
}

std::string write_anthropic_answer(const Reply& reply, const WriteAnswer& how, Losses& losses) {
  const Choice none;
  std::string out, id;
  Store store;
  append_anthropic_id(id, reply.id, how);
  JsonText json(out);
  json.begin_object().inner("id", id).inner("type", "message").inner("role", "assistant");
  if (how.model.empty())
    json.inner("model", reply.model);
  else
    json.bytes("model", how.model);
  const Choice& choice = reply.choices.empty() ? none : reply.choices[0];
  if (reply.choices.size() > 1) losses.add("choices.1");
  if (choice.logprobs.given()) losses.add("choices.0.logprobs");
  json.key("content").begin_array();
  bool called = false, refused = false;
  for (size_t i = 0; i < choice.parts.size(); i++) {
    called = called || choice.parts[i].kind == Kind::tool_call;
    refused = refused || choice.parts[i].kind == Kind::refusal;
    write_part(json, choice.parts[i], how, i, store, losses);
  }
  json.end_array();
  json.inner("stop_reason", anthropic_stop_reason(refused ? Stop::filter : choice.stop, called)).key("stop_sequence");
  if (choice.stop_sequence.empty())
    json.null();
  else
    json.inner(choice.stop_sequence);
  write_anthropic_usage(json, reply.usage);
  json.end_object();
  losses.add(reply.lost);
  return out;
}

}  // namespace lb
