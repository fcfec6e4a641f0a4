// Which endpoint a request asks for: method and target in, a value out. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lb {

enum class Endpoint : uint8_t { none, call, models, model, health, ready, metrics, stats };

struct RouteMatch {
  Endpoint endpoint = Endpoint::none;
  std::string_view allow;  // The methods it has, if the one that was asked for is none of them; else "".
  std::string model;       // Endpoint::model: its id, percent-decoded.
};

// `target` is a path with an optional query, or an absolute URI (RFC 9112 §3.2.2).
RouteMatch match_route(std::string_view method, std::string_view target);
// "http://host/path?query" -> "/path?query"; any other target as it is.
std::string_view origin_form(std::string_view target);

}  // namespace lb
