// Runs something in a child process, so that a failed check of lb's own, a sanitizer's report or an endless loop is a
// result like any other.
#pragma once

#include <functional>
#include <string>

namespace lb::sim {

// What `work` returns; or "crashed: ..." where it does not return within `seconds`, or at all.
std::string run_apart(unsigned seconds, const std::function<std::string()>& work);

}  // namespace lb::sim
