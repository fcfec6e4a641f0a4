// The mock in every dialect, read with the readers of wire/dialect, by which lb translates: what one says, the other
// understands.
#include "wire/dialect/translate.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "mock/client.h"
#include "wire/dialect/count_tokens.h"
#include "wire/dialect/gemini_array.h"
#include "wire/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace {

using namespace lb::mock::test;
using lb::Delta;
using lb::Dialect;
using lb::Part;

// Where each dialect is asked, and how; `tools` has two.
struct Way {
  Dialect dialect;
  const char* name;
  const char *plain, *streamed;  // Paths.
  const char* turn;              // The body up to its end, without its last brace.
  const char* tools;
  const char* result;            // A body in which a result was sent back.
};

constexpr const char* kSchema =
    R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"ü":{"enum":["a\"b"]}}})";
constexpr Way kWays[] = {
    {Dialect::openai, "openai", kChat.data(), kChat.data(),
     R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream_options":{"include_usage":true})",
     R"("tools":[{"type":"function","function":{"name":"weather","parameters":SCHEMA}},
        {"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}])",
     R"({"role":"tool","tool_call_id":"x","content":"y"})"},
    {Dialect::responses, "responses", "/v1/responses", "/v1/responses",
     R"({"model":"m","input":[{"role":"user","content":"hi"}])",
     R"("tools":[{"type":"function","name":"weather","parameters":SCHEMA},
        {"type":"function","name":"now","parameters":{"type":"object","properties":{}}}])",
     R"({"type":"function_call_output","call_id":"x","output":"y"})"},
    {Dialect::anthropic, "anthropic", "/v1/messages", "/v1/messages",
     R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}])",
     R"("tools":[{"name":"weather","input_schema":SCHEMA},
        {"name":"now","input_schema":{"type":"object","properties":{}}}])",
     R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"y"}]})"},
    {Dialect::gemini, "gemini", "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse",
     R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}])",
     R"("tools":[{"functionDeclarations":[{"name":"weather","parametersJsonSchema":SCHEMA},
        {"name":"now","parameters":{"type":"OBJECT","properties":{}}}]}])",
     R"({"role":"user","parts":[{"functionResponse":{"name":"weather","response":{}}}]})"},
};
constexpr const char* kVersion = "anthropic-version: 2023-06-01\r\n";

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

std::string body_of(const Way& way, bool stream, std::string_view more = "") {
  std::string body = way.turn;
  if (!more.empty()) body += "," + replaced(std::string(more), "SCHEMA", kSchema);
  if (stream && way.dialect != Dialect::gemini) body += R"(,"stream":true)";
  return body + "}";
}

// What was said, as one line: {thinking}text[name arguments] and so on.
class Said : public lb::DeltaSink {
 public:
  void on(const Delta& delta) override {
    if (delta.kind == Delta::Kind::text) text += lb::decode_inner(delta.text);
    if (delta.kind == Delta::Kind::thinking) thought += lb::decode_inner(delta.text);
    if (delta.kind == Delta::Kind::signature) signature = delta.text;
    if (delta.kind == Delta::Kind::tool) calls.push_back(lb::decode_inner(delta.name) + " ");
    if (delta.kind == Delta::Kind::input) calls[delta.index] += lb::decode_inner(delta.text);
    if (delta.kind == Delta::Kind::stop) stop = delta.stop;
    if (delta.kind == Delta::Kind::usage || delta.kind == Delta::Kind::begin) usage.take(delta.usage);
    if (delta.kind == Delta::Kind::begin) model = delta.model;
    if (delta.kind == Delta::Kind::error) error = lb::decode_inner(delta.text);
    if (delta.kind == Delta::Kind::error) error_class = delta.error;
    if (delta.kind == Delta::Kind::end) ended = true;
  }
  std::string line() const {
    std::string out = "{" + thought + "}" + text;
    // Anthropic's streams have no input where there are no arguments; writers make it {}.
    for (const std::string& call : calls) out += "[" + call + (call.ends_with(' ') ? "{}]" : "]");
    return out;
  }

  std::string text, thought, signature, model, error;
  std::vector<std::string> calls;
  lb::Stop stop = lb::Stop::absent;
  lb::Tokens usage;
  lb::ErrorClass error_class = lb::ErrorClass::server;
  bool ended = false, whole = false;
};

Said read_plain(const Way& way, const Answer& answer) {
  lb::Store store;
  const lb::Result<lb::Reply> reply = lb::read_answer(way.dialect, answer.body, store);
  if (!reply.ok()) fail_msg("%s: %s in %s", way.name, reply.error().message.c_str(), answer.body.c_str());
  Said said;
  said.usage = reply.value().usage;
  said.model = reply.value().model;
  const lb::Choice& choice = reply.value().choices.at(0);
  said.stop = choice.stop;
  for (const Part& part : choice.parts) {
    if (part.kind == Part::Kind::text) said.text += lb::decode_inner(part.text);
    if (part.kind == Part::Kind::thinking) said.thought += lb::decode_inner(part.text);
    if (!part.signature.empty()) said.signature = part.signature;
    if (part.kind == Part::Kind::tool_call)
      said.calls.push_back(lb::decode_inner(part.name) + " " + std::string(part.input.text()));
  }
  return said;
}

Said read_stream(const Way& way, const Answer& answer) {
  Said said;
  const std::unique_ptr<lb::StreamReader> reader = lb::stream_reader(way.dialect);
  lb::SseParser parser;
  lb::SseEvent event;
  for (std::string_view bytes = answer.body; parser.next(bytes, event);)
    if (!event.comment && !reader->event(event, said) && event.data != "[DONE]")
      said.error = "no JSON: " + std::string(event.data);
  said.whole = reader->end(said);
  return said;
}

Answer ask(Mock& up, const Way& way, bool stream, std::string_view more = "") {
  return call(up, body_of(way, stream, more), stream ? way.streamed : way.plain, kVersion);
}

void same(const Way& way, const std::string& seen, const std::string& expected) {
  if (seen != expected) fail_msg("%s: %s instead of %s", way.name, seen.c_str(), expected.c_str());
}

void text_plain_and_streamed(void**) {
  Mock up(R"({"name":"east","tokens":3})");
  for (const Way& way : kWays) {
    const Answer plain = ask(up, way, false), stream = ask(up, way, true);
    assert_true(plain.status == 200 && plain.whole && stream.status == 200 && stream.whole);
    const Said first = read_plain(way, plain), second = read_stream(way, stream);
    for (const Said& said : {first, second}) {
      same(way, said.line() + said.error, "{}east: a mock");
      same(way, said.model, "m");
      assert_int_equal(static_cast<int>(said.stop), static_cast<int>(lb::Stop::end));
      assert_int_equal(said.usage.output.value_or(0), 3);
      assert_true(said.usage.input.value_or(0) > 1);
    }
    assert_true(second.ended && second.whole);
  }
}

void exact_texts(void**) {
  Mock up(R"({"text":"{\"a\": \"ü\"}\n\n two  spaces ","per_call":[{"nth":1,"text":"first"}],
              "per_model":{"short":{"tokens":1}}})");
  assert_true(call(up).has("\"content\":\"first\""));
  for (const Way& way : kWays) {
    same(way, read_plain(way, ask(up, way, false)).text, "{\"a\": \"ü\"}\n\n two  spaces ");
    same(way, read_stream(way, ask(up, way, true)).text, "{\"a\": \"ü\"}\n\n two  spaces ");
  }
  assert_true(call(up, R"({"model":"short"})").has("\"content\":\"mock:\""));
}

void thinking(void**) {
  Mock up(R"({"tokens":1,"thinking":2})");
  for (const Way& way : kWays) {
    const Said plain = read_plain(way, ask(up, way, false)), stream = read_stream(way, ask(up, way, true));
    const bool signs = way.dialect == Dialect::anthropic || way.dialect == Dialect::gemini;
    for (const Said& said : {plain, stream}) {
      same(way, said.line() + said.error, "{ a mock}mock:");
      assert_int_equal(said.usage.output.value_or(0), 3);
      same(way, said.signature, signs ? "bW9jayBzaWduYXR1cmU=" : "");
    }
  }
}

void calls_of_tools(void**) {
  const std::string city = R"(weather {"city":"mock city","days":7,"ü":"a\"b"})";
  Mock up(R"({"tokens":1,"thinking":1,"tool_calls":3,"interleave":true})");
  for (const Way& way : kWays) {
    const Said plain = read_plain(way, ask(up, way, false, way.tools));
    const Said stream = read_stream(way, ask(up, way, true, way.tools));
    for (const Said& said : {plain, stream}) {
      same(way, said.line() + said.error, "{ a}mock:[" + city + "][now {}][" + city + "]");
      assert_int_equal(static_cast<int>(said.stop), static_cast<int>(lb::Stop::tools));
      assert_int_equal(said.usage.output.value_or(0), 1 + 1 + 3 * 4);
    }
    assert_true(stream.whole);
    // No more of them once there is a result, nor where none are wanted.
    std::string body = body_of(way, false, way.tools);
    const size_t turn_end = body.find("hi\"}") + (way.dialect == Dialect::gemini ? 6 : 4);
    body.insert(turn_end, "," + std::string(way.result));
    same(way, read_plain(way, call(up, body, way.plain, kVersion)).line(), "{ a}mock:");
    const char* none = way.dialect == Dialect::gemini      ? R"("toolConfig":{"functionCallingConfig":{"mode":"NONE"}})"
                       : way.dialect == Dialect::anthropic ? R"("tool_choice":{"type":"none"})"
                                                           : R"("tool_choice":"none")";
    same(way, read_plain(way, ask(up, way, false, std::string(way.tools) + "," + none)).line(), "{ a}mock:");
    same(way, read_plain(way, ask(up, way, false)).line(), "{ a}mock:");  // Nothing is offered.
  }
}

void fragments_take_turns_in_a_chat_only(void**) {
  for (const bool interleave : {false, true}) {
    Mock up(interleave ? R"({"tokens":0,"tool_calls":2,"interleave":true})" : R"({"tokens":0,"tool_calls":2})");
    const Answer answer = ask(up, kWays[0], true, kWays[0].tools);
    const size_t second = answer.body.find("\"tool_calls\":[{\"index\":1,");
    const size_t last_of_first = answer.body.rfind("\"tool_calls\":[{\"index\":0,");
    assert_int_equal(second < last_of_first, interleave);
    assert_false(answer.has("\"content\":\"m"));
  }
}

void stream_as_an_array(void**) {
  Mock up(R"({"tokens":2})");
  const Answer answer = call(up, body_of(kWays[3], true), "/v1beta/models/m:streamGenerateContent");
  assert_string_equal(answer.field("content-type").c_str(), "application/json");
  Said said;
  const std::unique_ptr<lb::StreamReader> reader = lb::stream_reader(Dialect::gemini);
  lb::GeminiArray array;
  lb::SseEvent event;
  for (std::string_view bytes = answer.body; array.next(bytes, event);) assert_true(reader->event(event, said));
  assert_true(array.ended() && reader->end(said));
  assert_string_equal(said.text.c_str(), "mock: a");
}

void faults_of_streams(void**) {
  Mock error(R"({"tokens":5,"error_event":{"at":2,"message":"enough"}})");
  Mock first(R"({"error_event":{}})");
  Mock cut(R"({"tokens":5,"cut":{"after_events":2}})");
  Mock unfinished(R"({"tokens":5,"finish":false})");
  Mock malformed(R"({"tokens":2,"malformed_at":1})");
  Mock empty(R"({"empty":true})");
  for (const Way& way : kWays) {
    Said said = read_stream(way, ask(error, way, true));
    same(way, said.text + "|" + said.error, "mock: a|enough");
    assert_false(said.whole);
    said = read_stream(way, ask(first, way, true));
    same(way, said.text + "|" + said.error, "|The server had an error while processing your request (mock).");
    const Answer broken = ask(cut, way, true);
    assert_false(broken.whole);
    said = read_stream(way, broken);
    same(way, said.text, "mock: a");
    assert_false(said.whole);
    assert_false(read_stream(way, ask(unfinished, way, true)).whole);
    said = read_stream(way, ask(malformed, way, true));
    assert_true(said.error.starts_with("no JSON: {") && said.text == "mock: a" && said.whole);
    assert_int_equal(ask(empty, way, true).body.size(), 0);
  }
}

// Signs of life, each where its dialect may have one; what was said is whole.
void paced(void**) {
  Mock up(R"({"tokens":3,"event_gap_ms":20,"ping_ms":3})");
  for (const Way& way : kWays) {
    const Answer answer = ask(up, way, true);
    const bool pings = way.dialect == Dialect::anthropic;
    assert_true(answer.count(pings ? "event: ping\ndata: {\"type\": \"ping\"}\n\n" : ": ping\n\n") > (pings ? 2 : 1));
    same(way, read_stream(way, answer).line(), "{}mock: a mock");
  }
  const Answer array = call(up, body_of(kWays[3], true), "/v1beta/models/m:streamGenerateContent");
  assert_true(array.has("\n\n") && lb::Raw::parse(array.body).ok());
}

// The whole of a large body is read where tools are to be called.
void tools_behind_a_long_text(void**) {
  Mock up(R"({"tokens":0,"tool_calls":1})");
  for (const Way& way : kWays) {
    const std::string body = replaced(body_of(way, false, way.tools), "\"hi\"", '"' + std::string(300'000, 'x') + '"');
    assert_int_equal(read_plain(way, call(up, body, way.plain, kVersion)).calls.size(), 1);
  }
}

// The envelope is read as lb reads it to decide what to do.
void errors(void**) {
  using lb::ErrorClass;
  const std::tuple<const char*, int, ErrorClass, const char*> cases[] = {
      {R"({"error":{"status":400}})", 400, ErrorClass::bad_request, "The mock mock was told to fail."},
      {R"({"error":{"status":500,"message":"m"}})", 500, ErrorClass::server, "m"},
      {R"({"error":{"status":529}})", 529, ErrorClass::overloaded, "The mock mock was told to fail."},
      {R"({"limit":{"every_ms":1000,"for_ms":1000}})", 429, ErrorClass::rate_limit,
       "Rate limit reached for requests (mock mock)."},
      {R"({"key":"k"})", 401, ErrorClass::auth, "Incorrect API key provided (mock)."},
      {R"({"only_models":true})", 404, ErrorClass::not_found,
       "The model does not exist or you do not have access to it (mock)."},
  };
  for (const auto& [options, status, seen, message] : cases) {
    Mock up(options);
    for (const Way& way : kWays) {
      const Answer answer = ask(up, way, true);
      assert_int_equal(answer.status, status);
      const lb::Head head{.status = static_cast<uint16_t>(status)};
      const lb::ErrorFacts facts = lb::openai_error(head, answer.body, 0);
      assert_int_equal(static_cast<int>(facts.what), static_cast<int>(seen));
      same(way, facts.message, message);
    }
  }
  // Each in its own envelope.
  Mock up(R"({"error":{"status":503,"code":"CODE"}})");
  same(kWays[2], ask(up, kWays[2], false).body,
       R"({"type":"error","error":{"type":"CODE","message":"The mock mock was told to fail."}})");
  same(kWays[3], ask(up, kWays[3], false).body,
       R"({"error":{"code":503,"message":"The mock mock was told to fail.","status":"CODE"}})");
  Mock limited(R"({"limit":{"every_ms":9000,"for_ms":9000,"form":"body","retry_after_s":7}})");
  assert_true(ask(limited, kWays[3], false).has(R"("status":"RESOURCE_EXHAUSTED","details":[{"@type":)"
                                                R"("type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}])"));
  Mock any("{}");
  assert_true(call(any, body_of(kWays[2], false), "/v1/messages").has("anthropic-version: header is required"));
}

void keys(void**) {
  Mock up(R"({"key":"k","tokens":1})");
  const auto status = [&](const char* path, const char* header) {
    return call(up, body_of(kWays[3], false), path, header).status;
  };
  const char* path = "/v1beta/models/m:generateContent";
  assert_int_equal(status(path, "x-goog-api-key: k\r\n"), 200);
  assert_int_equal(status(path, "x-goog-api-key: kk\r\n"), 401);
  assert_int_equal(status("/v1beta/models/m:generateContent?alt=json&key=k", ""), 200);
  assert_int_equal(status("/v1beta/models/m:generateContent?key=k&x=1", ""), 200);
  assert_int_equal(status("/v1beta/models/m:generateContent?xkey=k&key=kk", ""), 401);
}

void models_in_paths(void**) {
  Mock up("{}");
  const std::string gemini = body_of(kWays[3], false);
  assert_true(call(up, gemini, "/v1beta/models/a%2Fb:c:generateContent").has(R"("modelVersion":"a/b:c")"));
  assert_int_equal(call(up, gemini, "/v1beta/models/a%22:generateContent").status, 400);
  assert_int_equal(call(up, gemini, "/v1beta/models/:generateContent").status, 400);
  // Azure does not read the one in the body.
  assert_true(call(up, kPlain, "/openai/deployments/d/chat/completions?api-version=1").has(R"("model":"d")"));
}

void lists_of_models(void**) {
  Mock up(R"({"models":["a","b"],"key":"k"})");
  const auto seen = [&](const std::string& path, const std::string& headers) {
    Client client(up.port());
    client.send("GET " + path + " HTTP/1.1\r\nHost: m\r\n" + headers + "\r\n");
    return client.read();
  };
  const std::string version = kVersion, key = "x-api-key: k\r\n";
  const Answer anthropic = seen("/v1/models?limit=9", version + key);
  assert_true(anthropic.has(R"({"data":[{"type":"model","id":"a",)"));
  assert_true(anthropic.has(R"("has_more":false,"first_id":"a","last_id":"b"})"));
  assert_true(seen("/v1beta/models?key=k", "").has(R"({"models":[{"name":"models/a",)"));
  assert_true(seen("/v1beta/models/b?key=k", "").body.starts_with(R"({"name":"models/b",)"));
  assert_true(seen("/v1/models", key).has(R"({"object":"list","data":[{"id":"a",)"));
  assert_true(seen("/v1beta/models", "").has(R"("status":"UNAUTHENTICATED")"));
  assert_true(seen("/v1/models/c", version + key).has(R"("type":"not_found_error")"));
}

void counts(void**) {
  Mock up("{}");
  const std::pair<Dialect, const char*> ways[] = {{Dialect::responses, "/v1/responses/input_tokens"},
                                                  {Dialect::anthropic, "/v1/messages/count_tokens"},
                                                  {Dialect::gemini, "/v1beta/models/m:countTokens"}};
  for (const auto& [dialect, path] : ways) {
    const std::string body = body_of(kWays[static_cast<size_t>(dialect)], true);  // A stream it is not.
    const Answer answer = call(up, body, path, kVersion);
    const lb::Result<uint64_t> count = lb::read_count_answer(dialect, answer.body);
    assert_true(count.ok());
    assert_int_equal(count.value(), body.size() / 4);
  }
  assert_true(call(up, kPlain, "/v1/responses/input_tokens").has(R"("object":"response.input_tokens")"));
}

void embeddings(void**) {
  Mock up(R"({"dimensions":2})");
  const std::string openai = call(up, R"({"model":"m","input":["a","b"]})", "/v1/embeddings").body;
  const std::string batch = call(up, R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{}]})",
                                 "/v1beta/models/m:batchEmbedContents").body;
  const std::string one = call(up, R"({"content":{"parts":[{"text":"a"}]},"outputDimensionality":2})",
                               "/v1beta/models/m:embedContent").body;
  const auto values = [](const std::string& body, size_t from) {
    const size_t begin = body.find("[", body.find("values\":", from) + 1);
    return body.substr(begin, body.find("]", begin) + 1 - begin);
  };
  assert_true(one.starts_with(R"({"embedding":{"values":[)"));
  same(kWays[3], values(batch, 0), values(one, 0));
  for (const std::string& vector : {values(batch, 0), values(batch, batch.find("]"))})
    assert_true(openai.find("\"embedding\":" + vector) != openai.npos);
  const std::string three =
      call(up, R"({"requests":[{"outputDimensionality":3}]})", "/v1beta/models/m:batchEmbedContents").body;
  assert_int_equal(std::count(three.begin(), three.end(), ','), 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(text_plain_and_streamed),
      cmocka_unit_test(exact_texts),
      cmocka_unit_test(thinking),
      cmocka_unit_test(calls_of_tools),
      cmocka_unit_test(fragments_take_turns_in_a_chat_only),
      cmocka_unit_test(stream_as_an_array),
      cmocka_unit_test(faults_of_streams),
      cmocka_unit_test(paced),
      cmocka_unit_test(tools_behind_a_long_text),
      cmocka_unit_test(errors),
      cmocka_unit_test(keys),
      cmocka_unit_test(models_in_paths),
      cmocka_unit_test(lists_of_models),
      cmocka_unit_test(counts),
      cmocka_unit_test(embeddings),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
