// Where in a document something stands: a chain on the stack, turned into a JSON pointer only when there is an error
// to report.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/json.h"

namespace lb {

// Nothing when all is well. For steps that have no value of their own.
using Problem = std::optional<Error>;

class Place {
 public:
  Place() = default;  // The whole document.
  Place at(std::string_view key) const { return Place(this, key, kNoIndex); }
  Place at(size_t index) const { return Place(this, {}, index); }

  std::string pointer() const {
    if (!parent_) return "";
    if (index_ != kNoIndex) return parent_->pointer() + '/' + std::to_string(index_);
    return parent_->pointer() + json_pointer_step(key_);
  }

  Error error(std::string message) const {
    if (!parent_) message = "the document " + message;
    return {Status::CONFIG, pointer(), std::move(message)};
  }

 private:
  static constexpr size_t kNoIndex = static_cast<size_t>(-1);

  Place(const Place* parent, std::string_view key, size_t index)
      : parent_(parent), key_(key), index_(index) {}

  const Place* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = kNoIndex;
};

}  // namespace lb
