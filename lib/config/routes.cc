#include <algorithm>

#include "config/nearest.h"
#include "config/read.h"

namespace lb {

namespace {

using schema::Key;

// May `deployment` be asked for `model`? "*" wants one that takes every model.
bool fits(const Deployment& deployment, std::string_view model) {
  return model == "*" ? deployment.models.empty() : deployment.serves(model);
}

std::vector<uint32_t> all_that_fit(const Config& config, std::string_view model) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < config.deployments.size(); i++)
    if (fits(config.deployments[i], model)) out.push_back(i);
  return out;
}

// The settings of a route but for its model and tiers; of an absent view the defaults.
void read_settings(JsonView view, Route& out) {
  out.balance = static_cast<policy::Balance>(read_choice(view, Key::balance));
  out.retries = static_cast<uint32_t>(read_integer(view, Key::retries));
  out.deadline = read_ms(view, Key::deadline_ms);
  out.wait = read_ms(view, Key::wait_ms);
  out.window_bytes = static_cast<uint32_t>(read_integer(view, Key::window_bytes));
  out.replay_bytes = static_cast<uint32_t>(read_integer(view, Key::replay_bytes));
  out.hold_bytes = static_cast<uint32_t>(read_integer(view, Key::hold_bytes));
  out.commit_on = static_cast<CommitOn>(read_choice(view, Key::commit_on));
}

Problem unknown_deployment(const Place& place, const Config& config, std::string_view name) {
  Nearest nearest(name);
  std::string known;
  for (const Deployment& deployment : config.deployments) {
    nearest.offer(deployment.name);
    if (known.size() < 200) known += (known.empty() ? "" : ", ") + deployment.name;
  }
  return place.error("no deployment has the name \"" + std::string(name) + "\"" + nearest.hint("; there are: " + known));
}

Problem read_tier(const Place& place, JsonView view, const Config& config, Route& route) {
  std::vector<uint32_t>& tier = route.tiers.emplace_back();
  size_t index = 0;
  for (JsonView name = view.first(); name.present(); name = name.next()) {
    Place here = place.at(index++);
    auto found = std::find_if(config.deployments.begin(), config.deployments.end(),
                              [&](const Deployment& d) { return d.name == name.string(); });
    if (found == config.deployments.end()) return unknown_deployment(here, config, name.string());
    auto number = static_cast<uint32_t>(found - config.deployments.begin());
    for (const auto& other : route.tiers)
      if (std::find(other.begin(), other.end(), number) != other.end())
        return here.error("\"" + found->name + "\" is in the tiers already; write it once");
    if (!fits(*found, route.model) && route.model == "*")
      return here.error("\"" + found->name + "\" lists its models, so it cannot take every other one; take it out, or leave out its models");
    if (!fits(*found, route.model))
      return here.error("\"" + found->name + "\" does not serve \"" + route.model + "\"; add it to its models, or take it out here");
    tier.push_back(number);
  }
  return std::nullopt;
}

Problem read_route(const Place& place, JsonView view, Config& config) {
  Route route;
  route.model = read_string(view, Key::route_model);
  for (const Route& other : config.routes)
    if (other.model == route.model)
      return place.at("model").error("another route has the model \"" + route.model + "\"; write one route a model");
  read_settings(view, route);
  JsonView tiers = view[schema::row(Key::tiers).segment()];
  size_t index = 0;
  for (JsonView tier = tiers.first(); tier.present(); tier = tier.next())
    if (Problem problem = read_tier(place.at("tiers").at(index++), tier, config, route)) return problem;
  if (!tiers.present()) route.tiers.push_back(all_that_fit(config, route.model));
  if (route.tiers[0].empty())
    return place.at("model").error("no deployment serves \"" + route.model + "\"; add it to the models of one");
  config.routes.push_back(std::move(route));
  return std::nullopt;
}

void add_route(Config& config, const std::string& model) {
  bool named = std::any_of(config.routes.begin(), config.routes.end(), [&](const Route& r) { return r.model == model; });
  std::vector<uint32_t> tier = all_that_fit(config, model);
  if (named || tier.empty()) return;
  Route route;
  route.model = model;
  read_settings(JsonView(), route);
  route.tiers.push_back(std::move(tier));
  config.routes.push_back(std::move(route));
}

}  // namespace

Problem read_routes(JsonView root, Config& config) {
  JsonView list = root[schema::row(Key::routes).segment()];
  Place whole;
  Place place = whole.at("routes");
  size_t index = 0;
  for (JsonView view = list.first(); view.present(); view = view.next())
    if (Problem problem = read_route(place.at(index++), view, config)) return problem;
  for (const Deployment& deployment : config.deployments)
    for (const ModelConfig& model : deployment.models) add_route(config, model.name);
  add_route(config, "*");
  return std::nullopt;
}

}  // namespace lb
