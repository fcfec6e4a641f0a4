#include "engine/fleet.h"

#include <algorithm>

namespace lb {

namespace {

// Same name, same endpoint, same way there: the same upstream. A changed key keeps its connections, for it goes with
// each request.
std::string upstream_identity(const Deployment& deployment) {
  const TlsConfig& tls = deployment.tls;
  std::string out = deployment.name + '\n' + (deployment.url.tls ? "https" : "http") + '\n' +
                    deployment.url.authority() + '\n' + deployment.url.path + '\n' + deployment.proxy.host + '\n' +
                    std::to_string(deployment.proxy.port) + '\n';
  return out + tls.server_name + '\n' + tls.ca_pem + '\n' + tls.cert_pem + '\n' + (tls.verify ? "1" : "0") + '\n' +
         std::to_string(static_cast<int>(deployment.kind));
}

std::shared_ptr<const TlsSpec> tls_spec(const Deployment& deployment) {
  if (!deployment.url.tls) return nullptr;
  const TlsConfig& tls = deployment.tls;
  TlsSpec spec;
  spec.server_name = tls.server_name.empty() ? deployment.url.host : tls.server_name;
  spec.ca_pem = tls.ca_pem;
  spec.cert_pem = tls.cert_pem;
  spec.key_pem = tls.key_pem;
  spec.verify = tls.verify;
  return std::make_shared<const TlsSpec>(std::move(spec));
}

}  // namespace

// Where an entry of that identity is, or may be put: the live one of the same identity, else an unused place, else the
// end.
template <typename Entry>
size_t Fleet::Places::take(const std::vector<std::unique_ptr<Entry>>& entries, const std::string& identity) {
  if (!listed_) {
    listed_ = true;
    for (size_t i = entries.size(); i-- > 0;) {
      if (entries[i]->live)
        live_.emplace(entries[i]->identity, i);
      else if (entries[i]->in_flight == 0)
        unused_.push_back(i);
    }
  }
  auto [place, fresh] = live_.try_emplace(identity, entries.size());
  if (fresh && !unused_.empty()) {
    place->second = unused_.back();
    unused_.pop_back();
  }
  return place->second;
}

UpstreamIndex Fleet::place_upstream(const std::shared_ptr<const Config>& config, const Deployment& deployment,
                                    Places& places) {
  std::string identity = upstream_identity(deployment);
  size_t place = places.take(upstreams_, identity);
  if (place == upstreams_.size()) upstreams_.emplace_back();
  if (!upstreams_[place] || !upstreams_[place]->live) {
    upstreams_[place] = std::make_unique<Upstream>();
    upstreams_[place]->identity = std::move(identity);
    upstreams_[place]->tls = tls_spec(deployment);
    upstreams_[place]->live = true;
  }
  upstreams_[place]->config = config;
  upstreams_[place]->deployment = &deployment;
  return static_cast<UpstreamIndex>(place);
}

policy::TargetIndex Fleet::place_target(UpstreamIndex upstream, const Deployment& deployment, std::string_view model,
                                        Places& places) {
  const ModelConfig* entry = deployment.find_model(model);
  std::string key = deployment.models.empty() ? "*" : std::string(model);
  std::string identity = upstreams_[upstream]->identity + '\n' + key;
  size_t place = places.take(targets_, identity);
  if (place == targets_.size()) {
    targets_.emplace_back();
    facts_.emplace_back();
  }
  if (!targets_[place] || !targets_[place]->live) targets_[place] = std::make_unique<Target>();
  Target& target = *targets_[place];
  target.identity = std::move(identity);
  target.upstream = upstream;
  target.model = std::move(key);
  target.as = entry ? entry->as : "";
  target.limits = entry ? policy::LimitConfig{entry->rpm, entry->tpm} : policy::LimitConfig{};
  target.concurrency = entry ? entry->concurrency : 0;
  target.live = true;
  return static_cast<policy::TargetIndex>(place);
}

std::vector<UpstreamIndex> Fleet::configure(std::shared_ptr<const Config> config) {
  auto world = std::make_shared<World>();
  world->config = config;
  Places upstream_places, target_places;
  for (const Deployment& deployment : config->deployments)
    world->upstreams.push_back(place_upstream(config, deployment, upstream_places));
  for (const Route& route : config->routes) {
    policy::Plan plan;
    plan.balance = route.balance;
    for (const std::vector<uint32_t>& tier : route.tiers) {
      std::vector<policy::TargetIndex>& targets = plan.tiers.emplace_back();
      for (uint32_t index : tier)
        targets.push_back(
            place_target(world->upstreams[index], config->deployments[index], route.model, target_places));
      world->targets.insert(world->targets.end(), targets.begin(), targets.end());
    }
    world->plans.push_back(std::move(plan));
    world->replay_bytes_max = std::max(world->replay_bytes_max, route.replay_bytes);
  }
  std::sort(world->targets.begin(), world->targets.end());
  world->targets.erase(std::unique(world->targets.begin(), world->targets.end()), world->targets.end());
  if (world_) old_.push_back(world_);
  world_ = std::move(world);
  return sweep();
}

std::vector<UpstreamIndex> Fleet::sweep() {
  std::erase_if(old_, [](const std::shared_ptr<const World>& w) { return w.use_count() == 1; });
  return mark();
}

std::vector<UpstreamIndex> Fleet::mark() {
  std::vector<bool> upstream_live(upstreams_.size()), target_live(targets_.size());
  auto add = [&](const World& world) {
    for (UpstreamIndex i : world.upstreams) upstream_live[i] = true;
    for (policy::TargetIndex i : world.targets) target_live[i] = true;
  };
  add(*world_);
  for (const auto& world : old_) add(*world);
  for (size_t i = 0; i < targets_.size(); i++) targets_[i]->live = target_live[i];
  std::vector<UpstreamIndex> gone;
  for (size_t i = 0; i < upstreams_.size(); i++) {
    if (upstreams_[i]->live && !upstream_live[i]) gone.push_back(static_cast<UpstreamIndex>(i));
    upstreams_[i]->live = upstream_live[i];
  }
  return gone;
}

std::span<const policy::Facts> Fleet::facts(const policy::Plan& plan, uint64_t tokens, Instant now) {
  for (const auto& tier : plan.tiers) {
    for (policy::TargetIndex index : tier) {
      const Target& target = *targets_[index];
      const Upstream& upstream = *upstreams_[target.upstream];
      policy::Facts& facts = facts_[index];
      facts.open_at = target.health.open_at();
      facts.in_flight = target.in_flight;
      facts.concurrency = target.concurrency;
      facts.weight = upstream.deployment->weight;
      facts.utilisation = 0;
      if (target.limits.rpm || target.limits.tpm) {
        facts.utilisation = target.limit.utilisation(target.limits, tokens, now);
        if (facts.utilisation >= 1) facts.frees_at = target.limit.frees_at(target.limits, tokens, now);
      }
      // A deployment whose connections are all in use is full for each of its models, also for one that has no call.
      uint32_t connections = upstream.deployment->connections_max;
      if (connections && upstream.in_flight >= connections)
        facts.concurrency = facts.in_flight = std::max(1u, facts.in_flight);
    }
  }
  return facts_;
}

}  // namespace lb
