// The running side of the configuration: upstreams (one a deployment), targets (a deployment for one model), what
// targets share (policy/balancer.h: scopes), and worlds (one configuration resolved to plans over targets). All of them
// outlive a reload where they are the same before and after; what no world names any more is let go. No I/O: the
// balancer door uses it as the engine does.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "engine/meter.h"
#include "engine/ports.h"
#include "policy/balancer.h"

namespace lb {

using UpstreamIndex = uint32_t;

// Looks up std::string keys by string_view, without a copy.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

struct Upstream {
  std::string identity;                  // What makes it the same after a reload.
  std::shared_ptr<const Config> config;  // Keeps `deployment` alive.
  const Deployment* deployment = nullptr;
  std::string url;  // Of the deployment, as text; "" for echo.
  std::shared_ptr<const TlsSpec> tls;  // Null: plain text.
  std::vector<uint64_t> idle;  // Links ready for use; the last is the warmest.
  bool live = false;           // Some world names it.
  uint32_t count_failures = 0;  // In a row, of those that asked how many tokens a request has; ...
  Instant count_out_until;      // ... and until when it is not asked that again.
};

// What the engine knows of a target; what the policies know has the same index in the balancer.
struct Target {
  std::string identity;
  UpstreamIndex upstream = 0;
  std::string model;  // Or a pattern; "*" for a deployment that takes every model.
  std::string as;     // What the upstream calls it; "" as asked for.
  ErrorClass cooled_by = ErrorClass::none;  // Why it is out, while it is.
  bool live = false;
  TargetMeter meter;
};

// How the deployments of a route serve an operation.
struct Served {
  bool by_any = false;      // Without this the others say nothing.
  bool translated = false;  // By some only as another operation.
  bool lacking = false;     // By some not at all.
};

// One configuration, resolved. Calls hold the one they started in; what changes is what its plans learn.
struct World {
  std::shared_ptr<const Config> config;
  std::vector<policy::Plan> plans;  // By route.
  std::vector<std::array<Served, kOperations>> served;  // By route.
  std::vector<policy::TargetIndex> targets;
  std::vector<UpstreamIndex> upstreams;  // By deployment.
  std::vector<policy::ScopeIndex> scopes;
  // What its calls are told of a target, by its index: lent for as long as they hold the world.
  struct Named {
    const Deployment* deployment = nullptr;
    const char* url = "";
    const char* as = nullptr;  // Null: as it was asked for.
  };
  std::vector<Named> named;
  uint32_t replay_bytes_max = 0;  // The largest of all routes: a body may be kept so far before its route is known.
};

inline constexpr const char* kNobodyToMark = "no deployment has that name and model; lb_engine_stats lists them";

// How to get to `address` of an upstream: with its TLS, or through its proxy.
ConnectSpec connect_spec(const Upstream& upstream, const Address& address);
// The fields that a deployment adds to each request of its own: its key, its headers.
void write_own_fields(const Deployment& to, std::string& out);

class Fleet {
 public:
  // `connections`: connections_max counts, because lb itself makes the connections.
  Fleet(uint64_t seed, bool connections) : balancer_(seed), connections_(connections) {}

  // Makes `config` the world that new calls start in. Returns the upstreams that are no longer named by any world:
  // their idle links are to be closed. `wall`: Unix time minus `now`.
  std::vector<UpstreamIndex> configure(std::shared_ptr<const Config> config, Duration wall, Instant now);
  // Lets worlds go that no call holds any more; the same return.
  std::vector<UpstreamIndex> sweep();
  bool has_old_worlds() const { return !old_.empty(); }

  const std::shared_ptr<World>& world() const { return world_; }
  Upstream& upstream(UpstreamIndex index) { return *upstreams_[index]; }
  const Upstream& upstream(UpstreamIndex index) const { return *upstreams_[index]; }
  Target& target(policy::TargetIndex index) { return *targets_[index]; }
  const Target& target(policy::TargetIndex index) const { return *targets_[index]; }
  size_t target_count() const { return targets_.size(); }
  size_t upstream_count() const { return upstreams_.size(); }
  policy::Balancer& balancer() { return balancer_; }
  const policy::Balancer& balancer() const { return balancer_; }

  // The facts of a target as far as no call matters: for stats and /readyz.
  policy::Facts look(policy::TargetIndex target, Instant now) const;
  // Every target of the plan is out because of a rate limit, the provider's or ours.
  bool all_limited(const policy::Plan& plan, const policy::Ask& ask, Instant now) const;
  // Where the calls of a caller are counted; kNoScope where no limit is configured for it. At most limits.callers are
  // remembered of those that only "*" stands for: the one that has been idle longest goes.
  policy::ScopeIndex caller(std::string_view name);
  // The same without remembering it, or forgetting another for it; kNoScope for one that is not remembered.
  policy::ScopeIndex known_caller(std::string_view name) const {
    auto known = callers_.find(name);
    return known == callers_.end() ? policy::kNoScope : known->second.scope;
  }
  // By hand: takes a deployment out for so long, for one model or ("") for all; zero brings it back with all that was
  // held against it forgotten. False when nothing has these names.
  bool mark(std::string_view deployment, std::string_view model, Duration length, Instant now);
  // Of a length in a host's milliseconds; longer ones than a century are as good as it.
  static Duration mark_length(uint64_t ms) {
    return Duration::from_ms(static_cast<int64_t>(std::min(ms, uint64_t{100} * 365 * 86'400'000)));
  }

 private:
  // Finds places by identity while one configuration is being placed.
  class Places {
   public:
    // `in_flight(entry, index)`: an unused place that still has calls is not given out. Those of upstreams and targets
    // have none: a call holds its world, which names them.
    template <typename Entry, typename InFlight>
    size_t take(const std::vector<std::unique_ptr<Entry>>& entries, const std::string& identity, InFlight in_flight);

   private:
    bool listed_ = false;
    std::unordered_map<std::string, size_t> live_;
    std::vector<size_t> unused_;
  };

  // What targets of one world share, by identity.
  struct Scope {
    std::string identity;
    bool live = false;
  };
  // One configuration while it is being placed.
  struct Placing {
    std::shared_ptr<const Config> config;
    World& world;
    Places upstreams, targets, scopes;
    std::unordered_map<std::string, uint32_t> sharers;  // Targets that name a key or an endpoint.
    std::unordered_map<std::string, policy::TargetIndex> placed;
  };
  struct Caller {
    policy::ScopeIndex scope = policy::kNoScope;
    uint64_t seen = 0;  // Number of the last call.
  };

  UpstreamIndex place_upstream(Placing& placing, const Deployment& deployment);
  policy::TargetIndex place_target(Placing& placing, uint32_t deployment, std::string_view model);
  policy::ScopeIndex place_scope(Placing& placing, const std::string& identity, const policy::ScopeSpec& spec);
  policy::TargetSpec target_spec(Placing& placing, uint32_t deployment, const ModelConfig* entry);
  policy::Plan plan(Placing& placing, const Route& route);
  void count_sharers(Placing& placing) const;
  void place_callers(Placing& placing);
  bool make_room_for_caller();
  std::vector<UpstreamIndex> mark();

  policy::Balancer balancer_;
  const bool connections_;
  std::shared_ptr<World> world_;
  std::vector<std::shared_ptr<World>> old_;  // Still held by calls.
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::unordered_map<std::string, Caller, TextHash, std::equal_to<>> callers_;
  uint64_t caller_calls_ = 0;
};

}  // namespace lb
