// An engine over a port that the test plays by hand: what connects, what answers, what time it is.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "engine/engine.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::test {

class ScriptNet : public Net {
 public:
  struct Conn {
    uint64_t tag = 0;
    ConnectSpec spec;
    std::string sent;  // By the engine.
    bool reading = false;
    bool open = true;  // Not closed by the engine.
  };

  void resolve(uint64_t tag, std::string_view host, uint16_t) override {
    Completion& out = completions.emplace_back();
    out.kind = Completion::Kind::resolved;
    out.tag = tag;
    out.addresses.resize(addresses);
    resolved.emplace_back(host);
  }
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override {
    conns.push_back({tag, spec, "", false, true});
    return conns.size();
  }
  size_t write(ConnId id, Chain&& bytes) override {
    std::string text = bytes.to_string();
    conns[id - 1].sent += text;
    return pending_all ? text.size() : 0;
  }
  void read(ConnId id, bool on) override { conns[id - 1].reading = on; }
  void close(ConnId id, bool) override { conns[id - 1].open = false; }
  Result<ListenerId> listen(uint64_t, const Address&) override { return ListenerId{1}; }
  Address bound(ListenerId) override { return {}; }
  void unlisten(ListenerId) override {}
  void accept(ListenerId, bool) override {}
  void adopt(ConnId, uint64_t) override {}
  void wake_at(Instant) override {}

  void happen(ConnId id, Completion::Kind kind, std::string_view bytes = "", Status status = Status::OK) {
    Completion& out = completions.emplace_back();
    out.kind = kind;
    out.tag = conns[id - 1].tag;
    out.conn = id;
    out.status = status;
    out.bytes = bytes.size();
    if (kind == Completion::Kind::closed) out.message = "connection refused";
    if (kind == Completion::Kind::read) out.data = Chunk::copy(bytes);
  }

  std::vector<Conn> conns;
  std::vector<Completion> completions;
  std::vector<std::string> resolved;
  size_t addresses = 1;
  bool pending_all = false;  // Nothing goes out at once.
};

struct Rig : EventSink {
  struct Log : EventSink {
    void deliver(std::vector<Event>& events) override {
      for (const Event& event : events) text.append(event.data.view()).append("\n");
    }
    std::string text;
  };

  // Deployments "a", "b", ... that serve model "m"; one tier each, so that their order is certain.
  explicit Rig(size_t deployments = 2) {
    for (size_t i = 0; i < deployments; i++) {
      Deployment& to = config->deployments.emplace_back();
      to.name = std::string(1, static_cast<char>('a' + i));
      to.url.host = to.name + ".example";
      to.url.port = 80;
      to.url.path = "/v1";
      to.key = "secret-of-" + to.name;
      to.models.push_back({"m", "m", {}, {}});
      to.timeouts = {Duration::from_s(1), Duration::from_s(2), Duration::from_s(3), Duration::from_s(4)};
      to.connections_max = 100;
      to.keep_alive = Duration::from_s(60);
    }
    Route& route = config->routes.emplace_back();
    route.model = "m";
    for (uint32_t i = 0; i < deployments; i++) route.tiers.push_back({i});
    route.retry.retries = 5;
    route.deadline = Duration::from_s(600);
    route.window_bytes = 65536;
    route.replay_bytes = 1 << 20;
    route.hold_bytes = 65536;
    config->limits.head_bytes = 65536;
    config->limits.body_bytes = 1 << 20;
    config->limits.replay_bytes_total = 1 << 30;
    config->limits.waiting = 10;
    config->limits.dns_ttl = Duration::from_s(30);
  }
  Route& route() { return config->routes[0]; }

  void open() {
    EngineOptions options;
    options.log = &log;
    options.log_level = LogLevel::debug;
    options.calls_max = calls_max;
    engine = std::make_unique<Engine>(net, options, config, now);
  }

  CallSpec spec(std::string_view body = R"({"model":"m","messages":[]})") {
    CallSpec out;
    out.sink = this;
    out.head.method = "POST";
    out.head.target = "/v1/chat/completions";
    out.head.add("content-type", "application/json");
    out.body.push(Chunk::copy(body));
    return out;
  }
  CallId start(CallSpec call) {
    if (!engine) open();
    engine->begin(now);
    Result<CallId> id = engine->start(std::move(call));
    assert_true(id.ok());
    turn();
    return id.value();
  }
  CallId start() { return start(spec()); }

  // One turn, and as many more as completions of their own making need.
  void turn() {
    do {
      engine->begin(now);
      std::vector<Completion> batch;
      batch.swap(net.completions);
      for (Completion& completion : batch) engine->complete(completion);
      engine->settle();
    } while (!net.completions.empty());
  }
  void pass(Duration time) {
    now = now + time;
    turn();
  }
  void up(ConnId id) { step(id, Completion::Kind::connected); }
  void says(ConnId id, std::string_view bytes) { step(id, Completion::Kind::read, bytes); }
  void ends(ConnId id) { step(id, Completion::Kind::ended); }
  void step(ConnId id, Completion::Kind kind, std::string_view bytes = "", Status status = Status::OK) {
    assert_true(id <= net.conns.size());
    net.happen(id, kind, bytes, status);
    turn();
  }
  // The connection that was made last.
  ConnId last() const { return net.conns.size(); }

  void deliver(std::vector<Event>& events) override {
    for (Event& event : events) {
      if (event.kind == Event::Kind::head) {
        head = event.data.view();
        code = event.code;
      } else if (event.kind == Event::Kind::data) {
        body += event.data.view();
        pieces.emplace_back(event.data.view());
        if (credits) engine->credit(event.call, event.data.size());
      } else if (event.kind == Event::Kind::room) {
        rooms++;
      } else if (event.kind == Event::Kind::done) {
        dones++;
        status = event.status;
        if (code == 0) code = event.code;
        detail = *event.detail;
      }
    }
  }
  void expect_done(Status want_status, uint32_t want_code) {
    assert_int_equal(dones, 1);
    assert_string_equal(status_name(status), status_name(want_status));
    assert_int_equal(code, want_code);
  }
  void expect_open() { assert_int_equal(dones, 0); }

  std::shared_ptr<Config> config = std::make_shared<Config>();
  ScriptNet net;
  Log log;
  Instant now{1'000'000'000};
  uint32_t calls_max = 100;
  std::unique_ptr<Engine> engine;
  bool credits = true;
  std::string head, body;
  std::vector<std::string> pieces;
  uint32_t code = 0;
  int dones = 0, rooms = 0;
  Status status = Status::OK;
  Detail detail;
};

inline std::string reply(uint32_t code, const std::string& body, const std::string& fields = "",
                         const std::string& type = "application/json") {
  return "HTTP/1.1 " + std::to_string(code) + " X\r\ncontent-type: " + type + "\r\n" + fields +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline std::string good(const std::string& text = "hi") {
  return reply(200, R"({"choices":[{"message":{"content":")" + text +
                        R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}})");
}
inline std::string failing(uint32_t code, const std::string& fields = "") {
  return reply(code, R"({"error":{"message":"no","type":"server_error"}})", fields);
}
inline const char* kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
inline std::string chunk(const std::string& bytes) { return chunk_line(bytes.size()) + bytes + "\r\n"; }
inline std::string event(const std::string& data) { return "data: " + data + "\n\n"; }
inline std::string delta(const std::string& text) {
  return event(R"({"choices":[{"index":0,"delta":{"content":")" + text + R"("}}]})");
}
inline std::string finish() {
  return event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") + event("[DONE]");
}

}  // namespace lb::test
