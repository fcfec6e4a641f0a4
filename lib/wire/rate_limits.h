// What a provider says is left of its limits, read from the fields of an answer. One parser for all the dialects of
// reference/wire.md §9: OpenAI and those who took its names (Azure, Groq, Cerebras, Mistral, Fireworks), Anthropic,
// Together, the bare x-ratelimit-* of OpenRouter and others, and the RateLimit fields of the IETF with their older
// forms. Pure and without allocation; the wall clock is an argument.
//
// The dialect is told by the fields themselves, never by who is asked: gateways pass on what others wrote.
// - `x-ratelimit-remaining-requests` with a span ("6m0s") as its reset is OpenAI's: it refills all the time.
// - Of those, requests are counted by the day instead of the minute if the answer has a field `x-groq-*`, if the reset
//   is more than an hour away, or if the bucket would take a day to fill at the pace that it names.
// - A name without a metric (`x-ratelimit-remaining`) is about requests, over a period that it does not say.
//
// Left out: `anthropic-ratelimit-unified-*`, which are shares of a subscription and no counts; `anthropic-priority-*`,
// because a call goes on at the standard tier when they are used up; every metric that is not of StatedLimit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "wire/http1.h"
#include "wire/told_time.h"

namespace lb {

// What a provider says is left of one of its limits.
struct StatedLimit {
  enum class Metric : uint8_t { requests, tokens, input_tokens, output_tokens };
  Metric metric = Metric::requests;
  std::optional<uint64_t> limit;  // Absent is absent.
  uint64_t remaining = 0;
  std::optional<Duration> reset;  // From now; absent where it did not say. 0 .. kRetryAfterMax.
  // Refills all the time, and `reset` is when it is full (OpenAI, Anthropic); else all comes back at `reset`.
  bool continuous = false;
  Duration period;  // What the limit is for: a minute, unless the dialect says otherwise; zero: unknown.
};

inline constexpr size_t kStatedLimitsMax = 8;  // Cerebras may state six: requests and tokens by minute, hour and day.
// Counts above this are cut, so that sums and products of them are safe: as policy's Limit::kTokensMax.
inline constexpr uint64_t kStatedCountMax = uint64_t{1} << 40;

struct StatedLimits {
  std::array<StatedLimit, kStatedLimitsMax> items;
  size_t count = 0;

  const StatedLimit* begin() const { return items.data(); }
  const StatedLimit* end() const { return items.data() + count; }
  bool empty() const { return count == 0; }
};

// All that the head of an answer states, in the order in which it does; the same metric may be there more than once
// (a minute and a day, a project and its organisation). What the provider says it does not know is left out: -1, and 0
// left of a limit of 0 (Azure's Responses API).
StatedLimits stated_limits(const Head& head, int64_t unix_now_s);

// The longest reset among the limits of which nothing is left, whatever they count.
std::optional<Duration> exhausted_reset(const Head& head, int64_t unix_now_s);

}  // namespace lb
