// One inbound connection: its requests one after the other, their answers in that order, and what of both is under
// way. Owned by the Gateway's slab; its thread.
//
//   client.cc  reading: heads, bodies, pipelined requests, time limits, the end
//   answer.cc  writing: events of a call and documents of lb's own, within what the client takes
//
// Bounds: what a client pipelines behind a request in flight (kBacklogMax), what of its answers is unsent before its
// next request is looked at (kUnsentMax), and for calls the route's window, since only what the port has sent is
// credited.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/context.h"
#include "gateway/route.h"

namespace lb {

// An answer of lb's own that says no.
struct Refusal {
  uint32_t status = 0;
  std::string_view code;
  std::string message;
  std::string_view allow;  // 405: the methods there are.
};

class Client {
 public:
  // Bytes of further requests that are kept while one is in flight; then reading stops. As nginx's largest head buffer,
  // twice: pipelining is rare, and only a client that is still read is noticed when it goes.
  static constexpr size_t kBacklogMax = 16 * 1024;
  // Unsent bytes of finished answers before the next request is begun; as the default window of a route.
  static constexpr size_t kUnsentMax = 64 * 1024;
  // Rest of a request body that is read and dropped behind an early answer, so that the connection can be kept; more
  // costs more than a new connection does.
  static constexpr uint64_t kDrainMax = 64 * 1024;
  // Data up to this is copied into one piece with its framing; a page, as net/read_buffer.h.
  static constexpr size_t kCopyMax = 4 * 1024;

  Client(GatewayContext& context, uint64_t id, ConnId conn);
  ~Client();

  ConnId conn() const { return conn_; }
  void open();
  void on_read(const Chunk& chunk);
  void on_written(uint64_t bytes);
  void on_ended();
  void on_closed();
  void on_event(Event& event);
  void on_due();
  void drain();  // Closes it when it is at rest; its answers say so from now on.
  void abort();  // At once.
  // The one write of a turn, and what follows from it.
  void flush();

 private:
  enum class Phase : uint8_t {
    idle,       // Nothing of a request has come.
    head,       // Part of a head has come.
    active,     // A request is being read or answered.
    finishing,  // What is unsent is sent, then the connection is closed.
    gone,
  };

  // client.cc
  void feed(const Chunk& chunk);
  void take_pieces(const Chunk& chunk);
  void take_body(Chunk bytes, std::optional<CallSpec>& spec, bool last);
  void after_pieces();
  void await_body();
  void reset_request();
  void open_request();
  void begin_answer(std::optional<CallSpec>& spec);
  std::optional<Refusal> refusal();
  void start_call(CallSpec&& spec);
  void on_fault();
  void on_read_due();
  void fail_request(const Refusal& why);
  void finish_request();
  void stash(std::string_view bytes);
  void resume();
  bool blocked() const;
  bool little_left() const;
  void read(bool on);
  void drop_call();
  void finish();
  void leave(bool flush);
  void set_phase(Phase phase);
  void arm_timer();

  // answer.cc
  void on_answer_head(const Event& event);
  void on_answer_data(Event& event);
  void on_done(const Event& event);
  void answer_document();
  void answer_error(const Refusal& why, const Detail* detail);
  void put_head(uint32_t status, std::string_view fields, std::optional<uint64_t> length);
  void put_text(std::string_view bytes);
  void put_data(Chunk data);
  void end_answer();
  void mark_dirty();
  size_t unsent() const { return pending_ + text_.size() + out_.bytes(); }
  void credit();

  GatewayContext& context_;
  const uint64_t id_;
  const ConnId conn_;
  Http1Parser parser_;
  Phase phase_ = Phase::idle;
  bool reading_ = false;
  bool dirty_ = false;
  bool served_ = false;     // A request has been answered: the next may be long in coming.

  // The request.
  RouteMatch route_;
  bool old_ = false;        // HTTP/1.0.
  bool head_only_ = false;  // HEAD.
  bool expects_ = false;    // The body comes after a 100, or not at all.
  bool keep_ = false;       // The connection can serve another request.
  bool body_done_ = false;  // The request has come whole.
  uint64_t body_bytes_ = 0;
  Instant request_due_;     // All of it must have come.
  Instant paused_ = Instant::never();  // Since when the upstream takes no more of it: that time does not count.
  std::string backlog_;     // Further requests.

  // The answer.
  CallId call_ = 0;         // 0: none, or it has ended.
  bool head_sent_ = false;  // Its head has been written.
  bool answered_ = false;   // All of it has.
  bool chunked_ = false;
  bool bodyless_ = false;   // 204 and 304.
  bool events_ = false;     // It is a stream of events.
  std::string text_;        // Unsent: behind out_.
  Chain out_;
  size_t pending_ = 0;      // With the port.
  uint64_t owed_ = 0;       // Of the call's body, not credited.

  // Both are looked at when the timer fires, which is set anew only when one comes earlier.
  Instant read_due_ = Instant::never();
  Instant send_due_ = Instant::never();
  Timer timer_;
};

}  // namespace lb
