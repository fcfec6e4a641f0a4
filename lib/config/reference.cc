#include "config/config.h"
#include "config/schema.h"

namespace lb {

namespace {

using schema::Row;
using schema::Type;

std::string fallback_text(const Row& row) {
  if (row.required()) return "*must be given*";
  return row.fallback.empty() ? "" : '`' + std::string(row.fallback) + '`';
}

std::string value_text(const Row& row) {
  bool unit = !row.unit.empty() && row.type != Type::choice;
  return schema::expected(row) + (unit ? ", " + std::string(row.unit) : "");
}

void write_object(const Row& object, std::string& out) {
  std::string title = object.path.empty() ? "The document" : '`' + std::string(object.path) + '`';
  out += "\n## " + title + "\n\n" + std::string(object.doc) + "\n\n";
  out += "| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const Row& row : schema::rows()) {
    if (!schema::is_child(object, row)) continue;
    out += "| `" + std::string(row.segment()) + "` | " + value_text(row) + " | " + fallback_text(row) + " | " +
           std::string(row.doc) + " |\n";
  }
}

}  // namespace

std::string config_reference() {
  std::string out =
      "# Configuration\n\n"
      "One document, JSON or YAML. A key that is not listed here is an error. `*` in a heading stands for each element "
      "of a\nlist or each name of a map. Generated from `lib/config/schema.def`.\n";
  for (const Row& row : schema::rows())
    if (row.type == Type::object) write_object(row, out);
  return out;
}

}  // namespace lb
