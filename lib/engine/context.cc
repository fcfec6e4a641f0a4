#include "engine/context.h"

#include <algorithm>

#include "base/batch.h"
#include "wire/escape.h"

namespace lb {

RequestId::RequestId(Rng& rng) : text_{'l', 'b', '-'} {
  static constexpr char kHex[] = "0123456789abcdef";
  uint64_t bits = rng.next();
  for (size_t i = 3; i < kSize; i++, bits >>= 4) text_[i] = kHex[bits & 15];
}

Head Context::take_blank() {
  if (blank_heads.empty()) return {};
  Head head = std::move(blank_heads.back());
  blank_heads.pop_back();
  return head;
}

void Context::keep_blank(Head&& head) {
  if (blank_heads.size() == Engine::kBlankHeadsMax) return;
  head.clear();
  blank_heads.push_back(std::move(head));
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
