#include "sim/wording.h"

#include "base/text.h"

namespace lb::sim {

namespace {

std::string number(uint64_t n) { return std::to_string(n); }
bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

std::string chat_id(const Answering& answer) { return "{\"id\":\"r" + number(answer.id) + "\""; }

std::string chat_usage(const Answering& answer) {
  return "{\"prompt_tokens\":" + number(answer.input) + ",\"completion_tokens\":" + number(answer.output) +
         ",\"total_tokens\":" + number(answer.input + answer.output) + "}";
}

std::string gemini_answer(const Answering& answer, const std::string& text, bool end) {
  std::string out = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" + text + "\"}],\"role\":\"model\"}";
  if (end) out += ",\"finishReason\":\"STOP\"";
  out += ",\"index\":0}],\"responseId\":\"r" + number(answer.id) + "\"";
  if (end)
    out += ",\"usageMetadata\":{\"promptTokenCount\":" + number(answer.input) + ",\"candidatesTokenCount\":" +
           number(answer.output) + ",\"totalTokenCount\":" + number(answer.input + answer.output) + "}";
  return out + "}";
}

std::string anthropic_message(const Answering& answer, const std::string& content, const char* stop, uint64_t output) {
  return "{\"id\":\"msg_r" + number(answer.id) + "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\"," +
         "\"content\":[" + content + "],\"stop_reason\":" + stop + ",\"usage\":{\"input_tokens\":" +
         number(answer.input) + ",\"output_tokens\":" + number(output) + "}}";
}

// The value of each member of that name, where it is a string, one behind the other.
std::string strings_of(std::string_view name, std::string_view body) {
  std::string key = "\"" + std::string(name) + "\":\"", out;
  for (size_t at = body.find(key); at != body.npos; at = body.find(key, at)) {
    at += key.size();
    out += body.substr(at, body.find('"', at) - at);
  }
  return out;
}

// What only the end of a whole answer says.
std::string_view end_mark(Dialect dialect) {
  switch (dialect) {
    case Dialect::anthropic: return "\"stop_reason\":\"end_turn\"";
    case Dialect::gemini: return "\"finishReason\":\"STOP\"";
    default: return "\"finish_reason\":\"stop\"";
  }
}

}  // namespace

Dialect dialect_of(Api api) {
  switch (api) {
    case Api::anthropic: return Dialect::anthropic;
    case Api::gemini: return Dialect::gemini;
    case Api::openai: return Dialect::openai;
  }
  return Dialect::openai;
}

Dialect dialect_at(std::string_view target) {
  if (has(target, "/messages")) return Dialect::anthropic;
  return has(target, "enerateContent") ? Dialect::gemini : Dialect::openai;
}

const char* dialect_name(Dialect dialect) {
  static constexpr const char* kNames[] = {"openai", "responses", "anthropic", "gemini"};
  return kNames[static_cast<size_t>(dialect)];
}

// --- What callers ask ---

std::string target_of(Dialect dialect, const std::string& model, bool stream) {
  switch (dialect) {
    case Dialect::anthropic: return "/v1/messages";
    case Dialect::gemini:
      return "/v1beta/models/" + model + (stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
    default: return "/v1/chat/completions";
  }
}

std::string upstream_target(Dialect dialect, const std::string& model, bool stream) {
  std::string target = target_of(dialect, model, stream);
  return dialect == Dialect::gemini ? "/v1" + target.substr(std::string_view("/v1beta").size()) : target;
}

std::vector<Field> caller_fields(Dialect dialect) {
  switch (dialect) {
    case Dialect::anthropic:
      return {{"x-api-key", "of-the-caller"}, {"anthropic-version", "2023-06-01"}, {"anthropic-beta", "sim"}};
    case Dialect::gemini: return {{"x-goog-api-key", "of-the-caller"}, {"x-goog-api-client", "sim"}};
    default: return {{"authorization", "Bearer of-the-caller"}};
  }
}

Field key_field(Dialect dialect, const std::string& key) {
  switch (dialect) {
    case Dialect::anthropic: return {"x-api-key", key};
    case Dialect::gemini: return {"x-goog-api-key", key};
    default: return {"authorization", "Bearer " + key};
  }
}

std::string question(Dialect dialect, const std::string& text) {
  if (dialect == Dialect::gemini) return "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"" + text + "\"}]}]";
  return "\"messages\":[{\"role\":\"user\",\"content\":\"" + text + "\"}]";
}

std::string output_max(Dialect dialect, uint64_t tokens) {
  if (dialect == Dialect::gemini) return "\"generationConfig\":{\"maxOutputTokens\":" + number(tokens) + "}";
  return "\"max_tokens\":" + number(tokens);
}

size_t asked_size(std::string_view body, std::string_view text) {
  size_t from = body.find(text);
  return from == body.npos ? 0 : body.find('"', from + text.size()) - from;
}

uint64_t asked_max(std::string_view body) {
  for (std::string_view name : {"\"max_tokens\":", "\"max_completion_tokens\":", "\"maxOutputTokens\":"}) {
    size_t at = body.find(name);
    if (at == body.npos) continue;
    std::string_view digits = body.substr(at + name.size());
    return parse_u64(digits.substr(0, digits.find_first_not_of("0123456789"))).value_or(1);
  }
  return UINT64_MAX;
}

// --- What upstreams answer ---

std::string SaidEvent::bytes() const {
  return (name.empty() ? "" : "event: " + name + "\n") + "data: " + data + "\n\n";
}

std::vector<SaidEvent> stream_begin(const Answering& answer) {
  switch (answer.dialect) {
    case Dialect::anthropic:
      return {{"message_start",
               "{\"type\":\"message_start\",\"message\":" + anthropic_message(answer, "", "null", 0) + "}"},
              {"content_block_start",
               R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"}};
    case Dialect::gemini: return {};
    default:
      return {{"", chat_id(answer) + R"(,"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})"}};
  }
}

SaidEvent stream_text(const Answering& answer, const std::string& text) {
  switch (answer.dialect) {
    case Dialect::anthropic:
      return {"content_block_delta",
              R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")" + text + "\"}}"};
    case Dialect::gemini: return {"", gemini_answer(answer, text, false)};
    default:
      return {"", chat_id(answer) + R"(,"choices":[{"index":0,"delta":{"content":")" + text +
                      R"("},"finish_reason":null}]})"};
  }
}

std::vector<SaidEvent> stream_end(const Answering& answer, bool marker) {
  switch (answer.dialect) {
    case Dialect::anthropic:
      return {{"content_block_stop", R"({"type":"content_block_stop","index":0})"},
              {"message_delta",
               R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":)" +
                   number(answer.output) + "}}"},
              {"message_stop", R"({"type":"message_stop"})"}};
    case Dialect::gemini: return {{"", gemini_answer(answer, "", true)}};
    default: break;
  }
  std::vector<SaidEvent> out = {
      {"", chat_id(answer) + R"(,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"},
      {"", "{\"choices\":[],\"usage\":" + chat_usage(answer) + "}"}};
  if (marker) out.push_back({"", "[DONE]"});
  return out;
}

std::string whole_answer(const Answering& answer, const std::string& text) {
  switch (answer.dialect) {
    case Dialect::anthropic:
      return anthropic_message(answer, R"({"type":"text","text":")" + text + "\"}", "\"end_turn\"", answer.output);
    case Dialect::gemini: return gemini_answer(answer, text, true);
    default: break;
  }
  return chat_id(answer) +
         R"(,"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":")" + text +
         R"("},"finish_reason":"stop"}],"usage":)" + chat_usage(answer) + "}";
}

std::string error_answer(Dialect dialect, uint32_t status, const std::string& message) {
  switch (dialect) {
    case Dialect::anthropic:
      return R"({"type":"error","error":{"type":"api_error","message":")" + message + "\"}}";
    case Dialect::gemini:
      return "{\"error\":{\"code\":" + number(status) + ",\"message\":\"" + message + "\",\"status\":\"INTERNAL\"}}";
    default: break;
  }
  return "{\"error\":{\"message\":\"" + message + "\",\"type\":\"server_error\",\"code\":null}}";
}

SaidEvent error_event(Dialect dialect, const std::string& message) {
  return {dialect == Dialect::anthropic ? "error" : "", error_answer(dialect, 500, message)};
}

// --- What an answer says ---

std::string text_in(Dialect dialect, std::string_view body) {
  return strings_of(dialect == Dialect::openai ? "content" : "text", body);
}

bool says_end(Dialect dialect, std::string_view body) {
  return has(body, end_mark(dialect)) || has(body, "data: [DONE]") || has(body, "message_stop");
}

bool has_end(Dialect dialect, std::string_view body, Shape shape) {
  size_t mark = body.find(end_mark(dialect));
  if (mark == body.npos || body.find(end_mark(dialect), mark + 1) != body.npos) return false;
  if (shape == Shape::document) return body.ends_with("}");
  if (dialect == Dialect::anthropic)
    return body.ends_with("{\"type\":\"message_stop\"}" + std::string(shape == Shape::bytes ? "\n\n" : ""));
  return dialect == Dialect::gemini || shape == Shape::events || body.ends_with("data: [DONE]\n\n");
}

size_t error_event_at(Dialect dialect, std::string_view body) {
  return body.rfind(dialect == Dialect::anthropic ? "event: error\ndata: {" : "data: {\"error\":");
}

bool is_error(Dialect dialect, std::string_view body) {
  switch (dialect) {
    case Dialect::anthropic: return body.starts_with("{\"type\":\"error\",\"error\":{\"type\":") && body.ends_with("}");
    case Dialect::gemini:
      return body.starts_with("{\"error\":{\"code\":") && has(body, "\"status\":\"") && body.ends_with("}}");
    default: return body.starts_with("{\"error\":{\"message\":") && has(body, "\"type\":\"") && body.ends_with("}}");
  }
}

std::string wrong_with_events(Dialect dialect, std::string_view bytes) {
  for (size_t count = 0; !bytes.empty(); count++) {
    size_t end = bytes.find("\n\n");
    if (end == bytes.npos) return "it ends within an event";
    std::string_view event = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    std::string_view data = event;
    if (dialect == Dialect::anthropic) {
      std::string_view name = split_off(data, '\n');
      if (!name.starts_with("event: ")) return "an event has no name";
      name.remove_prefix(7);
      if ((name == "message_start") != (count == 0) && name != "error") return "it does not begin with message_start";
      if (!data.starts_with("data: {\"type\":\"" + std::string(name) + "\""))
        return "an event is not what its name says";
    }
    if (data == "data: [DONE]") continue;
    if (!data.starts_with("data: {") || !data.ends_with("}") || has(data, "\n")) return "an event has no JSON";
  }
  return "";
}

}  // namespace lb::sim
