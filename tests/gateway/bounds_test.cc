// What a request may not be: too many fields, too long a target, too long in coming, of a form that two peers read
// differently. tests/attack does the same to the real program.
#include "gateway/client.h"
#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::ConnId;
using lb::Duration;

void head_fields_is_the_bound_of_fields(void**) {
  World w(echo_config("limits: {head_fields: 10}\n"));
  auto of = [](int n) {  // `host` is one of them.
    std::string fields;
    for (int i = 1; i < n; i++) fields += "x-" + std::to_string(i) + ": y\r\n";
    return get("/healthz", fields);
  };
  assert_int_equal(w.ask(of(10)).status, 200);
  Answer answer = w.ask(of(11));
  assert_int_equal(answer.status, 431);
  assert_text(error_member(answer, "code"), "head_too_large");
  assert_false(answer.keep_alive);
}

void head_fields_is_the_bound_of_answers_too(void**) {
  for (int fields : {10, 11}) {
    World w(http_config("limits: {head_fields: 10}\n"));
    ConnId client = w.dial();
    w.send(client, post(kChat));
    w.connected(w.upstream());
    std::string more;
    for (int i = 2; i < fields; i++) more += "x-" + std::to_string(i) + ": y\r\n";
    w.send(w.upstream(), "HTTP/1.1 200 OK\r\n" + more +
                             "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    assert_int_equal(w.answer(client).status, fields == 10 ? 200 : 502);
  }
}

void target_bytes_is_the_bound_of_a_target(void**) {
  World w(echo_config("limits: {target_bytes: 100, head_bytes: 1024}\n"));
  auto of = [](size_t n) { return get("/healthz?" + std::string(n - 9, 'a')); };
  assert_int_equal(w.ask(of(100)).status, 200);
  Answer answer = w.ask(of(101));
  assert_int_equal(answer.status, 414);
  assert_text(error_member(answer, "code"), "target_too_long");
  // One that does not even fit a head.
  answer = w.ask(of(2000));
  assert_int_equal(answer.status, 414);
  assert_false(answer.keep_alive);
  // Too much behind it is another matter.
  assert_int_equal(w.ask(get("/healthz", "x: " + std::string(2000, 'a') + "\r\n")).status, 431);
}

// Sends a byte of a body each two seconds until it is answered; says how many seconds that took.
int drip(World& w, ConnId client, int most_s) {
  for (int s = 0; s < most_s; s += 2) {
    if (w.gone(client)) return s;
    w.send(client, " ");
    w.pass(Duration::from_s(2));
  }
  return most_s;
}

void a_request_that_drips_has_its_time(void**) {
  World w(http_config("limits: {body_timeout_ms: 3000, request_timeout_ms: 20000}\n"));
  std::string request = post(kChat + std::string(1000, ' '));
  ConnId client = w.dial();
  w.send(client, request.substr(0, request.size() - 1000));
  w.connected(w.upstream());
  assert_int_equal(drip(w, client, 100), 20);
  assert_int_equal(w.answer(client).status, 408);
  w.assert_at_rest();
  // So has the rest of one that is answered already.
  ConnId other = w.dial();
  w.send(other, "POST /nothing HTTP/1.1\r\nhost: lb\r\ncontent-length: 1000\r\n\r\n");
  assert_int_equal(w.answer(other).status, 404);
  assert_int_equal(drip(w, other, 100), 20);
  assert_true(w.got(other).empty());
}

void each_request_has_the_time_for_itself(void**) {
  World w(echo_config("limits: {body_timeout_ms: 9000, request_timeout_ms: 10000}\n"));
  ConnId client = w.dial();
  for (int i = 0; i < 3; i++) {
    std::string request = post(kChat);
    w.send(client, request.substr(0, request.size() - 1));
    w.pass(Duration::from_ms(8999));
    w.send(client, request.substr(request.size() - 1));
    w.pass(Duration::from_ms(2));
    assert_int_equal(w.answer(client).status, 200);
  }
}

// While the upstream takes nothing, the client cannot go on.
void the_slowness_of_an_upstream_is_not_the_clients(void**) {
  World w(http_config("routes: [{model: m, replay_bytes: 1000}]\nlimits: {request_timeout_ms: 5000}\n"));
  ConnId client = w.dial();
  std::string request = post("{\"model\":\"m\",\"pad\":\"" + std::string(2'000'000, 'x') + "\"}");
  w.send(client, request.substr(0, 64 * 1024));
  ConnId up = w.upstream();
  w.net.conns[up].room = 0;
  w.connected(up);
  size_t sent = 64 * 1024;
  for (; w.reading(client); sent += 64 * 1024) w.send(client, request.substr(sent, 64 * 1024));
  for (int i = 0; i < 4; i++) {
    w.pass(Duration::from_s(20));
    assert_false(w.gone(client));
    while (!w.reading(client)) w.drink(up, 100'000);
    w.pass(Duration::from_ms(1000));
    for (; w.reading(client); sent += 64 * 1024) w.send(client, request.substr(sent, 64 * 1024));
  }
  while (!w.reading(client)) w.drink(up, 100'000);
  w.pass(Duration::from_ms(1001));  // Of its own it has had 5001.
  assert_int_equal(w.answer(client).status, 408);
  w.assert_at_rest();
}

void an_echo_takes_a_body_of_any_length(void**) {
  World w(echo_config("routes: [{model: m, replay_bytes: 1000}]\n"));
  std::string request = post("{\"model\":\"m\",\"pad\":\"" + std::string(2'000'000, 'x') + "\"}");
  ConnId client = w.dial();
  for (size_t at = 0; at < request.size(); at += 64 * 1024) {
    w.send(client, request.substr(at, 64 * 1024));
    for (int i = 0; i < 10 && !w.reading(client); i++) w.pass(Duration::from_ms(1));
    assert_true(w.reading(client));
    assert_true(w.engine->census().replay_bytes < 600'000);
  }
  w.pass(Duration::from_ms(2));
  assert_int_equal(w.answer(client).status, 200);
  w.assert_at_rest();
}

void ambiguous_requests_end_the_connection(void**) {
  const std::string next = get("/healthz");
  const char* const kPost = "POST /v1/chat/completions HTTP/1.1\r\nhost: lb\r\n";
  const std::string requests[] = {
      "CONNECT lb:443 HTTP/1.1\r\nhost: lb:443\r\n\r\n", "CONNECT /healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
      "OPTIONS lb:443 HTTP/1.1\r\nhost: lb:443\r\n\r\n", "GET * HTTP/1.1\r\nhost: lb\r\n\r\n",
      "GET ftp://lb/healthz HTTP/1.1\r\nhost: lb\r\n\r\n", "GET http://u:p@lb/healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
      "GET http:///healthz HTTP/1.1\r\nhost: lb\r\n\r\n", "GET http://:80/healthz HTTP/1.1\r\nhost: lb\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nhost: a b\r\n\r\n", "GET /healthz HTTP/1.1\r\nhost: a/b\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nhost: a@b\r\n\r\n",
      std::string(kPost) + "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
      std::string(kPost) + "transfer-encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n",
      std::string(kPost) + "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      std::string(kPost) + "transfer-encoding:\r\n\r\n0\r\n\r\n",
      std::string(kPost) + "transfer-encoding: chunked,\r\n\r\n0\r\n\r\n"};
  for (const std::string& request : requests) {
    World w;
    ConnId client = w.dial();
    w.send(client, request + next);
    Answer answer = w.answer(client);  // One and no more.
    if (answer.status != 400) fail_msg("%u for %s", answer.status, request.c_str());
    assert_text(error_member(answer, "code"), "malformed");
    assert_text(answer.field("connection"), "close");
    assert_true(w.gone(client));
  }
}

void plain_requests_are_taken(void**) {
  World w;
  for (const char* host : {"", "lb", "lb:80", "127.0.0.1", "[::1]:8080", "a_b.example", "xn--bcher-kva.example"})
    assert_int_equal(w.ask("GET /healthz HTTP/1.1\r\nhost: " + std::string(host) + "\r\n\r\n").status, 200);
  for (const char* target : {"http://lb/healthz", "HTTP://[::1]:80/healthz", "https://lb:1/healthz?x=//"})
    assert_int_equal(w.ask("GET " + std::string(target) + " HTTP/1.1\r\nhost: lb\r\n\r\n").status, 200);
  Answer answer = w.ask("OPTIONS * HTTP/1.1\r\nhost: lb\r\n\r\n");
  assert_int_equal(answer.status, 404);
  assert_true(answer.keep_alive);
}

// CGI and WSGI write "-" as "_", so what must not travel must not in that spelling either.
void underscores_do_not_hide_a_field(void**) {
  World w(http_config());
  ConnId client = w.dial();
  w.send(client, post(kChat, "api_key: caller-secret\r\nTransfer_Encoding: chunked\r\nContent_Length: 1\r\n"
                             "proxy_authorization: caller-secret\r\nx_lb_caller: me\r\nmy_own: 1\r\n"));
  w.connected(w.upstream());
  std::string seen = w.got(w.upstream());
  for (const char* hidden : {"caller-secret", "ransfer_", "ontent_", "x_lb_"})
    if (seen.find(hidden) != std::string::npos) fail_msg("%s in %s", hidden, seen.c_str());
  assert_has(seen, "my_own: 1\r\n");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(head_fields_is_the_bound_of_fields),
      cmocka_unit_test(head_fields_is_the_bound_of_answers_too),
      cmocka_unit_test(target_bytes_is_the_bound_of_a_target),
      cmocka_unit_test(a_request_that_drips_has_its_time),
      cmocka_unit_test(each_request_has_the_time_for_itself),
      cmocka_unit_test(the_slowness_of_an_upstream_is_not_the_clients),
      cmocka_unit_test(an_echo_takes_a_body_of_any_length),
      cmocka_unit_test(ambiguous_requests_end_the_connection),
      cmocka_unit_test(plain_requests_are_taken),
      cmocka_unit_test(underscores_do_not_hide_a_field),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
