#include "wire/pattern.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Pattern;
using lb::Result;

bool matches(std::string_view text, std::string_view subject) {
  Result<Pattern> pattern = Pattern::compile(text);
  assert_true(pattern.ok());
  return pattern.value().matches(subject);
}

std::string fault_of(std::string_view text) {
  Result<Pattern> pattern = Pattern::compile(text);
  return pattern.ok() ? "" : pattern.error().message;
}

void matching(void**) {
  assert_true(matches("lazy", "the lazy dog"));
  assert_false(matches("^lazy", "the lazy dog"));
  assert_true(matches("(?i)LAZY\\b", "the lazy dog"));
  assert_true(matches("^\\s*\\{.*\\}\\s*$", " {\"a\": 1}\n"));
  assert_false(matches("a.c", "a\nc"));
  assert_true(matches("(?s)a.c", "a\nc"));
  assert_true(matches("(?m)^b$", "a\nb\nc"));
  assert_false(matches("(?m)^b$", "a\r\nb\r\nc"));  // A line ends in LF, however PCRE2 was built.
  assert_true(matches("(\\w)\\1", "hello"));
  assert_true(matches("(?<=a)b(?!c)", "abd"));
  assert_false(matches("(?<=a)b(?!c)", "abc"));
  assert_true(matches("", ""));
  assert_true(matches("", "x"));
  assert_true(matches(std::string_view(), std::string_view()));
  assert_false(matches("x", std::string_view()));
  assert_true(matches(std::string_view("a\0b", 3), std::string_view("-a\0b-", 5)));
  assert_false(matches(std::string_view("a\0b", 3), "ab"));
  assert_true(matches("(a)(b)(c)(d)\\4", "abcdd"));  // More groups than are asked for.
}

void bytes_that_are_not_utf8(void**) {
  assert_true(matches("^.$", "é"));
  assert_true(matches("(?i)É", "é"));
  assert_true(matches("[а-я]+", "привет"));
  assert_true(matches("\\x{1F600}", "\xf0\x9f\x98\x80"));
  assert_true(matches("b", "a\xff" "b"));
  assert_true(matches("b$", "\xc3" "b"));
  assert_false(matches("a.b", "a\xff" "b"));
  assert_false(matches("^.$", "\xff"));
  assert_true(matches("^a", "a\xf0\x9f"));  // Cut in the middle of a character.
  assert_false(matches("é", "\xc3"));
}

void faults_say_where(void**) {
  assert_string_equal(fault_of("a(b").c_str(),
      "not a regular expression, at byte 3: missing closing parenthesis; mend what stands there or just before");
  assert_non_null(strstr(fault_of("ab[").c_str(), "at byte 3: missing terminating ]"));
  assert_non_null(strstr(fault_of("*").c_str(), "at byte 0: quantifier"));
  assert_non_null(strstr(fault_of("ab\\Cd").c_str(), "at byte 4: using \\C is disabled"));
  assert_non_null(strstr(fault_of("a\xff").c_str(), "at byte 1: UTF-8 error"));
  assert_non_null(strstr(fault_of("\\").c_str(), "at byte 1: "));
  assert_true(Pattern::compile("a(b").error().status == lb::Status::CONFIG);
  // Within bounds of length and size.
  std::string longest(Pattern::kTextMax, 'a');
  assert_string_equal(fault_of(longest).c_str(), "");
  assert_non_null(strstr(fault_of(longest + "a").c_str(), "4097 bytes; write at most 4096"));
  assert_true(fault_of("((((a{1,999}){1,999}){1,999}){1,999})").find("too large") != std::string::npos);
  assert_false(fault_of(std::string(1000, '(') + std::string(1000, ')')).empty());
}

void it_moves(void**) {
  Pattern a = std::move(Pattern::compile("a").value()), b = std::move(Pattern::compile("b").value());
  Pattern moved(std::move(a));
  assert_true(moved.matches("a"));
  moved = std::move(b);
  assert_true(moved.matches("b") && !moved.matches("a"));
  Pattern gone(std::move(moved));
  assert_false(moved.matches("b"));  // NOLINT: what is left of a moved one does no harm.
}

// By PCRE2's limits alone, which hold for one starting point each, the third takes 18 s.
void endless_ones_end(void**) {
  const std::string as(65'536, 'a'), words = [] {
    std::string text;
    while (text.size() < 65'536) text += "ab cd 12 ";
    return text;
  }();
  const char* const endless[] = {"(a+)+[bc]", "(a|aa)+[bc]", "\\w*\\d[xy]", "\\w*+[!?]", ".*.*[xy]", "(.*)*[xy]",
                                 "[a-z]{1,60000}[!?]", "^(\\w+\\s?)*[!?]", "(x+x+)+[yz]"};
  for (const char* text : endless) {
    clock_t before = clock();
    assert_false(matches(text, as));
    matches(text, words);
    matches(text, std::string(65'536, 'x'));
    assert_true(static_cast<double>(clock() - before) / CLOCKS_PER_SEC < 2);  // Of 0.1, with room for sanitizers.
  }
}

void plain_ones_are_not_cut_short(void**) {
  std::string prose;
  while (prose.size() < (4u << 20)) prose += "The quick brown fox jumps over 13 lazy dogs, and é rests. {\"a\": [1]}\n";
  std::string ends = prose + "sorry";
  for (const char* text : {"sorry$", "(?i)SORRY", "(I cannot|As an AI|sorry)", "\\bsor+y\\b", "fox.*cat|sorry",
                           "[a-z]+rry\\z", "(?s)^.*sorry$", "(?s)\\AThe.*[a-z]\\s*\\z"}) {
    assert_true(matches(text, ends));
  }
  for (const char* text : {"sorry", "fox.*cat", "\\d{4}", "\\w+@\\w+"}) assert_false(matches(text, prose));
  assert_true(matches("^(.|\\n)*$", prose.substr(0, 65'536)));
}

void random_ones_do_no_harm(void**) {
  constexpr std::string_view kBytes = "ab.*+?()[]{}|\\^$01,-:=!<>PRd\xc3\xa9\xff#&'x";
  size_t compiled = 0, matched = 0;
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    lb::Rng rng(seed);
    std::string text(rng.below(10), ' '), subject(rng.below(24), ' ');
    for (char& c : text) c = kBytes[rng.below(kBytes.size())];
    for (char& c : subject) c = kBytes[rng.below(kBytes.size())];
    Result<Pattern> pattern = Pattern::compile(text);
    if (!pattern) continue;
    compiled++;
    matched += pattern.value().matches(subject);
  }
  assert_true(compiled > 2'000 && matched > 200 && matched < compiled);
}

// As JSON Schema has them.
void ecmas_are_read_so(void**) {
  auto ecma = [](std::string_view text, std::string_view subject) {
    return Pattern::compile(text, Pattern::Syntax::ecma).value().matches(subject);
  };
  assert_true(matches("a$", "a\n") && !ecma("a$", "a\n") && ecma("a$", "ba"));
  assert_true(ecma("^\\u00e9\\u{1F600}$", "\xc3\xa9\xf0\x9f\x98\x80"));
  assert_true(ecma("^[^]$", "\n") && !ecma("[]", "a"));
}

void an_allowance_is_shared(void**) {
  Pattern pattern = std::move(Pattern::compile("^(a+)+$").value());
  uint64_t steps = 10'000, before = steps;
  assert_true(pattern.matches_within("aaaa", steps) == true && steps < before);
  assert_true(pattern.matches_within("b", steps) == false);
  std::string endless = std::string(40, 'a') + "b";
  assert_false(pattern.matches_within(endless, steps).has_value());
  assert_true(steps < 10);
  assert_false(pattern.matches_within("aaaa", steps = 0).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(matching),
      cmocka_unit_test(bytes_that_are_not_utf8),
      cmocka_unit_test(faults_say_where),
      cmocka_unit_test(it_moves),
      cmocka_unit_test(ecmas_are_read_so),
      cmocka_unit_test(an_allowance_is_shared),
      cmocka_unit_test(endless_ones_end),
      cmocka_unit_test(plain_ones_are_not_cut_short),
      cmocka_unit_test(random_ones_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
