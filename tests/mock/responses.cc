// The part of Wording that speaks OpenAI's Responses API.
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

void Wording::response_item(std::string_view status, bool with_content, std::string* out) const {
  *out += "{\"id\":\"msg_";
  add_hex(out, id_);
  add(out, "\",\"type\":\"message\",\"status\":\"", status, "\",\"role\":\"assistant\",\"content\":[");
  if (with_content)
    add(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"", behaviour_->content, "\"}");
  *out += "]}";
}

void Wording::response_object(std::string_view status, bool with_output, std::string* out) const {
  *out += "{\"id\":\"resp_";
  add_hex(out, id_);
  add(out, "\",\"object\":\"response\",\"created_at\":", now_s_, ",\"status\":\"", status,
      "\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"instructions\":null,"
      "\"max_output_tokens\":null,\"metadata\":{},\"model\":\"", ask_->model, "\",\"output\":[");
  if (with_output) response_item("completed", true, out);
  *out += "],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
          "\"reasoning\":{\"effort\":null,\"summary\":null},"
          "\"service_tier\":\"default\",\"store\":false,\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"}},"
          "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":";
  if (with_output && behaviour_->usage)
    add(out, "{\"input_tokens\":", prompt_tokens_, ",\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":",
        behaviour_->tokens, ",\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":",
        prompt_tokens_ + behaviour_->tokens, "}");
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
  event_.assign("\"output_index\":0,\"item\":");
  response_item("in_progress", false, &event_);
  response_event("response.output_item.added", frames);
  prefix_.assign("\"item_id\":\"msg_");
  add_hex(&prefix_, id_);
  prefix_ += "\",\"output_index\":0,\"content_index\":0,";
  event_.assign(prefix_ + "\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}");
  response_event("response.content_part.added", frames);
}

void Wording::response_content(std::string_view token, Frames* frames) {
  event_.assign(prefix_);
  add(&event_, "\"delta\":\"", token, "\",\"logprobs\":[]");
  response_event("response.output_text.delta", frames);
}

void Wording::response_closing(Frames* frames) {
  event_.assign(prefix_ + "\"text\":\"" + behaviour_->content + "\",\"logprobs\":[]");
  response_event("response.output_text.done", frames);
  event_.assign(prefix_ + "\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"" +
                behaviour_->content + "\"}");
  response_event("response.content_part.done", frames);
  event_.assign("\"output_index\":0,\"item\":");
  response_item("completed", true, &event_);
  response_event("response.output_item.done", frames);
  event_.assign("\"response\":");
  response_object("completed", true, &event_);
  response_event("response.completed", frames);
}

}  // namespace lb::mock
