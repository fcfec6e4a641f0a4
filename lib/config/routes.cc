#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "config/nearest.h"
#include "config/read.h"

namespace lb {

namespace {

using schema::Key;

// Routes that are written and routes that follow from models, together.
constexpr size_t kRoutesMax = 4096;

// What the deployments offer, found once: configurations name a thousand deployments and as many models.
struct Offers {
  std::map<std::string_view, uint32_t> deployments;             // By name.
  std::map<std::string_view, std::vector<uint32_t>> by_model;   // Deployments that list it, in order.
  std::vector<std::pair<std::string_view, uint32_t>> patterns;  // In order.
  std::vector<uint32_t> takes_all;                              // Deployments without a list.

  explicit Offers(const Config& config) {
    for (uint32_t i = 0; i < config.deployments.size(); i++) {
      const Deployment& deployment = config.deployments[i];
      deployments.emplace(deployment.name, i);
      if (deployment.models.empty()) takes_all.push_back(i);
      for (const ModelConfig& model : deployment.models) {
        by_model[model.name].push_back(i);
        if (is_model_pattern(model.name)) patterns.emplace_back(model.name, i);
      }
    }
  }

  // All that may be asked for `model`, in order; for "*" those that take every model, for a pattern those and the ones
  // that have the same.
  std::vector<uint32_t> that_serve(std::string_view model) const {
    std::vector<uint32_t> out = takes_all;
    if (auto listed = by_model.find(model); listed != by_model.end())
      out.insert(out.end(), listed->second.begin(), listed->second.end());
    for (const auto& [pattern, index] : patterns)
      if (!is_model_pattern(model) && model != "*" && fits_pattern(pattern, model)) out.push_back(index);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }
};

// The settings of a route but for its model and tiers; of an absent view the defaults.
void read_settings(JsonView view, Preset preset, Route& out) {
  policy::PlanSpec& plan = out.plan;
  plan.balance = static_cast<policy::Balance>(read_choice(view, Key::balance, preset));
  plan.top_k = static_cast<uint32_t>(read_integer(view, Key::top_k, preset));
  plan.spill = static_cast<policy::Spill>(read_choice(view, Key::spill, preset));
  plan.when_none = static_cast<policy::WhenNone>(read_choice(view, Key::when_none, preset));
  plan.panic_share = read_number(view, Key::panic_share, preset);
  plan.sticky = read_ms(view, Key::sticky_ms, preset);
  plan.fail_back = read_boolean(view, Key::fail_back, preset);
  plan.estimate = static_cast<policy::Estimate>(read_choice(view, Key::estimate, preset));
  plan.hedge = read_hedge(view[schema::row(Key::hedge).segment()]);
  out.affinity = static_cast<Affinity>(read_choice(view, Key::affinity, preset));
  plan.affinity = out.affinity == Affinity::off ? Duration::zero() : read_ms(view, Key::affinity_ms, preset);
  out.affinity_tokens = static_cast<uint32_t>(read_integer(view, Key::affinity_tokens, preset));
  out.affinity_wait = Duration::from_us(static_cast<int64_t>(read_integer(view, Key::affinity_wait_us, preset)));
  out.retry.policy = static_cast<policy::RetryPolicy>(read_choice(view, Key::retry, preset));
  out.retry.retries = static_cast<uint32_t>(read_integer(view, Key::retries, preset));
  out.retry.backoff = read_ms(view, Key::backoff_ms, preset);
  out.retry.backoff_max = std::max(out.retry.backoff, read_ms(view, Key::backoff_max_ms, preset));
  out.larger = read_string(view, Key::larger);
  out.deadline = read_ms(view, Key::deadline_ms);
  out.wait = read_ms(view, Key::wait_ms);
  out.window_bytes = static_cast<uint32_t>(read_integer(view, Key::window_bytes));
  out.replay_bytes = static_cast<uint32_t>(read_integer(view, Key::replay_bytes));
  out.hold_bytes = static_cast<uint32_t>(read_integer(view, Key::hold_bytes));
  out.commit_on = static_cast<CommitOn>(read_choice(view, Key::commit_on));
}

Problem unknown_deployment(const Place& place, const Offers& offers, std::string_view name) {
  constexpr size_t kListed = 10;  // A message has a line or two.
  Nearest nearest(name);
  std::string known;
  size_t count = 0;
  for (const auto& [other, index] : offers.deployments) {
    nearest.offer(other);
    if (count++ < kListed) (known += known.empty() ? "" : ", ") += other;
  }
  if (count > kListed) known += ", ...";
  return place.error("no deployment has the name \"" + std::string(name) + '"' +
                     nearest.hint("; write one of: " + known));
}

Problem not_served(const Place& place, const std::string& name, const std::string& model) {
  if (model == "*")
    return place.error('"' + name + "\" lists its models, so it cannot take every other one; take it out here, or "
                       "leave out its models");
  return place.error('"' + name + "\" does not serve \"" + model + "\"; add it to its models, or take it out here");
}

// `taken` are the deployments of this route so far.
Problem read_tier(const Place& place, JsonView view, const Offers& offers, const std::set<uint32_t>& serving,
                  std::set<uint32_t>& taken, Route& route) {
  std::vector<uint32_t>& tier = route.tiers.emplace_back();
  size_t index = 0;
  for (JsonView entry = view.first(); entry.present(); entry = entry.next()) {
    Place here = place.at(index++);
    std::string name(entry.string());
    auto found = offers.deployments.find(name);
    if (found == offers.deployments.end()) return unknown_deployment(here, offers, name);
    if (!serving.contains(found->second)) return not_served(here, name, route.model);
    if (!taken.insert(found->second).second)
      return here.error('"' + name + "\" is in the tiers already; write it once");
    tier.push_back(found->second);
  }
  return std::nullopt;
}

Problem read_tiers(const Place& place, JsonView view, const Offers& offers, Route& route) {
  std::vector<uint32_t> all = offers.that_serve(route.model);
  if (all.empty() && route.model == "*")
    return place.at("model").error("every deployment lists its models, so none can take the others; leave out the "
                                   "models of one");
  if (all.empty())
    return place.at("model").error("no deployment serves \"" + route.model + "\"; add it to the models of one");
  JsonView tiers = view[schema::row(Key::tiers).segment()];
  if (!tiers.present()) {
    route.tiers.push_back(std::move(all));
    return std::nullopt;
  }
  std::set<uint32_t> serving(all.begin(), all.end()), taken;
  Place there = place.at("tiers");
  size_t index = 0;
  for (JsonView tier = tiers.first(); tier.present(); tier = tier.next())
    if (Problem problem = read_tier(there.at(index++), tier, offers, serving, taken, route)) return problem;
  return std::nullopt;
}

// The model to go on with has a route of its own, and it is another one.
Problem check_larger(const Place& place, const Config& config) {
  for (size_t i = 0; i < config.routes.size(); i++) {
    const Route& route = config.routes[i];
    if (route.larger.empty()) continue;
    Place there = place.at(i);
    Place here = there.at("larger");
    if (route.larger == route.model) return here.error("is the model itself; write a larger one, or leave it out");
    if (!config.find_route(route.larger))
      return here.error("no route has the model \"" + route.larger + "\"; add it to the models of a deployment");
  }
  return std::nullopt;
}

// A route that nobody wrote: the defaults, over all that serve `model`.
void add_route(std::string_view model, const Offers& offers, Preset preset, Config& config) {
  Route route;
  route.model = model;
  read_settings(JsonView(), preset, route);
  route.tiers.push_back(offers.that_serve(model));
  config.routes.push_back(std::move(route));
}

}  // namespace

Problem read_routes(JsonView root, Preset preset, Config& config) {
  Offers offers(config);
  std::set<std::string, std::less<>> routed;
  Place whole;
  Place place = whole.at("routes");
  size_t index = 0;
  JsonView list = root[schema::row(Key::routes).segment()];
  for (JsonView view = list.first(); view.present(); view = view.next()) {
    Place here = place.at(index++);
    Route route;
    route.model = read_string(view, Key::route_model);
    read_settings(view, preset, route);
    if (!routed.insert(route.model).second)
      return here.at("model").error("another route has the model \"" + route.model + "\"; write one route a model");
    if (Problem problem = read_tiers(here, view, offers, route)) return problem;
    config.routes.push_back(std::move(route));
  }
  // In the order in which the deployments name them.
  for (const Deployment& deployment : config.deployments) {
    for (const ModelConfig& model : deployment.models) {
      if (!routed.insert(model.name).second) continue;
      add_route(model.name, offers, preset, config);
      if (config.routes.size() > kRoutesMax)
        return whole.at("deployments").error("names more than " + std::to_string(kRoutesMax) +
                                              " models together; write fewer");
    }
  }
  if (!offers.takes_all.empty() && !routed.contains("*")) add_route("*", offers, preset, config);
  return check_larger(place, config);
}

}  // namespace lb
