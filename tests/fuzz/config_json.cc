// The configuration as JSON: see config.h. And as YAML, of which JSON is nearly a part, it means the same.
#include "fuzz/config.h"

#include <cmath>

#include "config/scalar.h"
#include "config/yaml.h"

namespace lb::fuzz {
namespace {

bool all_finite(JsonView value) {
  for (JsonView child = value.first(); child.present(); child = child.next())
    if (!all_finite(child)) return false;
  return std::isfinite(value.number());
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) { return end_on_failed_assert(); }

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos || text[first] != '{') return 0;  // It would be read as YAML.
  lb::Result<lb::JsonDocument> document = lb::JsonDocument::parse(text);
  if (!document.ok()) {
    require(!verdict(text).starts_with("taken"), "a configuration that is not JSON");
    return 0;
  }
  std::string all = check_document(text, document.value().root());
  // What is not UTF-8 is refused, and printed as if it were; what is too large for a double is printed as null.
  if (!lb::is_utf8(text) || !all_finite(document.value().root())) return 0;
  std::string printed = document.value().root().print();
  require_same(check_document(printed, document.value().root()), all, "printed again it is another configuration");
  // Where YAML takes it. It does not take keys above 1024 bytes, and a few characters.
  lb::Result<std::string> yaml = lb::yaml_to_json(printed);
  if (!yaml.ok()) return 0;
  lb::Result<lb::JsonDocument> back = lb::JsonDocument::parse(yaml.value());
  require(back.ok(), "as YAML it is no document: " + yaml.value());
  require_same(back.value().root().print(), printed, "as YAML it is another document");
  return 0;
}
