// One answer as it unfolds: waits, head, events or body, faults, end. Pure: it is asked what to do now, appends
// bytes, and says until when to wait. One serves the calls of a connection one after another and keeps its room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mock/script.h"
#include "mock/wording.h"

namespace lb::mock {

struct Step {
  enum class Kind : uint8_t { wait, hang, drain, done, close, reset } kind;
  double until_ms = 0;  // Of wait.
};

class Exchange {
 public:
  // More than this in hand is written before more is made: a slow reader costs so much.
  static constexpr size_t kInHand = 256 * 1024;

  // The verdict is already in `verdict()`. `last`: the connection ends after this answer, and says so.
  void start(Endpoint endpoint, const Ask& ask, Script& script, const Clock& now, uint64_t prompt_tokens, bool last,
             bool http10);
  // An answer that is no call: a list of models, a journal, an error of HTTP.
  void start_ready(uint32_t status, std::string_view content_type, std::string body, const Clock& now, bool last);

  Step advance(const Clock& now, std::string* out);
  Verdict& verdict() { return verdict_; }
  uint32_t events() const { return index_; }
  // The end of the body is the end of the connection.
  bool close_delimited() const { return framing_ == Framing::close; }

 private:
  enum class Phase : uint8_t {
    latency, before_head, head, plain, plain_rest, first_token, content, closing, ending, trailing, over
  };

  void head(const Clock& now, std::string* out);
  // True when something keeps the exchange from going on; `step` says what.
  bool held(Spot spot, uint32_t at, const Clock& now, std::string* out, Step* step);
  bool content_step(const Clock& now, std::string* out, Step* step);
  bool plain_step(const Clock& now, std::string* out, Step* step);
  Step waiting(double until_ms, const Clock& now, std::string* out);
  Step end_early() const;

  Endpoint endpoint_ = Endpoint::chat;
  const Ask* ask_ = nullptr;
  Verdict verdict_;
  Wording wording_;
  Frames frames_;
  Phase phase_ = Phase::over;
  Framing framing_ = Framing::length;
  bool stream_ = false, last_ = false, stalled_ = false;
  double due_ms_ = 0, content_ms_ = 0, stall_until_ms_ = 0, said_ms_ = 0;
  uint32_t index_ = 0;
  uint64_t id_ = 0;
  size_t half_ = 0;
  std::string body_;
};

}  // namespace lb::mock
