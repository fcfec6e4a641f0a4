// What the functions of lb.h check before anything else: option structs of any age, and errors on their way out. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "lb.h"

namespace lb {

// No option struct will ever be longer: a size beyond it was never set.
inline constexpr size_t kOptionsMax = 4096;

// Fills `known` (of `size` bytes) from what the caller gave, which may be shorter or longer than this library knows.
std::optional<Error> read_struct(const void* given, void* known, size_t size);

template <typename Options>
std::optional<Error> read_options(const Options* given, Options& known) {
  known = {};
  return read_struct(given, &known, sizeof known);
}

// Has `fill` write a struct of any age: as much as the host's has room for, which is `least` if it is of any use.
template <typename T, typename Fill>
lb_status write_struct(T* out, size_t least, Fill fill) {
  if (!out || out->struct_size < least || out->struct_size > kOptionsMax) return LB_INVALID;
  if (out->struct_size == sizeof(T)) return fill(*out);
  T whole = {};
  lb_status status = fill(whole);
  whole.struct_size = out->struct_size;
  std::memcpy(out, &whole, std::min<size_t>(out->struct_size, sizeof whole));
  return status;
}

inline bool is_text(const void* text, size_t size) { return text || size == 0; }
inline std::string_view view(const void* text, size_t size) { return {static_cast<const char*>(text), size}; }

std::optional<Error> check(const lb_engine_options& options);
std::optional<Error> check(const lb_queue_options& options);
std::optional<Error> check(const lb_call_options& options);

// Writes `error` to `out`, as far as its struct_size allows, and returns its status. `out` may be null.
lb_status report(lb_error* out, const Error& error);
lb_status report(lb_error* out, Status status, const char* message);
lb_status report_ok(lb_error* out);

// `text` in memory that lb_free frees, with a NUL behind it.
char* allocated(std::string_view text, size_t* len);

// Copies `text` to `out`, cut where a character begins, always with a NUL at its end.
void copy_text(std::string_view text, char* out, size_t capacity);

}  // namespace lb
