#include "engine/context.h"

#include <algorithm>

#include "base/batch.h"
#include "wire/escape.h"

namespace lb {

std::string make_request_id(Rng& rng) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id = "lb-";
  uint64_t bits = rng.next();
  for (int i = 0; i < 16; i++, bits >>= 4) id += kHex[bits & 15];
  return id;
}

void Outbox::flush() {
  round_.swap(sinks_);
  for (EventSink*& sink : round_) {
    if (!sink) continue;
    sink->listed_ = false;
    batch_.swap(sink->pending_);
    sink->deliver(batch_);
    empty_batch(batch_);
  }
  round_.clear();
}

void Outbox::forget(EventSink& sink) {
  sink.pending_.clear();
  sink.listed_ = false;
  std::erase(sinks_, &sink);
  std::replace(round_.begin(), round_.end(), &sink, static_cast<EventSink*>(nullptr));
}

namespace {

constexpr std::string_view kLevelNames[] = {"none", "error", "warn", "info", "debug"};

}  // namespace

void Context::log(LogLevel level, std::string_view message, std::string_view fields) {
  if (!options.log || level > options.log_level || level == LogLevel::none) return;
  std::string line = "{\"level\":\"";
  line += kLevelNames[static_cast<size_t>(level)];
  line += "\",\"msg\":" + json_quote(message);
  if (!fields.empty()) line.append(",").append(fields);
  line += "}";
  Event event;
  event.kind = Event::Kind::log;
  event.code = static_cast<uint32_t>(level);
  event.time = now;
  event.data = Chunk::copy(line);
  outbox.push(*options.log, std::move(event));
}

}  // namespace lb
