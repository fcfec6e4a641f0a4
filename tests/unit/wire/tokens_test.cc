// What of a request is counted. With ranks of single bytes a count is the number of bytes.
#include "wire/dialect/tokens.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/rng.h"
#include "ranks.h"
#include "wire/dialect/count_tokens.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

constexpr Dialect kDialects[] = {Dialect::openai, Dialect::responses, Dialect::anthropic, Dialect::gemini};

uint64_t counted(Dialect dialect, std::string_view body, bool by_ranks = true) {
  auto bytes = ranks_of({}, Encoding::cl100k_base);
  Store store;
  Result<Request> request =
      can_count(dialect) ? read_count_request(dialect, body, store) : read_request(dialect, body, store);
  if (!request.ok()) fail_msg("%s: %s", request.error().where.c_str(), request.error().message.c_str());
  return count_tokens(request.value(), by_ranks ? bytes.get() : nullptr);
}

// Anthropic's, each counted part with as many bytes as is said.
void what_counts(void**) {
  auto message = [](const std::string& content) {
    return counted(Dialect::anthropic, R"({"model":"m","messages":[{"role":"user","content":)" + content + "}]}");
  };
  assert_int_equal(message(R"("abc")"), 3);
  assert_int_equal(message(R"("\u00e9\n\"")"), 4);
  assert_int_equal(message(R"([{"type":"text","text":"abc"},{"type":"text","text":"de"}])"), 5);
  assert_int_equal(message(R"([{"type":"image","source":{"type":"url","url":"https://a/b"}}])"), 768);
  assert_int_equal(message(R"([{"type":"tool_use","id":"t","name":"name","input":{"a":[1,2.50],"é":"x"}}])"),
                   sizeof R"({"a": [1, 2.5], "\u00e9": "x"})" - 1);
  assert_int_equal(message(R"([{"type":"tool_result","tool_use_id":"t","content":"abcd"}])"), 4);
  assert_int_equal(message(R"([{"type":"tool_result","tool_use_id":"t"}])"), 0);
  assert_int_equal(message(R"([{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ab"},
                               {"type":"x","y":1},{"type":"text","text":"c"},
                               {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}])"),
                   3 + sizeof R"({"type": "x", "y": 1})" - 1 + 768);
  assert_int_equal(message(R"([{"type":"thinking","thinking":"abc","signature":"zzzz"},
                               {"type":"redacted_thinking","data":"zzzz"}])"), 3);
  assert_int_equal(message(R"([{"type":"document","title":"t","source":
                               {"type":"text","media_type":"text/plain","data":"abc"}}])"), 3);
  assert_int_equal(message(R"([{"type":"document","source":
                               {"type":"base64","media_type":"application/pdf","data":"AAAA"}}])"), 768);
  assert_int_equal(message(R"([{"type":"search_result","x":1}])"), sizeof R"({"type": "search_result", "x": 1})" - 1);
}

void system_and_tools(void**) {
  auto with = [](const std::string& members) {
    return counted(Dialect::anthropic, R"({"model":"m","messages":[{"role":"user","content":"abc"}],)" + members + "}");
  };
  assert_int_equal(with(R"("system":"de")"), 5);
  assert_int_equal(with(R"("system":[{"type":"text","text":"de"},{"type":"text","text":"f"}])"), 6);
  assert_int_equal(with(R"("max_tokens":100,"metadata":{"user_id":"u"})"), 3);
  const size_t schema = sizeof R"({"type": "object", "properties": {}})" - 1;
  assert_int_equal(with(R"("tools":[{"name":"ab","description":"cd","input_schema":{"type":"object","properties":{}}},
                           {"name":"e","input_schema":{"type":"object","properties":{}}}])"), 3 + 5 + 2 * schema);
  assert_int_equal(with(R"("tools":[{"type":"web_search_20250305","name":"w"}])"),
                   3 + sizeof R"({"type": "web_search_20250305", "name": "w"})" - 1);
}

// The same conversation counts alike, whatever it is asked in.
void in_any_dialect(void**) {
  const char* const bodies[] = {
      R"({"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"How warm?"},
          {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":
            {"name":"warm","arguments":"{\"in\":\"Linz\"}"}}]},
          {"role":"tool","tool_call_id":"c","content":"12"}],
          "tools":[{"type":"function","function":{"name":"warm","description":"d","parameters":{"type":"object"}}}]})",
      R"({"model":"m","instructions":"Be brief.","input":[{"role":"user","content":"How warm?"},
          {"type":"function_call","call_id":"c","name":"warm","arguments":"{\"in\":\"Linz\"}"},
          {"type":"function_call_output","call_id":"c","output":"12"}],
          "tools":[{"type":"function","name":"warm","description":"d","parameters":{"type":"object"}}]})",
      R"({"model":"m","system":"Be brief.","messages":[{"role":"user","content":"How warm?"},
          {"role":"assistant","content":[{"type":"tool_use","id":"c","name":"warm","input":{"in":"Linz"}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"12"}]}],
          "tools":[{"name":"warm","description":"d","input_schema":{"type":"object"}}]})",
      R"({"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[
          {"role":"user","parts":[{"text":"How warm?"}]},
          {"role":"model","parts":[{"functionCall":{"id":"c","name":"warm","args":{"in":"Linz"}}}]},
          {"role":"user","parts":[{"functionResponse":{"id":"c","name":"warm","response":{"result":"12"}}}]}],
          "tools":[{"functionDeclarations":[{"name":"warm","description":"d",
            "parametersJsonSchema":{"type":"object"}}]}]})"};
  const size_t wanted = 9 + 9 + sizeof R"({"in": "Linz"})" - 1 + 2 + 5 + sizeof R"({"type": "object"})" - 1;
  for (Dialect dialect : kDialects) {
    std::string_view body = bodies[static_cast<size_t>(dialect)];
    assert_int_equal(counted(dialect, body), wanted);
    uint64_t guess = counted(dialect, body, false);
    assert_true(guess > kTokensForTools && guess < kTokensForTools + wanted + 8 * kTokensPerFrame);
  }
}

void estimates(void**) {
  assert_int_equal(estimate_tokens(""), 0);
  assert_int_equal(estimate_tokens("a"), 1);
  assert_int_equal(estimate_tokens("Donau"), 3);
  assert_int_equal(estimate_tokens("getHTTPHeader"), 2 + 5);     // get, HTTPHeader.
  assert_int_equal(estimate_tokens("the Danube and its banks"), 1 + 2 + 1 + 1 + 2);  // English.
  assert_int_equal(estimate_tokens("12345"), 3);
  assert_int_equal(estimate_tokens("a 1"), 3);
  assert_int_equal(estimate_tokens("a b\n\n\nc" ), 3 + 1);
  assert_int_equal(estimate_tokens("{\"a\":1}"), 7);
  assert_int_equal(estimate_tokens(std::string(32, ' ')), 2);
  assert_int_equal(estimate_tokens("\xd0\xb4\xd0\xb0"), 2);                 // Cyrillic.
  assert_int_equal(estimate_tokens("a \xd0\xb4"), 3);
  assert_int_equal(estimate_tokens("\xe6\xbc\xa2\xe5\xad\x97"), 3);         // Han.
  assert_int_equal(estimate_tokens("\xf0\x9f\x98\x80"), 4);
  assert_int_equal(estimate_tokens("\xff\xff"), 2);
}

// Any bytes: at most a token for each, of which one that is no UTF-8 has three; and always the same number.
void of_any_bytes(void**) {
  auto ranks = ranks_of({"ab", " a", "abab", "\xc3\xa9", "  ", "\xef\xbf\xbd"}, Encoding::o200k_base);
  constexpr std::string_view kParts[] = {"a", "b", "B", " ", "  ", "\n", "1", "'s", "\xc3\xa9", "\xe6\xbc\xa2", "\xff",
                                         "\xf0\x9f\x98\x80", "\xc3", "!", "the "};
  for (uint64_t seed = 1; seed <= 3'000; seed++) {
    Rng rng(seed);
    std::string text;
    for (size_t size = rng.below(30); size > 0; size--) text += kParts[rng.below(std::size(kParts))];
    uint64_t count = ranks->count(text), estimate = estimate_tokens(text);
    assert_true(count <= 3 * text.size() && estimate <= text.size());
    assert_true(text.empty() || count > 0);
    assert_true(ranks->count(std::string(text)) == count && estimate_tokens(std::string(text)) == estimate);
  }
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::what_counts), cmocka_unit_test(lb::system_and_tools), cmocka_unit_test(lb::in_any_dialect),
      cmocka_unit_test(lb::estimates),   cmocka_unit_test(lb::of_any_bytes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
