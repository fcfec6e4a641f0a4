// The laws of configurations in either format: a document is taken, or refused with words and a place that is in it;
// twice the same gives the same; a Config that is given out is sound.
#pragma once

#include <string>
#include <string_view>

#include "fuzz/cmocka.h"
#include "unit/config/fixture.h"
#include "wire/json.h"

namespace lb::fuzz {

// Every secret is there: its value is its name, behind what certificates and keys begin with.
struct AnySecrets : Secrets {
  Result<std::string> env(std::string_view name) override { return "-----BEGIN " + std::string(name); }
  Result<std::string> file(std::string_view path) override { return "-----BEGIN " + std::string(path); }
};

inline void check_sound(const Config& config) {
  for (const Route& route : config.routes) {
    require(!route.tiers.empty(), "a route without tiers");
    for (const auto& tier : route.tiers) {
      require(!tier.empty(), "an empty tier");
      for (uint32_t index : tier)
        require(index < config.deployments.size(), "a tier of a deployment that is not there");
    }
  }
  for (const Deployment& deployment : config.deployments) {
    require(!deployment.name.empty(), "a deployment without a name");
    for (const ModelConfig& model : deployment.models)
      require(deployment.find_model(model.name) && config.find_route(model.name), "a model that nobody can ask for");
    if (deployment.kind != DeploymentKind::http) continue;
    Result<Url> url = parse_url(deployment.url.text());
    require(url.ok() && url.value().text() == deployment.url.text(), "a URL that does not read back");
  }
}

// A JSON pointer whose steps are there, but for the last, which may name what is missing.
inline void check_place(const std::string& where, JsonView root) {
  require(where.empty() || where[0] == '/', "a place that is no JSON pointer: " + where);
  JsonView at = root;
  std::string_view rest = where;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    std::string_view step = rest.substr(0, rest.find('/'));
    rest.remove_prefix(step.size());
    JsonView next;
    for (JsonView child = at.first(); child.present(); child = child.next()) {
      if (at.is_object() && json_pointer_step(child.key()).substr(1) == step) next = child;
    }
    if (at.is_array()) {
      uint64_t index = parse_u64(step).value_or(UINT64_MAX);
      for (next = at.first(); next.present() && index > 0; index--) next = next.next();
    }
    require(next.present() || rest.empty(), "a place that is not in the document: " + where);
    at = next;
  }
}

// "WHERE: MESSAGE", or the Config as text.
inline std::string verdict(std::string_view text) {
  AnySecrets secrets;
  Result<std::shared_ptr<const Config>> config = parse_config(text, &secrets, SecretUse::read);
  if (!config.ok()) {
    require(config.error().status == Status::CONFIG && !config.error().message.empty(), "an error without words");
    return config.error().where + ": " + config.error().message;
  }
  check_sound(*config.value());
  return "taken\n" + dump(*config.value());
}

// The verdict on a document whose tree is at hand.
inline std::string check_document(std::string_view text, JsonView root) {
  std::string all = verdict(text);
  require_same(verdict(text), all, "read again it is another configuration");
  if (all.starts_with("taken\n")) {
    require(parse_config(text, nullptr, SecretUse::check).ok(), "taken with its secrets, refused without");
    return all;
  }
  AnySecrets secrets;
  Result<std::shared_ptr<const Config>> config = parse_config(text, &secrets, SecretUse::read);
  check_place(config.error().where, root);
  // With their secrets more may be wrong, but not less.
  Result<std::shared_ptr<const Config>> checked = parse_config(text, nullptr, SecretUse::check);
  if (!checked.ok()) check_place(checked.error().where, root);
  return all;
}

}  // namespace lb::fuzz
