// Bytes that are shared, not copied. A Chunk is a slice of a counted buffer; a Chain is a queue of chunks.
// The count is atomic because the last reference to an event's bytes may be dropped on the host's thread;
// everything else about a Chunk belongs to one thread at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  void drop_front(size_t size) {
    LB_CHECK(size <= size_);
    offset_ += size;
    size_ -= size;
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
  // Moves `part`, a view into this chunk, to `offset`. For who knows that no slice of it covers what is there.
  void move(std::string_view part, size_t offset) {
    LB_ASSERT(offset <= size_ && part.size() <= size_ - offset);
    std::memmove(buffer_->bytes() + offset_ + offset, part.data(), part.size());
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

// Most chains are empty or hold a head and a body: up to kFew chunks cost no allocation.
class Chain {
 public:
  static constexpr size_t kFew = 2;

  Chain() = default;
  explicit Chain(Chunk chunk) { push(std::move(chunk)); }
  Chain(const Chain&) = default;
  Chain(Chain&& other) noexcept { swap(other); }
  Chain& operator=(Chain other) noexcept {
    swap(other);
    return *this;
  }

  void push(Chunk chunk);
  void push(Chain&& other);
  // Drops `n` bytes from the front; n <= bytes().
  void consume(size_t n);
  Chunk pop();
  void clear() { *this = Chain(); }
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  size_t count() const { return few_count_ + rest_.size() - rest_head_; }
  const Chunk& operator[](size_t i) const {
    LB_ASSERT(i < count());
    return i < few_count_ ? few_[i] : rest_[rest_head_ + i - few_count_];
  }
  std::string to_string() const;

 private:
  // Chunks at the front of `rest_` that are gone are worth moving the others for only now and then.
  static constexpr size_t kGoneMax = 32;
  // An empty chain keeps room for so many: 1.5 KiB, so that a burst leaves no mark on an idle connection.
  static constexpr size_t kKeptMax = 64;

  void swap(Chain& other) noexcept {
    few_.swap(other.few_);
    rest_.swap(other.rest_);
    std::swap(few_count_, other.few_count_);
    std::swap(rest_head_, other.rest_head_);
    std::swap(bytes_, other.bytes_);
  }
  Chunk take_front();

  std::array<Chunk, kFew> few_;  // The first ones...
  std::vector<Chunk> rest_;      // ... and those behind them, from rest_head_.
  size_t few_count_ = 0;
  size_t rest_head_ = 0;
  size_t bytes_ = 0;
};

}  // namespace lb
