#include "wire/json.h"

#include <clocale>
#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/rng.h"
#include "wire/scan.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Error;
using lb::JsonDocument;
using lb::JsonView;
using lb::JsonWriter;
using lb::Result;

JsonDocument parsed(std::string_view text) {
  Result<JsonDocument> result = JsonDocument::parse(text);
  assert_true(result.ok());
  return std::move(result.value());
}

Error refused(std::string_view text) {
  Result<JsonDocument> result = JsonDocument::parse(text);
  assert_false(result.ok());
  assert_true(result.error().status == lb::Status::CONFIG);
  return result.error();
}

std::string printed(std::string_view text) { return parsed(text).root().print(); }

void a_tree_is_read(void**) {
  JsonDocument document =
      parsed(R"({"name":"east","port":8080,"on":true,"off":false,"none":null,"list":[1,"two",[]]})");
  JsonView root = document.root();
  assert_true(root.is_object() && root.present());
  assert_int_equal(root.size(), 6);
  assert_true(root["name"].is_string() && root["name"].string() == "east");
  assert_true(root["port"].is_number() && root["port"].number() == 8080);
  assert_true(root["on"].is_bool() && root["on"].boolean());
  assert_true(root["off"].is_bool() && !root["off"].boolean());
  assert_true(root["none"].is_null());
  assert_true(root["list"].is_array());
  assert_int_equal(root["list"].size(), 3);
  JsonView element = root["list"].first();
  assert_true(element.number() == 1);
  assert_true(element.key().empty());
  assert_true(element.next().string() == "two");
  assert_int_equal(element.next().next().size(), 0);
  assert_false(element.next().next().next().present());
  assert_true(root.first().key() == "name");
  assert_true(root.first().next().key() == "port");
}

void absent_is_a_value(void**) {
  JsonView none;
  assert_false(none.present());
  assert_false(none.is_object() || none.is_array() || none.is_string() || none.is_number() || none.is_bool() ||
               none.is_null());
  assert_true(none.string().empty() && none.key().empty() && none.number() == 0 && !none.boolean());
  assert_int_equal(none.size(), 0);
  assert_false(none["a"]["b"].first().next().present());
  assert_string_equal(none.type_name(), "nothing");
  JsonDocument document = parsed("[1]");
  assert_false(document.root()["0"].present());
  assert_true(document.root().string().empty());
  assert_false(document.root().first()["x"].present());
}

void names_count_their_case(void**) {
  JsonDocument document = parsed(R"({"Model":1,"model":2})");
  assert_true(document.root()["model"].number() == 2);
  assert_false(document.root()["MODEL"].present());
  assert_false(document.root()["mode"].present());
  assert_true(parsed(R"({"mod\u0065l":3})").root()["model"].number() == 3);
}

void types_have_names(void**) {
  const char* texts[] = {"{}", "[]", "\"\"", "0", "true", "false", "null"};
  const char* names[] = {"an object", "a list", "a string", "a number", "a boolean", "a boolean", "null"};
  for (size_t i = 0; i < std::size(texts); i++) {
    JsonDocument document = parsed(texts[i]);
    assert_string_equal(document.root().type_name(), names[i]);
  }
}

void strings_are_decoded(void**) {
  assert_true(parsed(R"("a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00")").root().string() ==
              "a\"\\/\b\f\n\r\t\xc3\xa4\xf0\x9f\x98\x80");
  refused(R"("\ud83d")");
  refused(R"("\x")");
}

void faults_say_where(void**) {
  assert_string_equal(refused("{\n  \"a\": 1,\n  \"b\": }\n").where.c_str(), "line 3 column 8");
  assert_string_equal(refused("[1,2").where.substr(0, 7).c_str(), "line 1 ");
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\"}", "{a:1}", "nul", "\"a", "1 2", "{} x", "[1]]", "'a'", "NaN",
                           "{\"a\":1,}", "[1,2", "\xff"})
    assert_false(refused(text).message.empty());
}

void depth_has_its_limit(void**) {
  for (const char* open : {"[", "{\"k\":"}) {
    std::string deep, close;
    for (size_t i = 0; i < JsonDocument::kDepthMax; i++) {
      deep += open;
      close += *open == '[' ? "]" : "}";
    }
    parsed(deep + "1" + close);
    std::string message = refused(deep + open + "1" + close + (*open == '[' ? "]" : "}")).message;
    assert_non_null(strstr(message.c_str(), "nested"));
  }
  refused(std::string(1'000'000, '['));
  parsed("[\"" + std::string(1000, '[') + "\"]");        // Within a string they count for nothing.
  parsed("[\"\\\"" + std::string(1000, '[') + "\"]");    // Nor behind an escaped quote.
  refused("]]]]" + std::string(JsonDocument::kDepthMax + 1, '['));
}

void keys_that_repeat_are_refused(void**) {
  assert_string_equal(refused(R"({"a":1,"b":2,"a":3})").where.c_str(), "/a");
  assert_string_equal(refused(R"({"x":[{},{"m/n~":{"k":1,"k":2}}]})").where.c_str(), "/x/1/m~1n~0/k");
  refused(R"({"model":1,"mod\u0065l":2})");
  parsed(R"([{"a":1},{"a":2}])");
  parsed(R"({"a":{"a":{"a":1}}})");
  std::string many = "{";  // So many that comparing each with each would be felt.
  for (int i = 0; i < 50'000; i++) many += "\"key" + std::to_string(i) + "\":1,";
  parsed(many + "\"last\":1}");
  assert_string_equal(refused(many + "\"key7\":1}").where.c_str(), "/key7");
}

void nul_is_refused_in_any_form(void**) {
  refused(std::string_view("{}\0", 3));
  refused(std::string_view("\"a\0b\"", 5));
  refused(R"({"a\u0000b":1})");
  refused(R"(["\\\u0000"])");
  for (const char* text : {R"(["a\u00SSb"])", R"(["\u12"])", R"(["\u"])", R"(["\u 123"])", R"({"\u12 3":1})"})
    refused(text);
  assert_true(parsed(R"(["\\u12","\u00e9"])").root().first().string() == "\\u12");
  assert_true(parsed(R"(["\\u0000"])").root().first().string() == "\\u0000");
}

void a_document_may_be_moved(void**) {
  JsonDocument a = parsed("[1]"), b = parsed("[2]");
  JsonView root = a.root();
  b = std::move(a);
  assert_true(root.first().number() == 1);
  assert_true(b.root().first().number() == 1);
  JsonDocument c = std::move(b);
  assert_true(c.root().first().number() == 1);
}

void what_is_printed_reads_back(void**) {
  for (const char* text : {"{}", "[]", "null", "true", "\"\"", "{\"a\":[1,-2.5,1e+30,{\"b\":null}],\"c\":\"\\\"\\n\"}",
                           "100000", "9007199254740991", "-9007199254740991", "0.1", "1e-07"})
    assert_string_equal(printed(text).c_str(), text);
  assert_string_equal(printed(" [ 1.0 , 2e3 ] ").c_str(), "[1,2000]");
  assert_string_equal(JsonView().print().c_str(), "null");
}

// --- Writer ---

void commas_are_its_business(void**) {
  JsonWriter json;
  json.begin_object();
  json.key("a").begin_array().end_array();
  json.key("b").begin_array().value(uint64_t{1}).value("x").null().value(true).begin_object().end_object().end_array();
  json.key("c").raw("{\"r\":0}").key("d").value(false).key("e\"").value(int64_t{-1});
  json.end_object();
  assert_string_equal(json.take().c_str(), R"({"a":[],"b":[1,"x",null,true,{}],"c":{"r":0},"d":false,"e\"":-1})");
}

void numbers_at_their_limits(void**) {
  JsonWriter json;
  json.begin_array().value(UINT64_MAX).value(INT64_MIN).value(0.1).value(0x1p53).value(-0x1p53 + 1).value(1e300);
  json.value(std::nan("")).value(INFINITY).value(-INFINITY).value(5e-324).value(0.0).value(-0.0).value(100000.0);
  json.end_array();
  assert_string_equal(json.take().c_str(),
                      "[18446744073709551615,-9223372036854775808,0.1,9007199254740992,-9007199254740991,1e+300,"
                      "null,null,null,5e-324,0,-0,100000]");
}

void every_double_reads_back(void**) {
  lb::Rng rng(3);
  for (int i = 0; i < 5000; i++) {
    uint64_t bits = rng.next();
    double number, back;
    std::memcpy(&number, &bits, sizeof number);
    if (!std::isfinite(number)) continue;
    JsonWriter json;
    json.value(number);
    back = parsed(json.take()).root().number();
    assert_memory_equal(&number, &back, sizeof back);
  }
}

// --- Locale ---

// Makes a locale with that decimal mark, and has the process use it. False where this machine cannot.
bool use_decimal_mark(const std::string& folder, const char* code) {
  std::string source = folder + "/source";
  FILE* file = fopen(source.c_str(), "w");
  if (!file) return false;
  fprintf(file, "LC_NUMERIC\ndecimal_point \"<%s>\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n", code);
  fclose(file);
  std::string make = "localedef -c -i " + source + " -f UTF-8 " + folder + "/" + code + " >" + folder + "/log 2>&1";
  (void)!system(make.c_str());  // It warns, and fails, for the categories that are not given.
  setenv("LOCPATH", folder.c_str(), 1);
  return setlocale(LC_NUMERIC, code) != nullptr;
}

void numbers_have_a_point_whatever_the_locale(void**) {
  char folder[] = "/tmp/lb-json-locale-XXXXXX";
  assert_non_null(mkdtemp(folder));
  bool tried = false;
  // A comma, and the Arabic mark, which has two bytes.
  for (const char* code : {"U002C", "U066B"}) {
    if (!use_decimal_mark(folder, code)) continue;
    tried = true;
    std::string mark = localeconv()->decimal_point;
    assert_true(mark != ".");
    JsonDocument document = parsed("[1.5,-2.25e3,1234567.875]");
    JsonView number = document.root().first();
    assert_true(number.number() == 1.5);
    assert_true(number.next().number() == -2250);
    assert_string_equal(document.root().print().c_str(), "[1.5,-2250,1234567.875]");
    refused("[1" + mark + "5e" + mark + "]");
    assert_string_equal(localeconv()->decimal_point, mark.c_str());  // The host's locale is as it was.
    char text[16];
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, ("1" + mark + "5").c_str());
  }
  setlocale(LC_NUMERIC, "C");
  std::string remove = std::string("rm -r ") + folder;
  assert_int_equal(system(remove.c_str()), 0);
  if (!tried) skip();  // No localedef here.
}

void random_bytes_do_no_harm(void**) {
  constexpr std::string_view kBytes = "{}[],:\"\\u00adtruefalsn1e+-. \n";
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    lb::Rng rng(seed);
    std::string text(rng.below(60), ' ');
    for (char& c : text) c = rng.below(20) == 0 ? static_cast<char>(rng.next()) : kBytes[rng.below(kBytes.size())];
    Result<JsonDocument> result = JsonDocument::parse(text);
    if (result.ok()) assert_true(JsonDocument::parse(result.value().root().print()).ok());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_tree_is_read),
      cmocka_unit_test(absent_is_a_value),
      cmocka_unit_test(names_count_their_case),
      cmocka_unit_test(types_have_names),
      cmocka_unit_test(strings_are_decoded),
      cmocka_unit_test(faults_say_where),
      cmocka_unit_test(depth_has_its_limit),
      cmocka_unit_test(keys_that_repeat_are_refused),
      cmocka_unit_test(nul_is_refused_in_any_form),
      cmocka_unit_test(a_document_may_be_moved),
      cmocka_unit_test(what_is_printed_reads_back),
      cmocka_unit_test(commas_are_its_business),
      cmocka_unit_test(numbers_at_their_limits),
      cmocka_unit_test(every_double_reads_back),
      cmocka_unit_test(numbers_have_a_point_whatever_the_locale),
      cmocka_unit_test(random_bytes_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
