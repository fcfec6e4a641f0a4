// Texts and ranks of strangers: lines of a rank file, an empty line, and the text that is counted; without the former
// only bytes are tokens. Whatever they are, a count is the same again, ends soon, and is at most one for each byte of
// the text as UTF-8; with no ranks but those of bytes it is just that. An estimate is at most one for each byte.
#include "wire/bpe.h"

#include "fuzz/fuzz.h"
#include "unit/wire/ranks.h"
#include "wire/dialect/tokens.h"
#include "wire/escape.h"
#include "wire/python_json.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb;
  using fuzz::require;
  std::string_view text(reinterpret_cast<const char*>(data), size), lines;
  if (size_t blank = text.find("\n\n"); blank != text.npos) {
    lines = text.substr(0, blank + 1);
    text.remove_prefix(blank + 2);
  }
  Encoding encoding = size % 2 == 0 ? Encoding::cl100k_base : Encoding::o200k_base;
  size_t bytes = 0;  // Of the text as UTF-8.
  for (size_t at = 0; at < text.size();) {
    size_t character = utf8_size(text.substr(at));
    bytes += character == 0 ? 3 : character;
    at += character == 0 ? 1 : character;
  }
  require(ranks_of({}, encoding)->count(text) == bytes, "a byte is not a token, and there are no others");
  require(estimate_tokens(text) <= text.size(), "an estimate has more tokens than bytes");
  if (Result<Raw> json = Raw::parse(text); json.ok()) {
    std::string once, twice;
    append_python_json(once, json.value());
    Result<Raw> again = Raw::parse(once);
    if (once.find("Infinity") != once.npos) return 0;  // Python's own, and no JSON.
    require(again.ok(), "JSON as Python writes it is none");
    append_python_json(twice, again.value());
    require(once == twice, "JSON as Python writes it is written otherwise again");
  }
  Result<std::shared_ptr<const Bpe>> ranks = Bpe::load(std::string(lines) + rank_lines({}), encoding);
  if (!ranks.ok()) {
    require(ranks.error().message.starts_with("line "), "a fault without a line");
    return 0;
  }
  uint64_t tokens = ranks.value()->count(text);
  require(tokens <= bytes && (tokens > 0) == (bytes > 0), "more tokens than bytes, or none");
  require(ranks.value()->count(text) == tokens, "a count that comes and goes");
  return 0;
}
