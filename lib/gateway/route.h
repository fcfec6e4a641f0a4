// Which endpoint a request asks for: method and target in, a value out. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/operation.h"

namespace lb {

enum class Endpoint : uint8_t { none, call, models, model, health, ready, metrics, stats };

struct RouteMatch {
  Endpoint endpoint = Endpoint::none;
  std::string_view allow;  // The methods it has, if the one that was asked for is none of them; else "".
  std::string model;       // Endpoint::model: its id, percent-decoded.
  Operation operation = Operation::chat;  // Endpoint::call: which. In its dialect errors and models are said.
};

// `target` is a path with an optional query, or an absolute URI (RFC 9112 §3.2.2).
RouteMatch match_route(std::string_view method, std::string_view target);
// A path, an http URI, or the "*" of OPTIONS (RFC 9112 §3.2). Not the authority of CONNECT: what follows that is no
// HTTP to a proxy that may stand before lb, so it must not be read as such here.
bool is_valid_target(std::string_view method, std::string_view target);
// Of a Host field: nothing, or a host and maybe a port (RFC 9110 §7.2).
bool is_valid_host(std::string_view host);
// "http://host/path?query" -> "/path?query"; any other target as it is.
std::string_view origin_form(std::string_view target);

}  // namespace lb
