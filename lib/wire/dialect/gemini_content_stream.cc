#include <charconv>
#include <vector>

#include "base/text.h"
#include "wire/dialect/fields.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::gemini {

namespace {

// The class of an error that came within a stream, by its code or its status.
ErrorClass class_of(uint64_t code, std::string_view status) {
  if (status == "RESOURCE_EXHAUSTED" || code == 429) return ErrorClass::rate_limit;
  if (status == "UNAVAILABLE" || code == 503) return ErrorClass::overloaded;
  if (status == "UNAUTHENTICATED" || status == "PERMISSION_DENIED" || code == 401 || code == 403)
    return ErrorClass::auth;
  if (status == "NOT_FOUND" || code == 404) return ErrorClass::not_found;
  if (status == "DEADLINE_EXCEEDED" || code == 504) return ErrorClass::timeout;
  return code >= 400 && code < 500 ? ErrorClass::bad_request : ErrorClass::server;
}

// Which HTTP status an error of a class has, for the code within a stream.
uint32_t status_of(ErrorClass what) {
  switch (what) {
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter: return 400;
    case ErrorClass::auth: return 403;
    case ErrorClass::billing:
    case ErrorClass::rate_limit: return 429;
    case ErrorClass::overloaded: return 503;
    case ErrorClass::not_found: return 404;
    case ErrorClass::timeout: return 504;
    case ErrorClass::none:
    case ErrorClass::server:
    case ErrorClass::connect:
    case ErrorClass::broken: return 500;
  }
  return 500;
}

class Reader final : public StreamReader {
 public:
  bool event(const SseEvent& event, DeltaSink& to) override {
    std::string_view data = trim(event.data);
    if (data.empty() || data == "[DONE]") return true;
    Result<Raw> json = Raw::parse(data);
    if (!json.ok()) return false;
    Raw top = json.value();
    // Some errors come as a list of one.
    if (RawWalk at = top.walk(); top.is_array() && at.next()) top = at.value();
    chunk(top, to);
    return true;
  }

  bool end(DeltaSink& to) override {
    if (choices_.empty()) return false;
    for (const State& state : choices_)
      if (state.begun && state.stop == Stop::absent) return false;
    for (uint32_t i = 0; i < choices_.size(); i++) {
      const State& state = choices_[i];
      bool called = state.calls > 0 && state.stop != Stop::length && state.stop != Stop::filter;
      if (state.begun) to.on({.kind = Delta::Kind::stop, .choice = i, .stop = called ? Stop::tools : state.stop});
    }
    to.on({.kind = Delta::Kind::end});
    return true;
  }

 private:
  struct State {
    uint32_t calls = 0;
    bool begun = false;
    Stop stop = Stop::absent;
  };
  // As many candidates as an answer may have, with room; source: candidateCount is 8 at most (API reference).
  static constexpr size_t kChoicesMax = 64;

  void chunk(Raw top, DeltaSink& to) {
    Raw candidates, feedback, usage, id, model, error;
    for (RawWalk at = top.walk(); at.next();) {
      std::string_view key = at.key();
      if (named(key, "candidates")) candidates = at.value();
      else if (named(key, "promptFeedback")) feedback = at.value();
      else if (named(key, "usageMetadata")) usage = at.value();
      else if (named(key, "responseId")) id = at.value();
      else if (named(key, "modelVersion")) model = at.value();
      else if (at.is("error")) error = at.value();
    }
    if (says_error(error)) return fail(error, to);
    Tokens tokens = read_usage(usage);
    if (!begun_) {
      begun_ = true;
      to.on({.kind = Delta::Kind::begin, .id = id.inner(), .model = model.inner(), .usage = tokens});
    }
    for (RawWalk at = candidates.walk(); at.next();) candidate(at.value(), to);
    if (choices_.empty() && member(feedback, "blockReason").is_string()) {
      choices_.resize(1);
      choices_[0].begun = true;
      choices_[0].stop = Stop::filter;
    }
    if (tokens.any()) to.on({.kind = Delta::Kind::usage, .usage = tokens});
  }

  void fail(Raw error, DeltaSink& to) {
    Inner message = error.is_string() ? error.inner() : member(error, "message").inner();
    uint64_t code = member(error, "code").integer().value_or(500);
    to.on({.kind = Delta::Kind::error, .text = message, .error = class_of(code, member(error, "status").inner())});
  }

  void candidate(Raw from, DeltaSink& to) {
    Raw content, reason;
    uint64_t index = 0;
    bool lost = false;
    for (RawWalk at = from.walk(); at.next();) {
      std::string_view key = at.key();
      if (named(key, "content")) content = at.value();
      else if (named(key, "finishReason")) reason = at.value();
      else if (named(key, "index")) index = at.value().integer().value_or(0);
      else if (named(key, "groundingMetadata") || named(key, "citationMetadata")) lost = lost || at.value().given();
    }
    if (index >= kChoicesMax) return;
    if (choices_.size() <= index) choices_.resize(index + 1);
    choices_[index].begun = true;
    auto choice = static_cast<uint32_t>(index);
    for (RawWalk at = member(content, "parts").walk(); at.next();) part(at.value(), choice, to);
    if (lost) to.on({.kind = Delta::Kind::lost, .text = "candidates.groundingMetadata"});
    // Older models say it in every chunk, so it is told when the stream is whole.
    if (!reason.is_string() || reason.inner() == "FINISH_REASON_UNSPECIFIED") return;
    choices_[index].stop = stop_of(reason.inner());
    if (is_malformed(reason.inner())) to.on({.kind = Delta::Kind::lost, .text = "candidates.finishReason"});
  }

  void part(Raw from, uint32_t choice, DeltaSink& to) {
    Raw text, call, signature;
    bool thought = false, other = false;
    for (RawWalk at = from.walk(); at.next();) {
      std::string_view key = at.key();
      if (named(key, "text")) text = at.value();
      else if (named(key, "thought")) thought = at.value().is_true();
      else if (named(key, "thoughtSignature")) signature = at.value();
      else if (named(key, "functionCall")) call = at.value();
      else other = other || at.value().given();
    }
    if (other) to.on({.kind = Delta::Kind::lost, .text = "candidates.content.parts"});
    if (call.is_object()) return function_call(call, signature.inner(), choice, to);
    if (!text.inner().empty()) {
      Delta::Kind kind = thought ? Delta::Kind::thinking : Delta::Kind::text;
      to.on({.kind = kind, .choice = choice, .text = text.inner()});
    }
    if (!signature.inner().empty())
      to.on({.kind = Delta::Kind::signature, .choice = choice, .text = signature.inner(), .origin = Dialect::gemini});
  }

  // Calls come whole.
  void function_call(Raw call, Inner signature, uint32_t choice, DeltaSink& to) {
    uint32_t index = choices_[choice].calls++;
    Raw id, name, args;
    for (RawWalk at = call.walk(); at.next();) {
      if (named(at.key(), "id")) id = at.value();
      else if (named(at.key(), "name")) name = at.value();
      else if (named(at.key(), "args")) args = at.value();
    }
    if (!signature.empty())  // The id says that it is a call's, so there must be one.
      to.on({.kind = Delta::Kind::signature, .choice = choice, .index = index, .text = signature,
             .id = id.inner().empty() ? name.inner() : id.inner(), .origin = Dialect::gemini});
    to.on({.kind = Delta::Kind::tool, .choice = choice, .index = index, .id = id.inner(), .name = name.inner()});
    input_.clear();
    append_inner(input_, args.is_object() ? args.text() : "{}");
    to.on({.kind = Delta::Kind::input, .choice = choice, .index = index, .text = input_});
  }

  bool begun_ = false;
  std::vector<State> choices_;
  std::string input_;
};

// Calls stand whole in one part, and their fragments may interleave: they are held until their choice has stopped. The
// reason to stop is in the last chunk, with the usage.
class Writer final : public StreamWriter {
 public:
  explicit Writer(const WriteAnswer& how) {
    append_inner(model_, how.model);
    append_inner(id_, how.id);
  }

  void on(const Delta& delta) override {
    switch (delta.kind) {
      case Delta::Kind::begin:
        if (model_.empty()) model_ = delta.model;
        if (id_.empty()) id_ = delta.id;
        usage_.take(delta.usage);
        return;
      case Delta::Kind::refusal: choice(delta.choice).refused = true; [[fallthrough]];
      case Delta::Kind::text: return text(delta, false);
      case Delta::Kind::thinking: return text(delta, true);
      case Delta::Kind::signature:
      case Delta::Kind::redacted: return signature(delta);
      case Delta::Kind::tool: {
        Call& call = call_of(delta);
        call.id = delta.id;
        call.name = delta.name;
        std::swap(call.signature, choice(delta.choice).signature);
        return;
      }
      case Delta::Kind::input: call_of(delta).input.append(delta.text); return;
      case Delta::Kind::stop:
        calls(delta.choice);
        choice(delta.choice).stop = delta.stop;
        if (!delta.stop_sequence.empty()) losses().add("stop_sequence");
        return;
      case Delta::Kind::usage: usage_.take(delta.usage); return;
      case Delta::Kind::error:
        out().append("data: ");
        append_error(out(), status_of(delta.error), delta.text);
        out().append("\n\n");
        return;
      case Delta::Kind::end: return finish();
      case Delta::Kind::lost: return;
    }
  }

 private:
  struct Call {
    std::string id, name, input, signature;
  };
  struct Held {
    std::vector<Call> calls;  // By index.
    std::string signature;    // Of the call that follows.
    bool begun = false, refused = false;
    Stop stop = Stop::absent;
  };

  Held& choice(uint32_t index) {
    if (held_.size() <= index) held_.resize(index + 1);
    held_[index].begun = true;
    return held_[index];
  }

  Call& call_of(const Delta& delta) {
    Held& held = choice(delta.choice);
    if (held.calls.size() <= delta.index) held.calls.resize(delta.index + 1);
    return held.calls[delta.index];
  }

  void begin_chunk() { out().append("data: {\"candidates\":["); }
  void end_chunk() {
    out().append("],\"modelVersion\":\"").append(model_).append("\",\"responseId\":\"").append(id_).append("\"}\n\n");
  }
  void begin_candidate() { out().append("{\"content\":{\"parts\":["); }
  void end_candidate(uint32_t index) {
    out().append("],\"role\":\"model\"},\"index\":");
    append_number(index);
    out().push_back('}');
  }
  void append_number(uint64_t value) {
    char digits[24];
    out().append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
  }

  void text(const Delta& delta, bool thought) {
    choice(delta.choice);
    if (delta.text.empty()) return;
    begin_chunk();
    begin_candidate();
    out().append("{\"text\":\"").append(delta.text).append(thought ? "\",\"thought\":true}" : "\"}");
    end_candidate(delta.choice);
    end_chunk();
  }

  void signature(const Delta& delta) {
    bool redacted = delta.kind == Delta::Kind::redacted;
    if (!redacted && !delta.id.empty()) {
      std::string& next = choice(delta.choice).signature;
      next.clear();
      append_signature(next, Dialect::gemini, delta.origin, false, delta.text);
      return;
    }
    choice(delta.choice);
    begin_chunk();
    begin_candidate();
    out().append("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"");
    append_signature(out(), Dialect::gemini, redacted ? Dialect::anthropic : delta.origin, redacted, delta.text);
    out().append("\"}");
    end_candidate(delta.choice);
    end_chunk();
  }

  // All calls, in one chunk.
  void calls(uint32_t index) {
    Held& held = choice(index);
    if (held.calls.empty()) return;
    begin_chunk();
    begin_candidate();
    for (const Call& call : held.calls) {
      if (&call != &held.calls.front()) out().push_back(',');
      function_call(call);
    }
    held.calls.clear();
    end_candidate(index);
    end_chunk();
  }

  void function_call(const Call& call) {
    Store store;
    JsonWriter json;
    json.begin_object();
    write_call(json, call.id, call.name, input_object(call.input, store));
    out().append("{\"functionCall\":").append(json.end_object().take());
    if (!call.signature.empty()) out().append(",\"thoughtSignature\":\"").append(call.signature).append("\"");
    out().push_back('}');
  }

  void finish() {
    if (held_.empty()) choice(0);
    for (uint32_t i = 0; i < held_.size(); i++)
      if (held_[i].begun) calls(i);
    begin_chunk();
    bool first = true;
    for (uint32_t i = 0; i < held_.size(); i++) {
      const Held& held = held_[i];
      if (!held.begun) continue;
      if (!first) out().push_back(',');
      first = false;
      begin_candidate();
      Stop stop = held.refused && held.stop == Stop::end ? Stop::filter : held.stop;
      // Never without a part: clients print the text of each chunk.
      out().append("{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"").append(finish_reason(stop));
      out().append("\",\"index\":");
      append_number(i);
      out().push_back('}');
    }
    out().append("],");
    if (usage_.any()) {
      out().append("\"usageMetadata\":");
      append_usage(out(), usage_);
      out().push_back(',');
    }
    if (usage_.written.value_or(0) > 0) losses().add("usage.cache_creation_input_tokens");
    out().append("\"modelVersion\":\"").append(model_).append("\",\"responseId\":\"").append(id_).append("\"}\n\n");
  }

  std::string model_, id_;
  Tokens usage_;
  std::vector<Held> held_;
};

}  // namespace

std::unique_ptr<StreamReader> stream_reader() { return std::make_unique<Reader>(); }
std::unique_ptr<StreamWriter> stream_writer(const WriteAnswer& how) { return std::make_unique<Writer>(how); }

}  // namespace lb::gemini
