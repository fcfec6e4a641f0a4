#include "gateway/client.h"

#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::Client;
using lb::ConnId;
using lb::Duration;

const std::string kEvents = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

std::string event(std::string_view text) {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + std::string(text) + "\"}}]}\n\n";
}
std::string json_answer(std::string_view body, std::string_view fields = "") {
  return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + std::string(fields) +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// A client whose call is with the upstream.
ConnId asked(World& w, std::string_view body, std::string_view fields = "") {
  ConnId client = w.dial();
  w.send(client, post(body, fields));
  w.connected(w.net.upstreams.back());
  return client;
}

void an_answer_of_known_length(void**) {
  World w(http_config());
  ConnId client = asked(w, kChat);
  w.send(w.upstream(), json_answer("{\"a\":1}", "x-request-id: u1\r\nconnection: keep-alive\r\nx-lb-attempts: 9\r\n"));
  std::string raw = w.got(client);
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 200);
  assert_text(answer.body, "{\"a\":1}");
  assert_text(answer.field("content-length"), "7");
  assert_text(answer.field("x-request-id"), "u1");
  assert_text(answer.field("x-lb-attempts"), "1");
  assert_null(answer.head.find("transfer-encoding"));
  assert_null(answer.head.find("connection"));
  assert_int_equal(w.net.conns[client].writes, 1);  // Head and body together.
  assert_true(raw.starts_with("HTTP/1.1 200 OK\r\n"));
}

void an_answer_of_unknown_length_is_chunked(void**) {
  World w(http_config());
  ConnId client = asked(w, kStream);
  w.send(w.upstream(), kEvents + event("a"));
  assert_int_equal(w.net.conns[client].writes, 1);
  w.send(w.upstream(), event("b") + event(std::string(Client::kCopyMax, 'c')) + "data: [DONE]\n\n");
  assert_int_equal(w.net.conns[client].writes, 2);
  w.end(w.upstream());
  Answer answer = w.answer(client);
  assert_text(answer.field("transfer-encoding"), "chunked");
  assert_null(answer.head.find("content-length"));
  assert_true(answer.whole && answer.keep_alive);
  assert_text(answer.body, event("a") + event("b") + event(std::string(Client::kCopyMax, 'c')) + "data: [DONE]\n\n");
  w.assert_at_rest();
}

void large_pieces_go_by_reference_and_in_order(void**) {
  World w(http_config());
  ConnId client = asked(w, kChat);
  std::string body = "{\"a\":\"" + std::string(200'000, 'x') + "\"}";
  std::string bytes = json_answer(body);
  for (size_t at = 0; at < bytes.size(); at += 30'000) w.send(w.upstream(), bytes.substr(at, 30'000));
  assert_true(w.answer(client).body == body);
  w.assert_at_rest();
}

void http_1_0_reads_to_the_end(void**) {
  World w(http_config());
  ConnId client = w.dial();
  std::string request = post(kStream, "connection: keep-alive\r\n");
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  w.send(client, request);
  w.connected(w.upstream());
  w.send(w.upstream(), kEvents + event("a") + "data: [DONE]\n\n");
  w.end(w.upstream());
  assert_true(w.gone(client) && w.net.conns[client].flushed);
  Answer answer = w.answer(client);
  assert_null(answer.head.find("transfer-encoding"));
  assert_text(answer.field("connection"), "close");
  assert_text(answer.body, event("a") + "data: [DONE]\n\n");
  // With a length the connection can be kept, if it asks for that.
  ConnId kept = w.dial();
  w.send(kept, "GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  assert_text(w.answer(kept).field("connection"), "keep-alive");
  w.send(kept, "GET /healthz HTTP/1.0\r\n\r\n");
  assert_text(w.answer(kept).field("connection"), "close");
  assert_true(w.gone(kept));
  w.assert_at_rest();
}

void an_upstream_error_is_passed_on(void**) {
  World w(http_config());
  ConnId client = asked(w, kChat);
  std::string body = "{\"error\":{\"message\":\"no\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}";
  w.send(w.upstream(), "HTTP/1.1 422 Unprocessable\r\ncontent-type: application/json\r\ncontent-length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body);
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 422);
  assert_text(answer.body, body);
  assert_text(answer.field("x-lb-served-by"), "east");
  assert_true(answer.keep_alive);
}

void errors_of_the_engine_are_openai_errors(void**) {
  World w(echo_config());
  Answer answer = w.ask(post("{\"model\":\"x\"}"));
  assert_int_equal(answer.status, 404);
  assert_text(error_member(answer, "code"), "model_not_found");
  assert_text(error_member(answer, "type"), "invalid_request_error");
  assert_text(answer.field("x-lb-attempts"), "0");
  assert_true(answer.field("x-lb-request-id").starts_with("lb-"));
  assert_null(answer.head.find("x-lb-served-by"));
  answer = w.ask(post("[1]"));
  assert_int_equal(answer.status, 400);
  assert_text(error_member(answer, "code"), "invalid_json");
  assert_int_equal(w.ask(post("")).status, 400);
  assert_int_equal(w.ask("POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\n\r\n").status, 400);
}

void a_failure_says_where_and_how_long_to_wait(void**) {
  World w(http_config("routes: [{model: m, retries: 0}]\n"));
  ConnId client = asked(w, kChat);
  w.reset(w.upstream());
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 502);
  assert_text(error_member(answer, "type"), "server_error");
  assert_text(answer.field("x-lb-served-by"), "east");
  assert_text(answer.field("x-lb-attempts"), "1");
  // Limited, and told for how long: 2.5 seconds are 3 in whole ones.
  World limited(http_config("routes: [{model: m, retries: 0}]\n"));
  client = asked(limited, kChat);
  limited.send(limited.upstream(), "HTTP/1.1 429 Slow\r\nretry-after-ms: 2500\r\ncontent-length: 0\r\n\r\n");
  assert_int_equal(limited.answer(client).status, 429);
  answer = limited.ask(post(kChat));
  assert_int_equal(answer.status, 429);
  assert_text(answer.field("retry-after"), "3");
  assert_text(answer.field("retry-after-ms"), "2500");
  assert_text(error_member(answer, "code"), "rate_limit_exceeded");
  assert_text(error_member(answer, "type"), "rate_limit_error");
  assert_null(answer.head.find("x-lb-trace"));
  // Who asks is told why.
  answer = limited.ask(post(kChat, "x-lb-trace: 1\r\n"));
  assert_true(answer.field("x-lb-trace").find(R"({"deployment":"east","tier":0,"not":"cooling","for_ms":2500})") !=
              std::string::npos);
}

void a_deadline_is_504(void**) {
  World w(http_config("routes: [{model: m, retries: 0, deadline_ms: 1000}]\n"));
  ConnId client = asked(w, kChat);
  w.pass(Duration::from_ms(1000));
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 504);
  assert_text(error_member(answer, "code"), "deadline");
  assert_true(answer.keep_alive);
  w.assert_at_rest();
}

void calls_max_is_503(void**) {
  World w(http_config(), 1);
  ConnId client = asked(w, kChat);
  Answer answer = w.ask(post(kChat));
  assert_int_equal(answer.status, 503);
  assert_text(error_member(answer, "code"), "overloaded");
  w.send(w.upstream(), json_answer("{}"));
  assert_int_equal(w.answer(client).status, 200);
}

// --- Answers that break off ---

void a_stream_that_breaks_has_no_last_chunk(void**) {
  World w(http_config());
  ConnId client = asked(w, kStream);
  w.send(w.upstream(), kEvents + event("a"));
  w.reset(w.upstream());
  assert_true(w.gone(client));
  std::string raw = w.got(client);
  assert_has(raw, "stream_broken");
  assert_false(raw.ends_with("0\r\n\r\n"));
  assert_false(w.answer(client).whole);
  w.assert_at_rest();
}

void a_body_that_breaks_is_short_of_its_length(void**) {
  World w(http_config("routes: [{model: m, hold_bytes: 100}]\n"));
  ConnId client = asked(w, kChat);
  std::string bytes = json_answer("{\"a\":\"" + std::string(1000, 'x') + "\"}");
  w.send(w.upstream(), bytes.substr(0, 500));
  assert_false(w.got(client).empty());
  w.reset(w.upstream());
  assert_true(w.gone(client));
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 200);
  assert_false(answer.whole);
  w.assert_at_rest();
}

// It may break, or turn out to be none when it has come to its end: then no length may have been promised.
void an_answer_that_may_break_has_no_length(void**) {
  World w(http_config("routes: [{model: m, hold_bytes: 100}]\n"));
  ConnId client = asked(w, kChat);
  w.send(w.upstream(), json_answer("{\"a\":\"" + std::string(1000, 'x')));  // All of its length, and half of its JSON.
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 200);
  assert_null(answer.head.find("content-length"));
  assert_false(answer.whole);
  assert_true(w.gone(client));
  // A stream with a length: behind what came stands the error event, and no end.
  ConnId other = asked(w, kStream);
  w.send(w.upstream(),
         "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 300\r\n\r\n" + event("a"));
  w.end(w.upstream());
  answer = w.answer(other);
  assert_null(answer.head.find("content-length"));
  assert_has(answer.body, "stream_broken");
  assert_false(answer.whole);
  w.assert_at_rest();
}

// --- Slow clients ---

void a_slow_client_stops_its_upstream(void**) {
  World w(http_config("routes: [{model: m, window_bytes: 10000}]\n"));
  ConnId client = asked(w, kStream);
  w.net.conns[client].room = 0;
  ConnId up = w.upstream();
  w.send(up, kEvents);
  std::string expected;
  size_t events = 0;
  for (; w.reading(up) && events < 10'000; events++) {
    expected += event("some text");
    w.send(up, event("some text"));
  }
  size_t one = event("some text").size();
  assert_true(events * one >= 10'000 && events * one < 10'000 + 2 * one);
  for (int i = 0; i < 500; i++) {  // On their way already.
    expected += event("more text");
    w.push(up, event("more text"));
  }
  // Framing is not counted: at most a half of these short events.
  assert_true(w.net.conns[client].unsent_peak < 10'000 * 3 / 2 + 2 * one + 1000);
  assert_false(w.reading(up));
  w.push(up, "data: [DONE]\n\n");
  w.net.conns[up].fin = true;
  while (!w.net.conns[client].unsent.empty()) {
    w.drink(client, 3'000);
    assert_true(w.net.conns[client].unsent_peak < 10'000 * 3 / 2 + 65 * 1024);
  }
  Answer answer = w.answer(client);
  assert_true(answer.whole);
  assert_true(answer.body == expected + "data: [DONE]\n\n");
  w.assert_at_rest();
}

void a_client_that_takes_nothing_is_given_up(void**) {
  World w(http_config("limits: {body_timeout_ms: 3000}\n", ", idle_ms: 100000"));
  ConnId client = asked(w, kStream);
  w.net.conns[client].room = 0;
  w.send(w.upstream(), kEvents + event("a"));
  for (int i = 0; i < 3; i++) {
    w.pass(Duration::from_ms(2999));
    assert_false(w.gone(client));
    w.drink(client, 10);
  }
  w.pass(Duration::from_ms(3000));
  assert_true(w.gone(client) && w.gone(w.upstream()));
  assert_false(w.net.conns[client].flushed);
  w.assert_at_rest();
}

// What is added behind it is no progress.
void a_client_that_takes_nothing_is_given_up_in_mid_stream(void**) {
  World w(http_config("limits: {body_timeout_ms: 3000}\n"));
  ConnId client = asked(w, kStream);
  w.net.conns[client].room = 0;
  w.send(w.upstream(), kEvents + event("a"));
  for (int i = 0; i < 2; i++) {
    w.pass(Duration::from_ms(1000));
    w.send(w.upstream(), event("b"));
  }
  w.pass(Duration::from_ms(999));
  assert_false(w.gone(client));
  w.pass(Duration::from_ms(1));
  assert_true(w.gone(client));
  w.assert_at_rest();
}

void a_last_answer_is_sent_before_the_connection_ends(void**) {
  World w(http_config());
  ConnId client = asked(w, kChat, "connection: close\r\n");
  w.net.conns[client].room = 100;
  w.send(w.upstream(), json_answer("{\"a\":\"" + std::string(5000, 'x') + "\"}"));
  assert_false(w.gone(client));
  assert_false(w.gateway->idle());
  w.drink(client, 4000);
  assert_false(w.gone(client));
  w.drink(client, 4000);
  assert_true(w.gone(client) && w.net.conns[client].flushed);
  assert_true(w.answer(client).whole);
  w.assert_at_rest();
}

// HTTP/1.0 has no end but the end of the connection: also a stream whose window is used up has to say that it is cut.
void http_1_0_is_told_of_a_deadline(void**) {
  World w(http_config("routes: [{model: m, window_bytes: 1024, deadline_ms: 5000}]\n"));
  ConnId client = w.dial();
  w.net.conns[client].room = 0;
  std::string request = post(kStream);
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  w.send(client, request);
  w.connected(w.upstream());
  w.send(w.upstream(), kEvents + event(std::string(2000, 'a')) + event("b"));
  w.pass(Duration::from_ms(5000));
  w.drink(client, 100'000);
  assert_has(w.got(client), "stream_broken");
  assert_true(w.gone(client));
  w.assert_at_rest();
}

// Said once, and in the caller's words: its upstream has said it before.
void http_1_0_is_told_of_an_error_in_its_own_dialect(void**) {
  const std::string messages =
      R"({"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]})";
  for (bool said : {true, false}) {
    World w(http_config());
    ConnId client = w.dial();
    std::string request = post(messages, "", "/v1/messages");
    request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
    w.send(client, request);
    w.connected(w.upstream());
    std::string error = said ? "data: {\"error\":{\"message\":\"went wrong\"}}\n\n" : "";
    w.send(w.upstream(), kEvents + event("a") + error);
    w.reset(w.upstream());
    assert_true(w.gone(client));
    std::string raw = w.got(client);
    size_t at = raw.find("event: error\ndata: {\"type\":\"error\"");
    assert_true(at != raw.npos && raw.find("\n\n", at) + 2 == raw.size());
    assert_int_equal(raw.find("went wrong", at) != raw.npos, said);
    w.assert_at_rest();
  }
}

// More is held than the window takes, and the upstream has nothing to add: the sending itself must bring it on.
void what_is_held_follows_in_the_same_turn(void**) {
  World w(http_config("routes: [{model: m, window_bytes: 1024, hold_bytes: 1000000}]\n"));
  ConnId client = asked(w, kChat);
  std::string body = "{\"a\":\"" + std::string(50'000, 'x') + "\"}";
  w.push(w.upstream(), json_answer(body));
  w.turn_once();
  w.turn_once();
  assert_true(w.answer(client).body == body);
}

void credentials_and_lb_fields_stay_here(void**) {
  World w(http_config());
  asked(w, kChat, "authorization: Bearer client-secret\r\napi-key: client-secret\r\ncookie: client-secret\r\n"
                  "x-lb-request-id: mine\r\nx-stainless-lang: go\r\nconnection: x-private\r\nx-private: 1\r\n");
  std::string seen = w.got(w.upstream());
  assert_true(seen.find("client-secret") == std::string::npos);
  assert_true(seen.find("x-lb-") == std::string::npos);
  assert_true(seen.find("x-private") == std::string::npos);
  assert_has(seen, "x-stainless-lang: go\r\n");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_answer_of_known_length),
      cmocka_unit_test(an_answer_of_unknown_length_is_chunked),
      cmocka_unit_test(large_pieces_go_by_reference_and_in_order),
      cmocka_unit_test(http_1_0_reads_to_the_end),
      cmocka_unit_test(an_upstream_error_is_passed_on),
      cmocka_unit_test(errors_of_the_engine_are_openai_errors),
      cmocka_unit_test(a_failure_says_where_and_how_long_to_wait),
      cmocka_unit_test(a_deadline_is_504),
      cmocka_unit_test(calls_max_is_503),
      cmocka_unit_test(a_stream_that_breaks_has_no_last_chunk),
      cmocka_unit_test(a_body_that_breaks_is_short_of_its_length),
      cmocka_unit_test(an_answer_that_may_break_has_no_length),
      cmocka_unit_test(a_slow_client_stops_its_upstream),
      cmocka_unit_test(a_client_that_takes_nothing_is_given_up),
      cmocka_unit_test(a_client_that_takes_nothing_is_given_up_in_mid_stream),
      cmocka_unit_test(a_last_answer_is_sent_before_the_connection_ends),
      cmocka_unit_test(http_1_0_is_told_of_a_deadline),
      cmocka_unit_test(http_1_0_is_told_of_an_error_in_its_own_dialect),
      cmocka_unit_test(what_is_held_follows_in_the_same_turn),
      cmocka_unit_test(credentials_and_lb_fields_stay_here),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
