// The printed forms of everything that is counted.
#pragma once

#include <string>

#include "engine/fleet.h"
#include "wire/json.h"

namespace lb {

struct Context;

std::string print_stats_json(const Context& context, size_t calls_in_flight);
std::string print_stats_prometheus(const Context& context, size_t calls_in_flight);
// "deployments": [...], as a member of the object that `json` has open.
void write_deployments(JsonWriter& json, const Fleet& fleet, Instant now);

}  // namespace lb
