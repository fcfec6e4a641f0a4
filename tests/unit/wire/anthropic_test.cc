#include "wire/anthropic.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/rng.h"
#include "wire/answer.h"
#include "wire/json.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Answer;
using lb::AnthropicAnswer;
using lb::Operation;
using lb::SseEvent;
using lb::SseParser;
using Form = Answer::Form;
using Sign = Answer::Sign;

char letter(Sign sign) { return "lcem"[static_cast<size_t>(sign)]; }

// What came of an answer: a sign for each event (l, c, e or m), and what is known at its end.
std::string shown(const Answer& answer, const std::string& signs) {
  auto number = [](const std::optional<uint64_t>& n) { return n ? std::to_string(*n) : std::string("-"); };
  return signs + (answer.finished() ? " finished" : "") + (answer.failed() ? " failed" : "") + " malformed " +
         std::to_string(answer.malformed()) + " usage " + number(answer.usage().input) + " " +
         number(answer.usage().output) + " " + number(answer.usage().cached) + " " + answer.error_text();
}

std::string followed(std::initializer_list<std::string_view> pieces) {
  Answer answer(Form::events, Operation::messages);
  SseParser parser;
  std::string signs;
  for (std::string_view piece : pieces) {
    std::string bytes(piece);  // So that nothing lasts longer than it may.
    std::string_view rest = bytes;
    SseEvent event;
    while (parser.next(rest, event))
      if (!event.comment) signs += letter(answer.event(event, &parser));
  }
  return shown(answer, signs);
}

// The stream whole, and cut at every place: all the same.
std::string at_any_split(const std::string& text) {
  std::string whole = followed({text});
  for (size_t cut = 0; cut <= text.size(); cut++)
    assert_string_equal(followed({text.substr(0, cut), text.substr(cut)}).c_str(), whole.c_str());
  return whole;
}

#define assert_stream(text, expected) assert_string_equal(at_any_split(text).c_str(), expected)

std::string says(std::string_view type, std::string_view members = "") {
  std::string name(type);
  std::string rest = members.empty() ? "" : "," + std::string(members);
  return "event: " + name + "\ndata: {\"type\":\"" + name + "\"" + rest + "}\n\n";
}
std::string start(std::string_view usage = R"({"input_tokens":4,"output_tokens":1})") {
  return says("message_start", R"("message":{"id":"msg_1","role":"assistant","content":[],"usage":)" +
                                   std::string(usage) + "}");
}
std::string block(std::string_view content) {
  return says("content_block_start", R"("index":0,"content_block":)" + std::string(content));
}
std::string delta(std::string_view content) {
  return says("content_block_delta", R"("index":0,"delta":)" + std::string(content));
}
const std::string kText = R"({"type":"text","text":""})";
const std::string kHello = R"({"type":"text_delta","text":"Hello"})";
const std::string kEnd = says("content_block_stop", R"("index":0)") +
                         says("message_delta", R"("delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9})");
const std::string kStop = says("message_stop");

void a_stream_from_start_to_stop(void**) {
  assert_stream(start() + says("ping") + block(kText) + delta(kHello) + kEnd + kStop,
                "lllclcl finished malformed 0 usage 4 9 - ");
  // Without its terminal marker it is not whole, whatever its reason to stop.
  assert_stream(start() + block(kText) + delta(kHello) + kEnd, "llclc malformed 0 usage 4 9 - ");
  // Without names of events their types do.
  std::string bare = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";
  assert_stream(bare + "data: {\"type\":\"message_stop\"}\n\n", "cl finished malformed 0 usage - - - ");
}

void what_is_content_and_what_is_life(void**) {
  assert_stream(block(R"({"type":"thinking","thinking":""})") + delta(R"({"type":"thinking_delta","thinking":"Hm"})") +
                    delta(R"({"type":"signature_delta","signature":"abc"})"),
                "lll malformed 0 usage - - - ");
  assert_stream(block(R"({"type":"redacted_thinking","data":"abc"})"), "l malformed 0 usage - - - ");
  assert_stream(block(R"({"type":"tool_use","id":"toolu_1","name":"f","input":{}})"), "c malformed 0 usage - - - ");
  assert_stream(block(R"({"type":"server_tool_use","id":"x","name":"search"})"), "c malformed 0 usage - - - ");
  assert_stream(delta(R"({"type":"input_json_delta","partial_json":""})") +
                    delta(R"({"type":"input_json_delta","partial_json":"{\"a\""})"),
                "lc malformed 0 usage - - - ");
  assert_stream(delta(R"({"type":"text_delta","text":""})"), "l malformed 0 usage - - - ");
  assert_stream(says("message_delta", R"("delta":{"stop_reason":null})"), "l malformed 0 usage - - - ");
  // Events and deltas that nobody knows yet are ignored.
  assert_stream(says("content_block_bloom", R"("index":0)") + delta(R"({"type":"new_delta","thing":"x"})"),
                "ll malformed 0 usage - - - ");
}

void errors_in_a_stream(void**) {
  std::string error = R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
  assert_stream(start() + "event: error\ndata: " + error + "\n\n",
                ("le failed malformed 0 usage 4 1 - " + error).c_str());
  assert_stream("data: " + error + "\n\n", ("e failed malformed 0 usage - - - " + error).c_str());
  // A gateway in between, in its own dialect.
  std::string other = R"({"error":{"message":"no","code":500}})";
  assert_stream("data: " + other + "\n\n", ("e failed malformed 0 usage - - - " + other).c_str());
}

void events_that_are_no_json_are_counted(void**) {
  assert_stream(start() + "event: content_block_delta\ndata: {\"type\": \"con\n\n" + delta(kHello) + kStop,
                "lmcl finished malformed 1 usage 4 1 - ");
}

void usage_counts_the_cache_as_input(void**) {
  std::string usage = R"({"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":100,)"
                      R"("output_tokens":1})";
  assert_stream(start(usage) + kEnd, "llc malformed 0 usage 115 9 100 ");
  // Later servers repeat, or correct, what they said at first.
  assert_stream(start() + says("message_delta", R"("delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":6,)"
                                                R"("cache_read_input_tokens":2,"output_tokens":3})"),
                "lc malformed 0 usage 8 3 2 ");
}

void a_body(void**) {
  std::string text = R"({"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn",)"
                     R"("usage":{"input_tokens":3,"output_tokens":2}})";
  Answer answer(Form::json, Operation::messages);
  assert_true(answer.bytes(text.substr(0, 20)) == Sign::life);
  assert_false(answer.finished());
  assert_true(answer.bytes(text.substr(20)) == Sign::content);
  assert_string_equal(shown(answer, "").c_str(), " finished malformed 0 usage 3 2 - ");
  Answer error(Form::json, Operation::messages);
  assert_true(error.bytes(R"({"type":"error","error":{"type":"api_error","message":"x"}})") == Sign::error);
  // An error of another sort: no member says so but the type.
  Answer bare(Form::json, Operation::messages);
  assert_true(bare.bytes(R"({"type":"error"})") == Sign::error);
}

void errors_are_written_in_the_dialect_that_was_asked_in(void**) {
  std::string body = lb::error_body(Operation::messages, 429, "no \"more\"\n", "of_openai", "code_of_openai");
  assert_string_equal(body.c_str(),
                      R"({"type":"error","error":{"type":"rate_limit_error","message":"no \"more\"\n"}})");
  assert_true(lb::JsonDocument::parse(lb::error_body(Operation::messages, 500, "\xff", "", "")).ok());
  assert_string_equal(lb::error_body(Operation::chat, 404, "m", "t", "c").c_str(),
                      lb::openai_error_body("m", "t", "c").c_str());
  assert_string_equal(lb::broken_event(Operation::messages, "cut").c_str(),
                      "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                      "\"message\":\"cut\"}}\n\n");
  assert_string_equal(lb::broken_event(Operation::responses, "cut").c_str(),
                      lb::openai_error_event("cut", "upstream_error", "stream_broken").c_str());
  struct Case {
    uint32_t status;
    const char* type;
  };
  for (const Case& c : {Case{400, "invalid_request_error"}, Case{401, "authentication_error"},
                        Case{402, "billing_error"}, Case{403, "permission_error"}, Case{404, "not_found_error"},
                        Case{413, "request_too_large"},
                        Case{422, "invalid_request_error"}, Case{429, "rate_limit_error"}, Case{500, "api_error"},
                        Case{503, "overloaded_error"}, Case{504, "timeout_error"}, Case{529, "overloaded_error"}})
    assert_string_equal(std::string(lb::anthropic_error_type(c.status)).c_str(), c.type);
}

// Deltas of text are not read each; those of tools, of thinking, and whatever says more, are.
void deltas_of_text_are_expected(void**) {
  Answer answer(Form::events, Operation::messages);
  SseParser parser;
  std::string seen;
  auto feed = [&](const std::string& text) {
    SseEvent event;
    for (std::string_view rest = text; parser.next(rest, event);) {
      seen += event.expected ? 'x' : '.';
      seen += letter(answer.event(event, &parser));
    }
  };
  feed(start() + block(kText) + delta(kHello));
  feed(delta(R"({"type":"text_delta","text":" you"})") + delta(R"({"type":"text_delta","text":""})") +
       delta(R"({"type":"text_delta","text":"\n"})") + delta(kHello) + says("ping") + delta(kHello));
  assert_string_equal(seen.c_str(), ".l.l.cxc.l.cxc.lxc");
  seen.clear();
  std::string json = R"({"type":"input_json_delta","partial_json":"{"})";
  std::string more = says("content_block_delta", R"("delta":{"text":"a"},"usage":{"output_tokens":3})");
  feed(delta(json) + delta(json) + more + more + kEnd + kStop);
  assert_string_equal(seen.c_str(), ".c.c.c.c.l.c.l");
  assert_true(answer.finished());
  assert_int_equal(*answer.usage().output, 9);
}

void each_operation_has_its_reader(void**) {
  std::string_view text =
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
  for (Operation operation : {Operation::chat, Operation::messages}) {
    Answer answer(Form::events, operation);
    SseParser parser;
    SseEvent event;
    std::string_view rest = text;
    assert_true(parser.next(rest, event));
    bool openai = lb::api_of(operation) == lb::Api::openai;
    assert_true(answer.event(event) == (openai ? Sign::content : Sign::life));
    assert_true(answer.finished() == openai);
  }
}

void random_bytes_do_no_harm(void**) {
  lb::Rng rng(7);
  std::string seed = start() + block(kText) + delta(kHello) + kEnd + kStop;
  for (int round = 0; round < 500; round++) {
    std::string text = seed;
    for (int change = 0; change < 5; change++) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    std::string whole = followed({text});
    size_t cut = rng.below(text.size());
    assert_string_equal(followed({text.substr(0, cut), text.substr(cut)}).c_str(), whole.c_str());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_from_start_to_stop),
      cmocka_unit_test(what_is_content_and_what_is_life),
      cmocka_unit_test(errors_in_a_stream),
      cmocka_unit_test(events_that_are_no_json_are_counted),
      cmocka_unit_test(usage_counts_the_cache_as_input),
      cmocka_unit_test(a_body),
      cmocka_unit_test(errors_are_written_in_the_dialect_that_was_asked_in),
      cmocka_unit_test(deltas_of_text_are_expected),
      cmocka_unit_test(each_operation_has_its_reader),
      cmocka_unit_test(random_bytes_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
