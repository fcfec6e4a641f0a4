#include "wire/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

// tiktoken_ext/openai_public.py of tiktoken, with Unicode's White_Space for \s: PCRE2's has U+180E too.
#define LB_SPACE "\\t-\\r\\x{85}\\p{Z}"
#define LB_SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LB_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LB_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LB_SPACES "[" LB_SPACE "]*[\\r\\n]+|[" LB_SPACE "]+(?![^" LB_SPACE "])|[" LB_SPACE "]+"
constexpr std::string_view kCl100k = LB_SUFFIX
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^" LB_SPACE "\\p{L}\\p{N}]+[\\r\\n]*|" LB_SPACES;
constexpr std::string_view kO200k =
    "[^\\r\\n\\p{L}\\p{N}]?" LB_UPPER "*" LB_LOWER "+" LB_SUFFIX "?"
    "|[^\\r\\n\\p{L}\\p{N}]?" LB_UPPER "+" LB_LOWER "*" LB_SUFFIX "?"
    "|\\p{N}{1,3}| ?[^" LB_SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|" LB_SPACES;
#undef LB_SPACE
#undef LB_SUFFIX
#undef LB_UPPER
#undef LB_LOWER
#undef LB_SPACES

constexpr bool is_small(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_letter(char c) { return is_small(ascii_lower(c)); }

// Most pieces of most texts, without asking PCRE2: a space or none, a letter, small letters, and then something of
// ASCII that is neither a letter nor an apostrophe. Both expressions end a piece there. 0: it is not of this kind.
size_t plain_word(std::string_view rest) {
  size_t at = rest[0] == ' ' ? 1 : 0;
  if (at == rest.size() || !is_letter(rest[at])) return 0;
  at++;
  while (at < rest.size() && is_small(rest[at])) at++;
  if (at == rest.size()) return at;
  char c = rest[at];
  return is_letter(c) || c == '\'' || static_cast<unsigned char>(c) >= 0x80 ? 0 : at;
}

// `text` itself where it is UTF-8, else a copy with U+FFFD for each byte that is none.
std::string_view as_utf8(std::string_view text, std::string& copy) {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    size_t size = utf8_size(text.substr(at));
    if (size == 0) {
      copy.append(text.substr(done, at - done)).append("\xef\xbf\xbd");
      done = at + 1;
    }
    at += std::max<size_t>(size, 1);
  }
  return done == 0 ? text : copy.append(text.substr(done));
}

// RFC 4648 §4, with its padding; nothing for what is none.
std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t size = text.size();
  while (size > 0 && text.size() - size < 2 && text[size - 1] == '=') size--;
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  uint32_t bits = 0, held = 0;
  for (char c : text.substr(0, size)) {
    size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xff));
  }
  return out;
}

Error bad_line(size_t line, std::string_view what) {
  return {Status::CONFIG, "",
          "line " + std::to_string(line) + ": " + std::string(what) +
              "; write a rank file of tiktoken's, whose lines are a token in base64, a space and its rank"};
}

}  // namespace

// What the merging of one piece needs; kept from piece to piece.
struct Bpe::Merges {
  struct Part {
    uint32_t before, next;  // Where those beside it begin.
    uint32_t rank;          // Of it and the next one together.
  };
  std::vector<Part> parts;     // By the byte at which they begin.
  std::vector<uint64_t> open;  // A heap of pairs: the rank, and below it the byte. One whose rank has changed is stale.
};

Bpe::Bpe(Encoding encoding) : cutter_(encoding == Encoding::cl100k_base ? kCl100k : kO200k) {}

Result<std::shared_ptr<const Bpe>> Bpe::load(std::string_view ranks, Encoding encoding) {
  std::shared_ptr<Bpe> out(new Bpe(encoding));
  size_t lines = static_cast<size_t>(std::count(ranks.begin(), ranks.end(), '\n')) + 1;
  out->slots_.resize(std::bit_ceil(2 * lines));
  out->bytes_.reserve(ranks.size());
  for (size_t number = 1; !ranks.empty(); number++) {
    std::string_view line = split_off(ranks, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    std::optional<std::string> token = decode_base64(split_off(line, ' '));
    if (!token || token->empty()) return bad_line(number, "no token in base64");
    std::optional<uint64_t> rank = parse_u64(line);
    if (!rank || *rank >= kNone) return bad_line(number, "no rank behind the token");
    if (!out->add(*token, static_cast<uint32_t>(*rank))) return bad_line(number, "a token that was there before");
  }
  for (int byte = 0; byte < 256; byte++) {
    char c = static_cast<char>(byte);
    if (out->rank_of({&c, 1}) == kNone)
      return Error{Status::CONFIG, "",
                   "no rank for the byte " + std::to_string(byte) + "; is the file whole? Fetch it again"};
  }
  return std::shared_ptr<const Bpe>(std::move(out));
}

size_t Bpe::slot_of(std::string_view token) const {
  uint64_t hash = hash_text(token);
  for (uint64_t at = hash ^ hash >> 32;; at++) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    bool same = std::string_view(bytes_).substr(slot.begin, slot.size) == token;
    if (same || slot.rank == kNone) return at & (slots_.size() - 1);
  }
}

bool Bpe::add(std::string_view token, uint32_t rank) {
  Slot& slot = slots_[slot_of(token)];
  if (slot.rank != kNone) return false;
  slot = {static_cast<uint32_t>(bytes_.size()), rank, static_cast<uint32_t>(token.size())};
  bytes_.append(token);
  longest_ = std::max(longest_, token.size());
  return true;
}

uint32_t Bpe::rank_of(std::string_view token) const {
  return token.size() > longest_ ? kNone : slots_[slot_of(token)].rank;
}

// The pair of the lowest rank is merged, of several the first, until none has a rank. What is left are the tokens.
uint64_t Bpe::count_piece(std::string_view piece, Merges& merges) const {
  if (rank_of(piece) != kNone) return 1;
  std::vector<Merges::Part>& parts = merges.parts;
  std::vector<uint64_t>& open = merges.open;
  auto size = static_cast<uint32_t>(piece.size());
  auto ranked = [&](uint32_t at) {  // Of the part at `at` and the next.
    uint32_t next = parts[at].next;
    if (next == size) return kNone;
    return rank_of(piece.substr(at, parts[next].next - at));
  };
  auto key = [&](uint32_t at) { return uint64_t{parts[at].rank} << 32 | at; };
  parts.resize(size);
  open.clear();
  for (uint32_t at = 0; at < size; at++) parts[at] = {at - 1, at + 1, kNone};
  for (uint32_t at = 0; at < size; at++)
    if ((parts[at].rank = ranked(at)) != kNone) open.push_back(key(at));
  std::make_heap(open.begin(), open.end(), std::greater<>());
  auto update = [&](uint32_t at) {
    if ((parts[at].rank = ranked(at)) == kNone) return;
    open.push_back(key(at));
    std::push_heap(open.begin(), open.end(), std::greater<>());
  };
  uint64_t tokens = size;
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), std::greater<>());
    auto at = static_cast<uint32_t>(open.back());
    bool stale = open.back() != key(at);
    open.pop_back();
    if (stale) continue;
    uint32_t gone = parts[at].next;
    parts[gone].rank = kNone;
    parts[at].next = parts[gone].next;
    if (parts[at].next < size) parts[parts[at].next].before = at;
    tokens--;
    update(at);
    if (at > 0) update(parts[at].before);
  }
  return tokens;
}

uint64_t Bpe::count(std::string_view text) const {
  std::string copy;
  text = as_utf8(text, copy);
  Cutter::Cut cut(cutter_);
  Merges merges;
  uint64_t tokens = 0;
  for (size_t at = 0; at < text.size();) {
    size_t size = plain_word(text.substr(at));
    if (size == 0) size = cut.size_at(text, at);
    for (size_t done = 0; done < size; done += kPieceMax)
      tokens += count_piece(text.substr(at + done, std::min(kPieceMax, size - done)), merges);
    at += size;
  }
  return tokens;
}

}  // namespace lb
