// The part of Wording that speaks OpenAI's chat completions and completions.
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

namespace {

constexpr std::string_view kFingerprint = "fp_mock";

}  // namespace

void Wording::usage(std::string* out) const {
  const uint64_t output = output_tokens();
  add(out, "{\"prompt_tokens\":", prompt_tokens_, ",\"completion_tokens\":", output, ",\"total_tokens\":",
      prompt_tokens_ + output,
      ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
      "\"completion_tokens_details\":{\"reasoning_tokens\":", behaviour_->thinking,
      ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}

void Wording::chat_calls(std::string* out) const {
  for (uint32_t i = 0; i < ask_->calls.size(); i++) {
    *out += i ? ",{\"id\":\"" : "{\"id\":\"";
    call_id("call_", i, out);
    add(out, "\",\"type\":\"function\",\"function\":{\"name\":\"", ask_->calls[i].name, "\",\"arguments\":");
    add_quoted(out, ask_->calls[i].arguments);
    *out += "}}";
  }
}

void Wording::chat_plain(std::string* out) const {
  const size_t start = out->size();
  *out += "{\"id\":\"chatcmpl-";
  add_hex(out, id_);
  add(out, "\",\"object\":\"chat.completion\",\"created\":", now_s_, ",\"model\":\"", ask_->model,
      "\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
  *out += has_text() ? "\"" : "null";
  if (has_text()) *out += behaviour_->content;
  const size_t content_end = out->size();
  if (has_text()) *out += '"';
  *out += ",\"refusal\":null,\"annotations\":[]";
  if (behaviour_->thinking > 0) {
    *out += ",\"reasoning_content\":\"";
    thoughts(out);
    *out += '"';
  }
  if (!ask_->calls.empty()) {
    *out += ",\"tool_calls\":[";
    chat_calls(out);
    *out += ']';
  }
  add(out, "},\"logprobs\":null,\"finish_reason\":\"", ask_->calls.empty() ? "stop" : "tool_calls", "\"}],");
  if (behaviour_->usage) {
    *out += "\"usage\":";
    usage(out);
    *out += ',';
  }
  add(out, "\"service_tier\":\"default\",\"system_fingerprint\":\"", kFingerprint, "\"}");
  if (has_text()) fill(out, start, content_end);
}

void Wording::text_plain(std::string* out) const {
  const size_t start = out->size();
  *out += "{\"id\":\"cmpl-";
  add_hex(out, id_);
  add(out, "\",\"object\":\"text_completion\",\"created\":", now_s_, ",\"model\":\"", ask_->model,
      "\",\"choices\":[{\"index\":0,\"text\":\"", behaviour_->content);
  const size_t content_end = out->size();
  *out += "\",\"logprobs\":null,\"finish_reason\":\"stop\"}]";
  if (behaviour_->usage) {
    *out += ",\"usage\":";
    usage(out);
  }
  *out += '}';
  fill(out, start, content_end);
}

void Wording::end_choices(Frames* frames) {
  event_ += ask_->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
  frames->add(event_);
}

void Wording::choice_event(std::string_view choice, Frames* frames) {
  event_.assign(prefix_);
  event_ += choice;
  end_choices(frames);
}

void Wording::openai_opening(Frames* frames) {
  const bool chat = endpoint_ == Endpoint::chat;
  prefix_.assign(chat ? "data: {\"id\":\"chatcmpl-" : "data: {\"id\":\"cmpl-");
  add_hex(&prefix_, id_);
  add(&prefix_, "\",\"object\":\"", chat ? "chat.completion.chunk" : "text_completion", "\",\"created\":", now_s_,
      ",\"model\":\"", ask_->model, "\",\"system_fingerprint\":\"", kFingerprint, "\",\"choices\":[");
  if (chat)
    choice_event("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
                 "\"finish_reason\":null}", frames);
}

void Wording::openai_content(const Piece& piece, Frames* frames) {
  constexpr std::string_view kEnd = ",\"logprobs\":null,\"finish_reason\":null}";
  event_.assign(prefix_);
  if (endpoint_ == Endpoint::completions) {
    if (piece.kind != Piece::Kind::text) token_.clear();  // Nothing is thought here.
    add(&event_, "{\"index\":0,\"text\":\"", token_, "\"", kEnd);
  } else if (piece.kind != Piece::Kind::call) {
    add(&event_, "{\"index\":0,\"delta\":{\"",
        piece.kind == Piece::Kind::thought ? "reasoning_content" : "content", "\":\"", token_, "\"}", kEnd);
  } else {
    const ToolCall& call = ask_->calls[piece.call];
    add(&event_, "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":", piece.call);
    if (piece.at == 0) {
      event_ += ",\"id\":\"";
      call_id("call_", piece.call, &event_);
      add(&event_, "\",\"type\":\"function\",\"function\":{\"name\":\"", call.name, "\",\"arguments\":\"");
    } else {
      event_ += ",\"function\":{\"arguments\":\"";
      add_inner(&event_, fragment(call.arguments, piece.at - 1, kFragments));
    }
    add(&event_, "\"}}]}", kEnd);
  }
  end_choices(frames);
}

void Wording::openai_closing(Frames* frames) {
  if (endpoint_ == Endpoint::completions)
    choice_event("{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}", frames);
  else if (ask_->calls.empty())
    choice_event("{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}", frames);
  else
    choice_event("{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}", frames);
  if (ask_->include_usage && behaviour_->usage) {
    event_.assign(prefix_);
    event_ += "],\"usage\":";
    usage(&event_);
    event_ += "}\n\n";
    frames->add(event_);
  }
  if (behaviour_->done) frames->add("data: [DONE]\n\n");
}

}  // namespace lb::mock
