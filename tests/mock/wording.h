// What a provider says, in its dialect: plain answers and events of streams. Pure: texts in, texts out.
// One Wording serves one call; its room is used again by the next one on the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mock/options.h"
#include "mock/request.h"

namespace lb::mock {

// Puts the parts of a body into HTTP's framing and stops at a cut.
class Frames {
 public:
  void start(bool chunked, uint64_t body_max, std::string* out);
  void to(std::string* out) { out_ = out; }
  void add(std::string_view part);
  void end();  // The last chunk, if there are chunks.
  bool cut() const { return cut_; }
  uint64_t sent() const { return sent_; }

 private:
  std::string* out_ = nullptr;
  uint64_t sent_ = 0, max_ = UINT64_MAX;
  bool chunked_ = false, cut_ = false;
};

class Wording {
 public:
  void start(Endpoint endpoint, const Behaviour& behaviour, const Ask& ask, uint64_t id, int64_t now_s,
             uint64_t prompt_tokens);

  // A whole answer; only of the endpoints that count as calls.
  void plain(std::string* out);

  // A stream in order: opening, events() times content, closing.
  uint32_t events() const { return events_; }
  void opening(Frames* frames);
  void content(uint32_t index, Frames* frames);
  void closing(Frames* frames);
  void malformed(Frames* frames);
  void error_event(Frames* frames);
  void ping(Frames* frames);

 private:
  // Fragments that the arguments of a call come in, behind the event that begins it.
  static constexpr uint32_t kFragments = 3;
  // An answer is thinking, text, calls. Its parts (Anthropic's blocks, the items of a response) are counted in that
  // order; this is what content event `index` has of which.
  struct Piece {
    enum class Kind : uint8_t { thought, text, call } kind;
    uint32_t at;    // Which word; of a call, 0 its beginning, from 1 on a fragment of its arguments.
    uint32_t call;  // Which one.
    uint32_t part;
  };
  Piece piece(uint32_t index) const;
  bool has_text() const { return behaviour_->tokens > 0 || ask_->calls.empty(); }
  uint32_t first_call() const { return (behaviour_->thinking > 0 ? 1 : 0) + (has_text() ? 1 : 0); }
  uint32_t parts() const { return first_call() + static_cast<uint32_t>(ask_->calls.size()); }
  Piece::Kind kind_of(uint32_t part) const;
  const ToolCall& call_of(uint32_t part) const { return ask_->calls[part - first_call()]; }
  // Of all that was said; a call counts as its events.
  uint64_t output_tokens() const;
  // The word of a piece, in token_.
  void take_word(const Piece& piece);
  void thoughts(std::string* out) const;
  void call_id(std::string_view prefix, uint32_t call, std::string* out) const;
  // Dots at `content_end` until the answer, which began at `start`, has body_bytes.
  void fill(std::string* out, size_t start, size_t content_end) const;
  // For the dialects whose parts are opened and closed: the part of `piece` is open.
  void turn_to(uint32_t part, Frames* frames);

  // openai.cc
  void usage(std::string* out) const;
  void chat_plain(std::string* out) const;
  void chat_calls(std::string* out) const;
  void text_plain(std::string* out) const;
  void choice_event(std::string_view choice, Frames* frames);
  void end_choices(Frames* frames);  // Of the event in event_.
  void openai_opening(Frames* frames);
  void openai_content(const Piece& piece, Frames* frames);
  void openai_closing(Frames* frames);

  // responses.cc
  void response_object(std::string_view status, bool with_output, std::string* out) const;
  void response_id(uint32_t part, std::string* out) const;
  void response_text(std::string_view text, std::string* out) const;
  void response_summary(bool whole, std::string* out) const;
  void response_item(uint32_t part, bool whole, std::string* out) const;
  void response_event(std::string_view type, Frames* frames);  // Takes what event_ has after the number.
  void response_whole_item(std::string_view type, uint32_t part, bool whole, Frames* frames);
  void response_opening(Frames* frames);
  void response_open(uint32_t part, Frames* frames);
  void response_content(const Piece& piece, Frames* frames);
  void response_close(uint32_t part, Frames* frames);
  void response_closing(Frames* frames);

  // anthropic.cc
  void message_usage(uint64_t output, std::string* out) const;
  void message_head(std::string* out) const;
  void message_plain(std::string* out) const;
  void message_event(std::string_view type, Frames* frames);  // Takes what event_ has after the type.
  void message_opening(Frames* frames);
  void block_open(uint32_t part, Frames* frames);
  void block_content(const Piece& piece, Frames* frames);
  void block_close(uint32_t part, Frames* frames);
  void message_closing(Frames* frames);

  // gemini.cc
  void contents_usage(uint64_t output, uint64_t thoughts, std::string* out) const;
  void contents_plain(std::string* out) const;
  void contents_call(uint32_t call, std::string* out) const;
  void contents_event(std::string_view text, Frames* frames);  // As SSE, or as an element of an array.
  void contents_chunk(std::string_view parts, bool last, Frames* frames);
  void contents_content(const Piece& piece, Frames* frames);
  void contents_closing(Frames* frames);

  // embeddings.cc
  void embeddings(std::string* out) const;
  void contents_embeddings(std::string* out) const;

  Endpoint endpoint_ = Endpoint::chat;
  const Behaviour* behaviour_ = nullptr;
  const Ask* ask_ = nullptr;
  uint64_t id_ = 0, prompt_tokens_ = 0;
  int64_t now_s_ = 0;
  uint32_t sequence_ = 0, events_ = 0, fragments_ = 0;
  uint32_t said_ = 0, thought_ = 0;  // Content events so far, and those of thinking.
  uint32_t open_ = 0;                // Parts that have been opened; the last one is not closed.
  std::string prefix_, event_, token_, scratch_;
};

// Opaque, as providers sign what was thought; base64, as both Anthropic and Gemini have it.
constexpr std::string_view kSignature = "bW9jayBzaWduYXR1cmU=";

}  // namespace lb::mock
