#include <vector>

#include "wire/dialect/openai_responses_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::responses {

namespace {

using Kind = Delta::Kind;

// One item is open at a time; what comes meanwhile of other calls is held until the one that is open is whole. All
// items stand once more in the last event, so they are kept.
class Writer final : public StreamWriter {
 public:
  explicit Writer(const WriteAnswer& how) : created_(how.created) {
    append_inner(model_, how.model);
    append_inner(id_, how.id);
  }

  void on(const Delta& delta) override {
    if (delta.choice > 0) return losses().add("choices");
    if (delta.kind != Kind::error && delta.kind != Kind::lost) begin(delta);
    switch (delta.kind) {
      case Kind::begin: usage_.take(delta.usage); return;
      case Kind::text: return text(Open::text, delta.text);
      case Kind::refusal: return text(Open::refusal, delta.text);
      case Kind::thinking: return text(Open::thinking, delta.text);
      case Kind::signature:
      case Kind::redacted: return signature(delta);
      case Kind::tool: return tool(delta);
      case Kind::input: return input(delta);
      case Kind::stop:
        close_all();
        stop_ = delta.stop;
        if (!delta.stop_sequence.empty()) losses().add("stop_sequence");
        return;
      case Kind::usage: usage_.take(delta.usage); return;
      case Kind::error: return fail(delta);
      case Kind::end: return finish();
      case Kind::lost: return;
    }
  }

 private:
  enum class Open : uint8_t { nothing, text, refusal, thinking, call };
  struct Call {
    std::string id, name, input, encrypted;
    bool closed = false;
  };
  static constexpr size_t kNone = SIZE_MAX;

  // --- Events ---

  void open_event(std::string_view type) {
    out().append("event: ").append(type).append("\ndata: {\"type\":\"").append(type);
    out().append("\",\"sequence_number\":");
    append_number(out(), sequence_++);
  }
  void close_event() { out().append("}\n\n"); }
  // The events of an item say which one.
  void item_event(std::string_view type) {
    open_event(type);
    out().append(",\"item_id\":\"").append(item_id_).append("\",\"output_index\":");
    append_number(out(), items_);
  }

  void response_event(std::string_view type, std::string_view status, std::string_view reason,
                      std::string_view error = "null") {
    open_event(type);
    out().append(",\"response\":");
    begin_response(out(), {id_, model_, created_, error}, status, reason);
    out().append(done_);
    end_response(out(), &usage_);
    close_event();
  }

  void begin(const Delta& delta) {
    if (begun_) return;
    begun_ = true;
    if (delta.kind == Kind::begin && model_.empty()) model_ = delta.model;
    if (delta.kind == Kind::begin && id_.empty()) id_ = delta.id;
    response_event("response.created", "in_progress", "");
    response_event("response.in_progress", "in_progress", "");
  }

  // --- Items ---

  void name_item(std::string_view prefix) {
    bare_id_.assign(id_).append("_");
    append_number(bare_id_, items_);
    item_id_.assign(prefix).append(bare_id_);
  }

  void item_added() {
    open_event("response.output_item.added");
    out().append(",\"output_index\":");
    append_number(out(), items_);
    out().append(",\"item\":");
  }

  // The item's last event; the same once more is kept for the end.
  void item_done(std::string_view item) {
    open_event("response.output_item.done");
    out().append(",\"output_index\":");
    append_number(out(), items_);
    out().append(",\"item\":").append(item);
    close_event();
    if (!done_.empty()) done_.push_back(',');
    done_.append(item);
    items_++;
    open_ = Open::nothing;
    text_.clear();
  }

  void text(Open as, Inner text) {
    if (text.empty()) return;
    if (open_ != as) {
      close_all();
      open(as);
    }
    item_event(as == Open::text       ? "response.output_text.delta"
               : as == Open::thinking ? "response.reasoning_summary_text.delta"
                                      : "response.refusal.delta");
    out().append(as == Open::thinking ? ",\"summary_index\":0,\"delta\":\"" : ",\"content_index\":0,\"delta\":\"");
    out().append(text).append(as == Open::text ? "\",\"logprobs\":[]" : "\"");
    close_event();
    text_.append(text);
  }

  void open(Open as) {
    open_ = as;
    bool thinking = as == Open::thinking;
    name_item(thinking ? "rs_" : "msg_");
    item_added();
    thinking ? append_reasoning(out(), item_id_, "", "") : append_message(out(), bare_id_, "", "", false);
    close_event();
    item_event(thinking ? "response.reasoning_summary_part.added" : "response.content_part.added");
    part(as, "");
    close_event();
  }

  void part(Open as, Inner text) {
    if (as == Open::thinking)
      out().append(",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"").append(text).append("\"}");
    else
      append_content(out().append(",\"content_index\":0,\"part\":"), as == Open::refusal ? "refusal" : "output_text",
                     text);
  }

  void close(Inner encrypted = {}) {
    if (open_ == Open::nothing || open_ == Open::call) return;
    bool thinking = open_ == Open::thinking, refusal = open_ == Open::refusal;
    item_event(thinking  ? "response.reasoning_summary_text.done"
               : refusal ? "response.refusal.done"
                         : "response.output_text.done");
    out().append(thinking ? ",\"summary_index\":0" : ",\"content_index\":0");
    out().append(refusal ? ",\"refusal\":\"" : ",\"text\":\"").append(text_);
    out().append(open_ == Open::text ? "\",\"logprobs\":[]" : "\"");
    close_event();
    item_event(thinking ? "response.reasoning_summary_part.done" : "response.content_part.done");
    part(open_, text_);
    close_event();
    item_.clear();
    if (thinking)
      append_reasoning(item_, item_id_, text_, encrypted);
    else
      append_message(item_, bare_id_, refusal ? "refusal" : "output_text", text_, true);
    item_done(item_);
  }

  // Of the thinking that is open, or of what was thought without being shown: an item of its own.
  void signature(const Delta& delta) {
    bool redacted = delta.kind == Kind::redacted;
    std::string encrypted;
    append_signature(encrypted, Dialect::responses, redacted ? Dialect::anthropic : delta.origin, redacted, delta.text);
    if (!redacted && !delta.id.empty()) {
      next_signature_ = encrypted;
    } else if (open_ == Open::thinking && !redacted) {
      close(encrypted);
    } else {
      close_all();
      hidden(encrypted);
    }
  }

  void hidden(Inner encrypted) {
    name_item("rs_");
    item_added();
    append_reasoning(out(), item_id_, "", "");
    close_event();
    item_.clear();
    append_reasoning(item_, item_id_, "", encrypted);
    item_done(item_);
  }

  // --- Calls ---

  Call& call_of(uint32_t index) {
    if (calls_.size() <= index) calls_.resize(index + 1);
    return calls_[index];
  }

  void tool(const Delta& delta) {
    Call& call = call_of(delta.index);
    call.id = delta.id;
    call.name = delta.name;
    std::swap(call.encrypted, next_signature_);
    if (current_ != kNone && is_whole(text_)) close_call();  // Upstreams that give one call after the other.
    if (current_ != kNone) return;
    close();
    if (!call.encrypted.empty()) hidden(call.encrypted);
    current_ = delta.index;
    open_ = Open::call;
    start();
  }

  static bool is_whole(Inner input) {
    std::string text = decode_inner(input);
    Result<Raw> json = Raw::parse(text);
    return json.ok() && json.value().is_object();
  }

  void input(const Delta& delta) {
    Call& call = call_of(delta.index);
    if (call.closed) return losses().add("tool_calls.arguments");
    if (delta.index != current_) {
      call.input.append(delta.text);
      return;
    }
    fragment(delta.text);
  }

  void start() {
    Call& call = calls_[current_];
    name_item("fc_");
    if (call.id.empty()) call.id = "call_" + bare_id_;
    item_added();
    append_call(out(), bare_id_, call.id, call.name, "", false);
    close_event();
  }

  void fragment(Inner text) {
    if (text.empty()) return;
    item_event("response.function_call_arguments.delta");
    out().append(",\"delta\":\"").append(text).append("\"");
    close_event();
    text_.append(text);
  }

  void close_call() {
    if (text_.empty()) fragment("{}");
    Call& call = calls_[current_];
    item_event("response.function_call_arguments.done");
    out().append(",\"name\":\"").append(call.name).append("\",\"arguments\":\"").append(text_).append("\"");
    close_event();
    item_.clear();
    append_call(item_, bare_id_, call.id, call.name, text_, true);
    call.closed = true;
    current_ = kNone;
    item_done(item_);
  }

  // What is open, and the calls that have waited behind it.
  void close_all() {
    close();
    if (current_ != kNone) close_call();
    for (size_t i = 0; i < calls_.size(); i++) {
      Call& call = calls_[i];
      if (call.closed) continue;
      if (!call.encrypted.empty()) hidden(call.encrypted);
      current_ = i;
      open_ = Open::call;
      start();
      fragment(call.input);
      close_call();
    }
  }

  // --- The end ---

  void fail(const Delta& delta) {
    if (!begun_) {
      open_event("error");
      out().append(",\"code\":\"").append(error_code(delta.error)).append("\",\"message\":\"").append(delta.text);
      out().append("\",\"param\":null");
      return close_event();
    }
    std::string error = "{\"code\":\"" + std::string(error_code(delta.error)) + "\",\"message\":\"" +
                        std::string(delta.text) + "\"}";
    response_event("response.failed", "failed", "", error);
  }

  void finish() {
    close_all();
    if (stop_ == Stop::length || stop_ == Stop::context)
      response_event("response.incomplete", "incomplete", "max_output_tokens");
    else if (stop_ == Stop::filter)
      response_event("response.incomplete", "incomplete", "content_filter");
    else
      response_event("response.completed", "completed", "");
  }

  std::string model_, id_;
  uint64_t created_;
  bool begun_ = false;
  Open open_ = Open::nothing;
  std::string item_id_, bare_id_;  // Of the open item, with its prefix and without.
  std::string text_;               // What it has so far.
  std::string item_;
  size_t current_ = kNone;  // The call that is open.
  std::string next_signature_;
  std::vector<Call> calls_;
  std::string done_;        // Items that are whole.
  size_t items_ = 0;
  uint64_t sequence_ = 0;
  Tokens usage_;
  Stop stop_ = Stop::absent;
};

}  // namespace

std::unique_ptr<StreamWriter> stream_writer(const WriteAnswer& how) { return std::make_unique<Writer>(how); }

}  // namespace lb::responses
