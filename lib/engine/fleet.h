// The running side of the configuration: upstreams (one a deployment), targets (a deployment for one model, with
// health, limits and load), and worlds (one configuration resolved to plans over targets). Upstreams and targets
// outlive a reload where they are the same before and after; what no world names any more is let go.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "engine/meter.h"
#include "engine/ports.h"
#include "policy/facts.h"
#include "policy/health.h"
#include "policy/limit.h"
#include "policy/plan.h"

namespace lb {

using UpstreamIndex = uint32_t;

struct Upstream {
  std::string identity;                  // What makes it the same after a reload.
  std::shared_ptr<const Config> config;  // Keeps `deployment` alive.
  const Deployment* deployment = nullptr;
  std::shared_ptr<const TlsSpec> tls;  // Null: plain text.
  uint32_t in_flight = 0;
  std::vector<uint64_t> idle;  // Links ready for use; the last is the warmest.
  bool live = false;           // Some world names it.
};

struct Target {
  std::string identity;
  UpstreamIndex upstream = 0;
  std::string model;  // "*" for a deployment that takes every model.
  std::string as;     // What the upstream calls it; "" as asked for.
  policy::LimitConfig limits;
  uint32_t concurrency = 0;
  policy::Limit limit;
  policy::Health health;
  ErrorClass cooled_by = ErrorClass::none;  // Why it is out, while it is.
  uint32_t in_flight = 0;
  bool live = false;
  TargetMeter meter;
};

// One configuration, resolved. Immutable; calls hold the one they started in.
struct World {
  std::shared_ptr<const Config> config;
  std::vector<policy::Plan> plans;  // By route.
  std::vector<policy::TargetIndex> targets;
  std::vector<UpstreamIndex> upstreams;  // By deployment.
  uint32_t replay_bytes_max = 0;  // The largest of all routes: a body may be kept so far before its route is known.
};

class Fleet {
 public:
  // Makes `config` the world that new calls start in. Returns the upstreams that are no longer named by any world:
  // their idle links are to be closed.
  std::vector<UpstreamIndex> configure(std::shared_ptr<const Config> config);
  // Lets worlds go that no call holds any more; the same return.
  std::vector<UpstreamIndex> sweep();
  bool has_old_worlds() const { return !old_.empty(); }

  const std::shared_ptr<const World>& world() const { return world_; }
  Upstream& upstream(UpstreamIndex index) { return *upstreams_[index]; }
  const Upstream& upstream(UpstreamIndex index) const { return *upstreams_[index]; }
  Target& target(policy::TargetIndex index) { return *targets_[index]; }
  const Target& target(policy::TargetIndex index) const { return *targets_[index]; }
  size_t target_count() const { return targets_.size(); }
  size_t upstream_count() const { return upstreams_.size(); }

  // The facts of a plan's targets as of now, for one more call of `tokens`. The array covers all targets; only the
  // plan's are fresh.
  std::span<const policy::Facts> facts(const policy::Plan& plan, uint64_t tokens, Instant now);

 private:
  // Finds places by identity while one configuration is being placed.
  class Places {
   public:
    template <typename Entry>
    size_t take(const std::vector<std::unique_ptr<Entry>>& entries, const std::string& identity);

   private:
    bool listed_ = false;
    std::unordered_map<std::string, size_t> live_;
    std::vector<size_t> unused_;
  };

  UpstreamIndex place_upstream(const std::shared_ptr<const Config>& config, const Deployment& deployment,
                               Places& places);
  policy::TargetIndex place_target(UpstreamIndex upstream, const Deployment& deployment, std::string_view model,
                                   Places& places);
  std::vector<UpstreamIndex> mark();

  std::shared_ptr<const World> world_;
  std::vector<std::shared_ptr<const World>> old_;  // Still held by calls.
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::vector<policy::Facts> facts_;
};

}  // namespace lb
