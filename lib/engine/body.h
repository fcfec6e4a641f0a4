// The request body of a call: what has come of it, kept so that another attempt can send it again. A body longer
// than its route's replay_bytes is let go behind the attempt that sends it; then there is no other attempt.
#pragma once

#include <cstdint>
#include <vector>

#include "base/chunk.h"

namespace lb {

class RequestBody {
 public:
  void append(Chunk chunk) {
    if (chunk.empty()) return;
    end_ += chunk.size();
    chunks_.push_back(std::move(chunk));
  }
  void finish() { complete_ = true; }
  bool complete() const { return complete_; }
  uint64_t begin() const { return begin_; }  // First byte that is still kept.
  uint64_t end() const { return end_; }      // Bytes that have come.
  uint64_t kept() const { return end_ - begin_; }
  bool replayable() const { return begin_ == 0; }

  // Shares [from, to) into `out`; begin() <= from <= to <= end().
  void share(uint64_t from, uint64_t to, Chain& out);
  // Lets go of whole chunks before `offset`.
  void drop_before(uint64_t offset);

 private:
  std::vector<Chunk> chunks_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  size_t hint_ = 0;              // The chunk where the last share ended, ...
  uint64_t hint_offset_ = 0;     // ... and the offset of its first byte: sharing goes on where it stopped.
  bool complete_ = false;
};

}  // namespace lb
