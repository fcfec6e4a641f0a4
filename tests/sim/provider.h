// Upstreams for long studies: a port of the engine over virtual time that connects and delivers at once, and asks what
// each request gets. Where net.h is about bytes and faults of one connection, this is about hours of traffic.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/ports.h"
#include "sim/schedule.h"
#include "wire/http1.h"

namespace lb::sim {

// What a request gets.
struct Served {
  Duration after;           // From its arrival to the whole answer.
  uint16_t status = 200;    // 0: the connection is reset instead; 1: nothing ever comes.
  std::string fields;       // More lines of the head.
  uint64_t input = 0, output = 0;  // Usage of a success.
};

struct Arrival {
  uint32_t host = 0;
  uint64_t call = 0;    // Of the field x-sim-call.
  Instant when;
  std::string body;
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual bool refuses(uint32_t host, Instant now) = 0;
  virtual Served serve(const Arrival& arrival) = 0;
  // The caller of a request that has not been answered has gone.
  virtual void abandoned(uint32_t host, uint64_t call) = 0;
};

// Deployments are called d0, d1, ... and stand at http://dN.sim.
class ProviderNet final : public Net {
 public:
  ProviderNet(Schedule& schedule, Provider& provider) : schedule_(schedule), provider_(provider) {}

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId, bool) override {}
  void close(ConnId conn, bool flush) override;
  Result<ListenerId> listen(uint64_t, const Address&) override;
  Address bound(ListenerId) override { return {}; }
  void unlisten(ListenerId) override {}
  void accept(ListenerId, bool) override {}
  void adopt(ConnId, uint64_t) override {}
  void wake_at(Instant when) override { wake_ = when; }

  Instant wake() const { return wake_; }
  std::vector<Completion>& completions() { return completions_; }

 private:
  struct Conn {
    uint64_t tag = 0;
    uint32_t host = 0;
    uint64_t call = 0;
    bool waiting = false;  // A request has come whose answer has not gone.
    std::string body;
    Http1Parser parser{Http1Parser::Kind::request, {}};
  };
  void complete(ConnId id, Completion::Kind kind, Status status, std::string_view bytes);
  void answer(ConnId id, Conn& conn);

  Schedule& schedule_;
  Provider& provider_;
  std::map<ConnId, Conn> conns_;
  ConnId ids_ = 0;
  Instant wake_ = Instant::never();
  std::vector<Completion> completions_;
};

// An engine with its net: what one process is.
class Site {
 public:
  Site(Schedule& schedule, Provider& provider, uint64_t seed, std::shared_ptr<const Config> config);
  Engine& engine() { return *engine_; }
  Instant next() const { return net_.wake(); }
  // What is left of a turn that has begun.
  void turn();

 private:
  Schedule& schedule_;
  ProviderNet net_;
  std::unique_ptr<Engine> engine_;
};

// Lets time run until nothing is left to happen, or until `end`.
void run(Schedule& schedule, std::vector<std::unique_ptr<Site>>& sites, Instant end);

}  // namespace lb::sim
