#include "mock/wording.h"

#include <algorithm>

#include "mock/errors.h"
#include "mock/text.h"

namespace lb::mock {

namespace {

// Of a plain answer with chunks: what a server with 16 KiB buffers makes.
constexpr size_t kChunk = 16 * 1024;

}  // namespace

void Frames::start(bool chunked, uint64_t body_max, std::string* out) {
  chunked_ = chunked;
  max_ = body_max;
  out_ = out;
  sent_ = 0;
  cut_ = max_ == 0;
}

void Frames::add(std::string_view part) {
  if (cut_ || part.empty()) return;
  while (!part.empty()) {
    const std::string_view piece = part.substr(0, chunked_ ? kChunk : part.size());
    part.remove_prefix(piece.size());
    if (chunked_) {
      char text[16];
      out_->append(text, std::to_chars(text, text + sizeof text, piece.size(), 16).ptr);
      *out_ += "\r\n";
    }
    *out_ += piece.substr(0, max_ - sent_);
    if (piece.size() >= max_ - sent_) {
      sent_ = max_;
      cut_ = true;
      return;
    }
    sent_ += piece.size();
    if (chunked_) *out_ += "\r\n";
  }
}

void Frames::end() {
  if (chunked_ && !cut_) *out_ += "0\r\n\r\n";
}

void Wording::start(Endpoint endpoint, const Behaviour& behaviour, const Ask& ask, uint64_t id, int64_t now_s,
                    uint64_t prompt_tokens) {
  endpoint_ = endpoint;
  behaviour_ = &behaviour;
  ask_ = &ask;
  id_ = id;
  now_s_ = now_s;
  prompt_tokens_ = prompt_tokens;
  sequence_ = said_ = thought_ = open_ = 0;
  fragments_ = ask.voice == Voice::gemini ? 0 : kFragments;  // Gemini's calls come whole.
  events_ = behaviour.thinking + behaviour.tokens + static_cast<uint32_t>(ask.calls.size()) * (1 + fragments_);
}

Wording::Piece Wording::piece(uint32_t index) const {
  if (index < behaviour_->thinking) return {Piece::Kind::thought, index, 0, 0};
  index -= behaviour_->thinking;
  if (index < behaviour_->tokens) return {Piece::Kind::text, index, 0, behaviour_->thinking > 0 ? 1u : 0u};
  index -= behaviour_->tokens;
  const uint32_t calls = static_cast<uint32_t>(ask_->calls.size());
  // Only in a chat are there indexes by which fragments find their call.
  const bool turns = behaviour_->interleave && endpoint_ == Endpoint::chat;
  const uint32_t call = turns ? index % calls : index / (1 + fragments_);
  return {Piece::Kind::call, turns ? index / calls : index % (1 + fragments_), call, first_call() + call};
}

Wording::Piece::Kind Wording::kind_of(uint32_t part) const {
  if (part >= first_call()) return Piece::Kind::call;
  return part == 0 && behaviour_->thinking > 0 ? Piece::Kind::thought : Piece::Kind::text;
}

uint64_t Wording::output_tokens() const {
  return uint64_t{behaviour_->thinking} + behaviour_->tokens + ask_->calls.size() * (1 + kFragments);
}

void Wording::take_word(const Piece& piece) {
  token_.clear();
  if (piece.kind == Piece::Kind::text) add_token(*behaviour_, piece.at, &token_);
  else token_ += word(piece.at);
}

void Wording::thoughts(std::string* out) const {
  for (uint32_t i = 0; i < behaviour_->thinking; i++) *out += word(i);
}

void Wording::call_id(std::string_view prefix, uint32_t call, std::string* out) const {
  *out += prefix;
  add_hex(out, id_);
  add(out, "_", call);
}

void Wording::fill(std::string* out, size_t start, size_t content_end) const {
  const size_t size = out->size() - start;
  if (behaviour_->body_bytes > size) out->insert(content_end, behaviour_->body_bytes - size, '.');
}

void Wording::turn_to(uint32_t part, Frames* frames) {
  const bool message = ask_->voice == Voice::anthropic;
  while (open_ <= part) {
    if (open_ != 0) message ? block_close(open_ - 1, frames) : response_close(open_ - 1, frames);
    message ? block_open(open_, frames) : response_open(open_, frames);
    open_++;
  }
}

void Wording::plain(std::string* out) {
  switch (endpoint_) {
    case Endpoint::completions: return text_plain(out);
    case Endpoint::embeddings: return embeddings(out);
    case Endpoint::responses: return response_object("completed", true, out);
    case Endpoint::count_input:
      return add(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":", prompt_tokens_, "}");
    case Endpoint::messages: return message_plain(out);
    case Endpoint::count_messages: return add(out, "{\"input_tokens\":", prompt_tokens_, "}");
    case Endpoint::generate: return contents_plain(out);
    case Endpoint::count_contents: return add(out, "{\"totalTokens\":", prompt_tokens_, "}");
    case Endpoint::embed:
    case Endpoint::embed_batch: return contents_embeddings(out);
    default: return chat_plain(out);
  }
}

void Wording::opening(Frames* frames) {
  switch (ask_->voice) {
    case Voice::openai: return endpoint_ == Endpoint::responses ? response_opening(frames) : openai_opening(frames);
    case Voice::anthropic: return message_opening(frames);
    case Voice::gemini: return;
  }
}

void Wording::content(uint32_t index, Frames* frames) {
  const Piece now = piece(index);
  said_++;
  if (now.kind == Piece::Kind::thought) thought_++;
  if (now.kind != Piece::Kind::call) take_word(now);
  if (ask_->voice == Voice::gemini) return contents_content(now, frames);
  if (ask_->voice == Voice::openai && endpoint_ != Endpoint::responses) return openai_content(now, frames);
  turn_to(now.part, frames);
  if (ask_->voice == Voice::anthropic) block_content(now, frames);
  else response_content(now, frames);
}

void Wording::closing(Frames* frames) {
  if (!behaviour_->finish) return;
  if (ask_->voice == Voice::gemini) return contents_closing(frames);
  if (ask_->voice == Voice::openai && endpoint_ != Endpoint::responses) return openai_closing(frames);
  turn_to(parts() - 1, frames);  // An answer of no words has an empty text.
  if (ask_->voice == Voice::anthropic) message_closing(frames);
  else response_closing(frames);
}

void Wording::malformed(Frames* frames) {
  switch (ask_->voice) {
    case Voice::openai: return frames->add("data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"ind\n\n");
    case Voice::anthropic: return frames->add("event: content_block_delta\ndata: {\"type\":\"content_bl\n\n");
    case Voice::gemini: return contents_event("{\"candidates\":[{\"con", frames);
  }
}

void Wording::error_event(Frames* frames) {
  std::string_view code = behaviour_->error_event.code, message = behaviour_->error_event.message;
  if (code.empty() && ask_->voice == Voice::openai) code = "server_error";
  if (message.empty()) message = "The server had an error while processing your request (mock).";
  scratch_.clear();
  add_error(ask_->voice, 500, code, message, {}, &scratch_);
  if (ask_->voice == Voice::gemini) {
    contents_event(scratch_, frames);
    if (ask_->array) frames->add("]");
    return;
  }
  if (endpoint_ == Endpoint::responses) {  // Flat in this API.
    event_.assign("event: error\ndata: {\"type\":\"error\",\"code\":");
    add_quoted(&event_, code);
    event_ += ",\"message\":";
    add_quoted(&event_, message);
    add(&event_, ",\"param\":null,\"sequence_number\":", sequence_++, "}\n\n");
  } else {
    event_.assign(ask_->voice == Voice::anthropic ? "event: error\ndata: " : "data: ");
    add(&event_, scratch_, "\n\n");
  }
  frames->add(event_);
}

void Wording::ping(Frames* frames) {
  if (ask_->voice == Voice::anthropic) return frames->add("event: ping\ndata: {\"type\": \"ping\"}\n\n");
  frames->add(ask_->array ? "\n" : ": ping\n\n");  // White space between the elements of an array means nothing.
}

}  // namespace lb::mock
