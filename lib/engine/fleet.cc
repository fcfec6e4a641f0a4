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

// Where its connections go: what a connect, TLS or DNS fault is a fault of.
std::string endpoint_identity(const Deployment& deployment) {
  return "endpoint\n" + deployment.url.authority() + '\n' + deployment.proxy.host + '\n' +
         std::to_string(deployment.proxy.port);
}

// What a refused key is a fault of; "" without one.
std::string key_identity(const Deployment& deployment) {
  if (!deployment.account.empty()) return "account\n" + deployment.account;
  return deployment.key.empty() ? "" : "key\n" + deployment.url.host + '\n' + deployment.key;
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

std::array<Served, kOperations> served_by(const Config& config, const Route& route) {
  std::array<Served, kOperations> out;
  for (size_t i = 0; i < kOperations; i++) {
    for (const std::vector<uint32_t>& tier : route.tiers) {
      for (uint32_t index : tier) {
        const Deployment& deployment = config.deployments[index];
        auto operation = static_cast<Operation>(i);
        std::optional<Operation> at = operation_at(deployment.api, deployment.lacks, operation);
        out[i].by_any = out[i].by_any || at;
        out[i].translated = out[i].translated || (at && *at != operation);
        out[i].lacking = out[i].lacking || !at;
      }
    }
  }
  return out;
}

}  // namespace

ConnectSpec connect_spec(const Upstream& upstream, const Address& address) {
  const Deployment& to = *upstream.deployment;
  ConnectSpec spec;
  spec.address = address;
  spec.tls = upstream.tls;
  if (!to.proxy.host.empty()) {
    bool v6 = to.url.host.find(':') != std::string::npos;
    spec.tunnel = (v6 ? "[" + to.url.host + "]" : to.url.host) + ":" + std::to_string(to.url.port);
    spec.tunnel_authorization = to.proxy.authorization;
  }
  return spec;
}

void write_own_fields(const Deployment& to, std::string& out) {
  for (const HeaderPair& h : to.headers) out.append(h.name).append(": ").append(h.value).append("\r\n");
  // What is inspected must not be compressed.
  out.append("accept-encoding: identity\r\n");
  if (to.key.empty()) return;
  std::string_view field = !to.vendor->key_field.empty() ? to.vendor->key_field
                           : to.api == Api::anthropic    ? "x-api-key: "
                           : to.api == Api::gemini       ? "x-goog-api-key: "
                                                         : "authorization: Bearer ";
  out.append(field).append(to.key).append("\r\n");
}

// Where an entry of that identity is, or may be put: the live one of the same identity, else an unused place, else the
// end.
template <typename Entry, typename InFlight>
size_t Fleet::Places::take(const std::vector<std::unique_ptr<Entry>>& entries, const std::string& identity,
                           InFlight in_flight) {
  if (!listed_) {
    listed_ = true;
    for (size_t i = entries.size(); i-- > 0;) {
      if (entries[i]->live)
        live_.emplace(entries[i]->identity, i);
      else if (in_flight(*entries[i], i) == 0)
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

UpstreamIndex Fleet::place_upstream(Placing& placing, const Deployment& deployment) {
  std::string identity = upstream_identity(deployment);
  size_t place = placing.upstreams.take(upstreams_, identity, [](const Upstream&, size_t) { return 0; });
  if (place == upstreams_.size()) upstreams_.emplace_back();
  if (!upstreams_[place] || !upstreams_[place]->live) {
    upstreams_[place] = std::make_unique<Upstream>();
    upstreams_[place]->identity = std::move(identity);
    upstreams_[place]->tls = tls_spec(deployment);
    if (deployment.kind == DeploymentKind::http) upstreams_[place]->url = deployment.url.text();
    upstreams_[place]->live = true;
  }
  upstreams_[place]->config = placing.config;
  upstreams_[place]->deployment = &deployment;
  return static_cast<UpstreamIndex>(place);
}

policy::ScopeIndex Fleet::place_scope(Placing& placing, const std::string& identity, const policy::ScopeSpec& spec) {
  size_t place = placing.scopes.take(scopes_, identity, [&](const Scope&, size_t i) {
    return balancer_.scope_in_flight(static_cast<policy::ScopeIndex>(i));
  });
  if (place == scopes_.size()) {
    scopes_.emplace_back();
    balancer_.add_scope();
  }
  auto index = static_cast<policy::ScopeIndex>(place);
  bool fresh = !scopes_[place] || !scopes_[place]->live;
  if (fresh) scopes_[place] = std::make_unique<Scope>(Scope{identity, true});
  balancer_.set_scope(index, spec, fresh);
  placing.world.scopes.push_back(index);
  return index;
}

// What belongs to more than one target is a scope of its own; what does not is the target's.
policy::TargetSpec Fleet::target_spec(Placing& placing, uint32_t index, const ModelConfig* entry) {
  const Config& config = *placing.config;
  const Deployment& deployment = config.deployments[index];
  policy::TargetSpec spec;
  if (entry) spec.own = entry->limits;
  if (entry) spec.price = entry->price;
  spec.weight = deployment.weight;
  spec.deployment = placing.world.upstreams[index];
  policy::ScopeSpec whole = deployment.limits;
  if (connections_) {
    uint32_t calls = whole.concurrency ? whole.concurrency : deployment.connections_max;
    whole.concurrency = std::min(calls, deployment.connections_max);
  }
  if (whole.concurrency > 0 || !whole.quotas.empty())
    spec.in_deployment = place_scope(placing, "deployment\n" + upstreams_[spec.deployment]->identity, whole);
  auto account = std::find_if(config.accounts.begin(), config.accounts.end(),
                              [&](const Party& party) { return party.name == deployment.account; });
  std::string key = key_identity(deployment), endpoint = endpoint_identity(deployment);
  if (account != config.accounts.end())
    spec.with_key = place_scope(placing, key, account->limits);
  else if (!key.empty() && placing.sharers[key] > 1)
    spec.with_key = place_scope(placing, key, {});
  if (placing.sharers[endpoint] > 1) spec.at_endpoint = place_scope(placing, endpoint, {});
  return spec;
}

policy::TargetIndex Fleet::place_target(Placing& placing, uint32_t index, std::string_view model) {
  const Deployment& deployment = placing.config->deployments[index];
  UpstreamIndex upstream = placing.world.upstreams[index];
  const ModelConfig* entry = deployment.find_model(model);
  std::string key = entry ? entry->name : "*";
  std::string identity = upstreams_[upstream]->identity + '\n' + key;
  auto [known, first] = placing.placed.try_emplace(identity, policy::kNoTarget);
  if (!first) return known->second;  // In several routes: one that takes every model, or all that a pattern fits.
  size_t place = placing.targets.take(targets_, identity, [](const Target&, size_t) { return 0; });
  if (place == targets_.size()) {
    targets_.emplace_back();
    balancer_.add_target();
  }
  bool fresh = !targets_[place] || !targets_[place]->live;
  if (fresh) targets_[place] = std::make_unique<Target>();
  Target& target = *targets_[place];
  target.identity = std::move(identity);
  target.upstream = upstream;
  target.model = std::move(key);
  target.as = entry ? entry->as : "";
  target.live = true;
  known->second = static_cast<policy::TargetIndex>(place);
  balancer_.set_target(known->second, target_spec(placing, index, entry), fresh);
  placing.world.targets.push_back(known->second);
  placing.world.named.resize(std::max(placing.world.named.size(), place + 1));
  const char* as = entry && !entry->as.empty() ? entry->as.c_str() : nullptr;
  placing.world.named[place] = {&deployment, upstreams_[upstream]->url.c_str(), as};
  return known->second;
}

policy::Plan Fleet::plan(Placing& placing, const Route& route) {
  policy::Plan plan;
  static_cast<policy::PlanSpec&>(plan) = route.plan;
  bool caches = false;
  for (const std::vector<uint32_t>& tier : route.tiers) {
    std::vector<policy::TargetIndex> targets;
    std::vector<double> weights;
    for (uint32_t index : tier) {
      const Deployment& deployment = placing.config->deployments[index];
      policy::TargetIndex target = place_target(placing, index, route.model);
      if (!deployment.enabled) continue;
      targets.push_back(target);
      weights.push_back(deployment.weight);
      caches = caches || deployment.caches;
    }
    plan.tiers.emplace_back(std::move(targets), weights);
  }
  if (!caches && route.affinity == Affinity::prompt) plan.affinity = Duration::zero();
  // What has been learnt of the model goes on.
  for (size_t i = 0; world_ && i < world_->plans.size(); i++) {
    if (world_->config->routes[i].model != route.model) continue;
    plan.estimator = world_->plans[i].estimator;
    plan.mean_latency = world_->plans[i].mean_latency;
    plan.hedges = world_->plans[i].hedges;
  }
  return plan;
}

void Fleet::count_sharers(Placing& placing) const {
  for (const Route& route : placing.config->routes) {
    for (const std::vector<uint32_t>& tier : route.tiers) {
      for (uint32_t index : tier) {
        const Deployment& deployment = placing.config->deployments[index];
        // Of a deployment that takes every model, and of a pattern, there is one target for all of them.
        const ModelConfig* entry = deployment.find_model(route.model);
        std::string target = deployment.name + '\n' + (entry ? entry->name : "*");
        if (!placing.placed.try_emplace(std::move(target), 0).second) continue;
        placing.sharers[key_identity(deployment)]++;
        placing.sharers[endpoint_identity(deployment)]++;
      }
    }
  }
  placing.placed.clear();
}

// Named callers have their place from the start; those under "*" get theirs when they come.
void Fleet::place_callers(Placing& placing) {
  for (const Party& party : placing.config->callers)
    if (party.name != "*") callers_.try_emplace(party.name);
  for (auto at = callers_.begin(); at != callers_.end();) {
    const Party* party = placing.config->find_caller(at->first);
    bool limited = party && (party->limits.concurrency > 0 || !party->limits.quotas.empty());
    if (!limited) {
      at = callers_.erase(at);
      continue;
    }
    at->second.scope = place_scope(placing, "caller\n" + at->first, party->limits);
    at++;
  }
}

std::vector<UpstreamIndex> Fleet::configure(std::shared_ptr<const Config> config, Duration wall, Instant now) {
  auto world = std::make_shared<World>();
  world->config = config;
  balancer_.configure(config->policies, wall, now);
  Placing placing{config, *world, {}, {}, {}, {}, {}};
  for (const Deployment& deployment : config->deployments)
    world->upstreams.push_back(place_upstream(placing, deployment));
  count_sharers(placing);
  for (const Route& route : config->routes) {
    world->plans.push_back(plan(placing, route));
    world->served.push_back(served_by(*config, route));
    world->replay_bytes_max = std::max(world->replay_bytes_max, route.replay_bytes);
  }
  place_callers(placing);
  if (world_) old_.push_back(world_);
  world_ = std::move(world);
  return sweep();
}

std::vector<UpstreamIndex> Fleet::sweep() {
  std::erase_if(old_, [](const std::shared_ptr<World>& w) { return w.use_count() == 1; });
  return mark();
}

std::vector<UpstreamIndex> Fleet::mark() {
  std::vector<bool> upstream_live(upstreams_.size()), target_live(targets_.size()), scope_live(scopes_.size());
  auto add = [&](const World& world) {
    for (UpstreamIndex i : world.upstreams) upstream_live[i] = true;
    for (policy::TargetIndex i : world.targets) target_live[i] = true;
    for (policy::ScopeIndex i : world.scopes) scope_live[i] = true;
  };
  add(*world_);
  for (const auto& world : old_) add(*world);
  for (const auto& [name, caller] : callers_) scope_live[caller.scope] = true;
  for (size_t i = 0; i < targets_.size(); i++) targets_[i]->live = target_live[i];
  for (size_t i = 0; i < scopes_.size(); i++) scopes_[i]->live = scope_live[i];
  std::vector<UpstreamIndex> gone;
  for (size_t i = 0; i < upstreams_.size(); i++) {
    if (upstreams_[i]->live && !upstream_live[i]) gone.push_back(static_cast<UpstreamIndex>(i));
    upstreams_[i]->live = upstream_live[i];
  }
  return gone;
}

policy::Facts Fleet::look(policy::TargetIndex target, Instant now) const {
  return balancer_.facts(policy::Plan(), policy::Ask(), target, now);
}

// The caller under "*" that has been idle longest, and has no call, is forgotten.
bool Fleet::make_room_for_caller() {
  auto oldest = callers_.end();
  for (auto at = callers_.begin(); at != callers_.end(); at++) {
    bool named = std::any_of(world_->config->callers.begin(), world_->config->callers.end(),
                             [&](const Party& party) { return party.name == at->first; });
    if (named || balancer_.scope_in_flight(at->second.scope) > 0) continue;
    if (oldest == callers_.end() || at->second.seen < oldest->second.seen) oldest = at;
  }
  if (oldest == callers_.end()) return false;
  scopes_[oldest->second.scope]->live = false;
  callers_.erase(oldest);
  return true;
}

policy::ScopeIndex Fleet::caller(std::string_view name) {
  if (world_->config->callers.empty()) return policy::kNoScope;
  if (auto known = callers_.find(name); known != callers_.end()) {
    known->second.seen = ++caller_calls_;
    return known->second.scope;
  }
  const Party* party = world_->config->find_caller(name);
  if (!party || (party->limits.concurrency == 0 && party->limits.quotas.empty())) return policy::kNoScope;
  // Where all that are remembered have calls, the new one shares the limits of the nameless.
  std::string entry(name);
  if (callers_.size() >= world_->config->limits.callers && !make_room_for_caller()) entry.clear();
  if (auto known = callers_.find(entry); known != callers_.end()) return known->second.scope;
  World unplaced;
  Placing placing{world_->config, unplaced, {}, {}, {}, {}, {}};
  policy::ScopeIndex scope = place_scope(placing, "caller\n" + entry, party->limits);
  callers_[entry] = {scope, ++caller_calls_};
  return scope;
}

bool Fleet::all_limited(const policy::Plan& plan, const policy::Ask& ask, Instant now) const {
  for (const policy::Tier& tier : plan.tiers) {
    for (policy::TargetIndex index : tier.targets) {
      policy::Facts facts = balancer_.facts(plan, ask, index, now);
      bool cooling = facts.open_at > now;
      if (cooling ? targets_[index]->cooled_by != ErrorClass::rate_limit : facts.utilisation < 1) return false;
    }
  }
  return true;
}

bool Fleet::mark(std::string_view deployment, std::string_view model, Duration length, Instant now) {
  bool found = false;
  for (policy::TargetIndex index : world_->targets) {
    const Target& target = *targets_[index];
    bool fits = model.empty() || fits_pattern(target.model, model);
    if (!fits || upstreams_[target.upstream]->deployment->name != deployment) continue;
    found = true;
    length > Duration::zero() ? balancer_.mark_down(index, length, now) : balancer_.mark_up(index);
  }
  return found;
}

}  // namespace lb
