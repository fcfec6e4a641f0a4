// The part of Wording that speaks Anthropic's Messages API.
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

void Wording::message_usage(uint64_t output, std::string* out) const {
  add(out, "{\"input_tokens\":", prompt_tokens_,
      ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
      "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":", output,
      ",\"service_tier\":\"standard\"}");
}

// Up to the blocks of the content.
void Wording::message_head(std::string* out) const {
  *out += "{\"id\":\"msg_";
  add_hex(out, id_);
  add(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"", ask_->model, "\",\"content\":[");
}

void Wording::message_plain(std::string* out) const {
  const size_t start = out->size();
  message_head(out);
  if (behaviour_->thinking > 0) {
    *out += "{\"type\":\"thinking\",\"thinking\":\"";
    thoughts(out);
    add(out, "\",\"signature\":\"", kSignature, "\"},");
  }
  size_t content_end = 0;
  if (has_text()) {
    add(out, "{\"type\":\"text\",\"text\":\"", behaviour_->content);
    content_end = out->size();
    *out += "\"}";
  }
  for (uint32_t i = 0; i < ask_->calls.size(); i++) {
    *out += i > 0 || has_text() ? ",{\"type\":\"tool_use\",\"id\":\"" : "{\"type\":\"tool_use\",\"id\":\"";
    call_id("toolu_", i, out);
    add(out, "\",\"name\":\"", ask_->calls[i].name, "\",\"input\":", ask_->calls[i].arguments, "}");
  }
  add(out, "],\"stop_reason\":\"", ask_->calls.empty() ? "end_turn" : "tool_use", "\",\"stop_sequence\":null");
  if (behaviour_->usage) {
    *out += ",\"usage\":";
    message_usage(output_tokens(), out);
  }
  *out += '}';
  if (has_text()) fill(out, start, content_end);
}

void Wording::message_event(std::string_view type, Frames* frames) {
  scratch_.assign("event: ");
  add(&scratch_, type, "\ndata: {\"type\":\"", type, "\"", event_, "}\n\n");
  frames->add(scratch_);
}

void Wording::message_opening(Frames* frames) {
  event_.assign(",\"message\":");
  message_head(&event_);
  event_ += "],\"stop_reason\":null,\"stop_sequence\":null";
  if (behaviour_->usage) {
    event_ += ",\"usage\":";
    message_usage(1, &event_);  // As the API does: not known yet, and never 0.
  }
  event_ += '}';
  message_event("message_start", frames);
}

void Wording::block_open(uint32_t part, Frames* frames) {
  event_.assign(",\"index\":");
  add(&event_, part, ",\"content_block\":");
  switch (kind_of(part)) {
    case Piece::Kind::thought: event_ += "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"; break;
    case Piece::Kind::text: event_ += "{\"type\":\"text\",\"text\":\"\"}"; break;
    case Piece::Kind::call:
      event_ += "{\"type\":\"tool_use\",\"id\":\"";
      call_id("toolu_", part - first_call(), &event_);
      add(&event_, "\",\"name\":\"", call_of(part).name, "\",\"input\":{}}");
      break;
  }
  message_event("content_block_start", frames);
  if (part == 0) ping(frames);  // Where the API has one.
}

void Wording::block_content(const Piece& piece, Frames* frames) {
  event_.assign(",\"index\":");
  add(&event_, piece.part, ",\"delta\":{\"type\":\"");
  switch (piece.kind) {
    case Piece::Kind::thought: add(&event_, "thinking_delta\",\"thinking\":\"", token_); break;
    case Piece::Kind::text: add(&event_, "text_delta\",\"text\":\"", token_); break;
    case Piece::Kind::call: {
      event_ += "input_json_delta\",\"partial_json\":\"";
      // The first is always empty, and of a call without arguments each is.
      const std::string& arguments = ask_->calls[piece.call].arguments;
      if (piece.at > 0 && arguments != "{}") add_inner(&event_, fragment(arguments, piece.at - 1, kFragments));
      break;
    }
  }
  event_ += "\"}";
  message_event("content_block_delta", frames);
}

void Wording::block_close(uint32_t part, Frames* frames) {
  event_.assign(",\"index\":");
  add(&event_, part);
  if (kind_of(part) == Piece::Kind::thought) {
    add(&event_, ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"", kSignature, "\"}");
    message_event("content_block_delta", frames);
    event_.assign(",\"index\":0");
  }
  message_event("content_block_stop", frames);
}

void Wording::message_closing(Frames* frames) {
  block_close(parts() - 1, frames);
  event_.assign(",\"delta\":{\"stop_reason\":\"");
  add(&event_, ask_->calls.empty() ? "end_turn" : "tool_use", "\",\"stop_sequence\":null}");
  if (behaviour_->usage) {
    event_ += ",\"usage\":";
    message_usage(output_tokens(), &event_);
  }
  message_event("message_delta", frames);
  event_.clear();
  if (behaviour_->done) message_event("message_stop", frames);
}

}  // namespace lb::mock
