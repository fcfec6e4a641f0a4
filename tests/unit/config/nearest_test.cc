#include "config/nearest.h"

#include "fixture.h"

namespace lb {
namespace {

void distances(void**) {
  assert_int_equal(edit_distance("", ""), 0);
  assert_int_equal(edit_distance("", "abc"), 3);
  assert_int_equal(edit_distance("abc", ""), 3);
  assert_int_equal(edit_distance("models", "models"), 0);
  assert_int_equal(edit_distance("modles", "models"), 1);  // A swap is one slip.
  assert_int_equal(edit_distance("model", "models"), 1);
  assert_int_equal(edit_distance("mudels", "models"), 1);
  assert_int_equal(edit_distance("kitten", "sitting"), 3);
  assert_int_equal(edit_distance("sitting", "kitten"), 3);
}

void long_words_are_all_different(void**) {
  std::string longest(kNearestBytes, 'a'), longer(kNearestBytes + 1, 'a');
  assert_int_equal(edit_distance(longest, longest), 0);
  assert_int_equal(edit_distance(longer, longer), kNearestBytes + 1);
  assert_int_equal(edit_distance(longest, longer), kNearestBytes + 1);
}

std::string hint(std::string_view word, std::initializer_list<std::string_view> candidates) {
  Nearest nearest(word);
  for (std::string_view candidate : candidates) nearest.offer(candidate);
  return nearest.hint("; none");
}

void the_nearest_is_named(void**) {
  assert_text(hint("modle", {"key", "model", "models"}), "; did you mean \"model\"?");
  assert_text(hint("head", {"heads", "headx"}), "; did you mean \"heads\"?");  // The first of equals.
  assert_text(hint("key", {"url", "name"}), "; none");
  assert_text(hint("key", {}), "; none");
  assert_text(hint("", {"a"}), "; did you mean \"a\"?");
}

// A third of the letters, rounded up.
void a_third_may_differ(void**) {
  assert_text(hint("abcdef", {"abcdxy"}), "; did you mean \"abcdxy\"?");
  assert_text(hint("abcdef", {"abcxyz"}), "; none");
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::distances),
      cmocka_unit_test(lb::long_words_are_all_different),
      cmocka_unit_test(lb::the_nearest_is_named),
      cmocka_unit_test(lb::a_third_may_differ),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
