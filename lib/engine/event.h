// What goes into the engine as a call, and what comes out of it as events, for both doors: the queues of the abi
// layer and the gateway.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/chunk.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/time.h"
#include "wire/http1.h"
#include "wire/openai.h"

namespace lb {

using CallId = uint64_t;  // Never 0, never reused within an engine; the top four bits are 0.

// "lb-" and sixteen hexadecimal digits: what x-lb-request-id says. Of one size, so that none is allocated; it
// ends in NUL.
class RequestId {
 public:
  RequestId() = default;  // "".
  explicit RequestId(Rng& rng);
  bool empty() const { return text_[0] == '\0'; }
  std::string_view view() const { return empty() ? std::string_view() : std::string_view(text_.data(), kSize); }

 private:
  static constexpr size_t kSize = 19;
  std::array<char, kSize + 1> text_{};
};

// What lb_event_u64 and lb_event_text read. Belongs to the event that carries it.
struct Detail {
  Usage usage;
  uint32_t attempts = 0;
  Duration queued;                      // From start to the first dispatch.
  std::optional<Duration> first_byte;   // From start to the commitment.
  Duration total;                       // From start to this event.
  std::optional<Duration> retry_after;  // How long to wait before the same call makes sense again.
  uint64_t window = 0;                  // Bytes; 0 before it is known.
  std::string upstream;                 // Name of the deployment; "" before the first dispatch.
  std::string model;                    // As the caller asked for it.
  std::string message;                  // For people; never contains a secret.
  RequestId request_id;
  std::string trace;  // Why it went where it went, as JSON; "" unless x-lb-trace asked.
  std::string code;  // The machine-readable code of the error body: "model_not_found".
};

// A call's events are  attempt* (head (data | attempt)*)? done.  `room` is for callers that stream their request body.
struct Event {
  enum class Kind : uint32_t { attempt = 1, head = 2, data = 3, done = 4, log = 5, closed = 6, room = 7 };
  Kind kind = Kind::data;
  Status status = Status::OK;  // attempt, done.
  CallId call = 0;
  uint64_t user_data = 0;
  uint32_t code = 0;  // head: the HTTP status. attempt: the upstream's, or 0. done without a head: the HTTP status that
                      // a gateway answers with. log: the level.
  bool has_length = false;  // head: the fields have a true content-length.
  bool events = false;      // head: the body is a stream of server-sent events.
  bool error_said = false;  // done: the stream that was delivered ends in an error event.
  Instant time;
  Chunk data;                      // head: field lines, x-lb-* among them. data: bytes. log: one line of JSON.
  std::unique_ptr<Detail> detail;  // attempt, head, done.
};

// Takes events at the end of a turn, in order. It may call start, append_body, credit and cancel of the engine from
// within `deliver`; their events come in the next round of the same turn.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // May move from the events.
  virtual void deliver(std::vector<Event>& events) = 0;

 private:
  friend class Outbox;
  std::vector<Event> pending_;
  bool listed_ = false;
};

enum class Delivery : uint8_t {
  bytes,   // The body as it came, dechunked.
  events,  // One `data` for each server-sent event: its data; the terminal [DONE] is left out.
  whole,   // One `data` with the whole body; commits only at its end.
};

struct CallSpec {
  EventSink* sink = nullptr;
  uint64_t user_data = 0;
  Delivery delivery = Delivery::bytes;
  bool attempts = false;      // `attempt` events too.
  Duration deadline;          // Zero: the route's.
  uint32_t window_bytes = 0;  // 0: the route's.
  int32_t priority = 0;
  Head head;                  // As the caller sent it; credentials and hop-by-hop fields are dropped by the engine.
  Chain body;                 // What is there of it.
  bool body_complete = true;  // false: append_body brings more, and `room` events come.
  std::optional<uint64_t> body_length;  // Its whole length, when known beforehand.
};

}  // namespace lb
