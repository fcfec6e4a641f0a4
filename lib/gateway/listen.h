// The listeners of a gateway: which there are, and what changes over a reload.
#pragma once

#include <string_view>
#include <vector>

#include "gateway/context.h"

namespace lb {

// "127.0.0.1:8080", "[::1]:0", "unix:/run/lb.sock". False when it is none of these.
bool parse_listen(std::string_view text, Address& out);

// Makes `context.listeners` what `wanted` says, or changes nothing and says why.
Status change_listeners(GatewayContext& context, const std::vector<Listen>& wanted, Error* why);

}  // namespace lb
