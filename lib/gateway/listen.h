// The listeners of a gateway: which there are, and what changes over a reload.
#pragma once

#include <vector>

#include "gateway/context.h"

namespace lb {

// Makes `context.listeners` what `wanted` says, or changes nothing and says why.
Status change_listeners(GatewayContext& context, const std::vector<Listen>& wanted, Error* why);

}  // namespace lb
