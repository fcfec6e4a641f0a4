// What the files of this dialect share; nobody else includes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/dialect/json_text.h"
#include "wire/dialect/table.h"

namespace lb {

Result<Request> read_openai_request(std::string_view body, Store& store);
Result<WrittenRequest> write_openai_request(const Request& request, const WriteRequest& how, Store& store);
Result<Reply> read_openai_answer(std::string_view body, Store& store);
std::string write_openai_answer(const Reply& reply, const WriteAnswer& how, Losses& losses);
std::unique_ptr<StreamReader> openai_stream_reader();
std::unique_ptr<StreamWriter> openai_stream_writer(const WriteAnswer& how);
std::string openai_error_body_of(uint32_t status, const ErrorFacts& facts);

// Of a message: its calls, and what was thought. False: no call of a function.
bool read_openai_call(Raw value, Part& call, Store& store);
void read_openai_thoughts(Raw message, std::vector<Part>& to);
// `id` where the call has none.
void write_openai_call(JsonText& out, const Part& call, bool signature, Inner id = {});
void write_openai_signature(JsonText& out, Inner signature);  // As Google's OpenAI-style endpoint has it.
// `reasoning_content`, and `reasoning_details` where something of it is signed or hidden.
void write_openai_thoughts(JsonText& out, const std::vector<const Part*>& thoughts);
void write_openai_thought(JsonText& out, const Part& thought, uint32_t index);  // One of reasoning_details.

// OpenRouter's word for whose reasoning_details are (openrouter.ai/docs, "Reasoning Tokens").
std::string_view format_of_origin(Dialect origin);
Dialect origin_of_format(Inner format);

Tokens read_openai_usage(Raw usage);
void write_openai_usage(JsonText& out, const Tokens& usage);

Stop stop_of_finish_reason(Raw reason);
std::string_view finish_reason(Stop stop, bool called);
std::string_view openai_error_type(ErrorClass what);
std::string_view openai_error_code(ErrorClass what);

// The id of an answer: its own if it is of this dialect, else the caller's.
void append_openai_id(std::string& out, Inner id, const WriteAnswer& how);

}  // namespace lb
