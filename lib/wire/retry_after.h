// How long an upstream asks to be left alone, read from the fields of its answer: Retry-After in all the forms that
// providers use (reference/wire.md §9), or the limit that is used up. Pure: the wall clock is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "wire/http1.h"
#include "wire/told_time.h"

namespace lb {

// In this order: retry-after-ms; retry-after; `body_delay`, which the body may have named ("37s"); the longest reset
// among the limits of which nothing is left. Clamped to 0 .. kRetryAfterMax.
std::optional<Duration> told_wait(const Head& head, std::string_view body_delay, int64_t unix_now_s);

}  // namespace lb
