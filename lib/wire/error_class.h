// What went wrong with an attempt, in words that are no dialect's.
#pragma once

#include <cstdint>

namespace lb {

// reference/wire.md §9: one class for every way in which an upstream fails.
enum class ErrorClass : uint8_t {
  none,
  bad_request,      // 400, 413, 422: the caller's own mistake.
  context_length,   // 400 with code context_length_exceeded.
  content_filter,   // 400 with code content_filter.
  auth,             // 401, 403.
  billing,          // 402, or 429 with code insufficient_quota.
  rate_limit,       // 429.
  overloaded,       // 503, 529.
  server,           // Other 5xx, and answers that make no sense.
  not_found,        // 404.
  timeout,          // 408, 409, and lb's own phase deadlines.
  connect,          // DNS, TCP or TLS failed: nothing was sent.
  broken,           // The connection or the protocol broke after the request was sent.
};
const char* error_class_name(ErrorClass value);

}  // namespace lb
