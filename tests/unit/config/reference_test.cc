// The reference on the disk is the reference of the table.
#include <cstdio>

#include "config/schema.h"
#include "fixture.h"

namespace lb {
namespace {

std::string path;

void it_names_every_key(void**) {
  std::string text = config_reference();
  for (const schema::Row& row : schema::rows()) {
    if (row.path.ends_with("*") || row.path.empty()) continue;
    assert_true(text.find("| `" + std::string(row.segment()) + "` | ") != std::string::npos);
    assert_true(text.find("| " + std::string(row.doc) + " |\n") != std::string::npos);
  }
}

void the_file_is_the_same(void**) {
  FILE* file = fopen(path.c_str(), "rb");
  assert_non_null(file);
  std::string text(config_reference().size() + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file));
  fclose(file);
  if (text != config_reference()) fail_msg("%s is old; write there what config_reference() returns", path.c_str());
}

}  // namespace
}  // namespace lb

// `reference_test FILE` checks FILE; without it the text is printed, for FILE.
int main(int argc, char** argv) {
  if (argc != 2) return fputs(lb::config_reference().c_str(), stdout) < 0 ? 1 : 0;
  lb::path = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::it_names_every_key),
      cmocka_unit_test(lb::the_file_is_the_same),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
