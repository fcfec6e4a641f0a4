// What the files of openai_responses.h share among themselves.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wire/dialect/table.h"
#include "wire/json.h"

namespace lb::responses {

Result<Request> read_request(std::string_view body, Store& store);
Result<WrittenRequest> write_request(const Request& request, const WriteRequest& how, Store& store);
Result<Reply> read_answer(std::string_view body, Store& store);
std::string write_answer(const Reply& reply, const WriteAnswer& how, Losses& losses);
std::unique_ptr<StreamReader> stream_reader();
std::unique_ptr<StreamWriter> stream_writer(const WriteAnswer& how);

// A part of a message's content: {"type":"input_text"}. False: no kind that is known; it has become `foreign`.
bool read_content(Raw from, Part& part);
// {"type":"reasoning"}: thinking, or redacted.
void read_reasoning(Raw item, Part& part, Store& store);
void read_call(Raw item, Part& part, Store& store);

Tokens read_usage(Raw usage);
void append_usage(std::string& out, const Tokens& usage);
Stop stop_of(Raw response, bool called);
// `code` of an error in a stream.
std::string_view error_code(ErrorClass what);
ErrorClass error_class(std::string_view code);

// The members of a response from `id` to `output`, whose elements the caller appends, and those behind it.
struct Envelope {
  Inner id, model;
  uint64_t created = 0;
  std::string_view error = "null";  // JSON.
};
void begin_response(std::string& out, const Envelope& envelope, std::string_view status, std::string_view reason);
void end_response(std::string& out, const Tokens* usage);

void append_number(std::string& out, uint64_t value);
// Items of an answer, whole. `id` is an inner without its prefix.
void append_content(std::string& out, std::string_view kind, Inner text);
void append_message(std::string& out, Inner id, std::string_view kind, Inner text, bool done);
void append_call(std::string& out, Inner id, Inner call_id, Inner name, Inner arguments, bool done);
void append_reasoning(std::string& out, Inner id, Inner text, Inner encrypted);

}  // namespace lb::responses
