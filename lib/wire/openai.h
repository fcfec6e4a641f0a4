// The OpenAI dialect, as far as routing needs it: which paths there are, what a request asks for, what class an
// answer falls into, when a stream has begun to carry content and whether it has ended well.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/error_class.h"
#include "wire/http1.h"
#include "wire/prompt.h"
#include "wire/scan.h"
#include "wire/sse.h"

namespace lb {

// What lb reads of a request body while it goes by.
class OpenAiRequest {
 public:
  OpenAiRequest();
  bool feed(std::string_view bytes) { return scan_.feed(bytes, &prompt_); }
  const JsonScan& scan() const { return scan_; }
  bool has_model() const;             // The value of `model` has come whole.
  std::string model() const;          // "" if absent.
  uint64_t model_begin() const;       // Where its value stands: what a splice replaces, quotes included.
  uint64_t model_end() const;
  bool model_repeated() const;        // Two of them: refused, for the upstream might read the other one.
  bool stream() const;
  // max_completion_tokens, max_output_tokens, max_tokens or Gemini's generationConfig.maxOutputTokens; 0 if absent.
  uint64_t output_tokens_max() const;

  // Unicode characters of all text that the model will read: turns, system prompts, arguments and results of tools; and
  // the bytes of `tools`. No images, sounds or files. Four of them are about a token; a token that is given as a
  // number counts as four.
  uint64_t text_characters() const { return prompt_.text_characters(); }
  uint32_t images() const { return prompt_.images(); }  // Parts that are one, whatever its size.
  // Of what a conversation begins with: its system prompts (`system`, `instructions`, leading turns of role system or
  // developer), `tools`, and the user's first turn (which `prompt` or `input` is, if it is one string). The same for
  // all requests of a conversation, whatever turns have been added. 0 if nothing of that has come whole.
  uint64_t prefix_hash() const { return prompt_.prefix_hash(); }
  // These are "" if absent, not yet whole, or no string; their first JsonScan::kCaptureMax bytes if they are longer.
  std::string prompt_cache_key() const;
  std::string user() const;            // `user`, or else `metadata.user_id`.
  // `n`, or candidateCount: how many answers are asked for. 1 if it says nothing that makes sense.
  uint64_t choices() const;

 private:
  std::string whole_string(size_t path) const;

  JsonScan scan_;
  Prompt prompt_;
};

struct Usage {
  std::optional<uint64_t> input;   // Absent is absent, never zero.
  std::optional<uint64_t> output;
  std::optional<uint64_t> cached;
};

// What an error response says. `body` is its first bytes (whole when short).
struct ErrorFacts {
  ErrorClass what = ErrorClass::none;
  std::optional<Duration> retry_after;  // Clamped to 0 .. 24 h.
  std::string message;                  // error.message, cut at 300 bytes; "" if none was found.
};
// For a response with a status of 400 or more, or with 200 and an `error` member in its body.
// `unix_now_s` serves HTTP dates without a Date header of their own; 0 where no wall clock is at hand.
ErrorFacts openai_error(const Head& head, std::string_view body, int64_t unix_now_s);

// The wait that an answer asks for: told_wait of retry_after.h, with google.rpc.RetryInfo of the body in its place.
// Clamped to 0 .. 24 h; absent when none is there.
std::optional<Duration> retry_after(const Head& head, std::string_view body, int64_t unix_now_s);

// Follows an answer of status 200 and says when it may be committed to, and how it ended.
class OpenAiAnswer {
 public:
  enum class Form : uint8_t { json, events, other };  // From the content type.
  enum class Sign : uint8_t {
    life,      // Bytes without content: comments, role deltas, reasoning deltas.
    content,   // The first content (text, a tool call, a refusal, or a finish reason).
    error,     // An error member: before content the call fails over.
    malformed,  // An event whose data is not JSON.
  };

  // `responses`: the answer of /v1/responses, whose events have types.
  OpenAiAnswer(Form form, bool responses);
  static Form form_of(std::string_view content_type);

  // One whole event of a stream (Form::events). `parser`, if it is given, reported it, and is told what else to expect.
  Sign event(const SseEvent& event, SseParser* parser = nullptr);
  // Bytes of a JSON body (Form::json). `content` once it is whole, `error` as soon as an error member is.
  Sign bytes(std::string_view bytes);

  bool finished() const;       // A finish reason of every choice, a terminal event, [DONE], or a complete JSON value.
  bool failed() const;         // An error event or member came.
  std::string error_text() const;  // The raw JSON of the error event, or "".
  uint32_t malformed() const;  // How many events were.
  const Usage& usage() const;

 private:
  Sign fail(std::string_view text);
  Sign typed_event(std::string_view type);
  Sign chunk();
  void read_usage();
  void expect_like(std::string_view data, SseParser& parser) const;

  Form form_;
  bool responses_;
  bool done_ = false;      // [DONE] or a terminal event.
  bool failed_ = false;
  bool several_ = false;   // Choices that share an event, or beyond 62, cannot be told apart: then only [DONE] ends.
  uint64_t begun_ = 0;     // Choices that have come, by bit.
  uint64_t finished_ = 0;  // Choices that have had a finish reason.
  uint32_t malformed_ = 0;
  std::string error_text_;
  Usage usage_;
  JsonScan scan_;
};

// {"error":{"message":...,"type":...,"param":null,"code":...}} as OpenAI writes it.
std::string openai_error_body(std::string_view message, std::string_view type, std::string_view code);
// The event that ends a stream in failure: "data: {\"error\":...}\n\n". No [DONE] follows.
std::string openai_error_event(std::string_view message, std::string_view type, std::string_view code);

}  // namespace lb
