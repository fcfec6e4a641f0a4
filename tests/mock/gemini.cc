// The part of Wording that speaks Gemini's generateContent and streamGenerateContent.
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

void Wording::contents_usage(uint64_t output, uint64_t thoughts, std::string* out) const {
  add(out, "{\"promptTokenCount\":", prompt_tokens_, ",\"candidatesTokenCount\":", output - thoughts,
      ",\"totalTokenCount\":", prompt_tokens_ + output);
  if (thoughts > 0) add(out, ",\"thoughtsTokenCount\":", thoughts);
  *out += '}';
}

// Signed is the first of the calls; they have no ids.
void Wording::contents_call(uint32_t call, std::string* out) const {
  add(out, "{\"functionCall\":{\"name\":\"", ask_->calls[call].name, "\",\"args\":", ask_->calls[call].arguments, "}");
  if (call == 0 && behaviour_->thinking > 0) add(out, ",\"thoughtSignature\":\"", kSignature, "\"");
  *out += '}';
}

void Wording::contents_plain(std::string* out) const {
  const size_t start = out->size();
  *out += "{\"candidates\":[{\"content\":{\"parts\":[";
  if (behaviour_->thinking > 0) {
    *out += "{\"text\":\"";
    thoughts(out);
    *out += "\",\"thought\":true},";
  }
  size_t content_end = 0;
  if (has_text()) {
    add(out, "{\"text\":\"", behaviour_->content);
    content_end = out->size();
    *out += '"';
    if (behaviour_->thinking > 0 && ask_->calls.empty()) add(out, ",\"thoughtSignature\":\"", kSignature, "\"");
    *out += '}';
  }
  for (uint32_t i = 0; i < ask_->calls.size(); i++) {
    if (i > 0 || has_text()) *out += ',';
    contents_call(i, out);
  }
  *out += "],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],";
  if (behaviour_->usage) {
    *out += "\"usageMetadata\":";
    contents_usage(output_tokens(), behaviour_->thinking, out);
    *out += ',';
  }
  add(out, "\"modelVersion\":\"", ask_->model, "\",\"responseId\":\"");
  add_hex(out, id_);
  *out += "\"}";
  if (has_text()) fill(out, start, content_end);
}

void Wording::contents_event(std::string_view text, Frames* frames) {
  if (!ask_->array) token_.assign("data: ");
  else token_.assign(sequence_ == 0 ? "[" : ",\r\n");
  sequence_++;
  add(&token_, text, ask_->array ? "" : "\r\n\r\n");
  frames->add(token_);
}

void Wording::contents_chunk(std::string_view parts, bool last, Frames* frames) {
  scratch_.assign("{\"candidates\":[{\"content\":{\"parts\":[");
  add(&scratch_, parts, "],\"role\":\"model\"},", last ? "\"finishReason\":\"STOP\"," : "", "\"index\":0}],");
  if (behaviour_->usage) {
    scratch_ += "\"usageMetadata\":";
    contents_usage(last ? output_tokens() : said_, thought_, &scratch_);
    scratch_ += ',';
  }
  add(&scratch_, "\"modelVersion\":\"", ask_->model, "\",\"responseId\":\"");
  add_hex(&scratch_, id_);
  scratch_ += "\"}";
  contents_event(scratch_, frames);
}

void Wording::contents_content(const Piece& piece, Frames* frames) {
  event_.clear();
  if (piece.kind == Piece::Kind::call) contents_call(piece.call, &event_);
  else add(&event_, "{\"text\":\"", token_, piece.kind == Piece::Kind::thought ? "\",\"thought\":true}" : "\"}");
  contents_chunk(event_, false, frames);
}

// What was thought is signed once more where there is nothing else to sign: in a part without text.
void Wording::contents_closing(Frames* frames) {
  event_.assign("{\"text\":\"\"");
  if (behaviour_->thinking > 0 && ask_->calls.empty()) add(&event_, ",\"thoughtSignature\":\"", kSignature, "\"");
  event_ += '}';
  contents_chunk(event_, true, frames);
  if (ask_->array) frames->add("]");
}

}  // namespace lb::mock
