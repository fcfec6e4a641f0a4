#include "abi/arguments.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/slab.h"
#include "base/text.h"
#include "engine/engine.h"

namespace lb {

namespace {

constexpr uint32_t kEngineFlags = LB_ENGINE_DRIVEN | LB_ENGINE_SECRETS | LB_ENGINE_NO_LISTEN;
constexpr uint32_t kCallFlags = LB_CALL_ATTEMPTS | LB_CALL_APPEND;
constexpr uint32_t kCallsMax = Slab<int>::kSlotsMax;  // What the engine's table of calls can hold.

std::optional<Error> unsupported(const char* what, uint64_t value) {
  std::string text = std::string(what) + " " + std::to_string(value);
  return Error{Status::UNSUPPORTED, "", text + " is not known to this build"};
}

}  // namespace

std::optional<Error> read_struct(const void* given, void* known, size_t size) {
  if (!given) return std::nullopt;
  uint32_t told;
  std::memcpy(&told, given, sizeof told);
  if (told < sizeof told || told > kOptionsMax)
    return Error{Status::INVALID, "", "struct_size is not set; write options.struct_size = sizeof options"};
  const auto* bytes = static_cast<const unsigned char*>(given);
  for (size_t i = size; i < told; i++)
    if (bytes[i] != 0) return unsupported("the option at byte", i);
  std::memcpy(known, given, std::min<size_t>(told, size));
  return std::nullopt;
}

std::optional<Error> check(const lb_engine_options& options) {
  if (options.flags & ~kEngineFlags) return unsupported("an engine flag of", options.flags);
  if (options.log_level > static_cast<uint32_t>(LogLevel::debug)) return unsupported("log_level", options.log_level);
  if (options.calls_max > kCallsMax)
    return Error{Status::INVALID, "", "calls_max is at most " + std::to_string(kCallsMax)};
  return std::nullopt;
}

std::optional<Error> check(const lb_queue_options& options) {
  if (options.flags) return unsupported("a queue flag of", options.flags);
  if (options.wake && options.deliver)
    return Error{Status::INVALID, "", "wake and deliver exclude each other: what is delivered need not be polled"};
  return std::nullopt;
}

std::optional<Error> check(const lb_call_options& options) {
  if (options.flags & ~kCallFlags) return unsupported("a call flag of", options.flags);
  if (options.delivery > LB_DELIVER_WHOLE) return unsupported("delivery", options.delivery);
  return std::nullopt;
}

void copy_text(std::string_view text, char* out, size_t capacity) {
  text = cut_text(text, capacity - 1);
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = 0;
}

char* allocated(std::string_view text, size_t* len) {
  char* out = static_cast<char*>(std::malloc(text.size() + 1));
  if (!out) return nullptr;
  std::memcpy(out, text.data(), text.size());
  out[text.size()] = 0;
  if (len) *len = text.size();
  return out;
}

lb_status report(lb_error* out, const Error& error) {
  auto status = static_cast<lb_status>(error.status);
  if (!out) return status;
  uint32_t told = out->struct_size;
  if (told < offsetof(lb_error, where)) return status;
  out->status = status;
  if (told < sizeof(lb_error)) return status;
  copy_text(error.where, out->where, sizeof out->where);
  copy_text(error.message, out->message, sizeof out->message);
  return status;
}

lb_status report(lb_error* out, Status status, const char* message) { return report(out, Error{status, "", message}); }

lb_status report_ok(lb_error* out) { return report(out, Error{}); }

}  // namespace lb
