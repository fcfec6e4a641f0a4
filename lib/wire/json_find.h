// JSON in prose: what a model says that was asked for JSON and adds a sentence, or a fence of backquotes. Objects and
// arrays only, as they were written outermost: of a list of objects the list, never its first object, and of what is
// broken or cut off nothing of its inside. Brackets in strings are text; nesting goes as deep as Raw does.
#pragma once

#include <cstddef>
#include <string_view>

#include "wire/raw.h"

namespace lb {

class JsonFinder {
 public:
  // Bytes that may be looked at for each byte of the text: brackets that never close would have every one of them
  // followed to the end. Ours: twice what a text takes in which each value is read, and what is broken is skipped.
  static constexpr size_t kWorkPerByte = 8;

  explicit JsonFinder(std::string_view text) : text_(text), work_(text.size() * kWorkPerByte) {}
  // The next one, in the order of the text; absent if there is none.
  Raw next();

 private:
  size_t skip_broken(size_t begin, size_t fault);
  bool spend(size_t bytes);

  std::string_view text_;
  size_t at_ = 0;
  size_t work_;
};

}  // namespace lb
