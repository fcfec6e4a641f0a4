// A gateway with a real engine on a fake net: scripted bytes in and out, virtual time, nothing else. Clients are driven
// by the test; so are upstreams, where a deployment is not an echo.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "engine/engine.h"
#include "gateway/gateway.h"
#include "wire/http1.h"
#include "wire/json.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::test {

class FakeNet final : public Net {
 public:
  struct Conn {
    uint64_t tag = 0;
    bool adopted = false;
    bool reading = false;
    bool gone = false;         // Closed by lb, or lost.
    bool flushed = false;      // Closed with `flush`.
    bool fin = false;          // The peer has ended.
    bool fin_told = false;
    std::vector<std::string> inbox;  // What the peer has sent and nobody has read.
    std::string got;           // What the peer has received.
    std::string unsent;        // Written, and waiting for the peer to take it.
    size_t room = SIZE_MAX;    // What the socket takes before bytes stay unsent.
    size_t unsent_peak = 0;
    size_t writes = 0;
  };
  struct Port {
    uint64_t tag = 0;
    Address address;
    bool accepting = true;
    bool open = true;
    std::vector<ConnId> backlog;
  };

  void resolve(uint64_t tag, std::string_view, uint16_t port) override {
    if (hold_names) return;
    Completion c;
    c.kind = Completion::Kind::resolved;
    c.tag = tag;
    c.addresses.emplace_back();
    c.addresses[0].ip = {127, 0, 0, 1};
    c.addresses[0].port = port;
    arrived.push_back(std::move(c));
  }
  ConnId connect(uint64_t tag, const ConnectSpec&) override {
    conns[++ids_].tag = tag;
    upstreams.push_back(ids_);
    return ids_;
  }
  size_t write(ConnId id, Chain&& bytes) override {
    Chain taken = std::move(bytes);
    Conn& conn = conns.at(id);
    assert_false(taken.empty());
    if (conn.gone) return 0;
    conn.writes++;
    std::string text = taken.to_string();
    size_t now = conn.unsent.empty() ? std::min(conn.room, text.size()) : 0;
    conn.got.append(text, 0, now);
    if (conn.room != SIZE_MAX) conn.room -= now;
    conn.unsent.append(text, now);
    conn.unsent_peak = std::max(conn.unsent_peak, conn.unsent.size());
    return text.size() - now;
  }
  void read(ConnId id, bool on) override {
    Conn& conn = conns.at(id);
    if (conn.gone) return;
    conn.reading = on;
    hand_over(id);
  }
  void close(ConnId id, bool flush) override {
    Conn& conn = conns.at(id);
    if (conn.gone) return;
    if (flush) conn.got += conn.unsent;
    conn.unsent.clear();
    conn.gone = true;
    conn.flushed = flush;
  }
  Result<ListenerId> listen(uint64_t tag, const Address& address) override {
    Address bound = address;
    if (address.port == 0 && address.family != Address::Family::local) bound.port = ++ports_;
    for (auto& [id, port] : ports)
      if (port.open && port.address == bound) return Error{Status::CONFIG, "", to_string(bound) + " is in use"};
    ports[++ids_] = {tag, bound, true, true, {}};
    return ids_;
  }
  Address bound(ListenerId id) override { return ports.at(id).address; }
  void unlisten(ListenerId id) override { ports.at(id).open = false; }
  void accept(ListenerId id, bool on) override {
    Port& port = ports.at(id);
    port.accepting = on;
    if (!on) return;
    for (ConnId conn : std::exchange(port.backlog, {}))
      if (!conns.at(conn).gone) tell(Completion::Kind::accepted, conn);
  }
  void adopt(ConnId id, uint64_t tag) override {
    conns.at(id).tag = tag;
    conns.at(id).adopted = true;
  }
  void wake_at(Instant when) override { wake = when; }

  void tell(Completion::Kind kind, ConnId id) {
    Completion c;
    c.kind = kind;
    c.tag = conns.at(id).tag;
    c.conn = id;
    arrived.push_back(std::move(c));
  }
  void hand_over(ConnId id) {
    Conn& conn = conns.at(id);
    if (!conn.reading || conn.gone) return;
    for (const std::string& bytes : std::exchange(conn.inbox, {})) {
      tell(Completion::Kind::read, id);
      arrived.back().data = Chunk::copy(bytes);
    }
    if (!conn.fin || std::exchange(conn.fin_told, true)) return;
    tell(Completion::Kind::ended, id);
  }
  ConnId dial(std::string_view address) {
    for (auto& [id, port] : ports) {
      if (!port.open || to_string(port.address) != address) continue;
      conns[++ids_].tag = port.tag;
      port.accepting ? tell(Completion::Kind::accepted, ids_) : port.backlog.push_back(ids_);
      return ids_;
    }
    return 0;
  }

  std::map<ConnId, Conn> conns;
  std::map<ListenerId, Port> ports;
  std::vector<ConnId> upstreams;  // In the order of their connects.
  std::vector<Completion> arrived;
  bool hold_names = false;
  Instant wake = Instant::never();

 private:
  uint64_t ids_ = 0;
  uint16_t ports_ = 40'000;
};

struct Answer {
  uint32_t status = 0;
  Head head;
  std::string body;
  bool whole = false;
  bool keep_alive = false;

  std::string field(std::string_view name) const { return std::string(head.get(name)); }
};

inline std::shared_ptr<const Config> configuration(const std::string& text) {
  Result<std::shared_ptr<const Config>> config = parse_config(text, nullptr, SecretUse::read);
  if (!config.ok()) fail_msg("%s: %s", config.error().where.c_str(), config.error().message.c_str());
  return config.value();
}

// One echo deployment that serves every model, and what a test adds to it.
inline std::string echo_config(const std::string& more = "") {
  return "listen: [{address: '127.0.0.1:0'}]\n"
         "deployments:\n  - {name: east, kind: echo, models: [m]}\n" + more;
}
// One deployment behind the fake net.
inline std::string http_config(const std::string& more = "", const std::string& settings = "") {
  return "listen: [{address: '127.0.0.1:0'}]\n"
         "deployments:\n  - {name: east, url: 'http://east.test/v1', models: [m]" + settings + "}\n" + more;
}

inline std::string post(std::string_view body, std::string_view fields = "",
                        std::string_view path = "/v1/chat/completions") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nhost: lb\r\ncontent-type: application/json\r\n" +
         std::string(fields) + "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
inline std::string get(std::string_view path, std::string_view fields = "", std::string_view method = "GET") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nhost: lb\r\n" + std::string(fields) + "\r\n";
}
inline const std::string kChat = "{\"model\":\"m\",\"messages\":[]}";
inline const std::string kStream = "{\"model\":\"m\",\"stream\":true,\"messages\":[]}";

class World {
 public:
  explicit World(const std::string& text = echo_config(), uint32_t calls_max = 1000) : config(configuration(text)) {
    EngineOptions options;
    options.calls_max = calls_max;
    engine = std::make_unique<Engine>(net, options, config, now);
    gateway = std::make_unique<Gateway>(*engine, net);
    assert_int_equal(gateway->configure(*config, now, nullptr), Status::OK);
  }
  ~World() {
    gateway.reset();
    engine.reset();
  }

  // Turns until nothing happens any more at this instant.
  void turn() {
    for (int i = 0; i < 10'000; i++) {
      turn_once();
      if (net.arrived.empty() && net.wake > now) return;
    }
    fail_msg("%s", "ten thousand turns without rest");
  }
  void turn_once() {
    std::vector<Completion> batch = std::exchange(net.arrived, {});
    engine->begin(now);
    gateway->begin(now);
    for (Completion& c : batch) Gateway::ours(c.tag) ? gateway->complete(c) : engine->complete(c);
    engine->settle();
    gateway->flush();
    net.wake_at(std::min(engine->next_wake(), gateway->next_wake()));
  }
  void pass(Duration time) {
    Instant end = now + time;
    while (net.wake <= end && net.wake > now) {
      now = net.wake;
      turn();
    }
    now = end;
    turn();
  }

  // --- Clients ---
  ConnId dial() {
    ConnId conn = net.dial(gateway->address("").value());
    turn();
    return conn;
  }
  void push(ConnId conn, std::string_view bytes) {
    net.conns.at(conn).inbox.emplace_back(bytes);
    net.hand_over(conn);
  }
  void send(ConnId conn, std::string_view bytes) {
    push(conn, bytes);
    turn();
  }
  void end(ConnId conn) {
    net.conns.at(conn).fin = true;
    net.hand_over(conn);
    turn();
  }
  void reset(ConnId conn) {
    net.tell(Completion::Kind::closed, conn);
    net.arrived.back().status = Status::BROKEN;
    net.conns.at(conn).gone = true;
    turn();
  }
  // The peer takes `n` more bytes.
  void drink(ConnId conn, size_t n) {
    FakeNet::Conn& c = net.conns.at(conn);
    n = std::min(n, c.unsent.size());
    c.got.append(c.unsent, 0, n);
    c.unsent.erase(0, n);
    if (n > 0) {
      net.tell(Completion::Kind::written, conn);
      net.arrived.back().bytes = n;
    }
    turn();
  }
  bool gone(ConnId conn) { return net.conns.at(conn).gone; }
  bool reading(ConnId conn) { return net.conns.at(conn).reading; }
  std::string& got(ConnId conn) { return net.conns.at(conn).got; }

  // Every answer that has come over the connection since it was last asked.
  std::vector<Answer> answers(ConnId conn, bool head_only = false) {
    std::vector<Answer> out;
    std::string bytes = std::exchange(got(conn), "");
    std::string_view rest = bytes;
    Http1Parser parser(Http1Parser::Kind::response, {});
    std::vector<Http1Parser::Piece> pieces;
    while (!rest.empty()) {
      pieces.clear();
      if (head_only) parser.expect_no_body();
      rest.remove_prefix(parser.feed(rest, pieces));
      if (parser.fault() != Http1Parser::Fault::none)
        fail_msg("%s in: %s", std::string(parser.fault_text()).c_str(), bytes.c_str());
      if (rest.empty() && gone(conn)) parser.finish(pieces);
      for (const Http1Parser::Piece& piece : pieces) take(parser, piece, out);
      if (!out.empty() && out.back().whole) parser.next();
    }
    return out;
  }
  Answer answer(ConnId conn, bool head_only = false) {
    std::vector<Answer> all = answers(conn, head_only);
    assert_int_equal(all.size(), 1);
    return all[0];
  }
  // Over a connection of its own.
  Answer ask(std::string_view request, bool head_only = false) {
    ConnId conn = dial();
    send(conn, request);
    return answer(conn, head_only);
  }

  // --- Upstreams ---
  ConnId upstream(size_t index = 0) {
    assert_true(index < net.upstreams.size());
    return net.upstreams[index];
  }
  void connected(ConnId conn) {
    net.tell(Completion::Kind::connected, conn);
    turn();
  }

  // Nothing is in flight anywhere.
  void assert_at_rest() {
    Engine::Census census = engine->census();
    assert_int_equal(census.calls, 0);
    assert_int_equal(census.in_flight, 0);
    assert_int_equal(census.waiting, 0);
    assert_int_equal(census.replay_bytes, 0);
    assert_int_equal(census.links, census.idle_links);
    assert_true(gateway->idle());
  }

  std::shared_ptr<const Config> config;
  Instant now{1'000'000'000};
  FakeNet net;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Gateway> gateway;

 private:
  static void take(Http1Parser& parser, const Http1Parser::Piece& piece, std::vector<Answer>& out) {
    switch (piece.kind) {
      case Http1Parser::Piece::Kind::head:
        out.emplace_back();
        out.back().head = parser.head();
        out.back().status = parser.head().status;
        out.back().keep_alive = parser.keep_alive() && !parser.until_close();
        return;
      case Http1Parser::Piece::Kind::body:
        out.back().body.append(piece.bytes);
        return;
      case Http1Parser::Piece::Kind::end:
        out.back().whole = true;
    }
  }
};

// The `error` member of an answer in OpenAI's form; fails when there is none.
inline std::string error_member(const Answer& answer, std::string_view name) {
  assert_string_equal(answer.field("content-type").c_str(), "application/json");
  Result<JsonDocument> parsed = JsonDocument::parse(answer.body);
  if (!parsed.ok()) fail_msg("not JSON: %s", answer.body.c_str());
  JsonView error = parsed.value().root()["error"];
  assert_true(error.is_object());
  assert_true(error["param"].is_null());
  assert_true(error["message"].string().size() > 0);
  return std::string(error[name].string());
}

inline void assert_text(std::string_view actual, std::string_view expected) {
  assert_string_equal(std::string(actual).c_str(), std::string(expected).c_str());
}
inline void assert_has(std::string_view text, std::string_view part) {
  if (text.find(part) == std::string_view::npos)
    fail_msg("no \"%s\" in: %s", std::string(part).c_str(), std::string(text).c_str());
}

}  // namespace lb::test
