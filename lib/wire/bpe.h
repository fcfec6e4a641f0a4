// Counts tokens as OpenAI's models do: byte-pair encoding by the ranks of a file in tiktoken's format (a line for each
// token: its bytes in base64, a space, its rank). The file is the user's; lb brings none. Ordinary text only: what
// looks like a special token is text. A byte that is no UTF-8 counts as U+FFFD, which it is where JSON is written.
//
// Never changed once loaded; any thread may count. Time grows with the text as n log n at worst, whatever the text.
// Memory of a count is bounded by the longest piece, not by the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/pattern.h"

namespace lb {

// By which expression a text is cut before pairs are merged. In the order of schema.def's choice.
enum class Encoding : uint8_t { cl100k_base, o200k_base };

class Bpe {
 public:
  // A longer piece (65,536 letters without a space) is counted in parts of this size, for a pair that is merged takes
  // twenty times its bytes. Each cut may make the count differ by a few tokens from the true one.
  static constexpr size_t kPieceMax = 64 * 1024;

  // The text of a rank file. CONFIG, with the line and the remedy.
  static Result<std::shared_ptr<const Bpe>> load(std::string_view ranks, Encoding encoding);

  uint64_t count(std::string_view text) const;

 private:
  static constexpr uint32_t kNone = 0xffffffff;
  struct Slot {
    uint32_t begin = 0, rank = kNone;  // In bytes_; kNone: free.
    uint32_t size = 0;
  };
  struct Merges;

  explicit Bpe(Encoding encoding);
  bool add(std::string_view token, uint32_t rank);
  uint32_t rank_of(std::string_view token) const;
  size_t slot_of(std::string_view token) const;  // Its own, or the one that it would take.
  uint64_t count_piece(std::string_view piece, Merges& merges) const;

  Cutter cutter_;
  std::string bytes_;        // Of all tokens, one behind the other.
  std::vector<Slot> slots_;  // By hash; at most half of them are taken.
  size_t longest_ = 0;
};

}  // namespace lb
