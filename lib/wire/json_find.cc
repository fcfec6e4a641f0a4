#include "wire/json_find.h"

#include <algorithm>

namespace lb {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

}  // namespace

bool JsonFinder::spend(size_t bytes) {
  bool enough = bytes <= work_;
  work_ -= std::min(bytes, work_);
  return enough;
}

Raw JsonFinder::next() {
  while (work_ > 0) {
    at_ = text_.find_first_of("{[", at_);
    if (at_ == text_.npos) break;
    size_t begin = at_, size = 0;
    Raw value = Raw::first(text_.substr(begin), size);
    // The second time to find its end.
    if (!spend(2 * size)) break;
    if (value.present()) {
      at_ = begin + size;
      return value;
    }
    // Cut off: what is whole within it is not what was meant.
    if (begin + size == text_.size()) break;
    at_ = skip_broken(begin, begin + size);
  }
  at_ = text_.size();
  return {};
}

// Where to go on behind a bracket at `begin` whose value is none from `fault` on. One that fails at its first word is
// prose: "[see", "{{". Else it is JSON with a mistake in it, and goes to where its brackets close; but "[0, 1)" never
// does.
size_t JsonFinder::skip_broken(size_t begin, size_t fault) {
  size_t first = text_.find_first_not_of(kSpace, begin + 1);
  if (fault <= first) return fault;
  size_t depth = 0, at = begin;
  bool quoted = false;
  for (; at < text_.size(); at++) {
    char c = text_[at];
    if (quoted && c == '\\') at++;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '{' || c == '[') depth++;
    if ((c == '}' || c == ']') && --depth == 0) break;
  }
  spend(std::min(at, text_.size()) - begin);
  return at < text_.size() ? at + 1 : fault;
}

}  // namespace lb
