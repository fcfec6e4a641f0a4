// Reads streams: event by event, as slices.
#include "base/text.h"
#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/anthropic_messages_inside.h"

namespace lb {

namespace {

using Kind = Delta::Kind;

class Reader final : public StreamReader {
 public:
  bool event(const SseEvent& event, DeltaSink& to) override;
  bool end(DeltaSink&) override { return ended_; }

 private:
  void start(Raw message, DeltaSink& to);
  void block_start(Raw block, DeltaSink& to);
  void block_delta(Raw delta, DeltaSink& to);
  void signature(DeltaSink& to);
  void message_delta(Raw delta, Raw usage, DeltaSink& to);
  void take_usage(Raw usage, DeltaSink& to);
  void fail(std::string_view data, DeltaSink& to);
  void tell(Kind kind, Inner text, DeltaSink& to) const {
    if (text.empty()) return;
    Delta out{.kind = kind};
    out.text = text;
    out.index = calls_ - (calls_ > 0 ? 1 : 0);
    out.origin = Dialect::anthropic;
    to.on(out);
  }

  bool begun_ = false, ended_ = false, failed_ = false;
  bool call_ = false;  // The block that is open is a call of the caller's tools.
  uint32_t calls_ = 0;
  AnthropicUsage usage_;
};

bool Reader::event(const SseEvent& event, DeltaSink& to) {
  std::string_view data = trim(event.data);
  if (ended_ || failed_ || data.empty()) return true;
  Result<Raw> json = Raw::parse(data);
  if (!json.ok() || !json.value().is_object()) {
    if (event.name == "error") fail(data, to);
    return event.name == "error";
  }
  Raw type, message, block, delta, usage, error;
  for (RawWalk at = json.value().walk(); at.next();) {
    if (at.is("type")) type = at.value();
    if (at.is("message")) message = at.value();
    if (at.is("content_block")) block = at.value();
    if (at.is("delta")) delta = at.value();
    if (at.is("usage")) usage = at.value();
    if (at.is("error")) error = at.value();
  }
  Inner what = type.inner();
  if (what == "error" || event.name == "error" || says_error(error)) {
    fail(data, to);
    return true;
  }
  if (what == "message_start") {
    start(message, to);
    return true;
  }
  // Pings, the ends of blocks, and what is not known.
  bool known = what == "content_block_start" || what == "content_block_delta" || what == "message_delta" ||
               what == "message_stop";
  if (!known) return true;
  start({}, to);
  if (what == "content_block_start") block_start(block, to);
  if (what == "content_block_delta") block_delta(delta, to);
  if (what == "message_delta") message_delta(delta, usage, to);
  if (what == "message_stop") {
    ended_ = true;
    to.on(Delta{.kind = Kind::end});
  }
  return true;
}

void Reader::start(Raw message, DeltaSink& to) {
  if (begun_) return;
  begun_ = true;
  usage_.take(message["usage"]);
  Delta out{.kind = Kind::begin};
  out.id = message["id"].inner();
  out.model = message["model"].inner();
  out.usage = usage_.tokens();
  to.on(out);
}

// Blocks begin empty; some that imitate the API put all into the beginning.
void Reader::block_start(Raw block, DeltaSink& to) {
  Inner type = block["type"].inner();
  call_ = type == "tool_use";
  if (type == "text") {
    tell(Kind::text, block["text"].inner(), to);
  } else if (type == "thinking") {
    tell(Kind::thinking, block["thinking"].inner(), to);
    tell(Kind::signature, block["signature"].inner(), to);
  } else if (type == "redacted_thinking") {
    tell(Kind::redacted, block["data"].inner(), to);
  } else if (type == "tool_use") {
    Delta out{.kind = Kind::tool};
    out.index = calls_++;
    out.id = block["id"].inner();
    out.name = block["name"].inner();
    to.on(out);
    if (block["input"].size() == 0) return;
    std::string input = encode_inner(block["input"].text());
    tell(Kind::input, input, to);
  } else {
    tell(Kind::lost, type, to);  // What a server's tool does and finds.
  }
}

void Reader::block_delta(Raw delta, DeltaSink& to) {
  Inner type;
  Raw value;
  for (RawWalk at = delta.walk(); delta.is_object() && at.next();) {
    if (at.is("type")) type = at.value().inner();
    if (at.is("text") || at.is("partial_json") || at.is("thinking") || at.is("signature")) value = at.value();
  }
  if (type == "text_delta") tell(Kind::text, value.inner(), to);
  if (type == "input_json_delta" && call_) tell(Kind::input, value.inner(), to);
  if (type == "thinking_delta") tell(Kind::thinking, value.inner(), to);
  if (type == "signature_delta") tell(Kind::signature, value.inner(), to);
  if (type == "citations_delta") tell(Kind::lost, "citations", to);
}

void Reader::take_usage(Raw usage, DeltaSink& to) {
  usage_.take(usage);
  Delta out{.kind = Kind::usage};
  out.usage = usage_.tokens();
  if (usage.is_object() && out.usage.any()) to.on(out);
}

void Reader::message_delta(Raw delta, Raw usage, DeltaSink& to) {
  take_usage(usage, to);
  Inner reason = delta["stop_reason"].inner();
  if (reason.empty()) return;
  Delta out{.kind = Kind::stop};
  out.stop = stop_of_reason(reason);
  out.stop_sequence = delta["stop_sequence"].inner();
  to.on(out);
}

void Reader::fail(std::string_view data, DeltaSink& to) {
  failed_ = true;
  tell_error(data, to);
}

}  // namespace

std::unique_ptr<StreamReader> anthropic_stream_reader() { return std::make_unique<Reader>(); }

}  // namespace lb
