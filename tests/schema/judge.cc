// What lb says of a schema and a value: for tests/schema/run. A line in is {"schema": ..., "data": ...}; a line out is
// "valid", "invalid: ..." or "refused /place: ...".
#include <cstdio>
#include <string>

#include "wire/json_schema.h"

int main() {
  std::string line;
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    lb::Result<lb::Raw> asked = lb::Raw::parse(line);
    if (!asked.ok()) return 2;
    lb::Result<lb::JsonSchema> schema = lb::JsonSchema::compile(asked.value()["schema"].text());
    if (!schema.ok()) {
      std::printf("refused %s: %s\n", schema.error().where.c_str(), schema.error().message.c_str());
    } else if (auto fault = schema.value().check(asked.value()["data"])) {
      std::string text = fault->text();
      for (char& letter : text)
        if (letter == '\n') letter = ' ';
      std::printf("invalid: %s\n", text.c_str());
    } else {
      std::puts("valid");
    }
    line.clear();
  }
  return 0;
}
