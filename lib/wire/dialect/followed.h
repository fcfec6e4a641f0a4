// Follows an answer of status 200 by the reader of its dialect's streams: for dialects that need no reader of their own
// to be passed through. Their reader may be asked after each event whether that was the end, as Gemini's. The same
// questions as OpenAiAnswer's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wire/dialect/translate.h"
#include "wire/openai.h"

namespace lb {

class FollowedAnswer {
 public:
  using Form = OpenAiAnswer::Form;
  using Sign = OpenAiAnswer::Sign;

  FollowedAnswer(Form form, Dialect dialect);
  FollowedAnswer(FollowedAnswer&&) noexcept;
  FollowedAnswer& operator=(FollowedAnswer&&) noexcept;
  ~FollowedAnswer();

  // Its reader keeps what each event says, so none is left unread.
  Sign event(const SseEvent& event, SseParser* parser = nullptr);
  // Of a whole answer only whether it is JSON, and no error, is known before its end; its usage then.
  Sign bytes(std::string_view bytes);
  bool finished() const;
  bool failed() const;
  std::string error_text() const;
  uint32_t malformed() const;
  const Usage& usage() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lb
