// What answers say in each dialect, the same with another text, and conversations that go on. Bytes that are not the
// text stay: numbers keep their spelling, members that nobody knows are there.
#include "wire/dialect/said.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

struct Whole {
  Dialect dialect;
  const char* before;  // The text, as an inner, stands between.
  const char* after;
};
constexpr Whole kWhole[] = {
    {Dialect::openai, R"({"n":1.50,"choices":[{"message":{"role":"assistant","content":")",
     R"("},"finish_reason":"stop"}],"mine":[1]})"},
    {Dialect::anthropic, R"({"type":"message","content":[{"type":"thinking","thinking":"{}","signature":"s"},)"
     R"({"type":"text","text":")", R"("}],"stop_reason":"end_turn","n":1.50})"},
    {Dialect::responses, R"({"id":"r","status":"completed","output":[{"type":"reasoning","summary":[]},)"
     R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":")", R"("}]}],"n":1.50})"},
    {Dialect::gemini, R"({"candidates":[{"content":{"parts":[{"text":"{}","thought":true},{"text":")",
     R"("}]},"finishReason":"STOP"}],"n":1.50})"},
};

void texts_of_whole_answers(void**) {
  for (const Whole& one : kWhole) {
    std::string answer = std::string(one.before) + R"(see \"a\" \u00e9)" + one.after;
    Result<std::vector<Said>> said = said_in(one.dialect, answer);
    assert_true(said.ok() && said.value().size() == 1 && said.value()[0].only);
    assert_string_equal(said.value()[0].text.c_str(), "see \"a\" \xc3\xa9");
    assert_string_equal(answer_with(one.dialect, answer, {"{\"a\":1}"}).c_str(),
                        (std::string(one.before) + R"({\"a\":1})" + one.after).c_str());
    assert_string_equal(answer_with(one.dialect, answer, {std::nullopt}).c_str(), answer.c_str());
    assert_false(said_in(one.dialect, "[]").ok());
  }
}

void several_texts_and_choices(void**) {
  std::string blocks =
      R"({"type":"message","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"stop_reason":"x"})";
  assert_string_equal(said_in(Dialect::anthropic, blocks).value()[0].text.c_str(), "ab");
  std::string other = answer_with(Dialect::anthropic, blocks, {"x"});
  assert_true(other.find(R"("text":"x"},{"type":"text","text":"")") != std::string::npos);
  std::string choices = R"({"choices":[{"message":{"content":"a"},"finish_reason":"stop"},)"
                        R"({"message":{"content":"b"},"finish_reason":"stop"}]})";
  assert_int_equal(said_in(Dialect::openai, choices).value().size(), 2);
  std::string second = answer_with(Dialect::openai, choices, {std::nullopt, "y"});
  assert_true(second.find(R"("content":"a")") != std::string::npos);
  assert_true(second.find(R"("content":"y")") != std::string::npos);
}

void calls_and_refusals(void**) {
  for (const char* message :
       {R"({"content":"x","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]})",
        R"({"content":null,"refusal":"no"})"}) {
    std::string answer = std::string(R"({"choices":[{"message":)") + message + R"(,"finish_reason":"stop"}]})";
    assert_false(said_in(Dialect::openai, answer).value()[0].only);
  }
}

std::string data_line(std::string_view json) { return "data: " + std::string(json) + "\n\n"; }
// `members`: those behind its type.
std::string named(const std::string& type, const std::string& members) {
  return "event: " + type + "\n" + data_line(R"({"type":")" + type + "\"" + members + "}");
}

// "a{}b", with the pair of an emoji torn apart between two pieces where there are two.
std::string stream_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai:
      return data_line(R"({"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"a\ud83d"}}]})") +
             data_line(R"({"id":"c1","choices":[{"index":0,"delta":{"content":"\ude00{}b"}}]})") +
             data_line(R"({"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") +
             data_line(R"({"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})") +
             "data: [DONE]\n\n";
    case Dialect::anthropic:
      return named("message_start", R"(,"message":{"id":"c1","model":"m","usage":{"input_tokens":3}})") +
             named("content_block_start", R"(,"index":0,"content_block":{"type":"text","text":""})") +
             named("content_block_delta", R"(,"index":0,"delta":{"type":"text_delta","text":"a\ud83d"})") +
             named("content_block_delta", R"(,"index":0,"delta":{"type":"text_delta","text":"\ude00{}b"})") +
             named("content_block_stop", R"(,"index":0)") +
             named("message_delta", R"(,"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4})") +
             named("message_stop", "");
    case Dialect::responses:
      return named("response.created", R"(,"response":{"id":"c1","model":"m","output":[]})") +
             named("response.output_item.added", R"(,"output_index":0,"item":{"type":"message","id":"i"})") +
             named("response.output_text.delta", R"(,"output_index":0,"content_index":0,"delta":"a\ud83d")") +
             named("response.output_text.delta", R"(,"output_index":0,"content_index":0,"delta":"\ude00{}b")") +
             named("response.completed",
                   R"(,"response":{"id":"c1","status":"completed","output":[{"type":"message","content":[)"
                   R"({"type":"output_text","text":"a\ud83d\ude00{}b"}]}],)"
                   R"("usage":{"input_tokens":3,"output_tokens":4}})");
    case Dialect::gemini:
      return data_line(R"({"candidates":[{"content":{"parts":[{"text":"a\ud83d"}]}}],"responseId":"c1"})") +
             data_line(R"({"candidates":[{"content":{"parts":[{"text":"\ude00{}b"}]},"finishReason":"STOP"}],)"
                  R"("usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4}})");
  }
  return "";
}

void texts_of_streams(void**) {
  for (Dialect dialect : {Dialect::openai, Dialect::anthropic, Dialect::responses, Dialect::gemini}) {
    std::string stream = stream_of(dialect);
    Result<std::vector<Said>> said = said_in_stream(dialect, stream);
    assert_true(said.ok() && said.value().size() == 1 && said.value()[0].only);
    assert_string_equal(said.value()[0].text.c_str(), "a\xf0\x9f\x98\x80{}b");
    std::string other = stream_with(dialect, stream, {"{\"x\":1}"}, {.model = "m", .id = "id", .created = 7});
    Result<std::vector<Said>> again = said_in_stream(dialect, other);
    assert_true(again.ok());
    assert_string_equal(again.value()[0].text.c_str(), "{\"x\":1}");
    assert_true(other.find("{}b") == std::string::npos);
    // Its usage is there as it was; cut anywhere it is not whole.
    assert_true(other.find(":4") != std::string::npos);
    assert_false(said_in_stream(dialect, stream.substr(0, stream.size() / 2)).ok());
  }
}

void conversations_go_on(void**) {
  struct Case {
    Dialect dialect;
    const char *request, *want;
  };
  constexpr Case kCases[] = {
      {Dialect::openai, R"({"temperature":1.0,"messages":[{"role":"user","content":"q"}] ,"model":"m"})",
       R"({"temperature":1.0,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a\"b"},)"
       R"({"role":"user","content":"n"}] ,"model":"m"})"},
      {Dialect::anthropic, R"({"messages":[]})",
       R"({"messages":[{"role":"assistant","content":"a\"b"},{"role":"user","content":"n"}]})"},
      {Dialect::gemini, R"({"contents":[{"parts":[{"text":"]"}]}]})",
       R"({"contents":[{"parts":[{"text":"]"}]},{"role":"model","parts":[{"text":"a\"b"}]},)"
       R"({"role":"user","parts":[{"text":"n"}]}]})"},
      {Dialect::responses, R"({"input":"q\n"})",
       R"({"input":[{"role":"user","content":"q\n"},{"role":"assistant","content":"a\"b"},)"
       R"({"role":"user","content":"n"}]})"},
      {Dialect::responses, R"({"input":[1]})",
       R"({"input":[1,{"role":"assistant","content":"a\"b"},{"role":"user","content":"n"}]})"},
  };
  for (const Case& one : kCases)
    assert_string_equal(request_with(one.dialect, one.request, "a\"b", "n").value().c_str(), one.want);
  assert_string_equal(request_with(Dialect::openai, R"({"messages":[]})", " \n", "n").value().c_str(),
                      R"({"messages":[{"role":"user","content":"n"}]})");
  for (const char* none : {"{}", R"({"messages":"q"})", "[", R"({"contents":[]})"})
    assert_false(request_with(Dialect::openai, none, "a", "n").ok());
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(texts_of_whole_answers), cmocka_unit_test(several_texts_and_choices),
      cmocka_unit_test(calls_and_refusals),     cmocka_unit_test(texts_of_streams),
      cmocka_unit_test(conversations_go_on),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
