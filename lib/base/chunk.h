// Bytes that are shared, not copied. A Chunk is a slice of a counted buffer; a Chain is a queue of chunks.
// The count is atomic because the last reference to an event's bytes may be dropped on the host's thread;
// everything else about a Chunk belongs to one thread at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace lb {

class Chunk {
 public:
  Chunk() = default;
  // A buffer of `capacity` bytes, not initialised; write through `writable()`, then `truncate`.
  static Chunk make(size_t capacity);
  static Chunk copy(std::string_view bytes);

  Chunk(const Chunk& other) : buffer_(other.buffer_), offset_(other.offset_), size_(other.size_) {
    if (buffer_) buffer_->count.fetch_add(1, std::memory_order_relaxed);
  }
  Chunk(Chunk&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)),
        offset_(std::exchange(other.offset_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Chunk& operator=(Chunk other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(offset_, other.offset_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Chunk() { release(); }

  const char* data() const { return buffer_ ? buffer_->bytes() + offset_ : nullptr; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data(), size_}; }
  char* writable() {
    LB_ASSERT(buffer_ && buffer_->count.load(std::memory_order_relaxed) == 1);
    return buffer_->bytes() + offset_;
  }
  void truncate(size_t size) {
    LB_CHECK(size <= size_);
    size_ = size;
  }
  // No other chunk shares the buffer: its owner may use it again.
  bool unique() const { return buffer_ && buffer_->count.load(std::memory_order_acquire) == 1; }
  // Shares the buffer.
  Chunk slice(size_t offset, size_t size) const {
    LB_CHECK(offset <= size_ && size <= size_ - offset);
    Chunk part(*this);
    part.offset_ += offset;
    part.size_ = size;
    return part;
  }
  // The slice of this chunk that `part`, a view into it, covers.
  Chunk slice(std::string_view part) const {
    return slice(static_cast<size_t>(part.data() - data()), part.size());
  }

 private:
  struct Buffer {
    std::atomic<uint64_t> count{1};
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };
  void release();

  Buffer* buffer_ = nullptr;
  size_t offset_ = 0;
  size_t size_ = 0;
};

class Chain {
 public:
  Chain() = default;
  explicit Chain(Chunk chunk) { push(std::move(chunk)); }
  void push(Chunk chunk) {
    if (chunk.empty()) return;
    bytes_ += chunk.size();
    chunks_.push_back(std::move(chunk));
  }
  void push(Chain&& other) {
    for (Chunk& chunk : other.chunks_) push(std::move(chunk));
    other.clear();
  }
  // Drops `n` bytes from the front; n <= bytes().
  void consume(size_t n);
  Chunk pop() {
    LB_CHECK(!chunks_.empty());
    Chunk front = std::move(chunks_.front());
    chunks_.pop_front();
    bytes_ -= front.size();
    return front;
  }
  void clear() {
    chunks_.clear();
    bytes_ = 0;
  }
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  size_t count() const { return chunks_.size(); }
  const Chunk& operator[](size_t i) const { return chunks_[i]; }
  std::string to_string() const;

 private:
  std::deque<Chunk> chunks_;
  size_t bytes_ = 0;
};

}  // namespace lb
