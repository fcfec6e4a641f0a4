#include "gateway/client.h"

#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::Client;
using lb::ConnId;
using lb::Duration;

std::string chunked(std::string_view body, size_t piece) {
  std::string out = "POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\r\n\r\n";
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size())))
    out.append(lb::chunk_line(std::min(piece, body.size()))).append(body.substr(0, piece)).append("\r\n");
  return out.append(lb::kLastChunk);
}

std::string body_of(size_t size) {
  std::string body = "{\"model\":\"m\",\"messages\":[],\"pad\":\"\"}";
  return body.insert(body.size() - 2, size - body.size(), 'x');
}

// --- Requests, one after the other ---

void a_connection_serves_many_requests(void**) {
  World w;
  ConnId client = w.dial();
  for (int i = 0; i < 5; i++) {
    w.send(client, i % 2 ? post(kStream) : post(kChat));
    Answer answer = w.answer(client);
    assert_int_equal(answer.status, 200);
    assert_true(answer.whole && answer.keep_alive);
    w.assert_at_rest();
  }
  w.send(client, get("/healthz", "connection: close\r\n"));
  Answer last = w.answer(client);
  assert_text(last.field("connection"), "close");
  assert_true(w.gone(client) && w.net.conns[client].flushed);
}

void every_operation_is_a_call(void**) {
  World w;
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}) {
    Answer answer = w.ask(post(kChat, "", path));
    assert_int_equal(answer.status, 200);
    assert_text(answer.field("x-lb-served-by"), "east");
    assert_text(answer.field("x-lb-attempts"), "1");
    assert_true(answer.field("x-lb-request-id").starts_with("lb-"));
  }
}

void bytes_may_be_cut_anywhere(void**) {
  const std::string request = chunked(kStream, 7) + post(kChat) + get("/healthz");
  for (size_t cut = 1; cut < request.size(); cut++) {
    World w;
    ConnId client = w.dial();
    w.send(client, request.substr(0, cut));
    w.send(client, request.substr(cut));
    w.pass(Duration::from_ms(2));  // An echo waits for its body by the millisecond.
    std::vector<Answer> answers = w.answers(client);
    assert_int_equal(answers.size(), 3);
    assert_has(answers[0].body, "[DONE]");
    assert_has(answers[1].body, "chat.completion");
    assert_text(answers[2].body, "ok\n");
    w.assert_at_rest();
  }
  World w;
  ConnId client = w.dial();
  for (char byte : request) w.send(client, {&byte, 1});
  w.pass(Duration::from_ms(2));
  assert_int_equal(w.answers(client).size(), 3);
  w.assert_at_rest();
}

void pipelined_requests_are_answered_in_order(void**) {
  World w(
      "listen: [{address: '127.0.0.1:0'}]\n"
      "deployments:\n  - {name: slow, kind: echo, delay_ms: 50, models: [s]}\n"
      "  - {name: fast, kind: echo, models: [m]}\n");
  ConnId client = w.dial();
  std::string slow = "{\"model\":\"s\",\"stream\":true}";
  w.send(client, post(slow) + get("/healthz") + post(kChat) + post(slow) + get("/nothing") + get("/healthz"));
  assert_int_equal(w.engine->calls(), 1);  // One at a time.
  assert_true(w.got(client).empty());
  w.pass(Duration::from_s(1));
  std::vector<Answer> answers = w.answers(client);
  assert_int_equal(answers.size(), 6);
  assert_text(answers[0].field("x-lb-served-by"), "slow");
  assert_text(answers[1].body, "ok\n");
  assert_text(answers[2].field("x-lb-served-by"), "fast");
  assert_text(answers[3].field("x-lb-served-by"), "slow");
  assert_int_equal(answers[4].status, 404);
  assert_text(answers[5].body, "ok\n");
  for (const Answer& answer : answers) assert_true(answer.whole);
  w.assert_at_rest();
}

void the_backlog_is_bounded(void**) {
  World w(http_config());
  ConnId client = w.dial();
  w.send(client, post(kChat));
  w.connected(w.upstream());
  std::string more = post(body_of(30'000));
  w.send(client, more.substr(0, Client::kBacklogMax - 1));
  assert_true(w.reading(client));
  w.send(client, more.substr(Client::kBacklogMax - 1, 1));
  assert_false(w.reading(client));
  w.push(client, more.substr(Client::kBacklogMax));
  w.send(w.upstream(), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  assert_int_equal(w.answer(client).status, 200);
  assert_true(w.reading(client));
  w.got(w.upstream()).clear();
  w.send(w.upstream(), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  assert_int_equal(w.answer(client).status, 200);
  w.assert_at_rest();
}

void a_client_that_takes_nothing_gets_no_more_answers(void**) {
  World w;
  ConnId client = w.dial();
  w.net.conns[client].room = 0;
  std::string many;
  for (int i = 0; i < 500; i++) many += get("/metrics");
  w.push(client, many);
  for (int i = 0; i < 50; i++) w.push(client, get("/metrics"));
  w.turn();
  size_t one = w.gateway->stats_prometheus().size() + 1000;
  assert_true(w.net.conns[client].unsent.size() >= Client::kUnsentMax);
  assert_true(w.net.conns[client].unsent.size() < Client::kUnsentMax + one);
  assert_false(w.reading(client));  // 500 requests are more than the backlog takes.
  size_t answered = 0;
  while (!w.net.conns[client].unsent.empty()) {
    w.drink(client, 100'000);
    assert_true(w.net.conns[client].unsent.size() < Client::kUnsentMax + one);
    answered += w.answers(client).size();
  }
  assert_int_equal(answered, 550);
}

// Its last request is begun by the flush at the end of the turn, behind the settling of the engine.
void a_request_in_hand_wants_another_turn(void**) {
  World w;
  ConnId client = w.dial();
  std::string many;
  size_t count = 1;
  for (size_t bytes = 0; bytes < Client::kUnsentMax; count++, bytes += w.gateway->stats_prometheus().size())
    many += get("/metrics");
  w.send(client, many + post("[]"));
  std::vector<Answer> answers = w.answers(client);
  assert_int_equal(answers.size(), count);
  assert_int_equal(answers.back().status, 400);
  w.assert_at_rest();
}

// --- Bodies ---

void expect_100_is_answered_when_the_body_is_wanted(void**) {
  World w(echo_config("limits: {body_bytes: 1000}\n"));
  std::string request = post(kChat, "expect: 100-continue\r\n");
  std::string head = request.substr(0, request.size() - kChat.size());
  ConnId client = w.dial();
  w.send(client, head);
  assert_text(std::exchange(w.got(client), ""), "HTTP/1.1 100 Continue\r\n\r\n");
  w.send(client, kChat);
  assert_int_equal(w.answer(client).status, 200);
  // The body has come with the head: no need to ask for it.
  w.send(client, request);
  assert_true(w.got(client).starts_with("HTTP/1.1 200 OK\r\n"));
  // It is too long: the answer says so, and since nobody knows whether it comes, the connection ends.
  for (const char* path : {"/v1/chat/completions", "/nothing"}) {
    ConnId other = w.dial();
    w.send(other, "POST " + std::string(path) +
                      " HTTP/1.1\r\nhost: lb\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
    Answer answer = w.answer(other);
    assert_int_equal(answer.status, path[1] == 'v' ? 413 : 404);
    assert_true(w.gone(other) && w.net.conns[other].flushed);
  }
  // HTTP/1.0 has no 100.
  ConnId old = w.dial();
  w.send(old, "POST /v1/chat/completions HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 27\r\n\r\n");
  assert_true(w.got(old).empty());
}

void body_bytes_is_the_bound_of_a_body(void**) {
  World w(echo_config("limits: {body_bytes: 1000}\n"));
  assert_int_equal(w.ask(post(body_of(1000))).status, 200);
  Answer answer = w.ask(post(body_of(1001)));
  assert_int_equal(answer.status, 413);
  assert_text(error_member(answer, "code"), "request_too_large");
  assert_int_equal(w.ask(chunked(body_of(1000), 100)).status, 200);
  // Before it is read, when its length says so.
  ConnId client = w.dial();
  w.send(client, "POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\ncontent-length: 99999999999\r\n\r\n");
  assert_int_equal(w.answer(client).status, 413);
  assert_true(w.gone(client));
  // When it is found out on the way, the call is cancelled.
  std::string long_one = chunked(body_of(1001), 100);
  ConnId other = w.dial();
  w.send(other, long_one.substr(0, 600));
  assert_int_equal(w.engine->calls(), 1);
  w.send(other, long_one.substr(600));
  assert_int_equal(w.answer(other).status, 413);
  assert_true(w.gone(other));
  w.assert_at_rest();
}

void a_body_goes_on_while_its_upstream_takes_it(void**) {
  World w(http_config("routes: [{model: m, replay_bytes: 1000}]\n"));
  ConnId client = w.dial();
  const std::string body = body_of(1'000'000);
  std::string request = post(body);
  size_t sent = 64 * 1024;
  w.send(client, request.substr(0, sent));
  ConnId up = w.upstream();
  w.net.conns[up].room = 0;
  w.connected(up);
  for (; w.reading(client) && sent < request.size(); sent += 64 * 1024) w.send(client, request.substr(sent, 64 * 1024));
  assert_true(sent < 800'000);  // Two windows of 256 KiB: what the port has, and what waits for it.
  // Nobody times out for the slowness of the upstream.
  w.pass(Duration::from_s(1));
  while (sent < request.size() || !w.net.conns[up].unsent.empty()) {
    w.drink(up, 100'000);
    if (!w.reading(client) || sent >= request.size()) continue;
    w.send(client, request.substr(sent, 64 * 1024));
    sent += 64 * 1024;
  }
  std::string taken = w.got(up).substr(w.got(up).find("\r\n\r\n") + 4);
  assert_true(taken == body);
  w.send(up, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  assert_int_equal(w.answer(client).status, 200);
  w.assert_at_rest();
}

void an_early_answer_and_the_rest_of_the_body(void**) {
  World w;
  // Little is left: it is read and dropped, and the connection goes on.
  ConnId client = w.dial();
  std::string request = post(std::string(Client::kDrainMax, 'x'), "", "/nothing");
  size_t head = request.size() - Client::kDrainMax;
  w.send(client, request.substr(0, head));
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 404);
  assert_true(answer.keep_alive);
  w.send(client, request.substr(head, 1000));
  w.send(client, request.substr(head + 1000) + get("/healthz"));
  assert_text(w.answer(client).body, "ok\n");
  // One byte more is too much.
  ConnId other = w.dial();
  w.send(other, "POST /nothing HTTP/1.1\r\nhost: lb\r\ncontent-length: " + std::to_string(Client::kDrainMax + 1) +
                    "\r\n\r\n");
  answer = w.answer(other);
  assert_text(answer.field("connection"), "close");
  assert_true(w.gone(other) && w.net.conns[other].flushed);
  // So is a length that is not known.
  ConnId third = w.dial();
  w.send(third, "POST /nothing HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\r\n\r\n");
  assert_text(w.answer(third).field("connection"), "close");
  // The engine refuses before the body is whole.
  ConnId fourth = w.dial();
  w.send(fourth, post("{\"model\":\"unknown\",\"messages\":[]}").substr(0, 125));
  answer = w.answer(fourth);
  assert_int_equal(answer.status, 404);
  assert_text(error_member(answer, "code"), "model_not_found");
  assert_true(answer.keep_alive);
  w.send(fourth, post("{\"model\":\"unknown\",\"messages\":[]}").substr(125) + get("/healthz"));
  assert_text(w.answer(fourth).body, "ok\n");
  w.assert_at_rest();
}

// Brings a client to where its upstream takes no more of a body of that size; says how much it has sent.
size_t send_until_paused(World& w, ConnId client, const std::string& request) {
  size_t sent = 64 * 1024;
  w.send(client, request.substr(0, sent));
  w.net.conns[w.upstream()].room = 0;
  w.connected(w.upstream());
  for (; w.reading(client); sent += 64 * 1024) w.send(client, request.substr(sent, 64 * 1024));
  return sent;
}

void an_answer_frees_a_client_whose_body_was_paused(void**) {
  const std::string config = http_config("routes: [{model: m, replay_bytes: 1000}]\n");
  std::string error = "{\"error\":{\"message\":\"too long\"}}";
  std::string refusal = "HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: " +
                        std::to_string(error.size()) + "\r\n\r\n" + error;
  World w(config);
  ConnId client = w.dial();
  size_t sent = send_until_paused(w, client, post(body_of(700'000)));
  assert_true(sent < 700'000 - Client::kDrainMax);
  w.send(w.upstream(), refusal);
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 413);
  assert_text(answer.body, error);
  assert_text(answer.field("connection"), "close");
  assert_true(w.gone(client) && w.net.conns[client].flushed);
  w.assert_at_rest();
  // With little left to come the connection goes on.
  World other(config);
  client = other.dial();
  std::string request = post(body_of(sent + 10'000));
  assert_int_equal(send_until_paused(other, client, request), sent);
  other.send(other.upstream(), refusal);
  assert_true(other.answer(client).keep_alive);
  other.send(client, request.substr(sent) + get("/healthz"));
  assert_text(other.answer(client).body, "ok\n");
  other.assert_at_rest();
}

void the_end_of_a_client_is_seen_behind_a_paused_body(void**) {
  const std::string config = http_config("routes: [{model: m, replay_bytes: 1000}]\n");
  World measured(config);
  size_t sent = send_until_paused(measured, measured.dial(), post(body_of(700'000)));
  World w(config);
  ConnId client = w.dial();
  std::string request = post(body_of(sent + 1000));
  std::string first = request.substr(0, sent - 64 * 1024);
  w.send(client, first.substr(0, 64 * 1024));
  w.net.conns[w.upstream()].room = 0;
  w.connected(w.upstream());
  for (size_t at = 64 * 1024; at < first.size(); at += 64 * 1024) w.send(client, first.substr(at, 64 * 1024));
  assert_true(w.reading(client));
  // The piece that pauses it and the last one come in the same turn.
  w.push(client, request.substr(first.size(), 64 * 1024));
  w.push(client, request.substr(sent));
  w.turn();
  assert_int_equal(w.engine->calls(), 1);
  w.end(client);
  assert_true(w.gone(client));
  w.assert_at_rest();
}

// --- What is wrong with a request ---

void malformed_requests(void**) {
  struct Case {
    const char* bytes;
    uint32_t status;
    const char* code;
  };
  const Case cases[] = {
      {"\x16\x03\x01\x02", 400, "malformed"},
      {"GET\r\n\r\n", 400, "malformed"},
      {"GET /healthz HTTP/2.0\r\nhost: lb\r\n\r\n", 400, "malformed"},
      {"GET /healthz HTTP/1.1\r\nhost : lb\r\n\r\n", 400, "malformed"},
      {"GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed"},
      {"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", 400,
       "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501,
       "unknown_transfer_encoding"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: gzip\r\n\r\n", 501, "unknown_transfer_encoding"},
      {"POST /v1/embeddings HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ntransfer-encodings : x\r\n\r\n", 400, "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\x01\r\n\r\n", 400, "malformed"},
      {"POST /v1/embeddings HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400, "malformed"},
  };
  World w;
  for (const Case& c : cases) {
    ConnId client = w.dial();
    w.send(client, c.bytes);
    Answer answer = w.answer(client);
    if (answer.status != c.status) fail_msg("%u for %s", answer.status, c.bytes);
    assert_text(error_member(answer, "code"), c.code);
    assert_true(answer.field("x-lb-request-id").starts_with("lb-"));
    assert_text(answer.field("connection"), "close");
    assert_true(w.gone(client) && w.net.conns[client].flushed);
    // The same, however the request comes.
    client = w.dial();
    for (const char* byte = c.bytes; *byte && !w.gone(client); byte++) w.send(client, std::string_view(byte, 1));
    answer = w.answer(client);
    if (answer.status != c.status) fail_msg("%u byte by byte for %s", answer.status, c.bytes);
  }
  w.assert_at_rest();
}

void a_body_that_breaks_off_its_form_cancels_the_call(void**) {
  World w(http_config());
  ConnId client = w.dial();
  std::string request = chunked(kChat + std::string(100, ' '), 50);
  w.send(client, request.substr(0, request.find("\r\n\r\n") + 4 + 4 + 50 + 2));  // One chunk.
  w.connected(w.upstream());
  assert_int_equal(w.engine->calls(), 1);
  w.send(client, "not a chunk\r\n");
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 400);
  assert_text(error_member(answer, "code"), "malformed");
  assert_true(w.gone(client) && w.gone(w.upstream()));
  w.assert_at_rest();
}

void a_request_that_fails_in_the_turn_of_its_answer_has_one(void**) {
  World w(http_config());
  ConnId client = w.dial();
  std::string request = chunked(kChat + std::string(100, ' '), 50);
  w.send(client, request.substr(0, request.find("\r\n\r\n") + 4 + 4 + 50 + 2));  // One chunk.
  w.connected(w.upstream());
  w.push(w.upstream(), "HTTP/1.1 422 Bad\r\ncontent-length: 2\r\n\r\n{}");
  w.push(client, "not a chunk\r\n");
  w.turn();
  assert_int_equal(w.answer(client).status, 400);
  assert_true(w.gone(client));
  w.assert_at_rest();
}

void head_bytes_is_the_bound_of_a_head(void**) {
  World w(echo_config("limits: {head_bytes: 2000}\n"));
  std::string base = get("/healthz", "x: \r\n");
  auto of_size = [&](size_t n) { return get("/healthz", "x: " + std::string(n - base.size(), 'a') + "\r\n"); };
  assert_int_equal(w.ask(of_size(2000)).status, 200);
  Answer answer = w.ask(of_size(2001));
  assert_int_equal(answer.status, 431);
  assert_text(error_member(answer, "code"), "head_too_large");
  // One that never ends.
  ConnId client = w.dial();
  for (int i = 0; i < 3000 && !w.gone(client); i++) w.send(client, i == 0 ? "GET /" : "a");
  assert_int_equal(w.answer(client).status, 431);
  w.assert_at_rest();
}

void unknown_paths_and_methods(void**) {
  World w;
  Answer answer = w.ask(get("/v1/nothing"));
  assert_int_equal(answer.status, 404);
  assert_text(error_member(answer, "code"), "not_found");
  assert_has(error_member(answer, "message"), "POST /v1/chat/completions");
  assert_true(answer.keep_alive);
  answer = w.ask(get("/v1/chat/completions"));
  assert_int_equal(answer.status, 405);
  assert_text(answer.field("allow"), "POST");
  assert_text(error_member(answer, "code"), "method_not_allowed");
  answer = w.ask(get("/healthz", "", "DELETE"));
  assert_int_equal(answer.status, 405);
  assert_text(answer.field("allow"), "GET, HEAD");
  assert_int_equal(w.ask(get("http://other/healthz")).status, 200);
}

void absolute_targets_keep_their_query(void**) {
  World w(http_config());
  ConnId client = w.dial();
  std::string request = post(kChat, "", "http://lb.example/v1/chat/completions?api-version=7");
  w.send(client, request);
  w.connected(w.upstream());
  assert_true(w.got(w.upstream()).starts_with("POST /v1/chat/completions?api-version=7 HTTP/1.1\r\n"));
}

// --- Time ---

void a_head_has_its_time(void**) {
  World w(echo_config("limits: {head_timeout_ms: 5000, idle_timeout_ms: 9000}\n"));
  // From the start of the connection for the first one.
  ConnId silent = w.dial();
  ConnId slow = w.dial();
  w.pass(Duration::from_ms(4000));
  w.send(slow, "GET /hea");
  w.pass(Duration::from_ms(999));
  assert_false(w.gone(silent) || w.gone(slow));
  w.pass(Duration::from_ms(1));
  assert_true(w.gone(silent) && w.got(silent).empty());
  Answer answer = w.answer(slow);
  assert_int_equal(answer.status, 408);
  assert_text(error_member(answer, "code"), "timeout");
  assert_true(w.gone(slow));
  // From its first byte for the next.
  ConnId client = w.dial();
  w.send(client, get("/healthz"));
  assert_int_equal(w.answer(client).status, 200);
  w.pass(Duration::from_ms(8999));
  w.send(client, "GET /h");
  w.pass(Duration::from_ms(4999));
  assert_false(w.gone(client));
  w.pass(Duration::from_ms(1));
  assert_int_equal(w.answer(client).status, 408);
}

void an_idle_connection_has_its_time(void**) {
  World w(echo_config("limits: {idle_timeout_ms: 9000}\n"));
  ConnId client = w.dial();
  for (int i = 0; i < 3; i++) {
    w.send(client, get("/healthz"));
    assert_int_equal(w.answer(client).status, 200);
    w.pass(Duration::from_ms(8999));
    assert_false(w.gone(client));
  }
  w.pass(Duration::from_ms(1));
  assert_true(w.gone(client) && w.got(client).empty());
}

// One that is still taking its last answer is at work, however long that takes.
void a_slow_connection_is_not_idle(void**) {
  World w(echo_config("limits: {idle_timeout_ms: 9000, body_timeout_ms: 6000}\n"));
  ConnId client = w.dial();
  w.net.conns[client].room = 10;
  w.send(client, get("/healthz"));
  for (int i = 0; i < 4; i++) {
    w.pass(Duration::from_ms(5000));
    w.drink(client, 10);
  }
  w.drink(client, 10'000);
  assert_int_equal(w.answer(client).status, 200);
  w.pass(Duration::from_ms(8999));
  assert_false(w.gone(client));
  w.pass(Duration::from_ms(1));
  assert_true(w.gone(client));
}

void a_body_has_its_time(void**) {
  World w(http_config("limits: {body_timeout_ms: 3000}\n"));
  ConnId client = w.dial();
  std::string request = post(body_of(1000));
  w.send(client, request.substr(0, 300));
  w.connected(w.upstream());
  for (int i = 0; i < 3; i++) {
    w.pass(Duration::from_ms(2999));
    assert_false(w.gone(client));
    w.send(client, request.substr(300 + static_cast<size_t>(i) * 10, 10));
  }
  w.pass(Duration::from_ms(3000));
  assert_int_equal(w.answer(client).status, 408);
  assert_true(w.gone(client) && w.gone(w.upstream()));
  w.assert_at_rest();
  // The rest of one that is answered already is not waited for either.
  ConnId other = w.dial();
  w.send(other, post(body_of(1000), "", "/nothing").substr(0, 300));
  assert_int_equal(w.answer(other).status, 404);
  w.pass(Duration::from_ms(3000));
  assert_true(w.gone(other) && w.got(other).empty());
}

void a_call_may_take_longer_than_any_of_them(void**) {
  World w(http_config("limits: {body_timeout_ms: 3000, head_timeout_ms: 3000, idle_timeout_ms: 3000}\n"));
  ConnId client = w.dial();
  w.send(client, post(kChat));
  w.connected(w.upstream());
  w.pass(Duration::from_s(100));
  w.send(w.upstream(), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  assert_int_equal(w.answer(client).status, 200);
  w.pass(Duration::from_ms(2999));
  assert_false(w.gone(client));
}

// --- A client that goes away ---

enum class Stage { body, naming, waiting, connecting, sending, head, holding, relaying, blocked, last };

std::string stage_config(Stage stage) {
  if (stage != Stage::waiting) return http_config();
  return http_config("routes: [{model: m, wait_ms: 60000}]\n", ", connections_max: 1");
}

// Brings a call to that stage.
ConnId reach(World& w, Stage stage) {
  w.net.hold_names = stage == Stage::naming;
  if (stage == Stage::waiting) {  // The deployment cools down.
    ConnId first = w.dial();
    w.send(first, post(kChat));
    w.connected(w.upstream());
    w.send(w.upstream(), "HTTP/1.1 429 Slow\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n");
    w.reset(first);
  }
  ConnId client = w.dial();
  if (stage == Stage::body) {
    w.send(client, post(kStream).substr(0, 120));
    return client;
  }
  w.send(client, post(kStream));
  if (stage <= Stage::connecting) return client;
  if (stage == Stage::sending) w.net.conns[w.upstream()].room = 10;
  w.connected(w.upstream());
  if (stage <= Stage::head) return client;
  w.send(w.upstream(), "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: ping\n\n");
  if (stage == Stage::holding) return client;
  if (stage == Stage::blocked) w.net.conns[client].room = 0;
  w.send(w.upstream(), "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n");
  return client;
}

void the_call_of_a_client_that_goes_is_cancelled_at_once(void**) {
  for (int i = 0; i < static_cast<int>(Stage::last); i++) {
    for (bool fin : {true, false}) {
      Stage stage = static_cast<Stage>(i);
      World w(stage_config(stage));
      ConnId client = reach(w, stage);
      if (w.engine->calls() != 1) fail_msg("stage %d was not reached", i);
      if (stage == Stage::waiting) assert_int_equal(w.engine->census().waiting, 1);
      if (stage == Stage::relaying) assert_has(w.got(client), "hello");
      fin ? w.end(client) : w.reset(client);
      w.assert_at_rest();
      assert_true(w.gone(client));
      if (stage != Stage::body && stage != Stage::naming && stage != Stage::waiting) assert_true(w.gone(w.upstream()));
      assert_has(w.gateway->stats_json(), "\"gone\":1");
    }
  }
}

void the_end_of_a_client_at_rest(void**) {
  World w;
  ConnId fresh = w.dial();
  w.end(fresh);
  assert_true(w.gone(fresh) && w.got(fresh).empty());
  ConnId half = w.dial();
  w.send(half, "GET /hea");
  w.end(half);
  assert_true(w.gone(half) && w.got(half).empty());
  // What is answered at once still reaches a client that has ended.
  ConnId done = w.dial();
  w.net.conns[done].room = 10;
  w.push(done, get("/healthz"));
  w.end(done);
  assert_false(w.gone(done));
  w.drink(done, 1000);
  assert_true(w.gone(done));
  assert_text(w.answer(done).body, "ok\n");
  w.assert_at_rest();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_connection_serves_many_requests),
      cmocka_unit_test(every_operation_is_a_call),
      cmocka_unit_test(bytes_may_be_cut_anywhere),
      cmocka_unit_test(pipelined_requests_are_answered_in_order),
      cmocka_unit_test(the_backlog_is_bounded),
      cmocka_unit_test(a_client_that_takes_nothing_gets_no_more_answers),
      cmocka_unit_test(a_request_in_hand_wants_another_turn),
      cmocka_unit_test(expect_100_is_answered_when_the_body_is_wanted),
      cmocka_unit_test(body_bytes_is_the_bound_of_a_body),
      cmocka_unit_test(a_body_goes_on_while_its_upstream_takes_it),
      cmocka_unit_test(an_early_answer_and_the_rest_of_the_body),
      cmocka_unit_test(an_answer_frees_a_client_whose_body_was_paused),
      cmocka_unit_test(the_end_of_a_client_is_seen_behind_a_paused_body),
      cmocka_unit_test(malformed_requests),
      cmocka_unit_test(a_body_that_breaks_off_its_form_cancels_the_call),
      cmocka_unit_test(a_request_that_fails_in_the_turn_of_its_answer_has_one),
      cmocka_unit_test(head_bytes_is_the_bound_of_a_head),
      cmocka_unit_test(unknown_paths_and_methods),
      cmocka_unit_test(absolute_targets_keep_their_query),
      cmocka_unit_test(a_head_has_its_time),
      cmocka_unit_test(an_idle_connection_has_its_time),
      cmocka_unit_test(a_slow_connection_is_not_idle),
      cmocka_unit_test(a_body_has_its_time),
      cmocka_unit_test(a_call_may_take_longer_than_any_of_them),
      cmocka_unit_test(the_call_of_a_client_that_goes_is_cancelled_at_once),
      cmocka_unit_test(the_end_of_a_client_at_rest),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
