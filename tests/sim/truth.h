// Whether what a caller was told is true: the answer it got beside what the upstream really sent. For both doors.
#pragma once

#include <string>
#include <vector>

#include "engine/event.h"
#include "sim/answers.h"

namespace lb::sim {

// `dialect` is the caller's. What the upstream said in it has to be the same to the byte; what it said in another has
// to say as much, as wording.h reads it.
//
// "", or what is wrong with an answer that was given out as whole.
std::string check_whole(const Truth& truth, Dialect dialect, uint32_t status, const std::string& body);
// The same where its events were delivered one by one.
std::string check_events(const Truth& truth, Dialect dialect, const std::vector<std::string>& events);
// A stream that was cut: whole events of what was sent, and then the protocol's own error event, unless `may_lack` it.
std::string check_cut_stream(const Truth& truth, Dialect dialect, const std::string& body, bool may_lack);

}  // namespace lb::sim
