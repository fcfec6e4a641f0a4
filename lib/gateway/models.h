// The list of models, and one of them, as each provider's API writes them: from the configuration, no deployment is
// asked.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "wire/operation.h"

namespace lb {

std::string print_models(const Config& config, Api api);
// Nothing when there is no such model.
std::optional<std::string> print_model(const Config& config, Api api, std::string_view id);

}  // namespace lb
