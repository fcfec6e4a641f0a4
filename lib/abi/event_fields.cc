// What an event knows beyond its 64 bytes: lb_event_u64 and lb_event_text.
#include "engine/event.h"
#include "lb.h"

namespace {

std::optional<uint64_t> number_of(const lb::Detail& detail, uint32_t field) {
  auto ns = [](lb::Duration value) { return static_cast<uint64_t>(value.ns); };
  switch (field) {
    case LB_FIELD_TOKENS_IN:
      return detail.usage.input;
    case LB_FIELD_TOKENS_OUT:
      return detail.usage.output;
    case LB_FIELD_TOKENS_CACHED:
      return detail.usage.cached;
    case LB_FIELD_ATTEMPTS:
      return detail.attempts;
    case LB_FIELD_QUEUED_NS:
      return ns(detail.queued);
    case LB_FIELD_FIRST_BYTE_NS:
      return detail.first_byte ? std::optional(ns(*detail.first_byte)) : std::nullopt;
    case LB_FIELD_TOTAL_NS:
      return ns(detail.total);
    case LB_FIELD_RETRY_AFTER_MS:
      return detail.retry_after ? std::optional(static_cast<uint64_t>(detail.retry_after->ms_ceil())) : std::nullopt;
    case LB_FIELD_WINDOW_BYTES:
      return detail.window ? std::optional(detail.window) : std::nullopt;
  }
  return std::nullopt;
}

// It ends in NUL.
std::string_view text_of(const lb::Detail& detail, uint32_t field) {
  switch (field) {
    case LB_FIELD_UPSTREAM:
      return detail.upstream;
    case LB_FIELD_MODEL:
      return detail.model;
    case LB_FIELD_MESSAGE:
      return detail.message;
    case LB_FIELD_REQUEST_ID:
      return detail.request_id.view();
    case LB_FIELD_TRACE:
      return detail.trace;
  }
  return {};
}

}  // namespace

extern "C" {

int32_t lb_event_u64(const lb_event* event, uint32_t field, uint64_t* out) {
  if (!event || !event->detail || !out) return 0;
  std::optional<uint64_t> value = number_of(*static_cast<const lb::Detail*>(event->detail), field);
  if (!value) return 0;
  *out = *value;
  return 1;
}

int32_t lb_event_text(const lb_event* event, uint32_t field, const char** out, size_t* len) {
  if (!event || !event->detail || !out) return 0;
  std::string_view value = text_of(*static_cast<const lb::Detail*>(event->detail), field);
  if (value.empty()) return 0;
  *out = value.data();
  if (len) *len = value.size();
  return 1;
}

}  // extern "C"
