// The port of the engine over virtual time, for scenarios: upstreams that answer their requests by script, one
// script for each in the order in which they come. Nothing is random; only what a script waits for takes time. All
// that upstreams see is written to standard output (steps.h).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "sim/schedule.h"
#include "wire/http1.h"

namespace lb::conduct {

struct Act {
  enum class Kind : uint8_t { send, wait, end, reset, stall } kind = Kind::stall;
  std::string bytes;
  Duration length;
};

struct Script {
  uint64_t first = 1, last = 0;  // 0: all further ones.
  std::vector<Act> acts;
};

struct Upstream {
  std::string name;
  uint16_t port = 0;
  std::string meets;              // What a connection meets: "ok", "refused", "black-hole", "reset", or "tls:" and what
                                  // is wrong there.
  std::vector<std::string> dns;   // What look-ups find, in order, and the last from then on: "ok", "fail", "elsewhere".
  std::vector<Script> scripts;
  bool down = false;
  uint64_t requests = 0;
  uint64_t look_ups = 0;
};

class ScenarioNet final : public Net {
 public:
  ScenarioNet(sim::Schedule& schedule, std::vector<Upstream>& upstreams) : schedule_(schedule), upstreams_(upstreams) {}

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId conn, bool on) override;
  void close(ConnId conn, bool flush) override;
  Result<ListenerId> listen(uint64_t, const Address&) override { return Error{Status::UNSUPPORTED, "", "none here"}; }
  Address bound(ListenerId) override { return {}; }
  void unlisten(ListenerId) override {}
  void accept(ListenerId, bool) override {}
  void adopt(ConnId, uint64_t) override {}
  void wake_at(Instant when) override { wake_ = when; }

  Instant wake() const { return wake_; }
  std::vector<Completion>& completions() { return completions_; }
  size_t open() const { return conns_.size(); }
  // The process of that upstream dies, with its connections; or is there again.
  void stop(Upstream& upstream);
  void start(Upstream& upstream) { upstream.down = false; }
  // Writes down how much each connection has had sent to it.
  void tell_sent() const;

 private:
  struct Conn {
    uint64_t tag = 0;
    Upstream* upstream = nullptr;
    bool up = false;
    bool reading = false;
    bool ended = false;             // Its upstream sends no more.
    Http1Parser parser{Http1Parser::Kind::request, {}};
    std::string request;            // Head and body of the request that is coming.
    std::deque<Act> acts;           // What it still has to do.
    bool waiting = false;           // A wait is running.
    uint64_t sent = 0;
  };

  void connected(ConnId id);
  void requested(ConnId id, Conn& conn);
  void play(ConnId id);
  void pause(ConnId id, Conn& conn, Duration length);
  void complete(ConnId id, Completion::Kind kind, std::string_view bytes = "");
  void lose(ConnId id, Status status, std::string_view why);
  static void tell_sent(ConnId id, const Conn& conn);
  void gone(ConnId id, const Conn& conn) const;
  int64_t now_us() const { return schedule_.now().ns / 1000; }

  sim::Schedule& schedule_;
  std::vector<Upstream>& upstreams_;
  std::map<ConnId, Conn> conns_;
  ConnId ids_ = 0;
  Instant wake_ = Instant::never();
  std::vector<Completion> completions_;
};

}  // namespace lb::conduct
