#include "wire/dialect/tokens.h"

#include <algorithm>
#include <string>

#include "base/text.h"
#include "wire/escape.h"
#include "wire/python_json.h"

namespace lb {

namespace {

using Kind = Part::Kind;

constexpr bool is_small(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_letter(char c) { return is_small(ascii_lower(c)); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// The words that English has most of (Oxford English Corpus), of two letters and more.
constexpr std::string_view kEnglish[] = {"the", "of", "and", "to", "in", "is", "for", "that", "with"};

// In quarters of a token, by where in Unicode a character stands: as much as the encodings need for the worst of the
// languages that are written there.
struct Range {
  uint32_t end;  // One past it.
  uint32_t quarters;
};
constexpr Range kRanges[] = {
    {0x250, 6},     // Latin letters with accents.
    {0x370, 8},     // Phonetic letters, combining accents.
    {0x530, 4},     // Greek, Cyrillic.
    {0x590, 8},     // Armenian.
    {0x700, 5},     // Hebrew, Arabic.
    {0x900, 8},     // Syriac, Thaana, N'Ko.
    {0xe00, 8},     // The scripts of India.
    {0xf00, 9},     // Thai, Lao.
    {0x1e00, 12},
    {0x1f00, 8},    // More Latin letters: Vietnamese.
    {0x2010, 12},
    {0x2020, 4},    // Dashes, quotation marks.
    {0x3000, 12},
    {0x3400, 6},    // Kana, and the punctuation of East Asia.
    {0x4e00, 12},
    {0xa000, 6},    // Han.
    {0xac00, 12},
    {0xd7b0, 6},    // Hangul.
    {0xff00, 12},
    {0x10000, 6},   // Wide forms.
    {0x110000, 16}, // A byte is a token at worst: emoji, and scripts that no encoding has learnt.
};

uint32_t quarters_of(std::string_view character) {
  auto byte = [&](size_t i) { return uint32_t{static_cast<unsigned char>(character[i])}; };
  if (character.size() == 4) return std::end(kRanges)[-1].quarters;
  uint32_t code = character.size() == 2 ? (byte(0) & 31) << 6 | (byte(1) & 63)
                                        : (byte(0) & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
  return std::find_if(std::begin(kRanges), std::end(kRanges), [&](Range range) { return code < range.end; })->quarters;
}

// A text, run by run of what is alike.
class Estimate {
 public:
  uint64_t of(std::string_view text) {
    while (at_ < text.size()) {
      char c = text[at_];
      std::string_view rest = text.substr(at_);
      if (is_letter(c)) word(rest);
      else if (is_digit(c)) tokens_ += (run(rest, is_digit) + 1) / 2;  // cl100k has three in one, others fewer.
      else if (is_space(c)) space(rest);
      else if (is_ascii(c)) at_++, tokens_++;
      else other(rest);
    }
    bool english = english_ * 8 >= words_;
    return tokens_ + (english ? quarters_of_words_ : halves_of_words_) + (quarters_ + 3) / 4;
  }

 private:
  template <typename Fits>
  size_t run(std::string_view rest, Fits fits) {
    size_t size = 1;
    while (size < rest.size() && fits(rest[size])) size++;
    at_ += size;
    return size;
  }

  // "getHTTPHeader" is "get" and "HTTPHeader". A token for each two letters begun; in a text of which an eighth of the
  // words are English ones, for each four.
  void word(std::string_view rest) {
    size_t size = 1;
    while (size < rest.size() && is_letter(rest[size]) && (is_small(rest[size]) || !is_small(rest[size - 1]))) size++;
    at_ += size;
    words_++;
    std::string_view letters = rest.substr(0, size);
    if (std::find(std::begin(kEnglish), std::end(kEnglish), letters) != std::end(kEnglish)) english_++;
    halves_of_words_ += (size + 1) / 2;
    quarters_of_words_ += (size + 3) / 4;
  }

  // A space belongs to the word behind it, but not to a number, and seldom to a word that is not in ASCII. Of long runs
  // a token takes sixteen.
  void space(std::string_view rest) {
    char c = rest[0];
    size_t size = run(rest, [&](char next) { return next == c; });
    if (c != ' ' || size > 1) tokens_ += 1 + (size - 1) / 16;
    char next = size < rest.size() ? rest[size] : 'a';
    if (c == ' ' && (is_digit(next) || !is_ascii(next))) tokens_++;
  }

  void other(std::string_view rest) {
    size_t size = utf8_size(rest);
    quarters_ += size == 0 ? 4 : quarters_of(rest.substr(0, size));
    at_ += std::max<size_t>(size, 1);
  }

  size_t at_ = 0;
  uint64_t tokens_ = 0, quarters_ = 0;
  uint64_t words_ = 0, english_ = 0, halves_of_words_ = 0, quarters_of_words_ = 0;
};

class Count {
 public:
  explicit Count(const Bpe* ranks) : ranks_(ranks) {}

  uint64_t of(const Request& request) {
    for (const Part& part : request.system) add(part);
    for (const Turn& turn : request.turns) {
      frame();
      for (const Part& part : turn.parts) add(part);
    }
    for (const Tool& tool : request.tools) add(tool);
    if (!ranks_ && !request.tools.empty()) tokens_ += kTokensForTools;
    if (!ranks_) json(request.format.schema);
    return tokens_;
  }

 private:
  void frame() { tokens_ += ranks_ ? 0 : kTokensPerFrame; }
  void text(std::string_view bytes) { tokens_ += ranks_ ? ranks_->count(bytes) : estimate_tokens(bytes); }
  void inner(Inner inner) {
    bool plain = inner.find('\\') == inner.npos;
    if (!plain) decoded_ = decode_inner(inner);
    text(plain ? inner : decoded_);
  }
  void json(Raw value) {
    decoded_.clear();
    append_python_json(decoded_, value);
    text(decoded_);
  }

  void add(const Tool& tool) {
    frame();
    if (tool.foreign.present()) return json(tool.foreign);
    text(decode_inner(tool.name) + decode_inner(tool.description));
    json(tool.schema);
  }

  void add(const Part& part) {
    switch (part.kind) {
      case Kind::text: case Kind::thinking: case Kind::refusal: return inner(part.text);
      case Kind::image: case Kind::audio: tokens_ += kTokensPerImage; return;
      case Kind::document:
        if (part.source.kind == Source::Kind::text) return inner(part.source.data);
        tokens_ += kTokensPerImage;
        return;
      case Kind::tool_call:
        frame();
        if (!ranks_) inner(part.name);
        return part.input.present() ? json(part.input) : inner(part.text);
      case Kind::tool_result: return result(part);
      case Kind::redacted: return;  // What it says is not to be seen, and its length is not that of a text.
      case Kind::foreign: return json(part.raw);
    }
  }

  void result(const Part& part) {
    frame();
    std::string texts;
    for (const Part& item : part.content) {
      if (item.kind == Kind::text) texts += decode_inner(item.text);
      else if (item.kind == Kind::foreign) append_python_json(texts, item.raw);
      else add(item);
    }
    text(texts);
  }

  const Bpe* ranks_;
  uint64_t tokens_ = 0;
  std::string decoded_;
};

}  // namespace

uint64_t count_tokens(const Request& request, const Bpe* ranks) { return Count(ranks).of(request); }

uint64_t estimate_tokens(std::string_view text) { return Estimate().of(text); }

}  // namespace lb
