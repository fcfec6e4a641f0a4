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

void Chain::push(Chunk chunk) {
  if (chunk.empty()) return;
  bytes_ += chunk.size();
  if (rest_.empty() && few_count_ < kFew) {
    few_[few_count_++] = std::move(chunk);
    return;
  }
  if (rest_head_ > kGoneMax && rest_head_ * 2 > rest_.size()) {
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(rest_head_));
    rest_head_ = 0;
  }
  rest_.push_back(std::move(chunk));
}

void Chain::push(Chain&& other) {
  if (empty()) {
    swap(other);
    return;
  }
  while (!other.empty()) push(other.pop());
}

Chunk Chain::take_front() {
  Chunk front;
  if (few_count_ > 0) {
    front = std::move(few_[0]);
    for (size_t i = 1; i < few_count_; i++) few_[i - 1] = std::move(few_[i]);
    few_count_--;
  } else {
    front = std::move(rest_[rest_head_++]);
    if (rest_head_ == rest_.size()) {
      if (rest_.capacity() > kKeptMax)
        std::vector<Chunk>().swap(rest_);
      else
        rest_.clear();
      rest_head_ = 0;
    }
  }
  return front;
}

Chunk Chain::pop() {
  LB_CHECK(count() > 0);
  Chunk front = take_front();
  bytes_ -= front.size();
  return front;
}

void Chain::consume(size_t n) {
  LB_CHECK(n <= bytes_);
  bytes_ -= n;
  while (n > 0) {
    Chunk& front = few_count_ > 0 ? few_[0] : rest_[rest_head_];
    if (n < front.size()) return front.drop_front(n);
    n -= front.size();
    take_front();
  }
}

std::string Chain::to_string() const {
  std::string out;
  out.reserve(bytes_);
  for (size_t i = 0; i < count(); i++) out.append((*this)[i].view());
  return out;
}

}  // namespace lb
