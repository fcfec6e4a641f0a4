// Finds the quote that ends a JSON string: the innermost loop of scan.cc, where most bytes of a request go by. Two
// versions that do the same: one for any machine, one for x86-64, whose speed does not depend on how many escapes
// there are (text that quotes code or JSON is full of them). Neither reads outside [at, end).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lb {

inline constexpr uint64_t kByteOnes = 0x0101010101010101u;  // Times a byte: a word of nothing else.

// Of a word's bytes, those that are less than `bound` (up to 0x80), or equal `byte`: by their top bits, of which the
// lowest that is set tells the truth (Mycroft).
inline uint64_t bytes_below(uint64_t word, char bound) {
  return (word - kByteOnes * static_cast<uint8_t>(bound)) & ~word & kByteOnes << 7;
}
inline uint64_t bytes_equal(uint64_t word, char byte) {
  return bytes_below(word ^ kByteOnes * static_cast<uint8_t>(byte), 1);
}

// The first byte in [at, end) that `marks` finds, which says of a word what the two above do; `end` if there is none.
template <typename Marks>
const char* find_by_words(const char* at, const char* end, Marks marks) {
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    uint64_t found = marks(word);
    if (found == 0) continue;
    if constexpr (std::endian::native == std::endian::little) return at + std::countr_zero(found) / 8;
    break;
  }
  while (at < end && marks(kByteOnes * static_cast<uint8_t>(*at)) == 0) at++;
  return at;
}

inline uint64_t quotes_and_slashes(uint64_t word) { return bytes_equal(word, '"') | bytes_equal(word, '\\'); }

// The first quote or backslash in [at, end); `end` if there is none. A word at a time, then by memchr.
inline const char* find_mark(const char* at, const char* end) {
  constexpr size_t kProbe = 64;     // Most strings end sooner than a call of memchr pays.
  constexpr size_t kWindow = 4096;  // Enough for memchr to run at its full speed, and still cached the second time.
  const char* probe_end = at + std::min<size_t>(kProbe, static_cast<size_t>(end - at));
  at = find_by_words(at, probe_end, quotes_and_slashes);
  if (at < probe_end) return at;
  while (at < end) {
    size_t size = std::min<size_t>(kWindow, static_cast<size_t>(end - at));
    auto quote = static_cast<const char*>(std::memchr(at, '"', size));
    if (quote) size = static_cast<size_t>(quote - at);
    if (auto slash = static_cast<const char*>(std::memchr(at, '\\', size))) return slash;
    if (quote) return quote;
    at += size;
  }
  return end;
}

// The same for short text, and a control character ends it too.
inline const char* find_text_end(const char* at, const char* end) {
  return find_by_words(at, end, [](uint64_t word) { return quotes_and_slashes(word) | bytes_below(word, ' '); });
}

// The first quote in [at, end) that is not escaped; `end` if there is none. `escaped` says of the byte at `at`, and
// then of the byte at `end`, whether a backslash stands before it that counts.
inline const char* find_quote_portable(const char* at, const char* end, bool& escaped) {
  if (at == end) return end;
  if (escaped) at++;
  escaped = false;
  while (at < end) {
    at = find_mark(at, end);
    if (at == end || *at == '"') return at;
    escaped = end - at == 1;
    at += escaped ? 1 : 2;
  }
  return end;
}

// Those bytes, by bit, before which an odd number of backslashes stands. `carry` is 1 if the first one is escaped by
// what came before, and then if the byte after the sixty-fourth is. From simdjson (Langdale, Lemire: "Parsing
// Gigabytes of JSON per Second", 2019), in the form of its json_escape_scanner.
inline uint64_t escaped_bytes(uint64_t slashes, uint64_t& carry) {
  constexpr uint64_t kOdd = 0xaaaaaaaaaaaaaaaau;
  uint64_t potential = slashes & ~carry;
  uint64_t codes = ((potential << 1 | kOdd) - potential) ^ kOdd;
  uint64_t escaped = codes ^ (slashes | carry);
  carry = (codes & slashes) >> 63;
  return escaped;
}

#if defined(__SSE2__)

inline const char* find_quote(const char* at, const char* end, bool& escaped) {
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  auto load = [](const char* from) {
    __m128i out;
    std::memcpy(&out, from, sizeof out);
    return out;
  };
  auto bits = [](__m128i equal) { return static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(equal))); };
  if (end - at >= 16 && !escaped) {  // Keys and other short strings.
    __m128i piece = load(at);
    uint64_t quotes = bits(_mm_cmpeq_epi8(piece, quote)), slashes = bits(_mm_cmpeq_epi8(piece, slash));
    if (quotes != 0 && (slashes == 0 || std::countr_zero(quotes) < std::countr_zero(slashes)))
      return at + std::countr_zero(quotes);
    if (slashes == 0) at += 16;
  }
  uint64_t carry = escaped;
  for (; end - at >= 64; at += 64) {
    __m128i piece[4], any = _mm_setzero_si128();
    for (size_t i = 0; i < 4; i++) {
      piece[i] = load(at + 16 * i);
      any = _mm_or_si128(any, _mm_or_si128(_mm_cmpeq_epi8(piece[i], quote), _mm_cmpeq_epi8(piece[i], slash)));
    }
    if (carry == 0 && bits(any) == 0) continue;
    uint64_t quotes = 0, slashes = 0;
    for (size_t i = 0; i < 4; i++) {
      quotes |= bits(_mm_cmpeq_epi8(piece[i], quote)) << 16 * i;
      slashes |= bits(_mm_cmpeq_epi8(piece[i], slash)) << 16 * i;
    }
    quotes &= ~escaped_bytes(slashes, carry);
    if (quotes == 0) continue;
    escaped = false;
    return at + std::countr_zero(quotes);
  }
  escaped = carry != 0;
  return find_quote_portable(at, end, escaped);
}

#else

inline const char* find_quote(const char* at, const char* end, bool& escaped) {
  return find_quote_portable(at, end, escaped);
}

#endif

}  // namespace lb
