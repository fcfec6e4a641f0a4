// Writes streams. Blocks follow each other, and are never interleaved (reference/wire.md §6): while a call is open
// whose input may go on, what belongs elsewhere is held; it follows when the input is whole, or the answer has stopped.
#include "wire/anthropic.h"
#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/anthropic_messages_inside.h"
#include "wire/dialect/signature.h"

namespace lb {

namespace {

using Kind = Delta::Kind;

// Follows the input of a call, in pieces that are inners, and says when its JSON is whole.
class InputEnd {
 public:
  void feed(Inner piece) {
    for (size_t i = 0; i < piece.size(); i++) {
      char c = piece[i];
      if (c == '\\' && i + 1 < piece.size()) {
        c = piece[++i];
        bool code = c == 'u' && i + 4 < piece.size();
        if (code) i += 4;
        // Of the letters behind a backslash only these two matter; of codes those that are written for no reason.
        if (c == 'u') c = code && piece[i - 3] == '0' && piece[i - 2] == '0' ? ascii(piece[i - 1], piece[i]) : ' ';
        else if (c != '"' && c != '\\') c = ' ';
      }
      take(c);
    }
  }
  bool whole() const { return begun_ && depth_ == 0; }

 private:
  static char ascii(char high, char low) {
    std::string_view digits = "0123456789abcdef";
    size_t a = digits.find(static_cast<char>(high | 0x20)), b = digits.find(static_cast<char>(low | 0x20));
    a = a == digits.npos ? digits.find(high) : a;
    b = b == digits.npos ? digits.find(low) : b;
    return a < 8 && b < 16 ? static_cast<char>(a * 16 + b) : ' ';
  }
  void take(char c) {
    if (string_) {
      string_ = c != '"' || escaped_;
      escaped_ = c == '\\' && !escaped_;
      return;
    }
    string_ = c == '"';
    if (c == '{' || c == '[') {
      begun_ = true;
      depth_++;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      depth_--;
    }
  }

  uint32_t depth_ = 0;
  bool begun_ = false, string_ = false, escaped_ = false;
};

class Writer final : public StreamWriter {
 public:
  explicit Writer(const WriteAnswer& how) : how_(how) {}
  void on(const Delta& delta) override;

 private:
  enum class Block : uint8_t { none, text, thinking, redacted, tool };
  // What is held back, in the order in which it came.
  struct Held {
    Block block = Block::none;
    uint32_t index = 0;
    std::string id, name, text, signature;
  };

  void begin(const Delta& delta);
  JsonText event(std::string_view name);
  void close_event(JsonText& json) {
    json.end_object();
    out().append("\n\n");
  }
  void open(Block block, Inner id, Inner name, Inner data);
  void close();
  void piece(std::string_view type, std::string_view member, Inner text);
  bool waits() const { return open_ == Block::tool && !input_.whole(); }
  Held& hold(Block block, uint32_t index, bool own);
  void release(bool all);
  void write_held(const Held& held);
  void text(Block block, Inner text);
  void signature(const Delta& delta);
  void tool(const Delta& delta);
  void input(uint32_t index, Inner text);
  void tool_input(Inner text);
  void end();

  const WriteAnswer& how_;
  bool begun_ = false, called_ = false, refused_ = false;
  Block open_ = Block::none;
  uint32_t block_ = 0;      // The index of the block that is open, or comes next.
  uint32_t call_ = 0;       // Which call is open.
  InputEnd input_;
  std::vector<Held> held_;  // As far as held_size_; those behind it keep their memory.
  size_t held_size_ = 0;
  std::string mark_;        // A signature as it is written.
  Stop stop_ = Stop::absent;
  std::string stop_sequence_;
  Tokens usage_;
};

JsonText Writer::event(std::string_view name) {
  out().append("event: ").append(name).append("\ndata: ");
  JsonText json(out());
  json.begin_object().inner("type", name);
  return json;
}

void Writer::begin(const Delta& delta) {
  if (begun_) return;
  begun_ = true;
  usage_.take(delta.usage);
  std::string id;
  append_anthropic_id(id, delta.id, how_);
  JsonText json = event("message_start");
  json.key("message").begin_object().inner("id", id).inner("type", "message").inner("role", "assistant");
  if (how_.model.empty())
    json.inner("model", delta.model);
  else
    json.bytes("model", how_.model);
  json.key("content").begin_array().end_array().null("stop_reason").null("stop_sequence");
  write_anthropic_usage(json, usage_);
  json.end_object();
  close_event(json);
}

// `data` is that of a redacted block.
void Writer::open(Block block, Inner id, Inner name, Inner data) {
  close();
  open_ = block;
  JsonText json = event("content_block_start");
  json.number("index", block_).key("content_block").begin_object();
  if (block == Block::text) json.inner("type", "text").inner("text", "");
  if (block == Block::thinking) json.inner("type", "thinking").inner("thinking", "").inner("signature", "");
  if (block == Block::redacted) json.inner("type", "redacted_thinking").inner("data", data);
  if (block == Block::tool) {
    json.inner("type", "tool_use").key("id");
    if (id.empty()) {
      json.bytes("toolu_" + std::string(how_.id) + "_" + std::to_string(call_));
    } else {
      mark_.clear();
      append_call_id(mark_, id);
      json.inner(mark_);
    }
    json.inner("name", name).key("input").begin_object().end_object();
    called_ = true;
    input_ = {};
  }
  json.end_object();
  close_event(json);
}

void Writer::close() {
  if (open_ == Block::none) return;
  open_ = Block::none;
  JsonText json = event("content_block_stop");
  json.number("index", block_++);
  close_event(json);
}

void Writer::piece(std::string_view type, std::string_view member, Inner text) {
  JsonText json = event("content_block_delta");
  json.number("index", block_).key("delta").begin_object().inner("type", type).inner(member, text).end_object();
  close_event(json);
}

// What is held last, if more of the same can be added to it; or one of its own.
Writer::Held& Writer::hold(Block block, uint32_t index, bool own) {
  if (!own && held_size_ > 0) {
    Held& last = held_[held_size_ - 1];
    if (last.block == block && last.signature.empty()) return last;
  }
  if (held_size_ == held_.size()) held_.emplace_back();
  Held& held = held_[held_size_++];
  held.block = block;
  held.index = index;
  for (std::string* text : {&held.id, &held.name, &held.text, &held.signature}) text->clear();
  return held;
}

// As much as may follow now; all of it at the end.
void Writer::release(bool all) {
  size_t done = 0;
  for (; done < held_size_ && (all || !waits()); done++) write_held(held_[done]);
  if (done == 0) return;
  for (size_t i = done; i < held_size_; i++) std::swap(held_[i - done], held_[i]);
  held_size_ -= done;
}

void Writer::write_held(const Held& held) {
  if (held.block == Block::tool) {
    close();
    call_ = held.index;
    open(Block::tool, held.id, held.name, "");
    if (!held.text.empty()) tool_input(held.text);
    return;
  }
  if (held.block == Block::redacted) {
    open(Block::redacted, "", "", held.text);
    close();
    return;
  }
  if (open_ != held.block) open(held.block, "", "", "");
  if (!held.text.empty()) {
    bool thinking = held.block == Block::thinking;
    piece(thinking ? "thinking_delta" : "text_delta", thinking ? "thinking" : "text", held.text);
  }
  if (held.signature.empty()) return;
  piece("signature_delta", "signature", held.signature);
  close();
}

void Writer::text(Block block, Inner text) {
  if (text.empty()) return;
  if (waits()) {
    hold(block, 0, false).text.append(text);
    return;
  }
  if (open_ != block) open(block, "", "", "");
  if (block == Block::thinking)
    piece("thinking_delta", "thinking", text);
  else
    piece("text_delta", "text", text);
}

// Of the thinking before it; of a call, in a block without text before that of the call: see signs_call().
void Writer::signature(const Delta& delta) {
  mark_.clear();
  append_signature(mark_, Dialect::anthropic, delta.origin, false, delta.text);
  bool hidden = delta.kind == Kind::redacted, of_call = !delta.id.empty();
  if (waits()) {
    Held& held = hold(hidden ? Block::redacted : Block::thinking, 0, hidden || of_call);
    (hidden ? held.text : held.signature).assign(mark_);
    return;
  }
  if (hidden) {
    open(Block::redacted, "", "", mark_);
  } else {
    if (open_ != Block::thinking || of_call) open(Block::thinking, "", "", "");
    piece("signature_delta", "signature", mark_);
  }
  close();
}

void Writer::tool(const Delta& delta) {
  if (waits()) {
    Held& held = hold(Block::tool, delta.index, true);
    held.id.assign(delta.id);
    held.name.assign(delta.name);
    called_ = true;
    return;
  }
  close();
  call_ = delta.index;
  open(Block::tool, delta.id, delta.name, "");
}

void Writer::tool_input(Inner text) {
  input_.feed(text);
  piece("input_json_delta", "partial_json", text);
}

void Writer::input(uint32_t index, Inner text) {
  if (text.empty()) return;
  if (open_ == Block::tool && call_ == index) {
    tool_input(text);
    if (input_.whole()) release(false);
    return;
  }
  for (size_t i = 0; i < held_size_; i++)
    if (held_[i].block == Block::tool && held_[i].index == index) {
      held_[i].text.append(text);
      return;
    }
  losses().add("tool_calls");  // More input of a call that was whole.
}

void Writer::end() {
  release(true);
  close();
  JsonText json = event("message_delta");
  json.key("delta").begin_object();
  json.inner("stop_reason", anthropic_stop_reason(refused_ ? Stop::filter : stop_, called_)).key("stop_sequence");
  if (stop_sequence_.empty())
    json.null();
  else
    json.inner(stop_sequence_);
  json.end_object();
  write_anthropic_usage(json, usage_);
  close_event(json);
  JsonText last = event("message_stop");
  close_event(last);
}

void Writer::on(const Delta& delta) {
  if (delta.kind == Kind::error) {
    std::string message = decode_inner(delta.text);
    out().append(anthropic_error_event(message, anthropic_error_type(delta.error)));
    return;
  }
  begin(delta);
  if (delta.choice > 0) return losses().add("choices.1");  // Not asked for, so never there.
  switch (delta.kind) {
    case Kind::refusal: refused_ = true; return text(Block::text, delta.text);
    case Kind::text: return text(Block::text, delta.text);
    case Kind::thinking: return text(Block::thinking, delta.text);
    case Kind::signature:
    case Kind::redacted: return signature(delta);
    case Kind::tool: return tool(delta);
    case Kind::input: return input(delta.index, delta.text);
    case Kind::stop:
      if (stop_ != Stop::absent) return;
      stop_ = delta.stop;
      stop_sequence_.assign(delta.stop_sequence);
      return release(true);
    case Kind::usage: return usage_.take(delta.usage);
    case Kind::end: return end();
    case Kind::begin:
    case Kind::error:
    case Kind::lost: return;
  }
}

}  // namespace

std::unique_ptr<StreamWriter> anthropic_stream_writer(const WriteAnswer& how) { return std::make_unique<Writer>(how); }

}  // namespace lb
