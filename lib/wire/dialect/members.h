// The members of an object, found in one walk: for those of a whole request, where each look-up would go through all of
// the conversation.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "wire/escape.h"
#include "wire/raw.h"

namespace lb {

class Members {
 public:
  explicit Members(Raw object) {
    for (RawWalk at = object.walk(); at.next();) all_.emplace_back(at.key(), at.value());
  }
  // The first of that name; absent if there is none.
  Raw operator[](std::string_view name) const {
    for (const auto& [key, value] : all_)
      if (key == name || (key.find('\\') != key.npos && decode_inner(key) == name)) return value;
    return {};
  }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }

 private:
  std::vector<std::pair<std::string_view, Raw>> all_;
};

}  // namespace lb
