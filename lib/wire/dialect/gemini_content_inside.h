// What the files of gemini_content.h share among themselves.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wire/dialect/table.h"
#include "wire/json.h"

namespace lb::gemini {

// Members have the names of the documentation, or the same in snake_case, which the API takes as well (proto3 JSON).
bool named(std::string_view key, std::string_view name);
Raw member(Raw of, std::string_view name);

// A number; the API also takes one as a string.
Raw number_member(Raw of, std::string_view name, Store& store);

// The list of a content's parts. The API takes one part for a list of one, and its own examples write it so.
Raw parts_of(Raw content, Store& store);

// The schemas of the API's own kind (a subset of OpenAPI 3.0: types in capitals, `nullable`, lengths as strings) as
// JSON Schema. What is JSON Schema already stays so. To kSchemaDepthMax; what is deeper goes over as it stands.
constexpr size_t kSchemaDepthMax = 64;
std::string json_schema_of(Raw schema);

// One part of a content, as requests and answers have it. False: it is of Gemini's own and has become `foreign`.
bool read_part(Raw from, Part& part, Store& store);
// {"functionCall":...} without its braces: "name":...,"args":...
void write_call(JsonWriter& out, Inner id, Inner name, Raw args);

Result<Request> read_request(std::string_view body, Store& store);
Result<WrittenRequest> write_request(const Request& request, const WriteRequest& how, Store& store);
Result<Reply> read_answer(std::string_view body, Store& store);
std::string write_answer(const Reply& reply, const WriteAnswer& how, Losses& losses);
std::unique_ptr<StreamReader> stream_reader();
std::unique_ptr<StreamWriter> stream_writer(const WriteAnswer& how);
std::string error_body(uint32_t status, const ErrorFacts& facts);

// `status` of an error for an HTTP status (google.rpc.Code), and the HTTP status for a class.
std::string_view rpc_status(uint32_t status);
void append_error(std::string& out, uint32_t status, Inner message);

Stop stop_of(std::string_view finish_reason);
// The model has called in a way that it must not; nothing of that is in the answer, and others have no word for it.
bool is_malformed(std::string_view finish_reason);
std::string_view finish_reason(Stop stop);
Tokens read_usage(Raw usage);
// {"promptTokenCount":...}
void append_usage(std::string& out, const Tokens& usage);

}  // namespace lb::gemini
