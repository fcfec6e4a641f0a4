// The port of the engine and the gateway over virtual time. This half is what goes out: connections to simulated hosts,
// which take requests and answer by script; inbound.h is what comes in. Everything is drawn by name (dice.h).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "sim/answers.h"
#include "sim/dice.h"
#include "sim/inbound.h"
#include "sim/schedule.h"
#include "wire/http1.h"

namespace lb::sim {

// A span of time in which a host is not itself.
struct Spell {
  enum class Kind : uint8_t {
    fails,     // A burst of 500.
    refuses,   // Nothing listens.
    silent,    // A black hole: no connection comes up, and nothing is answered.
    restarts,  // All its connections are reset at once; until the end nothing listens.
    moves,     // Its name has another address from then on; nothing new is taken at the old one.
  } kind = Kind::fails;
  Duration from, to;  // After the start.
};

struct HostPlan {
  std::string name;              // "h0"; its DNS name is "h0.sim".
  std::vector<double> odds;      // By fault, of one request.
  double fault_rate = 0;         // That a request meets any fault.
  size_t socket_bytes = 1 << 20; // What the socket takes before `write` leaves bytes pending.
  std::vector<Spell> spells;
  uint32_t throttle = 0;         // Requests that it takes in any throttle_window; 0: no limit.
  Duration throttle_window;
};

// A request as it arrived at a host.
struct Seen {
  uint32_t host = 0;
  Head head;
  std::string body;
  bool whole = false;
  Instant connected;  // When its connection was asked for.
};

struct Watcher {
  virtual ~Watcher() = default;
  virtual void on_request_head(uint64_t call, const Seen& seen) = 0;
  virtual void on_request(const Seen& seen) = 0;
  // The last byte of an answer has been handed over; `tokens` is what it says it has used.
  virtual void on_answered(uint64_t call, uint32_t host, uint64_t tokens) = 0;
};

class FakeNet : public Net {
 public:
  // Most bytes of one `read`: a quarter of what net/ reads, so that long answers come in several.
  static constexpr size_t kReadMax = 16 * 1024;
  FakeNet(Schedule& schedule, uint64_t seed, const std::vector<HostPlan>& hosts, Watcher& watcher);
  ~FakeNet() override;

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId conn, bool on) override;
  void close(ConnId conn, bool flush) override;
  Result<ListenerId> listen(uint64_t tag, const Address& address) override;
  Address bound(ListenerId listener) override { return inbound_.bound(listener); }
  void unlisten(ListenerId listener) override { inbound_.unlisten(listener); }
  void accept(ListenerId listener, bool on) override;
  void adopt(ConnId conn, uint64_t tag) override { inbound_.adopt(conn, tag); }
  void wake_at(Instant when) override { wake_ = when; }

  Instant wake() const { return wake_; }
  std::vector<Completion>& completions() { return completions_; }
  Inbound& inbound() { return inbound_; }
  // From now on every host is in good health.
  void stop_faults() { calm_ = true; }
  // The port call of that number fails, as far as it can: 1 is the first; 0: none.
  void fail_at(uint64_t number) { fail_at_ = number; }
  uint64_t port_calls() const { return port_calls_; }
  const std::string& failed() const { return failed_; }

  size_t open() const { return conns_.size() + inbound_.open(); }
  uint32_t connections_peak(uint32_t host) const { return states_[host].connections_peak; }
  // The call whose request was last written to a connection that is still open.
  bool serving(uint64_t call) const { return serving_many(call) > 0; }
  size_t serving_many(uint64_t call) const;
  // Calls on that host that are not answered.
  template <typename F>
  void each_serving(uint32_t host, F f) const {
    for (const auto& [id, conn] : conns_)
      if (conn.host == host && serving(conn)) f(conn.call);
  }
  // Bytes of an answer of that host to that call have come.
  bool heard(uint64_t call, uint32_t host) const { return heard_.contains({call, host}); }
  const Truth* truth(uint64_t response) const;
  // Faults that were met, by kind.
  const std::vector<uint64_t>& met() const { return met_; }
  // Prints what hosts do.
  void set_log(bool on) { log_ = on; }

 private:
  struct Arrival {
    Completion::Kind kind;
    std::string bytes;
  };
  struct Conn {
    explicit Conn(Rng rng_) : rng(rng_) {}
    Rng rng;
    uint64_t tag = 0;
    uint32_t host = 0;
    Instant asked;
    bool up = false;
    bool reading = false;
    bool draining = false;
    std::deque<Arrival> inbox;
    Bytes unsent;
    Http1Parser parser{Http1Parser::Kind::request, {}};
    Seen seen;
    uint64_t call = 0;      // Of the last request head.
    Fault fault = Fault::none;
    std::deque<std::shared_ptr<Script>> scripts;  // The first is being played.
    bool answering = false;
    bool deaf = false;      // It takes no further request: it fell silent, or closed.
    bool lies = false;      // It is closed on the next request.
  };
  struct HostState {
    uint32_t connections = 0;  // Open now, as the engine sees it.
    uint32_t connections_peak = 0;
    uint64_t resolved = 0, connected = 0;
    std::map<uint64_t, uint64_t> asked;  // By call: how often.
    std::deque<Instant> taken;           // Requests within the throttle's window.
  };

  bool fails(const char* what);
  bool in(Spell::Kind kind, uint32_t host) const;
  uint8_t generation(uint32_t host) const;
  void restart(uint32_t host);
  Fault draw(uint32_t host, Rng& rng);
  void later(ConnId id, Duration delay, void (FakeNet::*what)(ConnId, Conn&));
  void connected(ConnId id, Conn& conn);
  void drain(ConnId id, Conn& conn);
  void take(ConnId id, Conn& conn, std::string_view bytes);
  void take_head(ConnId id, Conn& conn);
  Duration throttled(uint32_t host);
  void answer(ConnId id, Conn& conn);
  void play(ConnId id, std::shared_ptr<Script> script, size_t step);
  void end(ConnId id, Conn& conn, const Script& script);
  void arrive(ConnId id, Conn& conn, Completion::Kind kind, std::string_view bytes);
  void hand_over(ConnId id, Conn& conn);
  void lose(ConnId id, Status status, const char* why);
  void lose_later(ConnId id, Status status, const char* why);
  void erase(ConnId id);
  void say(uint32_t host, const std::string& what) const;
  bool serving(const Conn& conn) const;

  Schedule& schedule_;
  const uint64_t seed_;
  const Instant start_;
  const std::vector<HostPlan>& hosts_;
  Watcher& watcher_;
  std::vector<HostState> states_;
  std::map<ConnId, Conn> conns_;
  ConnId ids_ = 0;
  Instant wake_ = Instant::never();
  std::vector<Completion> completions_;
  Inbound inbound_;
  std::map<uint64_t, Truth> truths_;
  std::set<std::pair<uint64_t, uint32_t>> heard_;
  uint64_t responses_ = 0;
  uint64_t port_calls_ = 0;
  uint64_t fail_at_ = 0;
  std::string failed_;
  bool calm_ = false;
  bool log_ = false;
  std::vector<uint64_t> met_;
};

}  // namespace lb::sim
