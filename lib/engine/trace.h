// Why a call went where it went: a decision as one compact JSON object, for x-lb-trace and lb_balancer_explain.
#pragma once

#include <string>

#include "engine/fleet.h"

namespace lb {

// Candidates that a trace lists; more are counted. Header fields have to stay short.
inline constexpr size_t kTraceCandidates = 16;

// {"route":"m","to":"a","by":"balance","candidates":[{"deployment":"a","tier":0,"load":1},...]}. An excluded candidate
// has "not" with the reason and "for_ms" where it is known how long.
std::string print_decision(const Fleet& fleet, const World& world, size_t route, const policy::Ask& ask,
                           const policy::Decision& decision, Instant now);

// What holds back each target of a route, in words for the one who called: "east (key refused, 58000 ms), west (full)".
std::string print_obstacles(const Fleet& fleet, const World& world, size_t route, const policy::Ask& ask, Instant now);

}  // namespace lb
