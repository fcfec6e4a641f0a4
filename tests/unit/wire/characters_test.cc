#include "wire/characters.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::CharacterCount;
using lb::Rng;

// By one rule after the other, for the whole string at once.
uint64_t plainly(std::string_view raw) {
  auto hex = [&](size_t at) { return at < raw.size() ? lb::hex_value(raw[at]) : -1; };
  uint64_t out = 0;
  size_t high_end = 0;
  for (size_t i = 0; i < raw.size(); i++) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out += (static_cast<unsigned char>(raw[i]) & 0xc0) != 0x80;
      continue;
    }
    size_t begin = i++;
    // An escape is what it escapes: of no importance but for bytes that are no UTF-8.
    out += (static_cast<unsigned char>(raw[i]) & 0xc0) != 0x80;
    if (raw[i] != 'u') continue;
    uint32_t code = 0;
    size_t digits = 0;
    for (; digits < 4 && hex(i + 1) >= 0; digits++, i++) code = code << 4 | static_cast<uint32_t>(hex(i + 1));
    bool half = digits == 4 && code >= 0xd800 && code < 0xe000;
    if (half && code >= 0xdc00 && high_end != 0 && high_end == begin) out--;
    high_end = half && code < 0xdc00 ? i + 1 : 0;
  }
  return out;
}

// Each piece a copy of exactly its size, so that ASan sees a read beyond it.
void add(CharacterCount& count, std::string_view piece) {
  auto copy = std::make_unique<char[]>(piece.size() + (piece.empty() ? 1 : 0));
  piece.copy(copy.get(), piece.size());
  count.add({copy.get(), piece.size()});
}

uint64_t counted(std::string_view raw) {
  CharacterCount count;
  count.begin();
  add(count, raw);
  return count.total();
}

void assert_any_split(const std::string& raw, uint64_t expected) {
  if (counted(raw) != expected) print_message("differs: %s\n", raw.c_str());
  assert_int_equal(counted(raw), expected);
  for (size_t cut = 0; cut <= raw.size(); cut++) {
    CharacterCount count;
    count.begin();
    add(count, std::string_view(raw).substr(0, cut));
    add(count, std::string_view(raw).substr(cut));
    assert_int_equal(count.total(), expected);
  }
  CharacterCount count;
  count.begin();
  for (char c : raw) add(count, std::string_view(&c, 1));
  assert_int_equal(count.total(), expected);
}

void characters_are_code_points(void**) {
  struct Case {
    const char* raw;
    uint64_t count;
  };
  for (const Case& c :
       {Case{"", 0}, Case{"hello", 5}, Case{"caf\xc3\xa9", 4}, Case{"\xe6\xbc\xa2\xe5\xad\x97", 2},
        Case{"\xf0\x9f\x98\x80", 1}, Case{R"(\n)", 1}, Case{R"(\\)", 1}, Case{R"(\\n)", 2}, Case{R"(\\\n)", 2},
        Case{R"(\"a\")", 3}, Case{R"(\u00e9)", 1}, Case{R"(\u00E9x)", 2}, Case{R"(\\u00e9)", 6},
        Case{R"(\ud83d\ude00)", 1}, Case{R"(\uD83D\uDE00!)", 2}, Case{R"(\ud83d)", 1}, Case{R"(\ude00)", 1},
        Case{R"(\ude00\ud83d)", 2}, Case{R"(\ud83d\ud83d\ude00)", 2}, Case{R"(\ud83d\ude00\ude00)", 2},
        Case{R"(\ud83dx\ude00)", 3}, Case{R"(\ud83d\n\ude00)", 3}, Case{R"(\ud83d\\ude00)", 7},
        Case{R"(\ud83d\u0041\ude00)", 3}, Case{R"(\ud83d\u\ude00)", 3}, Case{R"(\u6f22\u5b57)", 2}}) {
    assert_any_split(c.raw, c.count);
    assert_int_equal(plainly(c.raw), c.count);
  }
}

// What no JSON and no UTF-8 has must count something that is not absurd, and the same at any split.
void bad_escapes_and_bytes_count_little(void**) {
  struct Case {
    const char* raw;
    uint64_t count;
  };
  for (const Case& c : {Case{R"(\u)", 1}, Case{R"(\u1)", 1}, Case{R"(\u12)", 1}, Case{R"(\u123)", 1},
                        Case{R"(\u12x)", 2}, Case{R"(\u12\n)", 2}, Case{R"(\u\u\u)", 3}, Case{R"(\x41)", 3},
                        Case{"\xff\xfe", 2}, Case{"\x80\x80", 0}, Case{"\\\x80", 0}, Case{"\\\xc3\xa9", 1}})
    assert_any_split(c.raw, c.count);
}

void each_place_in_a_block_is_the_same(void**) {
  for (const char* part : {"\\n", "\\u00e9", "\\ud83d\\ude00", "\\\\", "\xe6\xbc\xa2", "\\u"}) {
    for (size_t before = 0; before < 140; before++) {
      std::string text = std::string(before, 'x') + part + std::string(70, 'y');
      assert_int_equal(counted(text), before + 1 + 70);
      text = std::string(before, '\\') + part + std::string(3, 'z');
      assert_any_split(text, plainly(text));
    }
  }
}

void strings_do_not_run_into_each_other(void**) {
  CharacterCount count;
  for (const char* unfinished : {"a\\", "\\u00", "\\ud83d"}) {
    count = {};
    count.begin();
    count.add(unfinished);
    uint64_t before = count.total();
    count.begin();
    count.add("\\ude00");
    assert_int_equal(count.total(), before + 1);
    count.begin();
    count.add("u0041");
    assert_int_equal(count.total(), before + 6);
  }
}

void random_strings_count_as_by_the_plain_rules(void**) {
  const std::string_view parts[] = {"\\", "u", "\\u", "d83d", "\\ud83d", "\\ude00", "\\n", "a", "text ", "\xc3\xa9",
                                    "\xe6\xbc\xa2", "\x80", "\xff", "0", "\\\\", "\\\""};
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    Rng rng(seed);
    std::string text;
    for (uint64_t i = 0, n = rng.below(60); i < n; i++) text += parts[rng.below(std::size(parts))];
    if (rng.below(3) == 0) text.insert(rng.below(text.size() + 1), rng.below(200), 'p');
    if (rng.below(4) == 0)
      for (char& c : text) c = rng.below(9) == 0 ? static_cast<char>(rng.next()) : c;
    if (text.ends_with('\\')) text += 'n';  // JSON has none: its quote would be escaped.
    assert_any_split(text, plainly(text));
  }
}

void both_versions_agree(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    char block[lb::kCharacterBlock];
    for (char& c : block) c = rng.below(4) == 0 ? '\\' : static_cast<char>(rng.next());
    assert_int_equal(lb::character_starts(block), lb::character_starts_portable(block));
    assert_true(lb::equal_bytes(block, '\\') == lb::equal_bytes_portable(block, '\\'));
    assert_true(lb::equal_bytes(block, 'u') == lb::equal_bytes_portable(block, 'u'));
  }
  for (char all : {'\x80', '\xbf', '\xc0', '\xff', '\x00', '\x7f'}) {
    std::string block(lb::kCharacterBlock, all);
    uint64_t expected = all == '\x80' || all == '\xbf' ? 0 : lb::kCharacterBlock;
    assert_int_equal(lb::character_starts(block.data()), expected);
    assert_int_equal(lb::character_starts_portable(block.data()), expected);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(characters_are_code_points),
      cmocka_unit_test(bad_escapes_and_bytes_count_little),
      cmocka_unit_test(each_place_in_a_block_is_the_same),
      cmocka_unit_test(strings_do_not_run_into_each_other),
      cmocka_unit_test(random_strings_count_as_by_the_plain_rules),
      cmocka_unit_test(both_versions_agree),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
