// Counts the Unicode characters (code points) of JSON strings from their raw bytes, in pieces of any size: an escape
// is one character, so is a pair of surrogates. Sixty-four bytes at a time, for prompts are long: in two versions
// that do the same, one for any machine and one for x86-64. Bytes that are no UTF-8 count by the same rule, each that
// is not 10xxxxxx is a character; and the hexadecimal digits after \u belong to it even if they are fewer than four.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/text.h"
#include "wire/quote.h"

namespace lb {

inline constexpr size_t kCharacterBlock = 64;

// How many of the bytes of a block begin a character.
inline uint64_t character_starts_portable(const char* block) {
  uint64_t inner = 0;  // By byte of a word: how many of the eight words have 10xxxxxx there.
  for (size_t i = 0; i < kCharacterBlock; i += 8) {
    uint64_t word;
    std::memcpy(&word, block + i, 8);
    inner += word >> 7 & ~word >> 6 & kByteOnes;
  }
  return kCharacterBlock - (inner * kByteOnes >> 56);
}

// Those bytes of a block that are `c`, by bit.
inline uint64_t equal_bytes_portable(const char* block, char c) {
  uint64_t out = 0;
  for (size_t i = 0; i < kCharacterBlock; i++) out |= uint64_t{block[i] == c} << i;
  return out;
}

#if defined(__SSE2__)

inline __m128i sixteen_bytes(const char* from) {
  __m128i out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

inline uint64_t character_starts(const char* block) {
  __m128i starts = _mm_setzero_si128();  // By byte, less than 0: as signed numbers, 10xxxxxx are those up to -65.
  for (size_t i = 0; i < kCharacterBlock; i += 16)
    starts = _mm_add_epi8(starts, _mm_cmpgt_epi8(sixteen_bytes(block + i), _mm_set1_epi8(-65)));
  __m128i sums = _mm_sad_epu8(_mm_sub_epi8(_mm_setzero_si128(), starts), _mm_setzero_si128());
  return static_cast<uint64_t>(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
}

inline uint64_t equal_bytes(const char* block, char c) {
  __m128i equal[4];
  for (size_t i = 0; i < 4; i++) equal[i] = _mm_cmpeq_epi8(sixteen_bytes(block + 16 * i), _mm_set1_epi8(c));
  __m128i any = _mm_or_si128(_mm_or_si128(equal[0], equal[1]), _mm_or_si128(equal[2], equal[3]));
  if (_mm_movemask_epi8(any) == 0) return 0;
  uint64_t out = 0;
  for (size_t i = 0; i < 4; i++)
    out |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(equal[i]))) << 16 * i;
  return out;
}

#else

inline uint64_t character_starts(const char* block) { return character_starts_portable(block); }
inline uint64_t equal_bytes(const char* block, char c) { return equal_bytes_portable(block, c); }

#endif

class CharacterCount {
 public:
  // Another string begins. What is counted goes on.
  void begin() {
    seen_ = carry_ = high_end_ = 0;
    digits_ = 0;
  }

  void add(std::string_view raw) {
    const char* at = raw.data();
    const char* end = at + raw.size();
    piece_ = at;
    if (digits_ > 0) at = read_digits(at, end);
    for (; end - at >= static_cast<ptrdiff_t>(kCharacterBlock); at += kCharacterBlock)
      add_block(at, kCharacterBlock, at, end);
    if (at < end) {
      std::array<char, kCharacterBlock> padded;
      padded.fill('\x80');  // Counts nothing.
      std::memcpy(padded.data(), at, static_cast<size_t>(end - at));
      add_block(padded.data(), static_cast<size_t>(end - at), at, end);
    }
    seen_ += raw.size();
  }

  uint64_t total() const { return total_; }

 private:
  // The first `size` bytes of `block` stand at `at` too, in a piece that ends at `end`.
  void add_block(const char* block, size_t size, const char* at, const char* end) {
    total_ += character_starts(block);
    uint64_t slashes = equal_bytes(block, '\\');
    if ((slashes | carry_) == 0) return;
    uint64_t escaped = escaped_bytes(slashes, carry_);
    if (size < kCharacterBlock) {
      carry_ = escaped >> size & 1;
      escaped &= (uint64_t{1} << size) - 1;
    }
    total_ -= static_cast<uint64_t>(std::popcount(escaped));  // A backslash and the byte after it are one.
    for (uint64_t codes = escaped & equal_bytes(block, 'u'); codes != 0; codes &= codes - 1)
      begin_code(at + std::countr_zero(codes), end);
  }

  // A code that begins with the `u` at `at`. Its digits will be, or have been, counted with the bytes around them.
  void begin_code(const char* at, const char* end) {
    pair_ = high_end_ != 0 && offset(at) == high_end_ + 1;
    code_ = 0;
    digits_ = 4;
    total_ -= static_cast<uint64_t>(read_digits(at + 1, end) - (at + 1));
  }

  const char* read_digits(const char* at, const char* end) {
    for (; digits_ > 0 && at < end; digits_--, at++) {
      int value = hex_value(*at);
      if (value < 0) {
        digits_ = 0;
        high_end_ = 0;
        return at;
      }
      code_ = code_ << 4 | static_cast<uint32_t>(value);
    }
    if (digits_ == 0) end_code(at);
    return at;
  }

  void end_code(const char* end) {
    bool low = code_ >= 0xdc00 && code_ < 0xe000;
    if (low && pair_) total_--;
    high_end_ = code_ >= 0xd800 && code_ < 0xdc00 ? offset(end) : 0;
  }

  uint64_t offset(const char* at) const { return seen_ + static_cast<uint64_t>(at - piece_); }

  uint64_t total_ = 0;
  const char* piece_ = nullptr;  // During add().
  uint64_t seen_ = 0;            // Bytes of this string in earlier pieces.
  uint64_t carry_ = 0;           // 1: a backslash that counts is the last of them.
  uint64_t high_end_ = 0;        // Where the first half of a pair ended last; 0: it was no such half.
  uint32_t code_ = 0;            // What \u is followed by, so far.
  uint32_t digits_ = 0;          // How many more belong to it.
  bool pair_ = false;            // It stands directly after the first half of a pair.
};

}  // namespace lb
