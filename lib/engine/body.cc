#include "engine/body.h"

#include <algorithm>

namespace lb {

void RequestBody::share(uint64_t from, uint64_t to, Chain& out) {
  LB_CHECK(begin_ <= from && from <= to && to <= end_);
  if (from < hint_offset_ || hint_ >= chunks_.size()) {
    hint_ = 0;
    hint_offset_ = begin_;
  }
  while (from < to) {
    const Chunk& chunk = chunks_[hint_];
    uint64_t chunk_end = hint_offset_ + chunk.size();
    if (from >= chunk_end) {
      hint_offset_ = chunk_end;
      hint_++;
      continue;
    }
    uint64_t upto = std::min(to, chunk_end);
    out.push(chunk.slice(from - hint_offset_, upto - from));
    from = upto;
  }
}

void RequestBody::drop_before(uint64_t offset) {
  size_t gone = 0;
  while (gone < chunks_.size() && begin_ + chunks_[gone].size() <= offset) {
    begin_ += chunks_[gone].size();
    gone++;
  }
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(gone));
  hint_ = 0;
  hint_offset_ = begin_;
}

}  // namespace lb
