// In what pieces the body of an answer goes through the engine, and out of it.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/chunk.h"
#include "wire/http1.h"

namespace lb {

// What lb writes goes on in pieces no longer than a TLS record, for the window may be overrun by one of them; what an
// upstream sends may overrun it by a read (ReadBuffer::kBuffer).
constexpr size_t kPieceMax = 16 * 1024;

inline void push_pieces(Chain& to, std::string_view bytes) {
  Chunk all = Chunk::copy(bytes);
  for (size_t at = 0; at < all.size(); at += kPieceMax) to.push(all.slice(at, std::min(kPieceMax, all.size() - at)));
}

// Many upstreams send each event of a stream as a chunk of its own. Those that came in one read go on as one piece:
// what is done for each costs more than to move it. How many they are from `first` on; 1 where that is no body.
inline size_t body_run(std::span<const Http1Parser::Piece> pieces, size_t first) {
  size_t count = 0;
  while (first + count < pieces.size() && pieces[first + count].kind == Http1Parser::Piece::Kind::body) count++;
  return std::max<size_t>(count, 1);
}

// They are put together where they stand, over the lines of the chunks between them.
inline Chunk joined(Chunk& read, std::span<const Http1Parser::Piece> run) {
  size_t begin = static_cast<size_t>(run[0].bytes.data() - read.data());
  size_t end = begin;
  for (const Http1Parser::Piece& piece : run) {
    read.move(piece.bytes, end);
    end += piece.bytes.size();
  }
  return read.slice(begin, end - begin);
}

// Chunks that share a buffer. Each with its own would be made by malloc on this thread and freed on the host's, and
// there is a lock between the two.
class Packed {
 public:
  void clear() {
    text_.clear();
    ends_.clear();
  }
  void add(std::string_view bytes) {
    text_.append(bytes);
    ends_.push_back(text_.size());
  }
  // A chunk for each that was added.
  void push_to(Chain& out) const {
    Chunk all = Chunk::copy(text_);
    size_t from = 0;
    for (size_t to : ends_) {
      out.push(all.slice(from, to - from));
      from = to;
    }
  }

 private:
  std::string text_;
  std::vector<size_t> ends_;  // In `text_`.
};

}  // namespace lb
