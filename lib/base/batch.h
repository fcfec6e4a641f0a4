// Vectors that are filled and emptied turn after turn. They keep their room, so that a turn need not allocate, but not
// that of a rare burst: ten thousand streams that all speak at once would leave megabytes behind.
#pragma once

#include <cstddef>
#include <vector>

namespace lb {

// Entries that an empty batch keeps room for. An entry is some hundred bytes, so half a megabyte a batch; a turn with
// more of them takes milliseconds, beside which allocating is nothing.
inline constexpr size_t kBatchKept = 4096;

template <typename T>
void empty_batch(std::vector<T>& batch) {
  if (batch.capacity() > kBatchKept)
    std::vector<T>().swap(batch);
  else
    batch.clear();
}

}  // namespace lb
