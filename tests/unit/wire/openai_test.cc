#include "wire/openai.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>

#include "base/rng.h"
#include "wire/json.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::ErrorClass;
using lb::ErrorFacts;
using lb::Head;
using lb::OpenAiAnswer;
using lb::OpenAiRequest;
using lb::Rng;
using lb::SseEvent;
using lb::SseParser;
using Form = OpenAiAnswer::Form;
using Sign = OpenAiAnswer::Sign;

void errors_are_written_as_openai_does(void**) {
  std::string body = lb::openai_error_body("no \"such\" thing\n", "invalid_request_error", "");
  assert_string_equal(body.c_str(), R"({"error":{"message":"no \"such\" thing\n","type":"invalid_request_error",)"
                                    R"("param":null,"code":null}})");
  assert_true(lb::JsonDocument::parse(lb::openai_error_body("\xff", "t", "c")).ok());
  std::string event = lb::openai_error_event("m", "t", "c");
  assert_string_equal(event.c_str(),
      "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}\n\n");
}

void classes_have_names_of_their_own(void**) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(ErrorClass::broken); i++)
      names.insert(lb::error_class_name(static_cast<ErrorClass>(i)));
  assert_int_equal(names.size(), static_cast<size_t>(ErrorClass::broken) + 1);
  assert_string_equal(lb::error_class_name(ErrorClass::context_length), "context_length");
}

// --- Requests ---

void a_request_is_read_at_any_split(void**) {
  std::string text = R"({"messages":[{"role":"user","content":"\"model\":\"no\""}],"model":"gpt-4o\u002dmini",)"
                     R"("stream":true,"max_completion_tokens":100,"tools":[{"model":"x"}]})";
  for (size_t cut = 0; cut <= text.size(); cut++) {
    OpenAiRequest request;
    assert_true(request.feed(text.substr(0, cut)));
    bool early = request.has_model();
    assert_true(early == (cut >= text.find("\"stream\"") - 1));
    assert_true(request.feed(text.substr(cut)));
    assert_true(request.scan().complete());
    assert_string_equal(request.model().c_str(), "gpt-4o-mini");
    assert_string_equal(text.substr(request.model_begin(), request.model_end() - request.model_begin()).c_str(),
                        "\"gpt-4o\\u002dmini\"");
    assert_true(request.stream());
    assert_false(request.model_repeated());
    assert_int_equal(request.output_tokens_max(), 100);
  }
}

void absent_members_of_a_request(void**) {
  OpenAiRequest request;
  assert_true(request.feed("{}"));
  assert_false(request.has_model() || request.stream() || request.model_repeated());
  assert_string_equal(request.model().c_str(), "");
  assert_int_equal(request.output_tokens_max(), 0);
}

void the_bound_on_output_has_three_names(void**) {
  auto most = [](const char* text) {
    OpenAiRequest request;
    request.feed(text);
    return request.output_tokens_max();
  };
  assert_int_equal(most(R"({"max_tokens":1})"), 1);
  assert_int_equal(most(R"({"max_output_tokens":2,"max_tokens":1})"), 2);
  assert_int_equal(most(R"({"max_tokens":1,"max_completion_tokens":3,"max_output_tokens":2})"), 3);
  assert_int_equal(most(R"({"max_completion_tokens":null,"max_tokens":1})"), 1);
  assert_int_equal(most(R"({"max_tokens":-1})"), 0);
}

void a_model_named_twice_is_noticed_in_any_spelling(void**) {
  for (const char* text : {R"({"model":"a","model":"b"})", R"({"model":"a","mod\u0065l":"b"})",
                           R"({"\u006dodel":"a","messages":[],"model":null})", R"({"model":"a","model":{)"}) {
    for (size_t cut = 0; cut <= strlen(text); cut++) {
      OpenAiRequest request;
      request.feed(std::string(text, cut));
      request.feed(text + cut);
      assert_true(request.model_repeated());
    }
  }
}

// --- Errors ---

ErrorFacts facts_of(uint16_t status, std::string_view body) {
  Head head;
  head.status = status;
  return lb::openai_error(head, body, 0);
}

void each_error_has_its_class(void**) {
  struct Case {
    uint16_t status;
    const char* body;
    ErrorClass what;
  };
  const Case cases[] = {
      {400, "", ErrorClass::bad_request},
      {413, "", ErrorClass::bad_request},
      {422, "", ErrorClass::bad_request},
      {418, "", ErrorClass::bad_request},
      {400, R"({"error":{"code":"context_length_exceeded"}})", ErrorClass::context_length},
      {400, R"({"error":{"message":"This model's maximum context length is 8192 tokens."}})",
          ErrorClass::context_length},
      {400, R"({"error":{"message":"prompt is too long: 210000 tokens"}})", ErrorClass::context_length},
      {400, R"({"error":{"message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}})",
          ErrorClass::context_length},
      {400, R"([{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens",)"
            R"("status":"INVALID_ARGUMENT"}}])", ErrorClass::context_length},
      {400, R"({"error":{"code":400,"message":"the request exceeds the available context size, try increasing it"}})",
          ErrorClass::context_length},
      {400, R"({"error":{"code":"content_filter","innererror":{}}})", ErrorClass::content_filter},
      {400, R"({"error":{"code":"content_policy_violation"}})", ErrorClass::content_filter},
      {400, R"({"error":{"message":"Your credit balance is too low"}})", ErrorClass::billing},
      {400, R"({"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}})",
       ErrorClass::auth},
      {400, R"({"error":{"code":"rate_limit_exceeded"}})", ErrorClass::bad_request},
      {401, "", ErrorClass::auth},
      {403, "<html>", ErrorClass::auth},
      {402, "", ErrorClass::billing},
      {404, R"({"error":{"code":"DeploymentNotFound"}})", ErrorClass::not_found},
      {408, "", ErrorClass::timeout},
      {409, "", ErrorClass::timeout},
      {429, "", ErrorClass::rate_limit},
      {429, R"({"error":{"code":"insufficient_quota"}})", ErrorClass::billing},
      {429, R"({"error":{"type":"insufficient_quota","code":null}})", ErrorClass::billing},
      {429, R"({"error":{"type":"tokens","code":"rate_limit_exceeded"}})", ErrorClass::rate_limit},
      {429, R"({"error":{"code":"context_length_exceeded"}})", ErrorClass::rate_limit},
      {500, "", ErrorClass::server},
      {502, "<html>", ErrorClass::server},
      {504, "", ErrorClass::server},
      {599, R"({"error":{"code":"rate_limit_exceeded"}})", ErrorClass::server},
      {503, "", ErrorClass::overloaded},
      {529, "", ErrorClass::overloaded},
      {302, "", ErrorClass::server},
  };
  for (const Case& c : cases) {
    ErrorClass what = facts_of(c.status, c.body).what;
    if (what != c.what) print_message("%u %s: %s\n", c.status, c.body, lb::error_class_name(what));
    assert_true(what == c.what);
  }
}

void within_a_success_only_the_body_speaks(void**) {
  struct Case {
    const char* body;
    ErrorClass what;
  };
  const Case cases[] = {
      {R"({"error":{"message":"x"}})", ErrorClass::server},
      {R"({"error":"busy"})", ErrorClass::server},
      {R"({"error":{"type":"overloaded_error"}})", ErrorClass::overloaded},
      {R"({"error":{"type":"invalid_request_error"}})", ErrorClass::bad_request},
      {R"({"error":{"code":429}})", ErrorClass::rate_limit},
      {R"({"error":{"code":"503"}})", ErrorClass::overloaded},
      {R"({"error":{"code":200}})", ErrorClass::server},
      {R"([{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}])", ErrorClass::rate_limit},
      {R"({"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}})", ErrorClass::rate_limit},
      {R"({"type":"error","code":"insufficient_quota","message":"m"})", ErrorClass::billing},
      {R"({"object":"error","type":"invalid_request_error","message":"m","code":400})", ErrorClass::bad_request},
      {"upstream died", ErrorClass::server},
  };
  for (const Case& c : cases) {
    ErrorClass what = facts_of(200, c.body).what;
    if (what != c.what) print_message("%s: %s\n", c.body, lb::error_class_name(what));
    assert_true(what == c.what);
  }
}

void the_message_is_found_in_every_envelope(void**) {
  for (const char* body :
       {R"({"error":{"message":"why"}})", R"([{"error":{"message":"why"}}])", R"({"error":"why"})",
           R"({"message":"why"})",
        R"({"detail":"why"})", R"({"statusCode":401,"message":"why"})", R"({"response":{"error":{"message":"why"}}})",
        R"({"error":{"message":"why","details":[)"})
    assert_string_equal(facts_of(500, body).message.c_str(), "why");
  for (const char* body : {"", "<html>why</html>", "{}", R"({"error":{"message":null}})", R"({"error":[]})"})
    assert_string_equal(facts_of(500, body).message.c_str(), "");
  assert_string_equal(facts_of(500, R"({"error":{"message":"cut he)").message.c_str(), "cut he");
}

void the_message_is_cut_at_300_bytes_and_between_characters(void**) {
  auto message = [](const std::string& text) { return facts_of(500,
      "{\"error\":{\"message\":\"" + text + "\"}}").message; };
  assert_int_equal(message(std::string(300, 'm')).size(), 300);
  assert_int_equal(message(std::string(301, 'm')).size(), 300);
  assert_int_equal(message(std::string(298, 'm') + "\xe2\x82\xac").size(), 298);
  assert_int_equal(message(std::string(297, 'm') + "\xe2\x82\xac").size(), 300);
  assert_int_equal(message(std::string(297, 'm') + "\xe2\x82\xac!").size(), 300);
  assert_int_equal(message(std::string(100'000, 'm')).size(), 300);
}

void waits_are_read_from_fields_and_body(void**) {
  Head head;
  head.status = 429;
  const char* google = R"({"error":{"code":429,"details":[{"@type":"x"},{"retryDelay":"37s"}]}})";
  assert_true(lb::retry_after(head, google, 0) == lb::Duration::from_s(37));
  assert_true(lb::retry_after(head, "[" + std::string(google) + "]", 0) == lb::Duration::from_s(37));
  assert_true(lb::openai_error(head, google, 0).retry_after == lb::Duration::from_s(37));
  head.add("retry-after", "2");
  assert_true(lb::retry_after(head, google, 0) == lb::Duration::from_s(2));
  head.add("retry-after-ms", "1500");
  assert_true(lb::openai_error(head, google, 0).retry_after == lb::Duration::from_ms(1500));
  assert_false(lb::retry_after(Head{}, "{}", 0).has_value());
}

// --- Answers ---

void the_form_is_that_of_the_content_type(void**) {
  for (const char* type : {"text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;x"})
    assert_true(OpenAiAnswer::form_of(type) == Form::events);
  for (const char* type : {"application/json", "application/json; charset=utf-8", "APPLICATION/JSON",
      "application/problem+json"})
    assert_true(OpenAiAnswer::form_of(type) == Form::json);
  for (const char* type : {"", "text/html", "application/jsonx", "+json", "text/plain; application/json",
      "application/x-ndjson"})
    assert_true(OpenAiAnswer::form_of(type) == Form::other);
}

char letter(Sign sign) { return "lcem"[static_cast<size_t>(sign)]; }

// What came of an answer: a sign for each event (l, c, e or m), and what is known at its end.
std::string shown(const OpenAiAnswer& answer, const std::string& signs) {
  auto number = [](const std::optional<uint64_t>& n) { return n ? std::to_string(*n) : std::string("-"); };
  return signs + (answer.finished() ? " finished" : "") + (answer.failed() ? " failed" : "") + " malformed " +
         std::to_string(answer.malformed()) + " usage " + number(answer.usage().input) + " " +
         number(answer.usage().output) + " " + number(answer.usage().cached) + " " + answer.error_text();
}

std::string followed(std::initializer_list<std::string_view> pieces, bool responses) {
  OpenAiAnswer answer(Form::events, responses);
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
std::string at_any_split(const std::string& text, bool responses) {
  std::string whole = followed({text}, responses);
  for (size_t cut = 0; cut <= text.size(); cut++)
    assert_string_equal(followed({text.substr(0, cut), text.substr(cut)}, responses).c_str(), whole.c_str());
  return whole;
}

std::string says(std::string_view json) { return "data: " + std::string(json) + "\n\n"; }
std::string chunk(std::string_view delta, std::string_view finish = "null", int index = 0) {
  return says("{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":" + std::to_string(index) +
              ",\"delta\":" + std::string(delta) + ",\"finish_reason\":" + std::string(finish) + "}]}");
}
const std::string kDone = "data: [DONE]\n\n";

#define assert_stream(text, expected) assert_string_equal(at_any_split(text, false).c_str(), expected)
#define assert_responses(text, expected) assert_string_equal(at_any_split(text, true).c_str(), expected)

void a_stream_from_role_to_done(void**) {
  std::string usage = says(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,)"
                           R"("prompt_tokens_details":{"cached_tokens":4}}})");
  std::string text = ": hello\n\n" + chunk(R"({"role":"assistant","content":""})") + chunk(R"({"content":"Hi"})") +
                     chunk(R"({"content":" \"you\""})") + chunk("{}", "\"stop\"");
  assert_stream(text, "lccc finished malformed 0 usage - - - ");
  assert_stream(text + usage + kDone, "lcccll finished malformed 0 usage 7 2 4 ");
}

void what_is_content_and_what_is_life(void**) {
  for (const char* delta : {R"({"content":"a"})", R"({"tool_calls":[{"index":0,"id":"c"}]})", R"({"refusal":"no"})",
                            R"({"function_call":{"name":"f"}})", R"({"audio":{"data":"AA=="}})", R"({"content":" "})"})
    assert_stream(chunk(delta), "c malformed 0 usage - - - ");
  for (const char* delta : {"{}", R"({"role":"assistant"})", R"({"content":""})", R"({"content":null})",
                            R"({"reasoning_content":"hm"})", R"({"reasoning":"hm"})", R"({"tool_calls":[]})",
                            R"({"refusal":null,"audio":null})", R"({"obfuscation":"xx"})"})
    assert_stream(chunk(delta), "l malformed 0 usage - - - ");
  // Azure's first chunk, legacy completions, an empty event, an event of another name.
  assert_stream(says(R"({"choices":[],"prompt_filter_results":[{"prompt_index":0}]})"), "l malformed 0 usage - - - ");
  assert_stream(says(R"({"choices":[{"index":0,"text":"a","finish_reason":null}]})"), "c malformed 0 usage - - - ");
  assert_stream(says(R"({"choices":[{"index":0,"text":"","finish_reason":null}]})"), "l malformed 0 usage - - - ");
  assert_stream("data:\n\n", "l malformed 0 usage - - - ");
  assert_stream("event: ping\ndata: {}\n\n", "l malformed 0 usage - - - ");
}

void a_stream_ends_by_its_finish_reason_or_its_marker(void**) {
  std::string a = chunk(R"({"content":"a"})");
  assert_stream("", " malformed 0 usage - - - ");
  assert_stream(a, "c malformed 0 usage - - - ");
  assert_stream(a + kDone, "cl finished malformed 0 usage - - - ");
  assert_stream(a + "data: [DONE] \n\n", "cl finished malformed 0 usage - - - ");
  assert_stream(a + "data: [DONE", "c malformed 0 usage - - - ");
  assert_stream(a + "data: [DONE]\n", "c malformed 0 usage - - - ");
  assert_stream(a + chunk("{}", "\"length\""), "cc finished malformed 0 usage - - - ");
  assert_stream(a + chunk("{}", "\"\""), "cl malformed 0 usage - - - ");
  assert_stream(kDone, "l finished malformed 0 usage - - - ");
}

void every_choice_must_finish(void**) {
  std::string a = chunk(R"({"content":"a"})"), b = chunk(R"({"content":"b"})", "null", 1);
  std::string a_ends = chunk("{}", "\"stop\""), b_ends = chunk("{}", "\"stop\"", 1);
  assert_stream(a + b + a_ends, "ccc malformed 0 usage - - - ");
  assert_stream(a + b + a_ends + b_ends, "cccc finished malformed 0 usage - - - ");
  assert_stream(a + chunk(R"({"role":"assistant"})", "null", 1) + a_ends, "clc malformed 0 usage - - - ");
  // Choices that share a chunk are not told apart: then the marker decides.
  std::string both = says(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"},)"
                          R"({"index":1,"delta":{"content":"b"},"finish_reason":null}]})");
  assert_stream(a + both, "cc malformed 0 usage - - - ");
  assert_stream(a + both + b_ends, "ccc malformed 0 usage - - - ");
  assert_stream(both + a + a_ends, "ccc malformed 0 usage - - - ");
  assert_stream(a + both + b_ends + kDone, "cccl finished malformed 0 usage - - - ");
}

void choices_up_to_the_last_bit_and_beyond(void**) {
  auto both = [](int index) { return chunk(R"({"content":"a"})", "null", index) + chunk("{}", "\"stop\"", index); };
  assert_stream(both(0) + both(62), "cccc finished malformed 0 usage - - - ");
  assert_stream(both(0) + both(63), "cccc malformed 0 usage - - - ");
  assert_stream(both(0) + both(100) + kDone, "ccccl finished malformed 0 usage - - - ");
}

void errors_in_a_stream(void**) {
  for (const char* json : {R"({"error":{"message":"m"}})", R"({"error":"m"})", R"({"choices":[],"error":{"code":1}})",
                           R"({"type":"error","message":"m"})", R"({"object":"error","message":"m"})"}) {
    std::string expected = std::string("e failed malformed 0 usage - - - ") + json;
    assert_stream(says(json), expected.c_str());
    expected = "ce failed malformed 0 usage - - - " + std::string(json);
    assert_stream(chunk(R"({"content":"a"})") + says(json), expected.c_str());
  }
  for (const char* json : {R"({"error":null,"choices":[]})", R"({"error":{}})", R"({"error":""})",
      R"({"error":false})"})
    assert_stream(says(json), "l malformed 0 usage - - - ");
  assert_stream("event: error\ndata: upstream died\n\n", "e failed malformed 0 usage - - - upstream died");
  assert_stream("event: error\ndata: {\"x\":1}\n\n", "e failed malformed 0 usage - - - {\"x\":1}");
}

void events_that_are_no_json_are_skipped_and_counted(void**) {
  std::string a = chunk(R"({"content":"a"})");
  assert_stream(says("{\"choices\":") + a + says("oops") + says("{}}") + kDone,
      "mcmml finished malformed 3 usage - - - ");
  assert_stream(says("5") + says("null") + says("\"a\""), "mml malformed 2 usage - - - ");
}

void usage_is_the_last_that_says_something(void**) {
  std::string a = R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}})";
  std::string b = R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}})";
  std::string none = R"({"choices":[],"usage":null})", zero = R"({"usage":{"prompt_tokens":0,"completion_tokens":0}})";
  assert_stream(says(a) + says(b) + says(none) + says(zero), "llll malformed 0 usage 7 9 - ");  // Set, not added.
  assert_stream(says(zero), "l malformed 0 usage - - - ");
  assert_stream(says(R"({"usage":{"prompt_tokens":3,"completion_tokens":0}})"), "l malformed 0 usage 3 0 - ");
  assert_stream(says(R"({"usage":{"prompt_tokens":-3,"completion_tokens":1.5}})"), "l malformed 0 usage - - - ");
}

std::string typed(const std::string& type, const std::string& rest = "") {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + rest + "}\n\n";
}

void a_stream_of_typed_events(void**) {
  std::string text = typed("response.created", R"(,"response":{"status":"in_progress","error":null})") +
                     typed("response.output_item.added", R"(,"item":{})") +
                     typed("response.reasoning_summary_text.delta", R"(,"delta":"hm")") +
                     typed("response.reasoning_text.delta", R"(,"delta":"hm")") +
                     typed("response.output_text.delta", R"(,"delta":"")") +
                     typed("response.output_text.delta", R"(,"delta":"Hi")");
  assert_responses(text, "lllllc malformed 0 usage - - - ");
  std::string end = R"(,"response":{"usage":{"input_tokens":5,"output_tokens":6,)"
                    R"("input_tokens_details":{"cached_tokens":3}}})";
  assert_responses(text + typed("response.completed", end), "lllllcc finished malformed 0 usage 5 6 3 ");
  assert_responses(text + typed("response.incomplete", end), "lllllcc finished malformed 0 usage 5 6 3 ");
  for (const char* type : {"response.function_call_arguments.delta", "response.refusal.delta", "response.audio.delta"})
    assert_responses(typed(type, R"(,"delta":"x")"), "c malformed 0 usage - - - ");
  // The type may stand in the name alone.
  assert_responses("event: response.completed\ndata: {}\n\n", "c finished malformed 0 usage - - - ");
  assert_responses(typed("response.of_the_future", R"(,"delta":"x")"), "l malformed 0 usage - - - ");
}

void typed_errors(void**) {
  std::string failed = R"({"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}})";
  assert_responses("event: response.failed\n" + says(failed), ("e failed malformed 0 usage - - - " + failed).c_str());
  std::string bare = R"({"type":"error","code":"rate_limit_exceeded","message":"m"})";
  assert_responses(says(bare), ("e failed malformed 0 usage - - - " + bare).c_str());
  std::string silent = R"({"type":"response.failed","response":{"error":null}})";
  assert_responses(says(silent), ("e failed malformed 0 usage - - - " + silent).c_str());
}

// --- JSON bodies ---

std::string answered(std::initializer_list<std::string_view> pieces) {
  OpenAiAnswer answer(Form::json, false);
  Sign last = Sign::life;
  for (std::string_view piece : pieces) last = answer.bytes(piece);
  return shown(answer, std::string(1, letter(last)));
}

#define assert_body(text, expected)                                                                                 \
  do {                                                                                                              \
    std::string body_ = text;                                                                                       \
    for (size_t cut = 0; cut <= body_.size(); cut++)                                                                \
      assert_string_equal(answered({body_.substr(0, cut), body_.substr(cut)}).c_str(), expected);                   \
  } while (0)

void a_body_is_content_when_it_is_whole(void**) {
  std::string chat = R"({"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],)"
                     R"("usage":{"prompt_tokens":7,"completion_tokens":2}})";
  assert_body(chat, "c finished malformed 0 usage 7 2 - ");
  assert_body(chat + " \n", "c finished malformed 0 usage 7 2 - ");
  assert_body(chat.substr(0, chat.size() - 1), "l malformed 0 usage - - - ");
  assert_body(R"({"object":"list","data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}})",
              "c finished malformed 0 usage 8 - - ");
  assert_body(R"({"object":"response","error":null,"usage":{"input_tokens":1,"output_tokens":2}})",
              "c finished malformed 0 usage 1 2 - ");
  assert_body("", "l malformed 0 usage - - - ");
  assert_body("<html></html>", "l malformed 0 usage - - - ");
}

void what_follows_a_whole_body_spoils_it(void**) {
  assert_string_equal(answered({"{}", "x"}).c_str(), answered({"{}x"}).c_str());
  assert_string_equal(answered({"{}x"}).c_str(), "l malformed 0 usage - - - ");
  // What it said was said, however much came at once.
  assert_body(R"({"usage":{"input_tokens":1,"output_tokens":2}}x)", "l malformed 0 usage 1 2 - ");
  assert_body(R"({"object":"error"}x)", "e failed malformed 0 usage - - - ");
}

void errors_in_a_body_are_told_at_once(void**) {
  OpenAiAnswer answer(Form::json, false);
  assert_true(answer.bytes(R"({"error":{"message":"m")") == Sign::life);
  assert_true(answer.bytes("}") == Sign::error);
  assert_true(answer.failed());
  assert_false(answer.finished());
  assert_true(answer.bytes(",\"x\":1}") == Sign::error);
  assert_true(answer.finished());
  assert_body(R"({"choices":[],"error":{"code":500}})", "e finished failed malformed 0 usage - - - ");
  assert_body(R"({"object":"error","message":"m"})", "e finished failed malformed 0 usage - - - ");
  assert_body(R"({"error":"m","error":false})", "e finished failed malformed 0 usage - - - ");
  assert_body(R"({"error":{"a":1},"error":{})", "e failed malformed 0 usage - - - ");
  assert_body(R"({"error":false})", "c finished malformed 0 usage - - - ");
}

// --- Whatever comes ---

// An event means the same behind any other as it does alone.
void no_event_depends_on_the_one_before(void**) {
  const char* const deltas[] = {R"({"content":"a"})", R"({"content":"bb"})", R"({"content":""})",
      R"({"content":"q\"q"})",
                                R"({"content":"\\"})", R"({"content":"\"})", R"({"content":"","role":"a"})",
                                R"({"content":"x","tool_calls":[1]})", "{}", R"({"content":7})",
                                R"({"content":"a","content":""})", R"({"content":"}],\"error\":1"})",
                                    R"({"refusal":"r"})"};
  const char* const ends[] = {"null", "null", "null", "\"stop\"", "\"", "nul"};
  int expected = 0;
  for (uint64_t seed = 1; seed <= 2000; seed++) {
    Rng rng(seed);
    OpenAiAnswer answer(Form::events, false);
    SseParser parser;
    uint32_t malformed = 0;
    for (int i = 0; i < 12; i++) {
      std::string text = chunk(deltas[rng.below(std::size(deltas))], ends[rng.below(std::size(ends))],
          static_cast<int>(rng.below(2)));
      if (rng.below(10) == 0) text = says(R"({"error":{"message":"m"}})");
      if (rng.below(10) == 0) text = says(R"({"choices":[{"index":0,"text":"t"}],"usage":{"prompt_tokens":1}})");
      OpenAiAnswer alone(Form::events, false);
      SseEvent event;
      std::string_view rest = text;
      assert_true(parser.next(rest, event));
      Sign sign = answer.event(event, &parser);
      expected += std::exchange(event.expected, false);
      assert_true(sign == alone.event(event));
      malformed += alone.malformed();
      assert_int_equal(answer.malformed(), malformed);
    }
  }
  assert_true(expected > 100);
}

void random_bytes_do_no_harm(void**) {
  const char* const words[] = {"data: ", "event: ", "\n", "\n\n", "{", "}", "[", "]", ",", ":", "\"choices\"",
      "\"delta\"",
                               "\"content\"", "\"a\"", "\"error\"", "error", "[DONE]", "\\u00", "\xff", "null", "0",
                                   "\"index\"",
                               "\"usage\"", "\"prompt_tokens\"", "\"type\"", "\"response.completed\"", "\r\n", ": x"};
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    Rng rng(seed);
    std::string text;
    for (uint64_t i = 0, n = rng.below(40); i < n; i++) text += words[rng.below(std::size(words))];
    bool responses = rng.below(2);
    if (text.size() < 120) at_any_split(text + "\n\n", responses);
    Head head;
    head.status = static_cast<uint16_t>(rng.below(2) ? 200 : 400 + rng.below(200));
    ErrorFacts facts = lb::openai_error(head, text, 0);
    assert_true(facts.what != ErrorClass::none);
    OpenAiRequest request;
    request.feed(text);
    request.model();
    request.output_tokens_max();
    OpenAiAnswer answer(Form::json, responses);
    answer.bytes(text);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(errors_are_written_as_openai_does),
      cmocka_unit_test(classes_have_names_of_their_own),
      cmocka_unit_test(a_request_is_read_at_any_split),
      cmocka_unit_test(absent_members_of_a_request),
      cmocka_unit_test(the_bound_on_output_has_three_names),
      cmocka_unit_test(a_model_named_twice_is_noticed_in_any_spelling),
      cmocka_unit_test(each_error_has_its_class),
      cmocka_unit_test(within_a_success_only_the_body_speaks),
      cmocka_unit_test(the_message_is_found_in_every_envelope),
      cmocka_unit_test(the_message_is_cut_at_300_bytes_and_between_characters),
      cmocka_unit_test(waits_are_read_from_fields_and_body),
      cmocka_unit_test(the_form_is_that_of_the_content_type),
      cmocka_unit_test(a_stream_from_role_to_done),
      cmocka_unit_test(what_is_content_and_what_is_life),
      cmocka_unit_test(a_stream_ends_by_its_finish_reason_or_its_marker),
      cmocka_unit_test(every_choice_must_finish),
      cmocka_unit_test(choices_up_to_the_last_bit_and_beyond),
      cmocka_unit_test(errors_in_a_stream),
      cmocka_unit_test(events_that_are_no_json_are_skipped_and_counted),
      cmocka_unit_test(usage_is_the_last_that_says_something),
      cmocka_unit_test(a_stream_of_typed_events),
      cmocka_unit_test(typed_errors),
      cmocka_unit_test(a_body_is_content_when_it_is_whole),
      cmocka_unit_test(what_follows_a_whole_body_spoils_it),
      cmocka_unit_test(errors_in_a_body_are_told_at_once),
      cmocka_unit_test(no_event_depends_on_the_one_before),
      cmocka_unit_test(random_bytes_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
