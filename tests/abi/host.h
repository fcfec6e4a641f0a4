// A host of lb as a test needs it: an engine, one queue, and what came out of it. Only lb.h is used. Every wait is
// bounded.
#pragma once

#include <chrono>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lb.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace host {

constexpr int32_t kPatienceMs = 20'000;  // Far longer than anything here takes, also under TSan on a busy machine.

// One deployment that answers in process; `more` goes into it: ",\"events\":5".
inline std::string echo_config(const std::string& more = "", const std::string& rest = "") {
  return "{\"deployments\":[{\"name\":\"echo\",\"kind\":\"echo\",\"models\":[\"m\"]" + more + "}]" + rest + "}";
}

inline std::string chat_head(const std::string& lines = "") {
  return "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n" + lines + "\r\n";
}

inline std::string chat_body(bool stream, const std::string& model = "m") {
  return "{\"model\":\"" + model + "\",\"stream\":" + (stream ? "true" : "false") +
         ",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}";
}

// What is known of one call, or of the queue as a whole (call 0).
struct Seen {
  std::vector<uint32_t> kinds;
  std::string head;
  std::string data;
  std::vector<std::string> pieces;  // One for each DATA.
  std::vector<std::string> logs;
  uint32_t code = 0;                // Of HEAD.
  int rooms = 0;
  uint64_t window = 0;
  uint64_t user_data = 0;
  lb_status status = 1;             // Of DONE.
  std::string message, upstream, model, request_id;
  std::map<uint32_t, uint64_t> numbers;
  bool done() const { return !kinds.empty() && kinds.back() == LB_EVENT_DONE; }
};

inline std::string text_of(const lb_event& event, uint32_t field) {
  const char* text = nullptr;
  size_t size = 0;
  return lb_event_text(&event, field, &text, &size) ? std::string(text, size) : std::string();
}

// Checks the grammar of lb.h while it takes the events in.
class Record {
 public:
  void take(const lb_event& event) {
    Seen& seen = calls[event.call];
    std::string_view data(static_cast<const char*>(event.data), event.size);
    assert_int_not_equal(event.time_ns, 0);
    switch (event.kind) {
      case LB_EVENT_ATTEMPT:
        break;
      case LB_EVENT_HEAD:
        assert_false(has(seen, LB_EVENT_HEAD));
        seen.code = event.code;
        seen.head = data;
        if (uint64_t window = 0; lb_event_u64(&event, LB_FIELD_WINDOW_BYTES, &window)) seen.window = window;
        break;
      case LB_EVENT_DATA:
        assert_true(has(seen, LB_EVENT_HEAD));
        seen.data += data;
        seen.pieces.emplace_back(data);
        break;
      case LB_EVENT_DONE:
        take_done(event, seen);
        break;
      case LB_EVENT_ROOM:
        seen.rooms++;
        break;
      case LB_EVENT_LOG:
        seen.logs.emplace_back(data);
        break;
      case LB_EVENT_CLOSED:
        closed = true;
        break;
      default:
        fail_msg("an event of kind %u", event.kind);
    }
    if (event.call) {
      assert_false(seen.done());
      seen.user_data = event.user_data;
    }
    seen.kinds.push_back(event.kind);
  }

  std::map<lb_call, Seen> calls;
  size_t done = 0;
  bool closed = false;

 private:
  static bool has(const Seen& seen, uint32_t kind) {
    for (uint32_t k : seen.kinds)
      if (k == kind) return true;
    return false;
  }
  void take_done(const lb_event& event, Seen& seen) {
    done++;
    seen.status = event.status;
    seen.message = text_of(event, LB_FIELD_MESSAGE);
    seen.upstream = text_of(event, LB_FIELD_UPSTREAM);
    seen.model = text_of(event, LB_FIELD_MODEL);
    seen.request_id = text_of(event, LB_FIELD_REQUEST_ID);
    for (uint32_t field = 1; field <= LB_FIELD_RETRY_AFTER_MS; field++) {
      uint64_t value = 0;
      if (lb_event_u64(&event, field, &value)) seen.numbers[field] = value;
    }
  }
};

// lb_call_start with the usual head.
inline lb_status start_on(lb_engine* engine, lb_queue* queue, const std::string& body, lb_call* call = nullptr,
                          const lb_call_options* options = nullptr) {
  std::string head = chat_head();
  lb_call unused = 0;
  return lb_call_start(engine, queue, options, head.data(), head.size(), body.data(), body.size(),
                       call ? call : &unused, nullptr);
}

class Host {
 public:
  struct Options {
    uint32_t flags = 0;
    uint32_t calls_max = 0;
    uint32_t log_level = 0;
    bool queue = true;
  };
  explicit Host(const std::string& config) : Host(config, Options()) {}
  Host(const std::string& config, const Options& options) {
    lb_engine_options engine_options = {sizeof engine_options, options.flags, 7, options.calls_max, options.log_level};
    lb_error error = {sizeof error, 0, "", ""};
    if (lb_engine_open(&engine_options, config.data(), config.size(), &engine, &error) != LB_OK)
      fail_msg("%s: %s", error.where, error.message);
    if (options.queue) assert_int_equal(lb_queue_open(engine, nullptr, &queue, nullptr), LB_OK);
  }
  ~Host() {
    lb_queue_close(queue);
    lb_engine_free(engine);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  lb_call start(const std::string& body, const lb_call_options* options = nullptr,
                const std::string& head = chat_head()) {
    lb_call call = 0;
    lb_error error = {sizeof error, 0, "", ""};
    lb_call_start(engine, queue, options, head.data(), head.size(), body.data(), body.size(), &call, &error);
    if (error.status != LB_OK) fail_msg("lb_call_start: %s", error.message);
    assert_true(call != 0);
    return call;
  }
  lb_status try_start(const std::string& body, const std::string& head, std::string* message = nullptr) {
    lb_call call = 0;
    lb_error error = {sizeof error, 0, "", ""};
    lb_status status =
        lb_call_start(engine, queue, nullptr, head.data(), head.size(), body.data(), body.size(), &call, &error);
    assert_int_equal(error.status, status);
    if (message) *message = error.message;
    return status;
  }

  // One poll; gives the data's credit back unless told not to.
  int32_t poll(int32_t timeout_ms = kPatienceMs, size_t cap = 64) {
    lb_event events[64];
    int32_t count = lb_queue_poll(queue, events, cap, timeout_ms);
    for (int32_t i = 0; i < count; i++) {
      record.take(events[i]);
      if (credit && events[i].kind == LB_EVENT_DATA) lb_call_credit(engine, events[i].call, events[i].size);
    }
    return count;
  }
  template <typename Done>
  void until(Done done) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) fail_msg("%s", "waited in vain");
      if (poll(1000) == LB_CLOSED) fail_msg("%s", "the queue is closed");
    }
  }
  Seen& finish(lb_call call) {
    until([&] { return record.calls[call].done(); });
    return record.calls[call];
  }
  Seen& operator[](lb_call call) { return record.calls[call]; }
  std::string stats(uint32_t format = 0) const {
    size_t size = 0;
    char* text = lb_engine_stats(engine, format, &size);
    assert_non_null(text);
    std::string out(text, size);
    lb_free(text);
    return out;
  }

  lb_engine* engine = nullptr;
  lb_queue* queue = nullptr;
  Record record;
  bool credit = true;
};

inline lb_call_options call_options(uint32_t delivery = LB_DELIVER_BYTES, uint64_t user_data = 0) {
  lb_call_options options = {};
  options.struct_size = sizeof options;
  options.delivery = delivery;
  options.user_data = user_data;
  return options;
}

}  // namespace host
