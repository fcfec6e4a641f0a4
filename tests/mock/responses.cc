// The part of Wording that speaks OpenAI's Responses API.
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

void Wording::response_id(uint32_t part, std::string* out) const {
  switch (kind_of(part)) {
    case Piece::Kind::thought: *out += "rs_"; break;
    case Piece::Kind::text: *out += "msg_"; break;
    case Piece::Kind::call: return call_id("fc_", part - first_call(), out);
  }
  add_hex(out, id_);
}

void Wording::response_text(std::string_view text, std::string* out) const {
  add(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"", text, "\"}");
}

void Wording::response_summary(bool whole, std::string* out) const {
  *out += "{\"type\":\"summary_text\",\"text\":\"";
  if (whole) thoughts(out);
  *out += "\"}";
}

// Item `part` as it is at its end, or at its beginning.
void Wording::response_item(uint32_t part, bool whole, std::string* out) const {
  *out += "{\"id\":\"";
  response_id(part, out);
  const std::string_view status = whole ? "completed" : "in_progress";
  switch (kind_of(part)) {
    case Piece::Kind::thought:
      *out += "\",\"type\":\"reasoning\",\"summary\":[";
      if (whole) response_summary(true, out);
      *out += "]}";
      break;
    case Piece::Kind::text:
      add(out, "\",\"type\":\"message\",\"status\":\"", status, "\",\"role\":\"assistant\",\"content\":[");
      if (whole) response_text(behaviour_->content, out);
      *out += "]}";
      break;
    case Piece::Kind::call:
      add(out, "\",\"type\":\"function_call\",\"status\":\"", status, "\",\"call_id\":\"");
      call_id("call_", part - first_call(), out);
      add(out, "\",\"name\":\"", call_of(part).name, "\",\"arguments\":");
      add_quoted(out, whole ? call_of(part).arguments : std::string());
      *out += '}';
      break;
  }
}

void Wording::response_object(std::string_view status, bool with_output, std::string* out) const {
  *out += "{\"id\":\"resp_";
  add_hex(out, id_);
  add(out, "\",\"object\":\"response\",\"created_at\":", now_s_, ",\"status\":\"", status,
      "\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"instructions\":null,"
      "\"max_output_tokens\":null,\"metadata\":{},\"model\":\"", ask_->model, "\",\"output\":[");
  for (uint32_t part = 0; with_output && part < parts(); part++) {
    if (part > 0) *out += ',';
    response_item(part, true, out);
  }
  *out += "],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
          "\"reasoning\":{\"effort\":null,\"summary\":null},"
          "\"service_tier\":\"default\",\"store\":false,\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"}},"
          "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":";
  if (with_output && behaviour_->usage)
    add(out, "{\"input_tokens\":", prompt_tokens_, ",\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":",
        output_tokens(), ",\"output_tokens_details\":{\"reasoning_tokens\":", behaviour_->thinking,
        "},\"total_tokens\":", prompt_tokens_ + output_tokens(), "}");
  else
    *out += "null";
  *out += ",\"user\":null}";
}

void Wording::response_event(std::string_view type, Frames* frames) {
  scratch_.clear();
  add(&scratch_, "event: ", type, "\ndata: {\"type\":\"", type, "\",\"sequence_number\":", sequence_++, ",", event_,
      "}\n\n");
  frames->add(scratch_);
}

void Wording::response_opening(Frames* frames) {
  for (const char* type : {"response.created", "response.in_progress"}) {
    event_.assign("\"response\":");
    response_object("in_progress", false, &event_);
    response_event(type, frames);
  }
}

void Wording::response_whole_item(std::string_view type, uint32_t part, bool whole, Frames* frames) {
  event_.assign("\"output_index\":");
  add(&event_, part, ",\"item\":");
  response_item(part, whole, &event_);
  response_event(type, frames);
}

void Wording::response_open(uint32_t part, Frames* frames) {
  response_whole_item("response.output_item.added", part, false, frames);
  prefix_.assign("\"item_id\":\"");
  response_id(part, &prefix_);
  add(&prefix_, "\",\"output_index\":", part, ",");
  if (kind_of(part) == Piece::Kind::call) return;
  const bool text = kind_of(part) == Piece::Kind::text;
  prefix_ += text ? "\"content_index\":0," : "\"summary_index\":0,";
  event_.assign(prefix_ + "\"part\":");
  if (text) response_text("", &event_);
  else response_summary(false, &event_);
  response_event(text ? "response.content_part.added" : "response.reasoning_summary_part.added", frames);
}

void Wording::response_content(const Piece& piece, Frames* frames) {
  if (piece.kind == Piece::Kind::call && piece.at == 0) return;  // Its item says that it begins.
  event_.assign(prefix_);
  switch (piece.kind) {
    case Piece::Kind::thought:
      add(&event_, "\"delta\":\"", token_, "\"");
      return response_event("response.reasoning_summary_text.delta", frames);
    case Piece::Kind::text:
      add(&event_, "\"delta\":\"", token_, "\",\"logprobs\":[]");
      return response_event("response.output_text.delta", frames);
    case Piece::Kind::call:
      event_ += "\"delta\":";
      add_quoted(&event_, fragment(ask_->calls[piece.call].arguments, piece.at - 1, kFragments));
      return response_event("response.function_call_arguments.delta", frames);
  }
}

void Wording::response_close(uint32_t part, Frames* frames) {
  event_.assign(prefix_);
  switch (kind_of(part)) {
    case Piece::Kind::thought:
      event_ += "\"text\":\"";
      thoughts(&event_);
      event_ += '"';
      response_event("response.reasoning_summary_text.done", frames);
      event_.assign(prefix_ + "\"part\":");
      response_summary(true, &event_);
      response_event("response.reasoning_summary_part.done", frames);
      break;
    case Piece::Kind::text:
      add(&event_, "\"text\":\"", behaviour_->content, "\",\"logprobs\":[]");
      response_event("response.output_text.done", frames);
      event_.assign(prefix_ + "\"part\":");
      response_text(behaviour_->content, &event_);
      response_event("response.content_part.done", frames);
      break;
    case Piece::Kind::call:
      add(&event_, "\"name\":\"", call_of(part).name, "\",\"arguments\":");
      add_quoted(&event_, call_of(part).arguments);
      response_event("response.function_call_arguments.done", frames);
      break;
  }
  response_whole_item("response.output_item.done", part, true, frames);
}

void Wording::response_closing(Frames* frames) {
  response_close(parts() - 1, frames);
  event_.assign("\"response\":");
  response_object("completed", true, &event_);
  response_event("response.completed", frames);
}

}  // namespace lb::mock
