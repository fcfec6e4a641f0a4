#include "base/chunk.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace lb {

Chunk Chunk::make(size_t capacity) {
  void* memory = std::malloc(sizeof(Buffer) + capacity);
  LB_CHECK(memory != nullptr);
  Chunk chunk;
  chunk.buffer_ = new (memory) Buffer;
  chunk.size_ = capacity;
  return chunk;
}

Chunk Chunk::copy(std::string_view bytes) {
  if (bytes.empty()) return {};
  Chunk chunk = make(bytes.size());
  std::memcpy(chunk.writable(), bytes.data(), bytes.size());
  return chunk;
}

void Chunk::release() {
  if (!buffer_) return;
  if (buffer_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    buffer_->~Buffer();
    std::free(buffer_);
  }
  buffer_ = nullptr;
}

void Chain::consume(size_t n) {
  LB_CHECK(n <= bytes_);
  bytes_ -= n;
  while (n > 0) {
    Chunk& front = chunks_.front();
    if (n < front.size()) {
      front = front.slice(n, front.size() - n);
      return;
    }
    n -= front.size();
    chunks_.pop_front();
  }
}

std::string Chain::to_string() const {
  std::string out;
  out.reserve(bytes_);
  for (const Chunk& chunk : chunks_) out.append(chunk.view());
  return out;
}

}  // namespace lb
