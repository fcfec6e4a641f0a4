// The documents that lb answers with by itself: models, health, metrics, stats.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/context.h"
#include "gateway/route.h"

namespace lb {

struct Document {
  uint32_t status = 200;
  std::string_view type;
  std::string body;
};

// Nothing when there is no such model. Not for Endpoint::call or none.
std::optional<Document> find_document(const GatewayContext& context, const RouteMatch& route);

std::string print_gateway_json(const GatewayContext& context);
std::string print_gateway_prometheus(const GatewayContext& context);

}  // namespace lb
