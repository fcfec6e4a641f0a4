// Answers of Anthropic's Messages API, as far as routing needs them: when a stream has begun to carry content, whether
// it has ended well, what it used, and how an error is said. Requests are read by OpenAiRequest: `model`, `stream`,
// `max_tokens`, `system`, `tools` and `messages` stand where it looks; errors by openai_error, which knows their
// envelope. Shapes: reference/wire.md §6.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/openai.h"

namespace lb {

// Follows an answer of status 200. The same questions as OpenAiAnswer's.
class AnthropicAnswer {
 public:
  using Form = OpenAiAnswer::Form;
  using Sign = OpenAiAnswer::Sign;

  explicit AnthropicAnswer(Form form);

  // One whole event of a stream. Text, tool calls and the reason to stop are content; pings, thinking, signatures and
  // whatever is not known are life.
  Sign event(const SseEvent& event, SseParser* parser = nullptr);
  // Bytes of a JSON body.
  Sign bytes(std::string_view bytes);

  bool finished() const;  // message_stop, or a complete JSON value.
  bool failed() const { return failed_; }
  std::string error_text() const { return error_text_; }
  uint32_t malformed() const { return malformed_; }
  // `input` has what came from the cache and went into it, as OpenAI counts; both state cumulative values.
  const Usage& usage() const { return usage_; }

 private:
  Sign fail(std::string_view text);
  bool content(std::string_view type) const;
  void expect_like(std::string_view data, SseParser& parser) const;
  void read_usage();

  Form form_;
  bool done_ = false;  // message_stop.
  bool failed_ = false;
  uint32_t malformed_ = 0;
  std::string error_text_;
  Usage usage_;
  JsonScan scan_;
};

// The type of error that Anthropic gives with this HTTP status.
std::string_view anthropic_error_type(uint32_t status);
// {"type":"error","error":{"type":...,"message":...}}
std::string anthropic_error_body(std::string_view message, std::string_view type);
// The event that ends a stream in failure: "event: error\ndata: ...\n\n". No message_stop follows.
std::string anthropic_error_event(std::string_view message, std::string_view type);

}  // namespace lb
