// What simulated upstreams answer, good and bad, and the truth about each answer: what a caller may be told of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "sim/wording.h"

namespace lb::sim {

// clang-format off
#define LB_SIM_FAULTS(X)                                                                                               \
  /* On the way there. */                                                                                              \
  X(dns_fails) X(refused) X(black_hole) X(tls_fails) X(slow_connect) X(dies_on_request)                                \
  /* Before there is content: another target can help. */                                                              \
  X(no_head) X(cut_before_head) X(cut_in_head) X(not_http) X(html_error)                                               \
  X(status_400) X(status_401) X(status_403) X(status_404)                                                              \
  X(limited) X(limited_seconds) X(limited_ms) X(limited_date) X(limited_span) X(limited_zero) X(limited_negative)      \
  X(limited_nonsense) X(limited_day) X(limited_reset) X(limited_reset_date) X(limited_in_body) X(out_of_quota)         \
  X(throttled) /* By what arrived; never drawn. */                                                                     \
  X(status_500) X(status_502) X(status_503) X(status_504) X(status_529)                                                \
  X(error_without_end) X(early_error) X(stall_before_content) X(wrong_type) X(empty_success)                           \
  X(error_in_success) X(cut_before_content) X(pings_then_end) X(pings_then_stall)                                      \
  /* After content: the caller must learn that the answer is not whole. */                                             \
  X(cut_after_content) X(reset_after_content) X(stall_after_content) X(error_event_late) X(ends_without_terminal)      \
  X(short_of_length) X(bad_chunk)                                                                                      \
  /* Harmless. */                                                                                                      \
  X(no_done_marker) X(malformed_event) X(pings) X(slow_drip) X(trailing_garbage) X(second_response)                    \
  X(closes_after) X(closes_while_idle) X(close_delimited) X(informational)                                             \
  X(odd_chunks) X(byte_by_byte) X(lies_alive) X(lies_close)
// clang-format on

enum class Fault : uint8_t {
#define LB_SIM_X(name) name,
  LB_SIM_FAULTS(LB_SIM_X)
#undef LB_SIM_X
      none,
};
constexpr size_t kFaults = static_cast<size_t>(Fault::none);
const char* fault_name(Fault fault);
constexpr bool on_the_way(Fault f) { return f <= Fault::dies_on_request; }
// After these a caller may be left with half an answer: nobody else can help.
constexpr bool after_content(Fault f) { return f >= Fault::cut_after_content && f <= Fault::bad_chunk; }
constexpr bool harmless(Fault f) { return f >= Fault::no_done_marker; }

struct Truth {
  Fault fault = Fault::none;
  Dialect dialect = Dialect::openai;  // In which it was said.
  uint32_t host = 0;
  uint64_t call = 0;
  uint16_t status = 200;
  bool stream = false;
  bool good = false;                // A whole success.
  std::string body;                 // All that was, or would have been, said.
  std::vector<std::string> events;  // Data of the events of a stream, [DONE] left out.
  std::string text;                 // Its content.
  uint64_t tokens = 0;              // That it used, if it is a success.
};

enum class End : uint8_t { keep, fin, reset, stall };

struct Step {
  Duration gap;
  std::string bytes;
};

struct Script {
  std::vector<Step> steps;
  End end = End::keep;
  bool by_bytes = false;  // Every read brings a few bytes.
  Duration end_gap;
  Truth truth;
};

// What the engine is told of the wall clock, always: dates in answers lie behind it by what they ask for.
constexpr int64_t kUnixTime = 1'795'000'000;

// What is asked of an upstream: an answer, streamed or not. `wait`: for Fault::throttled, what it says.
struct Asking {
  Dialect dialect = Dialect::openai;
  bool stream = false;
  uint64_t id = 0;      // Marks the answer, by the field x-sim-response.
  uint64_t prompt = 7;  // Its tokens, and the most that may be answered: what usage says.
  uint64_t allowed = UINT64_MAX;
  Duration wait;
};
Script make_answer(Fault fault, const Asking& asking, Rng& rng);

}  // namespace lb::sim
