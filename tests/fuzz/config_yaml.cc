// The configuration as YAML: see config.h. The JSON that it is turned into is JSON, bounded, and means the same.
#include "config/yaml.h"

#include "fuzz/config.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) { return end_on_failed_assert(); }

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  lb::Result<std::string> json = lb::yaml_to_json(text);
  if (!json.ok()) {
    const std::string& words = json.error().message;
    require(words.starts_with("line ") || words.starts_with("empty; "), "an error without a line: " + words);
    size_t first = text.find_first_not_of(" \t\r\n");
    bool yaml = first == text.npos || text[first] != '{';
    if (yaml) require(!verdict(text).starts_with("taken"), "a configuration that is not YAML");
    return 0;
  }
  // Aliases copy: what is behind the last of them may come on top.
  require(json.value().size() <= lb::kYamlBytesMax + 8 * size, "more JSON than allowed");
  lb::Result<lb::JsonDocument> document = lb::JsonDocument::parse(json.value());
  if (!document.ok()) lb::fuzz::broken(document.error().where + " " + document.error().message + ": " + json.value());
  if (text.find_first_not_of(" \t\r\n") != text.npos && text[text.find_first_not_of(" \t\r\n")] == '{') return 0;
  std::string all = check_document(text, document.value().root());
  if (json.value().starts_with("{"))
    require_same(verdict(json.value()), all, "as JSON it is another configuration");
  return 0;
}
