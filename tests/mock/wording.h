// What an OpenAI-style provider says: plain answers, events of streams, errors, lists of models. Pure: texts in,
// texts out. One Wording serves one call; its room is used again by the next one on the connection.
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

  // A stream in order: opening, `tokens` times content, closing.
  void opening(Frames* frames);
  void content(uint32_t index, Frames* frames);
  void closing(Frames* frames);
  void malformed(Frames* frames);
  void error_event(Frames* frames);

 private:
  void usage(std::string* out) const;
  void plain_chat(std::string* out) const;
  void plain_text(std::string* out) const;
  void embeddings(std::string* out) const;
  void fill(std::string* out, size_t start, size_t content_end) const;
  void choice_event(std::string_view choice, Frames* frames);

  // responses.cc
  void response_object(std::string_view status, bool with_output, std::string* out) const;
  void response_item(std::string_view status, bool with_content, std::string* out) const;
  void response_event(std::string_view type, Frames* frames);  // Takes what event_ has after the number.
  void response_opening(Frames* frames);
  void response_content(std::string_view token, Frames* frames);
  void response_closing(Frames* frames);

  Endpoint endpoint_ = Endpoint::chat;
  const Behaviour* behaviour_ = nullptr;
  const Ask* ask_ = nullptr;
  uint64_t id_ = 0, prompt_tokens_ = 0;
  int64_t now_s_ = 0;
  uint32_t sequence_ = 0;
  std::string prefix_, event_, token_, scratch_;
};

// The body of an error answer; `retry_delay`, if not empty, is told as google.rpc.RetryInfo.
void add_error(uint32_t status, std::string_view code, std::string_view message, std::string_view retry_delay,
               std::string* out);
void add_models(const Behaviour& behaviour, std::string* out);
void add_model(std::string_view name, std::string* out);

std::string_view reason(uint32_t status);

}  // namespace lb::mock
