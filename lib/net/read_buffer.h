// Where a loop reads into: a few large buffers used in turn. Small reads are copied out into chunks of their own size,
// so that a chunk that lives long holds little; large ones share the buffer, so that bulk is not copied. Owned by a
// Loop; its thread, though the last reference to a chunk may be dropped on any.
#pragma once

#include <array>
#include <cstddef>

#include "base/chunk.h"

namespace lb {

class ReadBuffer {
 public:
  // What libuv suggests for one read of a socket.
  static constexpr size_t kBuffer = 64 * 1024;
  // No read is offered less than this: it is one TLS record, and a quarter of the buffer is the most that is wasted.
  static constexpr size_t kRoomMin = 16 * 1024;
  // Up to a page, copying costs less than what sharing would hold on to: sixteen shares can hold sixteen buffers.
  static constexpr size_t kCopyMax = 4 * 1024;

  struct Room {
    char* at;
    size_t size;  // At least kRoomMin.
  };
  Room room() {
    if (!start_ || kBuffer - used_ < kRoomMin) turn_over();
    return {start_ + used_, kBuffer - used_};
  }

  // The first `n` bytes of the room that was last asked for.
  Chunk take(size_t n) {
    if (n <= kCopyMax) return Chunk::copy({start_ + used_, n});
    Chunk part = buffers_[current_].slice(used_, n);
    used_ += n;
    return part;
  }

 private:
  // Prefers the buffer in use, then the others, if all their chunks are gone; else lets go of one and makes another.
  void turn_over() {
    for (size_t i = 0; i < buffers_.size(); i++) {
      size_t next = (current_ + i) % buffers_.size();
      if (buffers_[next].unique()) return use(next);
    }
    size_t next = (current_ + 1) % buffers_.size();
    buffers_[next] = Chunk::make(kBuffer);
    use(next);
  }
  void use(size_t next) {
    current_ = next;
    used_ = 0;
    start_ = buffers_[next].writable();
  }

  std::array<Chunk, 8> buffers_;  // A turn of bulk for eight connections; with four, malloc went to the system for
                                  // each sixteenth read.
  size_t current_ = 0;
  size_t used_ = 0;
  char* start_ = nullptr;
};

}  // namespace lb
