#include "mock/wording.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/rng.h"
#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr std::string_view kFingerprint = "fp_mock";
// Of a plain answer with chunks: what a server with 16 KiB buffers makes.
constexpr size_t kChunk = 16 * 1024;

std::string_view error_type(uint32_t status) {
  if (status == 429) return "requests";
  if (status == 529) return "overloaded_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view error_code(uint32_t status) {
  switch (status) {
    case 401: return "invalid_api_key";
    case 404: return "model_not_found";
    case 429: return "rate_limit_exceeded";
    default: return {};
  }
}

void add_base64(std::string_view bytes, std::string* out) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; k++)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; k++) *out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
  }
}

}  // namespace

void Frames::start(bool chunked, uint64_t body_max, std::string* out) {
  chunked_ = chunked;
  max_ = body_max;
  out_ = out;
  sent_ = 0;
  cut_ = max_ == 0;
}

void Frames::add(std::string_view part) {
  if (cut_ || part.empty()) return;
  while (!part.empty()) {
    const std::string_view piece = part.substr(0, chunked_ ? kChunk : part.size());
    part.remove_prefix(piece.size());
    if (chunked_) {
      char text[16];
      out_->append(text, std::to_chars(text, text + sizeof text, piece.size(), 16).ptr);
      *out_ += "\r\n";
    }
    *out_ += piece.substr(0, max_ - sent_);
    if (piece.size() >= max_ - sent_) {
      sent_ = max_;
      cut_ = true;
      return;
    }
    sent_ += piece.size();
    if (chunked_) *out_ += "\r\n";
  }
}

void Frames::end() {
  if (chunked_ && !cut_) *out_ += "0\r\n\r\n";
}

void Wording::start(Endpoint endpoint, const Behaviour& behaviour, const Ask& ask, uint64_t id, int64_t now_s,
                    uint64_t prompt_tokens) {
  endpoint_ = endpoint;
  behaviour_ = &behaviour;
  ask_ = &ask;
  id_ = id;
  now_s_ = now_s;
  prompt_tokens_ = prompt_tokens;
  sequence_ = 0;
}

void Wording::usage(std::string* out) const {
  const uint32_t tokens = behaviour_->tokens;
  add(out, "{\"prompt_tokens\":", prompt_tokens_, ",\"completion_tokens\":", tokens, ",\"total_tokens\":",
      prompt_tokens_ + tokens,
      ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
      "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
      "\"rejected_prediction_tokens\":0}}");
}

// Dots at `content_end` until the answer, which began at `start`, has body_bytes.
void Wording::fill(std::string* out, size_t start, size_t content_end) const {
  const size_t size = out->size() - start;
  if (behaviour_->body_bytes > size) out->insert(content_end, behaviour_->body_bytes - size, '.');
}

void Wording::plain_chat(std::string* out) const {
  const size_t start = out->size();
  *out += "{\"id\":\"chatcmpl-";
  add_hex(out, id_);
  add(out, "\",\"object\":\"chat.completion\",\"created\":", now_s_, ",\"model\":\"", ask_->model,
      "\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"", behaviour_->content);
  const size_t content_end = out->size();
  *out += "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],";
  if (behaviour_->usage) {
    *out += "\"usage\":";
    usage(out);
    *out += ',';
  }
  add(out, "\"service_tier\":\"default\",\"system_fingerprint\":\"", kFingerprint, "\"}");
  fill(out, start, content_end);
}

void Wording::plain_text(std::string* out) const {
  const size_t start = out->size();
  *out += "{\"id\":\"cmpl-";
  add_hex(out, id_);
  add(out, "\",\"object\":\"text_completion\",\"created\":", now_s_, ",\"model\":\"", ask_->model,
      "\",\"choices\":[{\"index\":0,\"text\":\"", behaviour_->content);
  const size_t content_end = out->size();
  *out += "\",\"logprobs\":null,\"finish_reason\":\"stop\"}]";
  if (behaviour_->usage) {
    *out += ",\"usage\":";
    usage(out);
  }
  *out += '}';
  fill(out, start, content_end);
}

void Wording::embeddings(std::string* out) const {
  const uint32_t dimensions = ask_->dimensions ? ask_->dimensions : behaviour_->dimensions;
  *out += "{\"object\":\"list\",\"data\":[";
  std::string bytes;
  for (uint32_t input = 0; input < ask_->inputs; input++) {
    add(out, input ? "," : "", "{\"object\":\"embedding\",\"index\":", input, ",\"embedding\":",
        ask_->base64 ? "\"" : "[");
    Rng rng(input + 1);  // The same input has the same vector in every mock.
    bytes.clear();
    for (uint32_t i = 0; i < dimensions; i++) {
      const float value = static_cast<float>(rng.below(2001)) / 1000 - 1;  // Three digits: exact enough to compare.
      if (ask_->base64) {
        char raw[4];
        std::memcpy(raw, &value, 4);
        if constexpr (std::endian::native == std::endian::big) std::reverse(raw, raw + 4);
        bytes.append(raw, 4);
      } else {
        add(out, i ? "," : "", value);
      }
    }
    add_base64(bytes, out);
    *out += ask_->base64 ? "\"}" : "]}";
  }
  add(out, "],\"model\":\"", ask_->model, "\",\"usage\":{\"prompt_tokens\":", prompt_tokens_, ",\"total_tokens\":",
      prompt_tokens_, "}}");
}

void Wording::plain(std::string* out) {
  switch (endpoint_) {
    case Endpoint::completions: return plain_text(out);
    case Endpoint::embeddings: return embeddings(out);
    case Endpoint::responses: return response_object("completed", true, out);
    default: return plain_chat(out);
  }
}

void Wording::choice_event(std::string_view choice, Frames* frames) {
  event_.assign(prefix_);
  add(&event_, choice, ask_->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
  frames->add(event_);
}

void Wording::opening(Frames* frames) {
  if (endpoint_ == Endpoint::responses) return response_opening(frames);
  const bool chat = endpoint_ == Endpoint::chat;
  prefix_.assign(chat ? "data: {\"id\":\"chatcmpl-" : "data: {\"id\":\"cmpl-");
  add_hex(&prefix_, id_);
  add(&prefix_, "\",\"object\":\"", chat ? "chat.completion.chunk" : "text_completion", "\",\"created\":", now_s_,
      ",\"model\":\"", ask_->model, "\",\"system_fingerprint\":\"", kFingerprint, "\",\"choices\":[");
  if (chat)
    choice_event("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
                 "\"finish_reason\":null}", frames);
}

void Wording::content(uint32_t index, Frames* frames) {
  token_.clear();
  add_token(*behaviour_, index, &token_);
  if (endpoint_ == Endpoint::responses) return response_content(token_, frames);
  scratch_.assign(endpoint_ == Endpoint::chat ? "{\"index\":0,\"delta\":{\"content\":\"" : "{\"index\":0,\"text\":\"");
  add(&scratch_, token_, endpoint_ == Endpoint::chat ? "\"}" : "\"", ",\"logprobs\":null,\"finish_reason\":null}");
  choice_event(scratch_, frames);
}

void Wording::closing(Frames* frames) {
  if (!behaviour_->finish) return;
  if (endpoint_ == Endpoint::responses) return response_closing(frames);
  choice_event(endpoint_ == Endpoint::chat
                   ? "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}"
                   : "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}", frames);
  if (ask_->include_usage && behaviour_->usage) {
    event_.assign(prefix_);
    event_ += "],\"usage\":";
    usage(&event_);
    event_ += "}\n\n";
    frames->add(event_);
  }
  if (behaviour_->done) frames->add("data: [DONE]\n\n");
}

void Wording::malformed(Frames* frames) { frames->add("data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"ind\n\n"); }

void Wording::error_event(Frames* frames) {
  std::string_view code = behaviour_->error_event.code, message = behaviour_->error_event.message;
  if (code.empty()) code = "server_error";
  if (message.empty()) message = "The server had an error while processing your request (mock).";
  if (endpoint_ == Endpoint::responses) {  // Flat in this API.
    event_.assign("event: error\ndata: {\"type\":\"error\",\"code\":");
    add_quoted(&event_, code);
    event_ += ",\"message\":";
    add_quoted(&event_, message);
    add(&event_, ",\"param\":null,\"sequence_number\":", sequence_++, "}\n\n");
  } else {
    event_.assign("data: ");
    add_error(500, code, message, {}, &event_);
    event_ += "\n\n";
  }
  frames->add(event_);
}

void add_error(uint32_t status, std::string_view code, std::string_view message, std::string_view retry_delay,
               std::string* out) {
  *out += "{\"error\":{\"message\":";
  add_quoted(out, message);
  add(out, ",\"type\":\"", error_type(status), "\",\"param\":null,\"code\":");
  if (code.empty()) code = error_code(status);
  if (code.empty()) *out += "null";
  else add_quoted(out, code);
  if (!retry_delay.empty())
    add(out, ",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
        "\"retryDelay\":\"", retry_delay, "\"}]");
  *out += "}}";
}

void add_model(std::string_view name, std::string* out) {
  // 2025-01-01: any fixed time.
  add(out, "{\"id\":\"", name, "\",\"object\":\"model\",\"created\":1735689600,\"owned_by\":\"mock\"}");
}

void add_models(const Behaviour& behaviour, std::string* out) {
  *out += "{\"object\":\"list\",\"data\":[";
  for (size_t i = 0; i < behaviour.models.size(); i++) {
    if (i) *out += ',';
    add_model(behaviour.models[i], out);
  }
  *out += "]}";
}

std::string_view reason(uint32_t status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 413: return "Content Too Large";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Mock";
  }
}

}  // namespace lb::mock
