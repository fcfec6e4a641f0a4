// Result<T>: a value, or an Error that says what, where and how to mend it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace lb {

struct Error {
  Status status = Status::OK;
  std::string where;    // JSON pointer into the configuration, or "".
  std::string message;  // One sentence: what is wrong; what to write instead.
};

template <typename T>
class Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Error error) : error_(std::move(error)) {  // NOLINT: implicit on purpose
    LB_CHECK(error_.status != Status::OK);
  }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& value() {
    LB_CHECK(ok());
    return *value_;
  }
  const T& value() const {
    LB_CHECK(ok());
    return *value_;
  }
  const Error& error() const {
    LB_CHECK(!ok());
    return error_;
  }

 private:
  std::optional<T> value_;
  Error error_;
};

}  // namespace lb
