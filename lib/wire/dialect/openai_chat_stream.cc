// Streams. Events are read as slices, and written by appending: the only texts that are kept are those of calls that
// have no name yet, and of thoughts that may be signed at their end.
#include "base/text.h"
#include "wire/dialect/openai_chat.h"
#include "wire/dialect/openai_chat_inside.h"
#include "wire/dialect/signature.h"

namespace lb {

namespace {

using Kind = Delta::Kind;

// More than a stream has that makes sense; sources: `n` of OpenAI is at most 128, and so are tools.
constexpr size_t kChoicesMax = 128, kCallsMax = 1024;

class Reader final : public StreamReader {
 public:
  bool event(const SseEvent& event, DeltaSink& to) override;
  bool end(DeltaSink& to) override;

 private:
  struct Call {
    std::optional<uint64_t> upstream;  // Its index as the upstream counts.
    std::string id, name, signature;
    std::string held;  // Of its input, until it is announced.
    bool announced = false;
  };
  struct Choice {
    uint64_t upstream = 0;
    bool finished = false;
    Stop stop = Stop::absent;
    std::vector<Call> calls;
  };

  void begin(Raw chunk, DeltaSink& to);
  void choice(Raw value, DeltaSink& to);
  void delta(Raw delta, Choice& choice, DeltaSink& to);
  void thoughts(Raw delta, uint32_t choice, DeltaSink& to);
  void fragment(Raw value, Choice& choice, DeltaSink& to);
  Call* call_of(Raw value, Choice& choice);
  void announce(Choice& choice, uint32_t index, DeltaSink& to);
  void announce_all(Choice& choice, DeltaSink& to);
  void finish(DeltaSink& to);
  void fail(std::string_view data, DeltaSink& to);
  uint32_t number_of(const Choice& choice) const { return static_cast<uint32_t>(&choice - choices_.data()); }
  static void tell(Kind kind, uint32_t choice, Inner text, DeltaSink& to) {
    if (text.empty()) return;
    Delta out{.kind = kind};
    out.choice = choice;
    out.text = text;
    to.on(out);
  }

  bool begun_ = false, ended_ = false, failed_ = false;
  std::vector<Choice> choices_;
};

bool Reader::event(const SseEvent& event, DeltaSink& to) {
  std::string_view data = trim(event.data);
  if (ended_ || failed_ || data.empty()) return true;
  if (data == "[DONE]") {
    finish(to);
    return true;
  }
  Result<Raw> json = Raw::parse(data);
  if (!json.ok() || !json.value().is_object()) return false;
  Raw choices, usage;
  for (RawWalk at = json.value().walk(); at.next();) {
    if (at.is("error") && says_error(at.value())) {
      fail(data, to);
      return true;
    }
    if (at.is("choices")) choices = at.value();
    if (at.is("usage")) usage = at.value();
  }
  // Azure's first chunk has no choice, and the id of none; the last one only has usage.
  if (choices.is_array())
    for (RawWalk at = choices.walk(); at.next();) {
      begin(json.value(), to);
      choice(at.value(), to);
    }
  if (usage.is_object() && begun_) {
    Delta out{.kind = Kind::usage};
    out.usage = read_openai_usage(usage);
    if (out.usage.any()) to.on(out);
  }
  return true;
}

void Reader::begin(Raw chunk, DeltaSink& to) {
  if (begun_) return;
  begun_ = true;
  Delta out{.kind = Kind::begin};
  out.id = chunk["id"].inner();
  out.model = chunk["model"].inner();
  to.on(out);
}

void Reader::choice(Raw value, DeltaSink& to) {
  Raw change, reason;
  uint64_t upstream = 0;
  for (RawWalk at = value.walk(); value.is_object() && at.next();) {
    if (at.is("index")) upstream = at.value().integer().value_or(0);
    if (at.is("delta")) change = at.value();
    if (at.is("finish_reason")) reason = at.value();
    if (at.is("logprobs") && at.value().given()) tell(Kind::lost, 0, "choices.logprobs", to);
  }
  Choice* found = nullptr;
  for (Choice& one : choices_)
    if (one.upstream == upstream) found = &one;
  if (!found) {
    if (choices_.size() == kChoicesMax) return tell(Kind::lost, 0, "choices", to);
    found = &choices_.emplace_back();
    found->upstream = upstream;
  }
  if (change.is_object()) delta(change, *found, to);
  if (reason.inner().empty()) return;
  // Some say it in every chunk, so it is told when the stream is whole.
  found->finished = true;
  found->stop = stop_of_finish_reason(reason);
}

void Reader::delta(Raw delta, Choice& choice, DeltaSink& to) {
  Raw content, refusal, calls;
  bool thinks = false;
  for (RawWalk at = delta.walk(); at.next();) {
    if (at.is("content")) content = at.value();
    if (at.is("refusal")) refusal = at.value();
    if (at.is("tool_calls")) calls = at.value();
    thinks = thinks || at.key().starts_with("reasoning");
    bool given = at.value().given() && (at.is("annotations") || at.is("audio") || at.is("function_call"));
    if (given && at.value().size() > 0) tell(Kind::lost, 0, at.key(), to);
  }
  if (thinks) thoughts(delta, number_of(choice), to);
  if (content.is_string()) tell(Kind::text, number_of(choice), content.inner(), to);
  if (content.is_array())
    for (RawWalk at = content.walk(); at.next();) tell(Kind::text, number_of(choice), at.value()["text"].inner(), to);
  tell(Kind::refusal, number_of(choice), refusal.inner(), to);
  if (calls.is_array())
    for (RawWalk at = calls.walk(); at.next();) fragment(at.value(), choice, to);
}

// OpenRouter says the same in `reasoning` and `reasoning_details`; the latter also has signatures.
void Reader::thoughts(Raw delta, uint32_t choice, DeltaSink& to) {
  Raw details = delta["reasoning_details"];
  bool texts = false;
  for (RawWalk at = details.walk(); details.is_array() && at.next();) {
    Raw entry = at.value();
    texts = texts || !entry["text"].inner().empty() || !entry["summary"].inner().empty();
    tell(Kind::thinking, choice, entry["text"].inner(), to);
    tell(Kind::thinking, choice, entry["summary"].inner(), to);
    Delta out{.kind = entry["signature"].given() ? Kind::signature : Kind::redacted};
    out.choice = choice;
    out.text = entry[entry["signature"].given() ? "signature" : "data"].inner();
    out.origin = origin_of_format(entry["format"].inner());
    if (!out.text.empty()) to.on(out);
  }
  if (texts) return;
  Raw text = delta["reasoning_content"];
  tell(Kind::thinking, choice, (text.is_string() ? text : delta["reasoning"]).inner(), to);
}

// Which call a fragment belongs to: as its index says, unless its id is another's; without an index as its id says, or
// the last one, unless it has a name (reference/wire.md §5). A new one if there is none.
Reader::Call* Reader::call_of(Raw value, Choice& choice) {
  std::optional<uint64_t> upstream = value["index"].integer();
  Inner id = value["id"].inner();
  bool named = !value["function"]["name"].inner().empty();
  for (size_t i = choice.calls.size(); i-- > 0;) {
    Call& call = choice.calls[i];
    bool same_id = id.empty() || call.id.empty() || call.id == id;
    if (upstream ? call.upstream == upstream && same_id : id.empty() ? !named : call.id == id) return &call;
    if (upstream && call.upstream == upstream) break;  // A later one took its index.
  }
  if (choice.calls.size() == kCallsMax) return nullptr;
  Call& call = choice.calls.emplace_back();
  call.upstream = upstream;
  return &call;
}

void Reader::fragment(Raw value, Choice& choice, DeltaSink& to) {
  Call* call = call_of(value, choice);
  if (!call) return tell(Kind::lost, 0, "tool_calls", to);
  auto index = static_cast<uint32_t>(call - choice.calls.data());
  Raw arguments = value["function"]["arguments"];
  if (!call->announced) {
    if (call->id.empty()) call->id = value["id"].inner();
    if (call->name.empty()) call->name = value["function"]["name"].inner();
    call->signature.append(value["extra_content"]["google"]["thought_signature"].inner());
    // Not as documented, but some send an object.
    if (arguments.is_object())
      append_inner(call->held, arguments.text());
    else
      call->held.append(arguments.inner());
    if (!call->name.empty() && (!call->id.empty() || !call->held.empty())) announce(choice, index, to);
    return;
  }
  if (arguments.inner().empty()) return;
  Delta out{.kind = Kind::input};
  out.choice = number_of(choice);
  out.index = index;
  out.text = arguments.inner();
  to.on(out);
}

void Reader::announce(Choice& choice, uint32_t index, DeltaSink& to) {
  Call& call = choice.calls[index];
  call.announced = true;
  Delta out{.kind = Kind::signature};
  out.choice = number_of(choice);
  out.index = index;
  out.id = call.id;
  out.text = call.signature;
  out.origin = Dialect::gemini;
  if (!call.signature.empty() && !call.id.empty()) to.on(out);
  out.kind = Kind::tool;
  out.text = {};
  out.name = call.name;
  to.on(out);
  out.kind = Kind::input;
  out.text = call.held;
  if (!call.held.empty()) to.on(out);
  call.held.clear();
}

void Reader::announce_all(Choice& choice, DeltaSink& to) {
  for (uint32_t i = 0; i < choice.calls.size(); i++) {
    if (choice.calls[i].announced) continue;
    if (choice.calls[i].name.empty())
      tell(Kind::lost, 0, "tool_calls", to);
    else
      announce(choice, i, to);
  }
}

void Reader::fail(std::string_view data, DeltaSink& to) {
  failed_ = true;
  tell_error(data, to);
}

void Reader::finish(DeltaSink& to) {
  begin({}, to);
  for (Choice& choice : choices_) {
    announce_all(choice, to);
    Delta out{.kind = Kind::stop};
    out.choice = number_of(choice);
    out.stop = choice.stop;
    if (choice.finished) to.on(out);
  }
  ended_ = true;
  to.on(Delta{.kind = Kind::end});
}

bool Reader::end(DeltaSink& to) {
  if (ended_ || failed_ || choices_.empty()) return ended_;
  for (const Choice& choice : choices_)
    if (!choice.finished) return false;
  finish(to);  // Some end without [DONE].
  return true;
}

class Writer final : public StreamWriter {
 public:
  explicit Writer(const WriteAnswer& how) : how_(how) {}
  void on(const Delta& delta) override;

 private:
  struct Choice {
    uint32_t index = 0;
    Stop stop = Stop::absent;
    uint32_t calls = 0;
    bool input = false;  // The last of them has had some.
    uint32_t thoughts = 0;
    std::string thought;
  };

  // The longest thought of which the text is said once more with its signature.
  static constexpr size_t kThoughtMax = 1024 * 1024;

  void begin(const Delta& delta);
  Choice& choice_of(uint32_t index);
  JsonText open(const Choice& choice);
  void close();
  void text(Choice& choice, std::string_view member, Inner text);
  void tool(Choice& choice, const Delta& delta);
  void input(Choice& choice, uint32_t index, Inner text);
  void end_call(Choice& choice);
  void opaque(Choice& choice, const Delta& delta);
  void finish(Choice& choice);
  void end();

  const WriteAnswer& how_;
  std::string before_, after_;  // What all chunks have in common.
  std::string signature_;       // Of the call that comes next.
  std::vector<Choice> choices_;
  Tokens usage_;
};

void Writer::begin(const Delta& delta) {
  if (!before_.empty()) return;
  std::string id;
  append_openai_id(id, delta.id, how_);
  before_ = "data: ";
  JsonText json(before_);
  json.begin_object().inner("id", id).inner("object", "chat.completion.chunk").number("created", how_.created);
  if (how_.model.empty())
    json.inner("model", delta.model);
  else
    json.bytes("model", how_.model);
  json.key("choices").begin_array();
  after_ = how_.stream_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n";
  usage_.take(delta.usage);
  choice_of(0);
}

Writer::Choice& Writer::choice_of(uint32_t index) {
  for (Choice& choice : choices_)
    if (choice.index == index) return choice;
  Choice& choice = choices_.emplace_back();
  choice.index = index;
  open(choice).inner("role", "assistant").inner("content", "");
  close();
  return choice;
}

// A chunk up to where the members of its delta go.
JsonText Writer::open(const Choice& choice) {
  out().append(before_);
  JsonText json(out());
  json.begin_object().number("index", choice.index).key("delta").begin_object();
  return json;
}

void Writer::close() { out().append("},\"finish_reason\":null").append(after_); }

void Writer::text(Choice& choice, std::string_view member, Inner text) {
  open(choice).inner(member, text);
  close();
}

void Writer::tool(Choice& choice, const Delta& delta) {
  end_call(choice);
  choice.calls = std::max(choice.calls, delta.index + 1);
  choice.input = false;
  JsonText json = open(choice);
  json.key("tool_calls").begin_array().begin_object().number("index", delta.index);
  json.key("id");
  if (delta.id.empty())
    json.bytes("call_" + std::string(how_.id) + "_" + std::to_string(choice.index) + "_" + std::to_string(delta.index));
  else
    json.inner(delta.id);
  json.inner("type", "function").key("function").begin_object().inner("name", delta.name).inner("arguments", "");
  json.end_object();
  if (!signature_.empty()) write_openai_signature(json, signature_);
  signature_.clear();
  json.end_object().end_array();
  close();
}

void Writer::input(Choice& choice, uint32_t index, Inner text) {
  choice.input = true;
  JsonText json = open(choice);
  json.key("tool_calls").begin_array().begin_object().number("index", index).key("function").begin_object();
  json.inner("arguments", text).end_object().end_object().end_array();
  close();
}

// A call without input has an empty object.
void Writer::end_call(Choice& choice) {
  if (choice.calls > 0 && !choice.input) input(choice, choice.calls - 1, "{}");
}

// Signatures, and thoughts that are hidden: what the caller has to send back.
void Writer::opaque(Choice& choice, const Delta& delta) {
  if (delta.kind == Kind::signature && !delta.id.empty()) {
    signature_.clear();
    append_signature(signature_, Dialect::gemini, delta.origin, false, delta.text);
    return;
  }
  if (choice.thought.size() > kThoughtMax) return losses().add("reasoning_details");
  Part part;
  part.kind = delta.kind == Kind::redacted ? Part::Kind::redacted : Part::Kind::thinking;
  part.text = delta.kind == Kind::redacted ? delta.text : Inner(choice.thought);
  part.signature = delta.text;
  part.origin = delta.origin;
  JsonText json = open(choice);
  json.key("reasoning_details").begin_array();
  write_openai_thought(json, part, choice.thoughts++);
  json.end_array();
  close();
  if (delta.kind == Kind::signature) choice.thought.clear();
}

void Writer::finish(Choice& choice) {
  end_call(choice);
  open(choice);
  std::string_view reason = finish_reason(choice.stop, choice.calls > 0);
  out().append("},\"finish_reason\":\"").append(reason).append("\"").append(after_);
}

// A chunk with a reason to stop is an end to those who read without [DONE]: so it comes once the stream is whole.
void Writer::end() {
  for (Choice& choice : choices_) finish(choice);
  if (how_.stream_usage && usage_.any()) {
    out().append(before_).append("]");
    std::string usage;
    JsonText json(usage);
    write_openai_usage(json, usage_);
    out().append(",").append(usage).append("}\n\n");
  }
  out().append("data: [DONE]\n\n");
}

void Writer::on(const Delta& delta) {
  if (delta.kind == Kind::error) {
    std::string message = decode_inner(delta.text);
    out().append(openai_error_event(message, openai_error_type(delta.error), openai_error_code(delta.error)));
    return;
  }
  begin(delta);
  Choice& choice = choice_of(delta.choice);
  switch (delta.kind) {
    case Kind::text: return text(choice, "content", delta.text);
    case Kind::refusal: return text(choice, "refusal", delta.text);
    case Kind::thinking:
      if (choice.thought.size() <= kThoughtMax) choice.thought.append(delta.text);
      return text(choice, "reasoning_content", delta.text);
    case Kind::signature:
    case Kind::redacted: return opaque(choice, delta);
    case Kind::tool: return tool(choice, delta);
    case Kind::input: return input(choice, delta.index, delta.text);
    case Kind::stop:
      if (!delta.stop_sequence.empty()) losses().add("stop_sequence");
      if (choice.stop == Stop::absent) choice.stop = delta.stop;
      return;
    case Kind::usage: return usage_.take(delta.usage);
    case Kind::end: return end();
    case Kind::begin:
    case Kind::error:
    case Kind::lost: return;
  }
}

}  // namespace

std::unique_ptr<StreamReader> openai_stream_reader() { return std::make_unique<Reader>(); }
std::unique_ptr<StreamWriter> openai_stream_writer(const WriteAnswer& how) { return std::make_unique<Writer>(how); }

}  // namespace lb
