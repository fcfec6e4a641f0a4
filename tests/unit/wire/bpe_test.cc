// Byte pairs by ranks that are made by hand. tests/tokens compares with the real ones.
#include "wire/bpe.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"
#include "ranks.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

uint64_t count(const std::vector<std::string>& tokens, std::string_view text,
               Encoding encoding = Encoding::cl100k_base) {
  return ranks_of(tokens, encoding)->count(text);
}

void pairs_are_merged_by_rank(void**) {
  assert_int_equal(count({}, ""), 0);
  assert_int_equal(count({}, "abc"), 3);
  assert_int_equal(count({"ab"}, "abc"), 2);
  assert_int_equal(count({"ab", "abc"}, "abc"), 1);
  // The lower rank first: b and c go together, so that a finds no partner.
  assert_int_equal(count({"bc", "ab", "abx"}, "abc"), 2);
  assert_int_equal(count({"ab", "bc", "abx"}, "abcd"), 3);
  // Of two alike the first: aa, then a; a and aa would be one.
  assert_int_equal(count({"aa", "baa"}, "baaax"), 3);
  assert_int_equal(count({"aa", "aaa"}, "aaaax"), 3);
  // A piece that is a token as a whole is one, though no merging leads there.
  assert_int_equal(count({"abcd"}, "abcd"), 1);
  assert_int_equal(count({"abcd"}, "abcde"), 5);
}

void texts_are_cut_before(void**) {
  const std::vector<std::string> words = {"ab", " a", " ab", "12", "123", "  ", "\n\n", "'s", "sB"};
  auto cl100k = [&](std::string_view text) { return count(words, text); };
  auto o200k = [&](std::string_view text) { return count(words, text, Encoding::o200k_base); };
  assert_int_equal(cl100k("ab ab ab"), 3);
  assert_int_equal(cl100k("ab  ab"), 3);     // One of two spaces goes with the word.
  assert_int_equal(cl100k("1231231"), 3);    // Three digits at most.
  assert_int_equal(cl100k("ab\n\nab"), 3);
  assert_int_equal(cl100k("ab's"), 2);
  assert_int_equal(o200k("ab's"), 2);        // One piece there, but the same pairs.
  assert_int_equal(cl100k("sB"), 1);
  assert_int_equal(o200k("sB"), 2);          // A capital begins a piece.
  assert_int_equal(o200k("SB"), 2);
  assert_int_equal(cl100k("ab  "), 2);
  assert_int_equal(cl100k("<|endoftext|>"), 13);  // Text as any other.
}

void bytes_that_are_not_utf8(void**) {
  const std::vector<std::string> tokens = {"\xef\xbf", "\xef\xbf\xbd", "\xc3\xa9"};
  assert_int_equal(count(tokens, "\xff"), 1);
  assert_int_equal(count(tokens, "a\xff\xc3 b"), 5);
  assert_int_equal(count(tokens, "\xc3\xa9"), 1);
  assert_int_equal(count(tokens, "\xf0\x9f"), 2);
  assert_int_equal(count(tokens, "\xed\xa0\x80"), 3);  // Half of a pair.
}

void faults_have_a_line(void**) {
  auto fault = [](std::string_view ranks) { return Bpe::load(ranks, Encoding::cl100k_base).error().message; };
  const std::string remedy =
      "; write a rank file of tiktoken's, whose lines are a token in base64, a space and its rank";
  const std::string bytes = rank_lines({});
  assert_string_equal(fault("YWI=").c_str(), ("line 1: no rank behind the token" + remedy).c_str());
  assert_string_equal(fault("YWI= 1\nYWI 2").c_str(), ("line 2: no token in base64" + remedy).c_str());
  assert_string_equal(fault("YWI= 1\n\n=YWI 2").c_str(),
                      ("line 3: no token in base64" + remedy).c_str());
  assert_string_equal(fault("YWI= -1").c_str(), ("line 1: no rank behind the token" + remedy).c_str());
  assert_string_equal(fault("YWI= 4294967295").c_str(), ("line 1: no rank behind the token" + remedy).c_str());
  assert_string_equal(fault("YWI=  1").c_str(), ("line 1: no rank behind the token" + remedy).c_str());
  assert_string_equal(fault("<html>").c_str(), ("line 1: no token in base64" + remedy).c_str());
  assert_string_equal(fault(" 1").c_str(), ("line 1: no token in base64" + remedy).c_str());
  assert_string_equal(fault(bytes + "YQ== 900\n").c_str(),
                      ("line 257: a token that was there before" + remedy).c_str());
  assert_string_equal(fault(bytes.substr(0, bytes.rfind('\n', bytes.size() - 2))).c_str(),
                      "no rank for the byte 255; is the file whole? Fetch it again");
  assert_true(Bpe::load("", Encoding::cl100k_base).error().status == Status::CONFIG);
  std::string windows = bytes;
  for (size_t at = 0; (at = windows.find('\n', at)) != windows.npos; at += 2) windows.insert(at, 1, '\r');
  assert_true(Bpe::load(windows, Encoding::cl100k_base).ok());
}

// Merging as tiktoken's documentation has it: the whole list searched for each pair.
uint64_t naive(const std::vector<std::string>& tokens, std::string_view piece) {
  std::vector<std::string> parts;
  for (char c : piece) parts.emplace_back(1, c);
  auto rank = [&](const std::string& text) {
    return static_cast<size_t>(std::find(tokens.begin(), tokens.end(), text) - tokens.begin());
  };
  if (rank(std::string(piece)) < tokens.size()) return 1;
  for (;;) {
    size_t best = tokens.size(), at = 0;
    for (size_t i = 0; i + 1 < parts.size(); i++)
      if (size_t found = rank(parts[i] + parts[i + 1]); found < best) best = found, at = i;
    if (best == tokens.size()) return parts.size();
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

void as_the_naive_way(void**) {
  for (uint64_t seed = 1; seed <= 400; seed++) {
    Rng rng(seed);
    std::vector<std::string> tokens;
    for (size_t wanted = rng.below(40); tokens.size() < wanted;) {
      std::string token(2 + rng.below(4), ' ');
      for (char& c : token) c = static_cast<char>('a' + rng.below(3));
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    auto ranks = ranks_of(tokens, Encoding::cl100k_base);
    for (int i = 0; i < 20; i++) {
      std::string piece(1 + rng.below(40), ' ');
      for (char& c : piece) c = static_cast<char>('a' + rng.below(3));
      assert_int_equal(ranks->count(piece), naive(tokens, piece));
    }
  }
}

// With time that grows as the square of it this would not end.
void runs_of_one_letter(void**) {
  constexpr size_t kSize = size_t{1} << 19;
  auto ranks = ranks_of({"aa", "aaaa", "aaaaaaaa", "  ", "    ", "!!"}, Encoding::cl100k_base);
  auto o200k = ranks_of({"AA", "AAAA"}, Encoding::o200k_base);
  assert_int_equal(ranks->count(std::string(kSize, 'a')), kSize / 8);
  assert_int_equal(ranks->count(std::string(kSize, ' ')), kSize / 4);
  assert_int_equal(ranks->count(std::string(kSize, ' ') + 'x'), kSize / 4 + 3);  // The last space goes with the x.
  assert_int_equal(ranks->count(std::string(kSize, '!')), kSize / 2);
  assert_int_equal(o200k->count(std::string(kSize, 'A')), kSize / 4);
  // One over the size in which pieces are counted.
  assert_int_equal(ranks->count(std::string(Bpe::kPieceMax, 'a')), Bpe::kPieceMax / 8);
  assert_int_equal(ranks->count(std::string(Bpe::kPieceMax + 1, 'a')), Bpe::kPieceMax / 8 + 1);
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::pairs_are_merged_by_rank), cmocka_unit_test(lb::texts_are_cut_before),
      cmocka_unit_test(lb::bytes_that_are_not_utf8),  cmocka_unit_test(lb::faults_have_a_line),
      cmocka_unit_test(lb::as_the_naive_way),         cmocka_unit_test(lb::runs_of_one_letter),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
