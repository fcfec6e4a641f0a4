#include "wire/dialect/openai_responses.h"

#include <charconv>

#include "wire/dialect/openai_chat_inside.h"
#include "wire/dialect/openai_responses_inside.h"

namespace lb {

// Errors have the envelope of chat completions.
const DialectTable kOpenAiResponses = {
    responses::read_request,  responses::write_request, responses::read_answer, responses::write_answer,
    responses::stream_reader, responses::stream_writer, openai_error_body_of,
};

namespace responses {

void append_number(std::string& out, uint64_t value) {
  char digits[24];
  out.append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
}

Tokens read_usage(Raw usage) {
  Tokens out;
  out.input = usage["input_tokens"].integer();
  out.output = usage["output_tokens"].integer();
  out.cached = usage["input_tokens_details"]["cached_tokens"].integer();
  // Always there; 0 says no more than if it were not.
  out.written = usage["input_tokens_details"]["cache_write_tokens"].integer();
  if (out.written == 0) out.written.reset();
  out.reasoning = usage["output_tokens_details"]["reasoning_tokens"].integer();
  return out.any() ? out : Tokens();
}

void append_usage(std::string& out, const Tokens& usage) {
  out.append("{\"input_tokens\":");
  append_number(out, usage.input.value_or(0));
  out.append(",\"input_tokens_details\":{\"cached_tokens\":");
  append_number(out, usage.cached.value_or(0));
  out.append(",\"cache_write_tokens\":");
  append_number(out, usage.written.value_or(0));
  out.append("},\"output_tokens\":");
  append_number(out, usage.output.value_or(0));
  out.append(",\"output_tokens_details\":{\"reasoning_tokens\":");
  append_number(out, usage.reasoning.value_or(0));
  out.append("},\"total_tokens\":");
  append_number(out, usage.input.value_or(0) + usage.output.value_or(0));
  out.push_back('}');
}

Stop stop_of(Raw response, bool called) {
  Inner reason = response["incomplete_details"]["reason"].inner();
  if (reason == "content_filter") return Stop::filter;
  if (response["status"].inner() == "incomplete") return Stop::length;
  return called ? Stop::tools : Stop::end;
}

// The codes of a response's error (API reference), and those of errors in general.
std::string_view error_code(ErrorClass what) {
  switch (what) {
    case ErrorClass::rate_limit: return "rate_limit_exceeded";
    case ErrorClass::billing: return "insufficient_quota";
    case ErrorClass::context_length: return "context_length_exceeded";
    case ErrorClass::content_filter: return "content_filter";
    case ErrorClass::bad_request: return "invalid_prompt";
    case ErrorClass::auth: return "invalid_api_key";
    case ErrorClass::not_found: return "model_not_found";
    case ErrorClass::overloaded: return "overloaded";
    case ErrorClass::timeout: return "timeout";
    case ErrorClass::none:
    case ErrorClass::server:
    case ErrorClass::connect:
    case ErrorClass::broken: return "server_error";
  }
  return "server_error";
}

ErrorClass error_class(std::string_view code) {
  for (ErrorClass what : {ErrorClass::rate_limit, ErrorClass::billing, ErrorClass::context_length,
                          ErrorClass::content_filter, ErrorClass::bad_request, ErrorClass::auth, ErrorClass::not_found,
                          ErrorClass::overloaded, ErrorClass::timeout})
    if (code == error_code(what)) return what;
  return ErrorClass::server;
}

void begin_response(std::string& out, const Envelope& envelope, std::string_view status, std::string_view reason) {
  out.append("{\"id\":\"resp_").append(envelope.id).append("\",\"object\":\"response\",\"created_at\":");
  append_number(out, envelope.created);
  out.append(",\"status\":\"").append(status).append("\",\"error\":").append(envelope.error);
  out.append(",\"incomplete_details\":");
  if (reason.empty())
    out.append("null");
  else
    out.append("{\"reason\":\"").append(reason).append("\"}");
  out.append(",\"instructions\":null,\"metadata\":{},\"model\":\"").append(envelope.model);
  out.append("\",\"parallel_tool_calls\":true,\"temperature\":null,\"tool_choice\":\"auto\",\"tools\":[],"
             "\"top_p\":null,\"output\":[");
}

void end_response(std::string& out, const Tokens* usage) {
  out.append("],\"usage\":");
  if (usage && usage->any())
    append_usage(out, *usage);
  else
    out.append("null");
  out.push_back('}');
}

void append_content(std::string& out, std::string_view kind, Inner text) {
  bool refusal = kind == "refusal";
  out.append("{\"type\":\"").append(kind).append(refusal ? "\",\"refusal\":\"" : "\",\"text\":\"").append(text);
  out.append(refusal ? "\"}" : "\",\"annotations\":[]}");
}

void append_message(std::string& out, Inner id, std::string_view kind, Inner text, bool done) {
  out.append("{\"type\":\"message\",\"id\":\"msg_").append(id).append("\",\"status\":\"");
  out.append(done ? "completed" : "in_progress").append("\",\"role\":\"assistant\",\"content\":[");
  if (done) append_content(out, kind, text);
  out.append("]}");
}

void append_call(std::string& out, Inner id, Inner call_id, Inner name, Inner arguments, bool done) {
  out.append("{\"type\":\"function_call\",\"id\":\"fc_").append(id).append("\",\"status\":\"");
  out.append(done ? "completed" : "in_progress").append("\",\"call_id\":\"").append(call_id);
  out.append("\",\"name\":\"").append(name).append("\",\"arguments\":\"").append(arguments).append("\"}");
}

void append_reasoning(std::string& out, Inner id, Inner text, Inner encrypted) {
  out.append("{\"type\":\"reasoning\",");
  if (!id.empty()) out.append("\"id\":\"").append(id).append("\",");
  out.append("\"summary\":[");
  if (!text.empty()) out.append("{\"type\":\"summary_text\",\"text\":\"").append(text).append("\"}");
  out.push_back(']');
  if (!encrypted.empty()) out.append(",\"encrypted_content\":\"").append(encrypted).append("\"");
  out.push_back('}');
}

}  // namespace responses
}  // namespace lb
