#include "wire/retry_after.h"

#include "base/text.h"
#include "wire/rate_limits.h"

namespace lb {

std::optional<Duration> told_wait(const Head& head, std::string_view body_delay, int64_t unix_now_s) {
  if (std::optional<double> ms = parse_finite(trim(head.get("retry-after-ms")))) return clamp_wait(*ms / 1000);
  if (std::optional<Duration> wait = parse_wait(head.get("retry-after"), head, unix_now_s)) return wait;
  if (std::optional<double> span = parse_span(body_delay)) return clamp_wait(*span);
  return exhausted_reset(head, unix_now_s);
}

}  // namespace lb
