#include "config/schema.h"

#include <set>

#include "fixture.h"

namespace lb::schema {
namespace {

void every_row_is_whole(void**) {
  std::set<std::string_view> paths;
  for (const Row& row : rows()) {
    assert_true(paths.insert(row.path).second);
    assert_false(row.doc.empty());
    assert_true(row.doc.ends_with('.'));
    assert_true(row.low <= row.high);
    bool number = row.type == Type::integer || row.type == Type::number;
    if (number) assert_true(row.bounded());
    if (row.segment().ends_with("_ms")) assert_true(row.type == Type::integer && row.unit == "ms");
    if (row.segment().ends_with("_bytes")) assert_true(row.type == Type::integer && row.unit == "bytes");
    if (row.unit == "ms") assert_true(row.segment().ends_with("_ms"));
    if (row.type == Type::list || row.type == Type::map || row.type == Type::models) assert_non_null(child(row, "*"));
    if (row.type == Type::choice && !row.fallback.empty())
      assert_true(choice_index(row, row.fallback.substr(1, row.fallback.size() - 2)).has_value());
  }
}

void every_row_has_a_parent(void**) {
  for (const Row& row_of : rows()) {
    if (row_of.path.empty()) continue;
    int parents = 0;
    for (const Row& parent : rows()) parents += is_child(parent, row_of) ? 1 : 0;
    assert_int_equal(parents, 1);
  }
}

void children(void**) {
  const Row& root = row(Key::root);
  assert_ptr_equal(child(root, "deployments"), &row(Key::deployments));
  assert_null(child(root, "deployment"));
  assert_null(child(root, ""));
  assert_null(child(root, "name"));
  assert_ptr_equal(child(row(Key::deployments), "*"), &row(Key::deployment));
  assert_ptr_equal(child(row(Key::tls), "key"), &row(Key::tls_key));
  assert_true(is_child(root, row(Key::limits)));
  assert_false(is_child(root, row(Key::body_bytes)));
  assert_false(is_child(root, root));
}

void names(void**) {
  for (std::string_view text : {"a", "4", "gpt-4o-mini", "org/model:tag@1.0_x"}) assert_true(is_name(text));
  for (std::string_view text : {"", " ", "a b", "a\n", "a\"", "a\\", "a{", "gr\xc3\xbc", "a,b", "a%b"})
    assert_false(is_name(text));
}

void choices(void**) {
  assert_int_equal(*choice_index(row(Key::commit_on), "content"), 0);
  assert_int_equal(*choice_index(row(Key::commit_on), "head"), 1);
  for (std::string_view text : {"", "Head", "content|head", "hea"})
    assert_false(choice_index(row(Key::commit_on), text).has_value());
}

void what_to_write(void**) {
  assert_text(expected(row(Key::retries)), "an integer from 0 to 100");
  assert_text(expected(row(Key::weight)), "a number from 0.001 to 1000");
  assert_text(expected(row(Key::model_tpm)), "an integer from 0 to 1000000000000");
  assert_text(expected(row(Key::commit_on)), "one of \"content\", \"head\"");
  assert_text(expected(row(Key::deployment_dialect)), "one of \"openai\", \"anthropic\", \"gemini\"");
  for (const Row& row_of : rows()) assert_false(expected(row_of).empty());
}

}  // namespace
}  // namespace lb::schema

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::schema::every_row_is_whole), cmocka_unit_test(lb::schema::every_row_has_a_parent),
      cmocka_unit_test(lb::schema::children),           cmocka_unit_test(lb::schema::names),
      cmocka_unit_test(lb::schema::choices),            cmocka_unit_test(lb::schema::what_to_write),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
