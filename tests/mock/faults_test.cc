// What the mock does wrong when told to, and what it writes down, seen through a socket.
#include <cjson/cJSON.h>

#include <ctime>
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
Tree parse(const std::string& text) {
  Tree tree(cJSON_Parse(text.c_str()), cJSON_Delete);
  assert_non_null(tree.get());
  return tree;
}

double now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

const cJSON* at(const cJSON* tree, const char* list, int index, const char* key) {
  return cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(tree, list), index), key);
}
double number_at(const cJSON* tree, const char* list, int index, const char* key) {
  return cJSON_GetNumberValue(at(tree, list, index, key));
}
std::string text_at(const cJSON* tree, const char* list, int index, const char* key) {
  const char* text = cJSON_GetStringValue(at(tree, list, index, key));
  return text ? text : "";
}
double count_of(const cJSON* tree, const char* key) {
  return cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "counts"), key));
}

Answer limited(const char* form, const char* more = "") {
  Mock up(R"({"limit":{"every_ms":3600000,"for_ms":3600000,"form":")" + std::string(form) + "\"" + more + "}}");
  const Answer answer = call(up);
  assert_int_equal(answer.status, 429);
  assert_true(answer.has("rate_limit_exceeded"));
  assert_int_equal(count_of(parse(up.journal()).get(), "limited"), 1);
  return answer;
}

void limits_in_all_forms(void**) {
  assert_string_equal(limited("seconds").field("retry-after").c_str(), "3600");
  assert_string_equal(limited("seconds", ",\"retry_after_s\":0.25").field("retry-after").c_str(), "0.25");
  assert_string_equal(limited("ms", ",\"retry_after_s\":0.25").field("retry-after-ms").c_str(), "250");
  assert_true(limited("date").field("retry-after").ends_with(" GMT"));
  const Answer reset = limited("ratelimit", ",\"retry_after_s\":1.5");
  assert_string_equal(reset.field("x-ratelimit-remaining-requests").c_str(), "0");
  assert_string_equal(reset.field("x-ratelimit-reset-requests").c_str(), "1.5s");
  assert_true(limited("body", ",\"retry_after_s\":37").has("\"retryDelay\":\"37s\""));
  const Answer none = limited("none");
  assert_true(none.field("retry-after").empty() && none.field("retry-after-ms").empty() && !none.has("retryDelay"));
}

void limit_windows_open_again(void**) {
  Mock up(R"({"limit":{"every_ms":40,"for_ms":20}})");
  int seen[2] = {0, 0};
  for (int i = 0; i < 2000 && (seen[0] == 0 || seen[1] == 0); i++) {
    seen[call(up).status == 200 ? 1 : 0]++;
    usleep(1000);
  }
  assert_true(seen[0] > 0 && seen[1] > 0);
}

void calls_a_minute(void**) {
  Mock up(R"({"limit":{"rpm":3}})");
  for (int i = 0; i < 3; i++) assert_int_equal(call(up).status, 200);
  const Answer over = call(up);
  assert_int_equal(over.status, 429);
  assert_true(std::atoi(over.field("retry-after").c_str()) >= 1);
}

void errors(void**) {
  for (const int status : {400, 401, 404, 422, 500, 502, 503, 529}) {
    Mock up("{\"error\":{\"status\":" + std::to_string(status) + ",\"message\":\"told \\\"so\\\"\"}}");
    const Answer answer = call(up, kStream);
    assert_int_equal(answer.status, status);
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(parse(answer.body).get(), "error"), "message"));
    assert_true(answer.has("told \\\"so\\\""));
  }
  Mock html(R"({"error":{"status":502,"body":"html","retry_after_s":2}})");
  assert_true(call(html).has("<html>"));
  assert_string_equal(call(html).field("content-type").c_str(), "text/html");
  assert_string_equal(call(html).field("retry-after").c_str(), "2");
  Mock empty(R"({"error":{"status":503,"body":"empty"}})");
  assert_int_equal(call(empty).body.size(), 0);
  Mock code(R"({"error":{"status":[400],"code":"context_length_exceeded"}})");
  assert_true(call(code).has("\"code\":\"context_length_exceeded\""));
  Mock text(R"({"error":{"status":[500,503],"body":"text","message":"plainly"}})");
  assert_string_equal(call(text).body.c_str(), "plainly");
}

void cuts(void**) {
  Mock head(R"({"cut":{"before_head":true}})");
  Answer answer = call(head);
  assert_true(answer.status == 0 && answer.closed && !answer.reset);
  Mock reset(R"({"cut":{"before_head":true,"reset":true}})");
  answer = call(reset);
  assert_true(answer.status == 0 && answer.reset);
  Mock events(R"({"cut":{"after_events":2}})");
  answer = call(events, kStream);
  assert_true(answer.closed && !answer.whole);
  assert_int_equal(answer.count("\"content\":"), 1 + 2);  // The role's event has an empty one.
  assert_true(answer.body.ends_with("}\n\n"));
  answer = call(events);
  assert_true(answer.closed && !answer.whole && !answer.body.empty());
  Mock first(R"({"cut":{"after_events":0}})");
  assert_int_equal(call(first, kStream).count("\"content\":"), 1);
  for (const uint32_t bytes : {0u, 1u, 100u, 500u}) {
    Mock up("{\"cut\":{\"after_bytes\":" + std::to_string(bytes) + "}}");
    answer = call(up);
    assert_true(answer.status == 200 && !answer.whole);
    assert_int_equal(answer.body.size(), bytes);
    answer = call(up, kStream);
    assert_true(answer.status == 200 && answer.closed && !answer.whole);
    assert_int_equal(answer.body.size(), bytes);
    assert_int_equal(count_of(parse(up.journal()).get(), "cut"), 2);
  }
  Mock rst(R"({"cut":{"after_events":1,"reset":true}})");
  assert_true(call(rst, kStream).reset);
}

void stalls(void**) {
  Mock head(R"({"stall":{"before_head":true,"for_ms":5}})");
  assert_int_equal(call(head).status, 200);
  Mock middle(R"({"tokens":4,"stall":{"after_events":2,"for_ms":5}})");
  const Answer stream = call(middle, kStream);
  assert_true(stream.whole && stream.body.ends_with("[DONE]\n\n"));
  assert_int_equal(stream.count("\"content\":"), 1 + 4);
  assert_true(call(middle).whole);
  // For ever: what came before it comes, and then nothing.
  Mock ever(R"({"tokens":4,"stall":{"after_events":2},"ping_ms":2})");
  Client client(ever.port());
  client.post(kChat, kStream);
  assert_true(client.read_until("a\"}"));
  assert_true(client.read_until(": ping\n\n"));
  client.close();
  const Tree tree = parse(ever.journal_with("client_closed\",\"end_ms"));
  assert_string_equal(text_at(tree.get(), "calls", 0, "end").c_str(), "client_closed");
  assert_int_equal(number_at(tree.get(), "calls", 0, "events"), 2);
}

void bad_streams(void**) {
  Mock error(R"({"error_event":{"message":"no luck","code":"overloaded"}})");
  Answer answer = call(error, kStream);
  assert_true(answer.whole && answer.body.starts_with("data: {\"error\":{\"message\":\"no luck\""));
  assert_int_equal(answer.count("data: "), 1);
  answer = call(error, R"({"model":"m","stream":true})", "/v1/responses");
  assert_true(answer.body.starts_with("event: error\ndata: {\"type\":\"error\",\"code\":\"overloaded\""));
  Mock later(R"({"tokens":3,"error_event":{"at":3}})");
  answer = call(later, kStream);
  assert_int_equal(answer.count("\"content\":"), 1 + 3);
  assert_true(answer.has("\"error\"") && !answer.has("[DONE]"));
  Mock malformed(R"({"tokens":3,"malformed_at":1})");
  answer = call(malformed, kStream);
  assert_int_equal(answer.count("chatcmpl-broken"), 1);
  assert_true(answer.body.ends_with("[DONE]\n\n"));
  Mock undone(R"({"done":false})");
  answer = call(undone, kStream);
  assert_true(answer.whole && answer.has("\"finish_reason\":\"stop\"") && !answer.has("[DONE]"));
  Mock endless(R"({"finish":false})");
  answer = call(endless, kStream);
  assert_true(answer.whole && !answer.has("\"finish_reason\":\"stop\"") && !answer.has("[DONE]"));
  Mock empty(R"({"empty":true})");
  answer = call(empty, kStream);
  assert_true(answer.status == 200 && answer.whole && answer.body.empty());
  answer = call(empty);
  assert_true(answer.status == 200 && answer.whole && answer.body.empty());
}

void wrong_type_and_trailing(void**) {
  Mock type(R"({"content_type":"text/html"})");
  assert_string_equal(call(type).field("content-type").c_str(), "text/html");
  assert_string_equal(call(type, kStream).field("content-type").c_str(), "text/html");
  Mock trailing(R"({"trailing":"GARBAGE","answers_per_connection":1,"announce_close":false})");
  Client client(trailing.port());
  client.post(kChat, kPlain);
  assert_true(client.read().whole);
  client.at_end();
  assert_string_equal(client.left().c_str(), "GARBAGE");
}

void dies_and_is_revived(void**) {
  Mock up(R"({"die_after_calls":2})");
  for (int i = 0; i < 2; i++) assert_int_equal(call(up).status, 200);
  assert_int_equal(lb_mock_alive(up.get()), 1);
  Client idle(up.port());
  const Answer last = call(up);
  assert_true(last.status == 0 && last.closed);
  assert_true(idle.at_end());
  assert_int_equal(lb_mock_alive(up.get()), 0);
  assert_false(Client(up.port()).connected());
  assert_int_equal(lb_mock_control(up.get(), "{}", 2, nullptr, 0), 0);
  assert_int_equal(lb_mock_alive(up.get()), 1);
  assert_int_equal(call(up).status, 200);
}

void overrides(void**) {
  Mock up(R"({"name":"base","per_model":{"slow":{"name":"other","error":{"status":503}}},
                "per_call":[{"nth":[2,3],"error":{"status":500}},
                            {"model":"x","from":2,"every":2,"error":{"status":404}}]})");
  const auto status = [&](const char* model) { return call(up, "{\"model\":\"" + std::string(model) + "\"}").status; };
  assert_int_equal(status("m"), 200);
  assert_int_equal(status("m"), 500);
  assert_int_equal(status("slow"), 500);  // By number before by model.
  assert_int_equal(status("slow"), 503);
  assert_int_equal(status("x"), 200);  // Its own numbers: 1, 2, 3, 4.
  assert_int_equal(status("x"), 404);
  assert_int_equal(status("x"), 200);
  assert_int_equal(status("x"), 404);
  const Tree tree = parse(up.journal());
  assert_string_equal(text_at(tree.get(), "calls", 1, "behaviour").c_str(), "per_call/0");
  assert_string_equal(text_at(tree.get(), "calls", 3, "behaviour").c_str(), "per_model/slow");
  assert_int_equal(count_of(tree.get(), "errors"), 5);
}

void control_over_http(void**) {
  Mock up(R"({"name":"one","journal_calls":8})");
  assert_true(call(up).has("one:"));
  Answer answer = call(up, R"({"name":"two","error":{"status":503},"clear_journal":true})", "/mock/control");
  assert_int_equal(answer.status, 200);
  assert_int_equal(call(up).status, 503);
  answer = call(up, R"({"port":1})", "/mock/control");
  assert_int_equal(answer.status, 400);
  assert_true(answer.has("/port: cannot change while the mock runs"));
  assert_int_equal(call(up).status, 503);
  const Tree tree = parse(get(up, "/mock/journal").body);
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tree.get(), "name")), "two");
  assert_int_equal(count_of(tree.get(), "requests"), 2);  // The first one was cleared.
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree.get(), "calls")), 2);
}

void journal_entries(void**) {
  Mock up(R"({"journal_body":10})");
  call(up, kPlain, "/x/chat/completions?v=1", "Authorization: Bearer abc\r\nCookie: c=\"1\"\r\nX-Empty:\r\n");
  const Tree tree = parse(up.journal());
  const cJSON* headers = at(tree.get(), "calls", 0, "headers");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(headers, "authorization")), "Bearer abc");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(headers, "cookie")), "c=\"1\"");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(headers, "x-empty")), "");
  assert_string_equal(text_at(tree.get(), "calls", 0, "path").c_str(), "/x/chat/completions?v=1");
  assert_string_equal(text_at(tree.get(), "calls", 0, "model").c_str(), "m");
  assert_string_equal(text_at(tree.get(), "calls", 0, "end").c_str(), "answered");
  assert_string_equal(text_at(tree.get(), "calls", 0, "body").c_str(), std::string(kPlain.substr(0, 10)).c_str());
  assert_int_equal(number_at(tree.get(), "calls", 0, "body_bytes"), kPlain.size());
  assert_int_equal(number_at(tree.get(), "calls", 0, "status"), 200);
}

// The journal keeps as many as it was told, and the latest ones; counts go on.
void journal_bound(void**) {
  Mock up(R"({"journal_calls":3})");
  for (int i = 0; i < 3; i++) call(up);
  assert_int_equal(number_at(parse(up.journal()).get(), "calls", 0, "number"), 1);
  call(up);
  const Tree tree = parse(up.journal());
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree.get(), "calls")), 3);
  assert_int_equal(number_at(tree.get(), "calls", 0, "number"), 2);
  assert_int_equal(count_of(tree.get(), "requests"), 4);
  Mock none(R"({"journal_calls":0})");
  call(none);
  const Tree empty = parse(none.journal());
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(empty.get(), "calls")), 0);
  assert_int_equal(count_of(empty.get(), "answered"), 1);
}

// When a client leaves, the journal has it, on the clock that everybody shares; in every phase.
void client_leaves(void**) {
  const char* phases[] = {R"({"stall":{"before_head":true}})", R"({"stall":{"after_events":0}})",
                          R"({"stall":{"after_events":3}})", R"({"event_gap_ms":5,"tokens":100000})"};
  for (const char* options : phases) {
    Mock up(options);
    Client client(up.port());
    client.post(kChat, kStream);
    if (options != phases[0]) assert_true(client.read_until("data: "));
    up.journal_with("\"received_ms\":");
    const double left_ms = now_ms();
    client.close();
    const Tree tree = parse(up.journal_with("\"end\":\"client_closed\""));
    assert_string_equal(text_at(tree.get(), "calls", 0, "end").c_str(), "client_closed");
    assert_true(number_at(tree.get(), "calls", 0, "end_ms") >= left_ms);
    assert_true(number_at(tree.get(), "calls", 0, "closed_after_ms") >= 0);
    assert_string_equal(text_at(tree.get(), "closes", 0, "by").c_str(), "client");
    assert_int_equal(count_of(tree.get(), "client_closed"), 1);
    assert_int_equal(count_of(tree.get(), "connections_open"), 0);
  }
  // In the middle of a request, too.
  Mock up("{}");
  Client client(up.port());
  client.send("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  up.journal_with("\"number\":1");
  client.close();
  assert_true(up.journal_with("client_closed\"").find("\"body_bytes\":1,") != std::string::npos);
}

// An endless stream to a client that does not read waits in bounded memory, and goes on when it reads.
void slow_reader(void**) {
  Mock up(R"({"tokens":1000,"token_bytes":65536})");
  Client client(up.port());
  client.post(kChat, kStream);
  up.journal_with("\"status\":200");
  usleep(50'000);  // Time to make more than it should.
  assert_true(number_at(parse(up.journal()).get(), "calls", 0, "sent_bytes") < 32 << 20);  // Sockets hold some.
  const Answer answer = client.read();
  assert_true(answer.whole);
  assert_true(answer.body.size() > 1000 * 65536);
}

void stop_ends_everything(void**) {
  Mock up(R"({"stall":{"before_head":true}})");
  Client client(up.port());
  client.post(kChat, kPlain);
  up.journal_with("\"received_ms\":");
  lb_mock_stop(up.get());
  assert_int_equal(client.read().status, 0);
  assert_int_equal(lb_mock_alive(up.get()), 0);
  assert_true(up.journal().find("\"end\":\"stopped\"") != std::string::npos);
  lb_mock_stop(up.get());
  lb_mock_free(nullptr);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(limits_in_all_forms),
      cmocka_unit_test(limit_windows_open_again),
      cmocka_unit_test(calls_a_minute),
      cmocka_unit_test(errors),
      cmocka_unit_test(cuts),
      cmocka_unit_test(stalls),
      cmocka_unit_test(bad_streams),
      cmocka_unit_test(wrong_type_and_trailing),
      cmocka_unit_test(dies_and_is_revived),
      cmocka_unit_test(overrides),
      cmocka_unit_test(control_over_http),
      cmocka_unit_test(journal_entries),
      cmocka_unit_test(journal_bound),
      cmocka_unit_test(client_leaves),
      cmocka_unit_test(slow_reader),
      cmocka_unit_test(stop_ends_everything),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
