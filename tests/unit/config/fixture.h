// What the tests of the configuration share: secrets that live in a map, and a Config as text that two of them can be
// compared by.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "config/config.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {

struct MapSecrets : Secrets {
  std::map<std::string, std::string, std::less<>> variables;
  std::map<std::string, std::string, std::less<>> files;

  Result<std::string> env(std::string_view name) override {
    auto found = variables.find(name);
    if (found == variables.end())
      return Error{Status::CONFIG, "", "the variable " + std::string(name) + " is not set; set it"};
    return found->second;
  }
  Result<std::string> file(std::string_view path) override {
    auto found = files.find(path);
    if (found == files.end())
      return Error{Status::CONFIG, "", "there is no file " + std::string(path) + "; write its path"};
    return found->second;
  }
};

// "" for a document that is taken, else "WHERE: MESSAGE".
inline std::string refusal(std::string_view text, Secrets* secrets = nullptr, SecretUse use = SecretUse::check) {
  auto config = parse_config(text, secrets, use);
  if (config.ok()) return "";
  if (config.error().status != Status::CONFIG) return "the status is not CONFIG";
  return config.error().where + ": " + config.error().message;
}

inline std::shared_ptr<const Config> taken(std::string_view text, Secrets* secrets = nullptr,
                                           SecretUse use = SecretUse::check) {
  auto config = parse_config(text, secrets, use);
  if (!config.ok()) fail_msg("%s: %s", config.error().where.c_str(), config.error().message.c_str());
  return config.value();
}

inline void assert_text(const std::string& is, const std::string& wanted) {
  assert_string_equal(is.c_str(), wanted.c_str());
}

// The configured limit of a metric in a minute; 0: none.
inline uint64_t per_minute(const policy::ScopeSpec& limits, policy::Metric metric) {
  for (const policy::QuotaSpec& quota : limits.quotas)
    if (quota.metric == metric && quota.period == Duration::from_s(60)) return quota.limit;
  return 0;
}

inline std::string dump(const Deployment& d) {
  std::string out = "deployment " + d.name + " kind " + std::to_string(int(d.kind)) + " dialect " +
                    std::to_string(int(d.api)) + " url " + (d.url.tls ? "https " : "http ") + d.url.host + ' ' +
                    std::to_string(d.url.port) + ' ' + d.url.path + " key " + d.key + '\n';
  for (const HeaderPair& header : d.headers) out += "  " + header.name + ": " + header.value + '\n';
  for (const ModelConfig& m : d.models)
    out += "  model " + m.name + " as " + m.as + ' ' + std::to_string(per_minute(m.limits, policy::Metric::requests)) +
           ' ' + std::to_string(per_minute(m.limits, policy::Metric::tokens)) + ' ' +
           std::to_string(m.limits.concurrency) + '\n';
  out += "  weight " + std::to_string(d.weight) + " tls " + d.tls.ca_pem + '|' + d.tls.cert_pem + '|' + d.tls.key_pem +
         '|' + d.tls.server_name + '|' + (d.tls.verify ? "verify" : "trust") + '\n';
  out += "  proxy " + d.proxy.host + ' ' + std::to_string(d.proxy.port) + ' ' + d.proxy.authorization + '\n';
  for (Duration time : {d.timeouts.connect, d.timeouts.head, d.timeouts.content, d.timeouts.idle, d.keep_alive})
    out += "  " + std::to_string(time.ms()) + " ms";
  return out + ' ' + std::to_string(d.connections_max) + " connections, echo " + std::to_string(d.echo_events) + ' ' +
         std::to_string(d.echo_delay.ms()) + '\n';
}

inline std::string dump(const Route& r) {
  std::string out = "route " + r.model + ':';
  for (const auto& tier : r.tiers) {
    out += " [";
    for (uint32_t index : tier) out += ' ' + std::to_string(index);
    out += " ]";
  }
  for (uint64_t number :
       {uint64_t(r.plan.balance), uint64_t(r.commit_on), uint64_t(r.retry.retries), uint64_t(r.deadline.ms()),
        uint64_t(r.wait.ms()), uint64_t(r.window_bytes), uint64_t(r.replay_bytes), uint64_t(r.hold_bytes)})
    out += ' ' + std::to_string(number);
  return out + '\n';
}

inline std::string dump(const Config& config) {
  std::string out;
  for (const Listen& listen : config.listen) out += "listen " + listen.name + ' ' + listen.address + '\n';
  for (const Deployment& deployment : config.deployments) out += dump(deployment);
  for (const Route& route : config.routes) out += dump(route);
  const Limits& l = config.limits;
  out += "limits";
  for (uint64_t number : {uint64_t(l.head_bytes), uint64_t(l.head_fields), uint64_t(l.target_bytes), l.body_bytes,
                          l.replay_bytes_total, uint64_t(l.connections), uint64_t(l.waiting),
                          uint64_t(l.head_timeout.ms()), uint64_t(l.body_timeout.ms()),
                          uint64_t(l.request_timeout.ms()), uint64_t(l.idle_timeout.ms()), uint64_t(l.dns_ttl.ms())})
    out += ' ' + std::to_string(number);
  return out + '\n';
}

}  // namespace lb
