#include "wire/dialect/count_tokens.h"

#include <algorithm>
#include <initializer_list>

#include "wire/dialect/gemini_content_inside.h"
#include "wire/escape.h"
#include "wire/json.h"

namespace lb {

namespace {

// The members of a request that are counted; the others are refused where only counting is asked for (API references).
std::string only(std::string_view body, std::initializer_list<std::string_view> names) {
  JsonWriter out;
  out.begin_object();
  for (RawWalk at = Raw::parse(body).value().walk(); at.next();)
    if (std::find(names.begin(), names.end(), at.key()) != names.end()) out.key(at.key()).raw(at.value().text());
  return out.end_object().take();
}

// A request within a request has the model as a member of it.
std::string wrapped(std::string_view body, std::string_view model) {
  JsonWriter out;
  out.begin_object().key("generateContentRequest").begin_object();
  out.key("model").value("models/" + std::string(model));
  for (RawWalk at = Raw::parse(body).value().walk(); at.next();) out.key(at.key()).raw(at.value().text());
  return out.end_object().end_object().take();
}

}  // namespace

bool can_count(Dialect dialect) { return dialect != Dialect::openai; }

Result<Request> read_count_request(Dialect dialect, std::string_view body, Store& store) {
  if (dialect != Dialect::gemini) return read_request(dialect, body, store);
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return json.error();
  Raw inside = gemini::member(json.value(), "generateContentRequest");
  return read_request(dialect, inside.is_object() ? inside.text() : body, store);
}

Result<WrittenRequest> write_count_request(Dialect dialect, const Request& request, const WriteRequest& how,
                                           Store& store) {
  Result<WrittenRequest> written = write_request(dialect, request, how, store);
  if (!written.ok()) return written;
  std::string& body = written.value().body;
  switch (dialect) {
    case Dialect::openai: break;
    case Dialect::anthropic:
      body = only(body, {"model", "messages", "system", "thinking", "tool_choice", "tools"});
      break;
    case Dialect::responses:
      body = only(body, {"model", "input", "instructions", "tools", "tool_choice", "text", "reasoning",
                         "parallel_tool_calls"});
      break;
    case Dialect::gemini: body = wrapped(body, how.model); break;
  }
  return written;
}

Result<uint64_t> read_count_answer(Dialect dialect, std::string_view body) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return Error{Status::PROTOCOL, "", json.error().message};
  bool gemini = dialect == Dialect::gemini;
  Raw count = gemini ? gemini::member(json.value(), "totalTokens") : json.value()["input_tokens"];
  if (std::optional<uint64_t> tokens = count.integer()) return *tokens;
  return Error{Status::PROTOCOL, "", gemini ? "no `totalTokens` in the answer" : "no `input_tokens` in the answer"};
}

std::string write_count_answer(Dialect dialect, uint64_t tokens) {
  if (dialect == Dialect::gemini) return "{\"totalTokens\":" + std::to_string(tokens) + "}";
  std::string object = dialect == Dialect::responses ? "{\"object\":\"response.input_tokens\"," : "{";
  return object + "\"input_tokens\":" + std::to_string(tokens) + "}";
}

}  // namespace lb
