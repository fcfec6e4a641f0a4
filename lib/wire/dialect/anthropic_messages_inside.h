// What the files of this dialect share; nobody else includes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/dialect/json_text.h"
#include "wire/dialect/table.h"

namespace lb {

Result<Request> read_anthropic_request(std::string_view body, Store& store);
Result<WrittenRequest> write_anthropic_request(const Request& request, const WriteRequest& how, Store& store);
Result<Reply> read_anthropic_answer(std::string_view body, Store& store);
std::string write_anthropic_answer(const Reply& reply, const WriteAnswer& how, Losses& losses);
std::unique_ptr<StreamReader> anthropic_stream_reader();
std::unique_ptr<StreamWriter> anthropic_stream_writer(const WriteAnswer& how);
std::string anthropic_error_body_of(uint32_t status, const ErrorFacts& facts);

// Ids of calls are [A-Za-z0-9_-]+ (reference/wire.md §2). Others are written with each byte that is not allowed as _
// and two hexadecimal digits, after a mark; read back they are as they were.
void append_call_id(std::string& out, Inner id);
Inner read_call_id(Inner id, Store& store);

// The counts as the API states them: `input_tokens` without what came from the cache and went into it. Later events
// may repeat some of them only.
struct AnthropicUsage {
  std::optional<uint64_t> input, cached, written, output;
  void take(Raw usage);
  Tokens tokens() const;
};
void write_anthropic_usage(JsonText& out, const Tokens& usage);

// A signature without text is that of the call behind it: Gemini signs calls, which have no place for it here.
bool signs_call(const Part& part);

Stop stop_of_reason(Inner reason);
std::string_view anthropic_stop_reason(Stop stop, bool called);
std::string_view anthropic_error_type(ErrorClass what);

void append_anthropic_id(std::string& out, Inner id, const WriteAnswer& how);

// What Anthropic takes of a JSON Schema to which it holds itself: objects are closed, bounds are left out (`lost`).
std::string narrowed_schema(Raw schema, bool& lost);

}  // namespace lb
