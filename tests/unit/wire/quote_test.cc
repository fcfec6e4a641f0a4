#include "wire/quote.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Rng;

struct Found {
  size_t at;
  bool escaped;
  bool operator==(const Found&) const = default;
};

Found by_bytes(const std::string& text, bool escaped) {
  for (size_t i = 0; i < text.size(); i++) {
    if (escaped)
      escaped = false;
    else if (text[i] == '\\')
      escaped = true;
    else if (text[i] == '"')
      return {i, false};
  }
  return {text.size(), escaped};
}

template <typename Find>
Found found_by(Find find, const std::string& text, bool escaped) {
  // A copy of exactly its size, so that ASan sees a read beyond it.
  std::vector<char> bytes(text.begin(), text.end());
  const char* at = find(bytes.data(), bytes.data() + bytes.size(), escaped);
  return {static_cast<size_t>(at - bytes.data()), escaped};
}

void assert_agree(const std::string& text) {
  for (bool escaped : {false, true}) {
    Found expected = by_bytes(text, escaped);
    assert_true(found_by(lb::find_quote, text, escaped) == expected);
    assert_true(found_by(lb::find_quote_portable, text, escaped) == expected);
  }
}

void a_quote_is_found_at_every_place(void**) {
  for (size_t size = 0; size < 200; size++) {
    std::string text(size, 'x');
    assert_agree(text);
    for (size_t at = 0; at < size; at++) {
      text[at] = '"';
      assert_agree(text);
      text[at] = 'x';
    }
  }
}

void runs_of_backslashes_of_every_length_at_every_place(void**) {
  for (size_t begin = 0; begin < 140; begin++)
    for (size_t run = 1; run < 140; run++) {
      std::string text = std::string(begin, 'x') + std::string(run, '\\') + "\"tail\"";
      assert_agree(text);
      text.resize(begin + run);
      assert_agree(text);
    }
}

// Bytes that a word-wise search takes for a mark when it is wrong: neighbours in value, and with the top bit set.
void what_is_similar_is_no_mark(void**) {
  for (int c = 0; c < 256; c++) {
    if (c == '"' || c == '\\') continue;
    assert_agree(std::string(100, static_cast<char>(c)) + "\"");
    assert_agree("\x01\x00\"\x23\x5d\xa2\xdc\x21\x5b"[0] + std::string(9, static_cast<char>(c)) + "\\\"\"");
  }
}

void random_text(void**) {
  Rng rng(7);
  for (int round = 0; round < 20'000; round++) {
    std::string text(rng.below(300), ' ');
    uint64_t marks = 1 + rng.below(100);  // From dense with marks to almost none.
    for (char& c : text) {
      uint64_t draw = rng.below(marks);
      c = draw == 0 ? '\\' : draw == 1 && rng.below(4) == 0 ? '"' : static_cast<char>(rng.next());
    }
    assert_agree(text);
  }
}

void a_long_string(void**) {
  for (size_t size : {4095u, 4096u, 4097u, 4160u, 100'000u}) {
    std::string text(size, 'x');
    assert_agree(text + "\"");
    assert_agree(text + "\\\"\"");
    assert_agree(text + "\\");
    text[size / 2] = '\\';
    assert_agree(text + "\"");
  }
}

void a_text_without_escapes_ends_at_the_first_that_is_none_of_it(void**) {
  Rng rng(8);
  for (int round = 0; round < 20'000; round++) {
    std::string text(rng.below(60), 'x');
    for (char& c : text)
      if (rng.below(12) == 0) c = static_cast<char>(rng.next());
    std::vector<char> bytes(text.begin(), text.end());
    size_t end = 0;
    while (end < text.size() && text[end] != '"' && text[end] != '\\' && static_cast<unsigned char>(text[end]) >= 0x20)
      end++;
    const char* found = lb::find_text_end(bytes.data(), bytes.data() + bytes.size());
    assert_int_equal(found - bytes.data(), end);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_quote_is_found_at_every_place),
      cmocka_unit_test(runs_of_backslashes_of_every_length_at_every_place),
      cmocka_unit_test(what_is_similar_is_no_mark),
      cmocka_unit_test(random_text),
      cmocka_unit_test(a_long_string),
      cmocka_unit_test(a_text_without_escapes_ends_at_the_first_that_is_none_of_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
