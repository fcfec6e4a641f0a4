// Answers, limits and connections of the mock, seen through a socket. Faults are in faults_test.cc.
#include <cjson/cJSON.h>

#include <memory>

#include "mock/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace {

using namespace lb::mock::test;

using Tree = std::unique_ptr<cJSON, void (*)(cJSON*)>;
Tree parse(const std::string& text) { return Tree(cJSON_Parse(text.c_str()), cJSON_Delete); }

const cJSON* at(const cJSON* node, std::initializer_list<const char*> path) {
  for (const char* key : path)
    node = *key >= '0' && *key <= '9' ? cJSON_GetArrayItem(node, std::atoi(key)) : cJSON_GetObjectItem(node, key);
  return node;
}
std::string text_at(const cJSON* node, std::initializer_list<const char*> path) {
  const cJSON* found = at(node, path);
  return cJSON_IsString(found) ? found->valuestring : "";
}

// Every event of a stream is JSON, but for [DONE].
size_t events_of(const Answer& answer) {
  size_t events = 0;
  const std::string& body = answer.body;
  for (size_t from = body.find("data: "); from != std::string::npos; from = body.find("data: ", from + 1)) {
    const std::string data = body.substr(from + 6, body.find("\n\n", from) - from - 6);
    if (data != "[DONE]") assert_non_null(parse(data).get());
    events++;
  }
  return events;
}

void chat_plain(void**) {
  Mock up(R"({"name":"east","tokens":3})");
  const Answer answer = call(up, R"({"model":"gpt-4o","messages":[]})", "/any/v1/chat/completions?version=1");
  assert_int_equal(answer.status, 200);
  assert_true(answer.whole);
  assert_string_equal(answer.field("x-mock-name").c_str(), "east");
  assert_string_equal(answer.field("content-type").c_str(), "application/json");
  const Tree tree = parse(answer.body);
  assert_string_equal(text_at(tree.get(), {"object"}).c_str(), "chat.completion");
  assert_string_equal(text_at(tree.get(), {"model"}).c_str(), "gpt-4o");
  assert_string_equal(text_at(tree.get(), {"choices", "0", "message", "content"}).c_str(), "east: a mock");
  assert_string_equal(text_at(tree.get(), {"choices", "0", "finish_reason"}).c_str(), "stop");
  assert_int_equal(at(tree.get(), {"usage", "completion_tokens"})->valueint, 3);
  assert_int_equal(at(tree.get(), {"usage", "prompt_tokens"})->valueint, 32 / 4);
}

void chat_stream(void**) {
  Mock up(R"({"name":"west","tokens":5})");
  const Answer answer = call(up, kStream);
  assert_true(answer.whole);
  assert_true(answer.field("content-type").starts_with("text/event-stream"));
  assert_int_equal(events_of(answer), 1 + 5 + 1 + 1);  // Role, contents, finish, [DONE].
  assert_int_equal(answer.count("\"usage\""), 0);
  assert_true(answer.body.ends_with("data: [DONE]\n\n"));
  assert_true(answer.has("\"content\":\"west:\""));
}

void usage_of_a_stream(void**) {
  Mock up(R"({"tokens":2})");
  const std::string_view ask =
      R"({"model":"m","messages":[],"stream" : true,"stream_options": {"include_usage": true}})";
  Answer answer = call(up, ask);
  assert_int_equal(events_of(answer), 1 + 2 + 1 + 1 + 1);
  assert_int_equal(answer.count("\"usage\":null"), 4);
  assert_int_equal(answer.count("\"completion_tokens\":2"), 1);
  assert_true(answer.has("\"choices\":[],\"usage\":{"));
  Mock silent(R"({"tokens":2,"usage":false})");
  answer = call(silent, ask);
  assert_int_equal(answer.count("completion_tokens"), 0);
  assert_false(call(silent).has("usage"));
}

void completions(void**) {
  Mock up(R"({"tokens":2})");
  const Answer plain = call(up, R"({"model":"m","prompt":"x"})", "/v1/completions");
  assert_string_equal(text_at(parse(plain.body).get(), {"choices", "0", "text"}).c_str(), "mock: a");
  const Answer stream = call(up, R"({"model":"m","prompt":"x","stream":true})", "/v1/completions");
  assert_int_equal(events_of(stream), 2 + 1 + 1);
  assert_int_equal(stream.count("\"object\":\"text_completion\""), 3);
}

void embeddings(void**) {
  Mock up(R"({"dimensions":3})");
  const auto vectors = [&](const char* body) {
    const Answer answer = call(up, body, "/v1/embeddings");
    assert_int_equal(answer.status, 200);
    return parse(answer.body);
  };
  Tree tree = vectors(R"({"model":"m","input":["a","b"]})");
  assert_int_equal(cJSON_GetArraySize(at(tree.get(), {"data"})), 2);
  assert_int_equal(cJSON_GetArraySize(at(tree.get(), {"data", "1", "embedding"})), 3);
  tree = vectors(R"({"model":"m","input":[1,2,3],"dimensions":5})");  // Tokens: one input.
  assert_int_equal(cJSON_GetArraySize(at(tree.get(), {"data"})), 1);
  assert_int_equal(cJSON_GetArraySize(at(tree.get(), {"data", "0", "embedding"})), 5);
  tree = vectors(R"({"model":"m","input":"a","encoding_format":"base64"})");
  assert_int_equal(text_at(tree.get(), {"data", "0", "embedding"}).size(), 16);  // 12 bytes.
  tree = vectors(R"({"model":"m","input":"a","encoding_format":"base64","dimensions":4})");
  assert_true(text_at(tree.get(), {"data", "0", "embedding"}).ends_with("=="));
}

void responses(void**) {
  Mock up(R"({"tokens":4})");
  const Answer plain = call(up, R"({"model":"m","input":"x"})", "/v1/responses");
  const Tree tree = parse(plain.body);
  assert_string_equal(text_at(tree.get(), {"status"}).c_str(), "completed");
  assert_string_equal(text_at(tree.get(), {"output", "0", "content", "0", "text"}).c_str(), "mock: a mock answers");
  assert_int_equal(at(tree.get(), {"usage", "output_tokens"})->valueint, 4);
  const Answer stream = call(up, R"({"model":"m","input":"x","stream":true})", "/v1/responses");
  assert_int_equal(events_of(stream), 4 + 4 + 4);
  const char* order[] = {"response.created",     "response.in_progress",        "response.output_item.added",
                         "response.content_part.added", "response.output_text.delta", "response.output_text.done",
                         "response.content_part.done", "response.output_item.done", "response.completed"};
  size_t from = 0;
  for (const char* type : order) {
    from = stream.body.find("event: " + std::string(type) + "\ndata: {\"type\":\"" + type, from);
    assert_true(from != std::string::npos);
  }
  assert_true(stream.has("\"sequence_number\":11,"));
  assert_false(stream.has("[DONE]"));
}

void models(void**) {
  Mock up(R"({"models":["a","b"],"only_models":true})");
  const Answer list = get(up, "/v1/models");
  assert_int_equal(cJSON_GetArraySize(at(parse(list.body).get(), {"data"})), 2);
  assert_string_equal(text_at(parse(get(up, "/v1/models/b").body).get(), {"id"}).c_str(), "b");
  assert_int_equal(get(up, "/v1/models/c").status, 404);
  assert_int_equal(call(up, R"({"model":"b"})").status, 200);
  const Answer other = call(up, R"({"model":"c"})");
  assert_int_equal(other.status, 404);
  assert_true(other.has("model_not_found"));
  assert_int_equal(get(up, "/nowhere").status, 404);
  assert_true(get(up, "/").has("lb mock mock"));
}

void model_of_the_path_and_of_long_bodies(void**) {
  Mock up("{}");
  assert_true(call(up, "{}", "/openai/deployments/gpt-x/chat/completions?api-version=1").has("\"model\":\"gpt-x\""));
  assert_int_equal(call(up, "{}").status, 400);
  assert_int_equal(call(up, "nonsense").status, 400);
  // Before and after a long part, and over the bytes that are kept.
  for (const size_t size : {size_t{100}, size_t{95'000}, size_t{3'000'000}}) {
    const std::string filler(size, 'x');
    const std::string messages = R"("messages":[{"role":"user","content":")" + filler + "\"}]";
    Answer answer = call(up, R"({"model":"first",)" + messages + R"(,"stream":true})");
    assert_true(answer.whole && answer.has("\"model\":\"first\"") && answer.has("[DONE]"));
    answer = call(up, "{" + messages + R"(,"stream":false,"model":"last"})");
    assert_true(answer.whole && answer.has("\"model\":\"last\"") && answer.has("chat.completion\""));
  }
  // A key inside of a text is not a key.
  assert_true(call(up, R"({"messages":[{"content":"\"model\":\"no\""}],"model":"yes"})").has("\"model\":\"yes\""));
}

void keys(void**) {
  Mock up(R"({"key":"secret"})");
  assert_int_equal(call(up).status, 401);
  assert_int_equal(call(up, kPlain, kChat, "Authorization: Bearer wrong\r\n").status, 401);
  assert_int_equal(call(up, kPlain, kChat, "Authorization: Bearer secret\r\n").status, 200);
  assert_int_equal(call(up, kPlain, kChat, "API-Key: secret\r\n").status, 200);
  assert_int_equal(call(up, kPlain, kChat, "x-api-key: secret\r\n").status, 200);
  assert_int_equal(get(up, "/v1/models").status, 401);
}

void sizes(void**) {
  Mock up(R"({"body_bytes":100000})");
  assert_int_equal(call(up).body.size(), 100'000);
  assert_non_null(parse(call(up).body).get());
  Mock small(R"({"body_bytes":1,"tokens":2,"token_bytes":10})");  // No smaller than it is.
  assert_string_equal(text_at(parse(call(small).body).get(), {"choices", "0", "message", "content"}).c_str(),
                      "mock:..... a........");
  assert_true(call(small, kStream).has("\" a........\""));
}

void framings(void**) {
  for (const char* framing : {"length", "chunked", "close"}) {
    Mock up("{\"framing\":\"" + std::string(framing) + "\",\"body_bytes\":50000}");
    const Answer answer = call(up);
    assert_true(answer.whole);
    assert_int_equal(answer.body.size(), 50'000);
    assert_int_equal(answer.field("content-length").empty(), framing != std::string_view("length"));
    assert_int_equal(answer.field("transfer-encoding") == "chunked", framing == std::string_view("chunked"));
    assert_int_equal(answer.closed, framing == std::string_view("close"));
    const Answer stream = call(up, kStream);
    assert_true(stream.whole && stream.body.ends_with("[DONE]\n\n"));
  }
}

void keep_alive_and_pipelining(void**) {
  Mock up(R"({"tokens":1,"latency_ms":1})");
  Client client(up.port());
  const std::string one = "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: 13\r\n\r\n{\"model\":\"";
  client.send(one + "a\"}" + one + "b\"}" + one + "c\"}");
  for (const char* model : {"a", "b", "c"}) assert_true(client.read().has("\"model\":\"" + std::string(model) + "\""));
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"model\":\"d\"}");
  const Answer last = client.read();
  assert_int_equal(last.status, 200);
  assert_string_equal(last.field("connection").c_str(), "close");
  assert_true(client.at_end());
}

void answers_per_connection(void**) {
  for (const bool announced : {true, false}) {
    Mock up(announced ? R"({"answers_per_connection":2})" : R"({"answers_per_connection":2,"announce_close":false})");
    Client client(up.port());
    client.post(kChat, kPlain);
    assert_true(client.read().field("connection").empty());
    client.post(kChat, kPlain);
    const Answer second = client.read();
    assert_true(second.whole);
    assert_string_equal(second.field("connection").c_str(), announced ? "close" : "");
    assert_true(client.at_end());
  }
}

void expect_continue_and_chunked_requests(void**) {
  Mock up("{}");
  Client client(up.port());
  client.send("POST /v1/chat/completions HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  assert_int_equal(client.read().status, 100);
  client.send("8\r\n{\"model\"\r\n5\r\n:\"m\"}\r\n0\r\n\r\n");
  assert_int_equal(client.read().status, 200);
}

void bad_requests(void**) {
  Mock up("{}");
  Client client(up.port());
  client.send("NONSENSE\r\n\r\n");
  assert_int_equal(client.read().status, 400);
  assert_true(client.at_end());
  // The head at its bound passes; a byte more does not.
  for (const size_t over : {size_t{0}, size_t{1}}) {
    Client large(up.port());
    const size_t rest = 65'536 - std::strlen("/v1/models") - std::strlen("x: \r\n");
    large.send("GET /v1/models HTTP/1.1\r\nX: " + std::string(rest + over, 'x') + "\r\n\r\n");
    assert_int_equal(large.read().status, over ? 431 : 200);
  }
}

void headers(void**) {
  Mock up(R"({"headers":{"x-region":"north"}})");
  assert_string_equal(call(up).field("x-region").c_str(), "north");
  assert_string_equal(call(up, kStream).field("x-region").c_str(), "north");
}

void paced_streams(void**) {
  Mock up(R"({"tokens":4,"latency_ms":5,"jitter_ms":5,"first_token_ms":5,
              "tokens_per_second":200,"ping_ms":2,"pings":2})");
  const Answer answer = call(up, kStream);
  assert_true(answer.whole);
  assert_int_equal(events_of(answer), 1 + 4 + 1 + 1);
  assert_true(answer.count(": ping\n\n") >= 2);
}

void seeds(void**) {
  const std::string_view half = R"({"error":{"rate":0.5},"seed":7})";
  std::string seen[2];
  for (std::string& statuses : seen) {
    Mock up(half);
    for (int i = 0; i < 24; i++) statuses += call(up).status == 200 ? '.' : 'x';
  }
  assert_string_equal(seen[0].c_str(), seen[1].c_str());
  assert_true(seen[0].find('.') != std::string::npos && seen[0].find('x') != std::string::npos);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(chat_plain),
      cmocka_unit_test(chat_stream),
      cmocka_unit_test(usage_of_a_stream),
      cmocka_unit_test(completions),
      cmocka_unit_test(embeddings),
      cmocka_unit_test(responses),
      cmocka_unit_test(models),
      cmocka_unit_test(model_of_the_path_and_of_long_bodies),
      cmocka_unit_test(keys),
      cmocka_unit_test(sizes),
      cmocka_unit_test(framings),
      cmocka_unit_test(keep_alive_and_pipelining),
      cmocka_unit_test(answers_per_connection),
      cmocka_unit_test(expect_continue_and_chunked_requests),
      cmocka_unit_test(bad_requests),
      cmocka_unit_test(headers),
      cmocka_unit_test(paced_streams),
      cmocka_unit_test(seeds),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
