#include "wire/anthropic.h"

#include <algorithm>
#include <initializer_list>

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

enum Path : size_t {
  kType, kError, kText, kPartialJson, kStopReason, kBlockType, kBlockText,
  kInput, kOutput, kCacheRead, kCacheWrite,
  kStartInput, kStartOutput, kStartCacheRead, kStartCacheWrite,
};
constexpr std::string_view kPaths[] = {
    "type",
    "error",
    "delta.text",
    "delta.partial_json",
    "delta.stop_reason",
    "content_block.type",
    "content_block.text",
    "usage.input_tokens",
    "usage.output_tokens",
    "usage.cache_read_input_tokens",
    "usage.cache_creation_input_tokens",
    "message.usage.input_tokens",
    "message.usage.output_tokens",
    "message.usage.cache_read_input_tokens",
    "message.usage.cache_creation_input_tokens",
};
constexpr ScanPaths kScan(kPaths);

bool there(const JsonScan::Found& found) {
  return found.nonempty && found.end != 0 && found.type != JsonType::boolean && found.type != JsonType::number;
}

}  // namespace

AnthropicAnswer::AnthropicAnswer(Form form) : form_(form), scan_(kScan) {}

AnthropicAnswer::Sign AnthropicAnswer::event(const SseEvent& event, SseParser* parser) {
  if (event.expected) return Sign::content;
  std::string_view data = trim(event.data);
  if (event.name == "error") return fail(event.data);
  if (data.empty()) return Sign::life;
  scan_.reset();
  if (!scan_.feed(data) || !scan_.complete()) {
    malformed_++;
    return Sign::malformed;
  }
  if (there(scan_[kError]) || scan_.string(kType) == "error") return fail(event.data);
  read_usage();
  std::string type = scan_.string(kType);
  done_ = done_ || type == "message_stop";
  if (!content(type)) return Sign::life;
  if (parser) expect_like(data, *parser);
  return Sign::content;
}

// As OpenAiAnswer's: text, and nothing else.
void AnthropicAnswer::expect_like(std::string_view data, SseParser& parser) const {
  for (size_t path : {kPartialJson, kStopReason, kBlockType, kBlockText, kInput, kOutput, kCacheRead, kCacheWrite,
                      kStartInput, kStartOutput, kStartCacheRead, kStartCacheWrite})
    if (scan_[path].times > 0) return;
  const JsonScan::Found& text = scan_[kText];
  if (text.type != JsonType::string || text.times != 1) return;
  parser.expect(data.substr(text.begin + 1, text.end - text.begin - 2));
}

AnthropicAnswer::Sign AnthropicAnswer::fail(std::string_view text) {
  failed_ = true;
  error_text_.assign(text);
  return Sign::error;
}

// Of the event that has been scanned.
bool AnthropicAnswer::content(std::string_view type) const {
  if (type == "content_block_start") {
    // A text block begins empty, and fills by deltas; that of a tool, or of what a server's tool found, says its name.
    std::string block = scan_.string(kBlockType);
    bool text = block == "text";
    bool thinking = block == "thinking" || block == "redacted_thinking";
    return text ? scan_[kBlockText].nonempty : !block.empty() && !thinking;
  }
  if (type == "content_block_delta") return scan_[kText].nonempty || scan_[kPartialJson].nonempty;
  return type == "message_delta" && scan_[kStopReason].nonempty;
}

void AnthropicAnswer::read_usage() {
  auto read = [&](std::initializer_list<size_t> paths) {
    std::optional<uint64_t> out;
    uint64_t value = 0;
    for (size_t path : paths)
      if (scan_.integer(path, value)) out = value;
    return out;
  };
  std::optional<uint64_t> input = read({kStartInput, kInput});
  std::optional<uint64_t> cached = read({kStartCacheRead, kCacheRead});
  std::optional<uint64_t> written = read({kStartCacheWrite, kCacheWrite});
  if (input) usage_.input = *input + cached.value_or(0) + written.value_or(0);
  if (cached) usage_.cached = cached;
  if (std::optional<uint64_t> output = read({kStartOutput, kOutput})) usage_.output = output;
}

AnthropicAnswer::Sign AnthropicAnswer::bytes(std::string_view bytes) {
  scan_.feed(bytes);
  bool whole = scan_.complete();
  if (whole) read_usage();
  failed_ = failed_ || there(scan_[kError]) || (whole && scan_.string(kType) == "error");
  if (failed_) return Sign::error;
  return whole ? Sign::content : Sign::life;
}

bool AnthropicAnswer::finished() const { return form_ == Form::events ? done_ : scan_.complete(); }

std::string_view anthropic_error_type(uint32_t status) {
  switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503:
    case 529: return "overloaded_error";
    case 504: return "timeout_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
  }
}

std::string anthropic_error_body(std::string_view message, std::string_view type) {
  return "{\"type\":\"error\",\"error\":{\"type\":" + json_quote(type) + ",\"message\":" + json_quote(message) + "}}";
}

std::string anthropic_error_event(std::string_view message, std::string_view type) {
  return "event: error\ndata: " + anthropic_error_body(message, type) + "\n\n";
}

}  // namespace lb
