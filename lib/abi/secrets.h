// Reads the secrets that a configuration names, from the environment and from files of the host. Used only with
// LB_ENGINE_SECRETS; on the thread that hands over the configuration. Their values go nowhere but into the result.
#pragma once

#include <cstddef>

#include "config/config.h"

namespace lb {

class HostSecrets final : public Secrets {
 public:
  // The largest secret is a bundle of authorities: schema.def, /deployments/*/tls/ca.
  static constexpr size_t kFileMax = 4'194'304;

  Result<std::string> env(std::string_view name) override;
  Result<std::string> file(std::string_view path) override;
};

}  // namespace lb
