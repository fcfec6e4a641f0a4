// The port of the engine over virtual time: connections to simulated hosts, which take requests and answer by script.
// It also watches what goes upstream, for the oracles.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/engine.h"
#include "engine/ports.h"
#include "sim/answers.h"
#include "sim/schedule.h"
#include "wire/http1.h"

namespace lb::sim {

struct Host {
  std::string name;                   // "h0"; its DNS name is "h0.sim".
  std::vector<double> odds;           // By fault, of one request.
  double fault_rate = 0;              // That a request meets any fault.
  size_t socket_bytes = 1 << 20;      // What the socket takes before `write` leaves bytes pending.
  uint32_t connections = 0;           // Open now, as the engine sees it.
  uint32_t connections_peak = 0;
  uint64_t requests = 0;
};

// A request as it arrived at a host.
struct Seen {
  uint32_t host = 0;
  Head head;
  std::string body;
  bool whole = false;
};

struct Watcher {
  virtual ~Watcher() = default;
  virtual void on_request_head(uint64_t call, uint32_t host, uint64_t conn) = 0;
  virtual void on_request(const Seen& seen) = 0;
};

class FakeNet : public Net {
 public:
  FakeNet(Schedule& schedule, Rng rng, std::vector<Host>& hosts, Watcher& watcher);
  ~FakeNet() override;

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId conn, bool on) override;
  void close(ConnId conn, bool flush) override;
  Result<ListenerId> listen(uint64_t, const Address&) override;
  Address bound(ListenerId) override { return {}; }
  void unlisten(ListenerId) override {}
  void accept(ListenerId, bool) override {}
  void adopt(ConnId, uint64_t) override {}
  void wake_at(Instant when) override { wake_ = when; }

  Instant wake() const { return wake_; }
  std::vector<Completion>& completions() { return completions_; }
  // From now on every host is in good health.
  void stop_faults() { calm_ = true; }
  size_t open() const { return conns_.size(); }
  // The call whose request was last written to a connection that is still open.
  bool serving(uint64_t call) const;
  // Bytes of an answer of that host to that call have come.
  bool heard(uint64_t call, uint32_t host) const { return heard_.contains({call, host}); }
  const Truth* truth(uint64_t response) const;
  uint64_t port_calls() const { return port_calls_; }
  // Faults that were met, by kind.
  const std::vector<uint64_t>& met() const { return met_; }

 private:
  struct Arrival {
    Completion::Kind kind;
    std::string bytes;
  };
  struct Conn {
    uint64_t tag = 0;
    uint32_t host = 0;
    bool up = false;
    bool reading = false;
    bool draining = false;
    std::deque<Arrival> inbox;
    std::string unsent;
    Http1Parser parser{Http1Parser::Kind::request, {}};
    Seen seen;
    uint64_t call = 0;      // Of the last request head.
    Fault fault = Fault::none;
    std::deque<std::shared_ptr<Script>> scripts;  // The first is being played.
    bool answering = false;
    bool deaf = false;      // It takes no further request: it fell silent, or closed.
  };
  using Ref = std::shared_ptr<Conn>;

  Fault draw(Host& host);
  void later(ConnId id, Duration delay, void (FakeNet::*what)(ConnId, Conn&));
  void connected(ConnId id, Conn& conn);
  void drain(ConnId id, Conn& conn);
  void take(ConnId id, Conn& conn, std::string_view bytes);
  void answer(ConnId id, Conn& conn);
  void play(ConnId id, std::shared_ptr<Script> script, size_t step);
  void arrive(ConnId id, Conn& conn, Completion::Kind kind, std::string_view bytes);
  void hand_over(ConnId id, Conn& conn);
  void lose(ConnId id, Status status, const char* why);
  void erase(ConnId id);

  Schedule& schedule_;
  Rng rng_;
  std::vector<Host>& hosts_;
  Watcher& watcher_;
  std::map<ConnId, Conn> conns_;
  ConnId ids_ = 0;
  Instant wake_ = Instant::never();
  std::vector<Completion> completions_;
  std::map<uint64_t, Truth> truths_;
  std::set<std::pair<uint64_t, uint32_t>> heard_;
  uint64_t responses_ = 0;
  uint64_t port_calls_ = 0;
  bool calm_ = false;
  std::vector<uint64_t> met_;
};

}  // namespace lb::sim
