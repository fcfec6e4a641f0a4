// Answers of models, and schemas that they are checked against: the first line is the schema, the rest the text.
// Whatever they are, a check ends soon (the fuzzer's time limit says so). What is passed on is valid JSON of the text;
// what fits a schema by itself fits it in prose; what is said to the model next is text.
#include "wire/validate.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  using lb::Validator;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string schema(lb::split_off(text, '\n'));
  Validator::Rules rules;
  rules.json = Validator::Json::find;
  rules.schema = schema;
  lb::Result<Validator> by = Validator::compile(std::move(rules));
  if (!by.ok()) {
    require(by.error().where.starts_with("/schema") && !by.error().message.empty(), "an error without place or words");
    return 0;
  }
  Validator::Verdict verdict = by.value().check(text);
  require(verdict.valid == verdict.error.empty(), "a verdict that is both");
  if (!verdict.valid) {
    require(verdict.error.size() <= Validator::kErrorMax + 3, "an error that is too long");
    require(by.value().ask_again(verdict.error).find(verdict.error) != std::string::npos, "the model is not told why");
    return 0;
  }
  require(text.find(verdict.kept) != text.npos, "what is passed on was not said");
  lb::Result<lb::Raw> json = lb::Raw::parse(verdict.kept);
  require(json.ok(), "what is passed on is no JSON");
  require(by.value().check(verdict.kept).valid, "what is passed on does not fit by itself");
  if (!json.value().is_object() && !json.value().is_array()) return 0;
  std::string prose = "So: " + std::string(verdict.kept) + " there";
  Validator::Verdict again = by.value().check(prose);
  require(again.valid && again.kept == json.value().text(), "it is not found in prose");
  return 0;
}
