// What every dialect brings, as a table of functions: each has a header with its own, and translate.cc knows where they
// are. The words of translate.h and neutral.h hold.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wire/dialect/translate.h"

namespace lb {

struct DialectTable {
  Result<Request> (*read_request)(std::string_view body, Store& store);
  Result<WrittenRequest> (*write_request)(const Request& request, const WriteRequest& how, Store& store);
  Result<Reply> (*read_answer)(std::string_view body, Store& store);
  std::string (*write_answer)(const Reply& reply, const WriteAnswer& how, Losses& losses);
  std::unique_ptr<StreamReader> (*stream_reader)();
  std::unique_ptr<StreamWriter> (*stream_writer)(const WriteAnswer& how);  // `how` holds while the writer lives.
  std::string (*error_body)(uint32_t status, const ErrorFacts& facts);
};

}  // namespace lb
