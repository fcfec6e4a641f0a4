#include "gateway/gateway.h"

#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::ConnId;
using lb::Duration;
using lb::Status;

bool accepting(World& w) { return w.net.ports.begin()->second.accepting; }

// --- Connections ---

void accepting_pauses_at_the_bound(void**) {
  World w(echo_config("limits: {connections: 3}\n"));
  ConnId first = w.dial(), second = w.dial();
  assert_true(accepting(w));
  ConnId third = w.dial();
  assert_false(accepting(w));
  ConnId fourth = w.dial();
  w.push(fourth, get("/healthz"));
  w.turn();
  assert_true(w.got(fourth).empty());
  // The others are served.
  w.send(third, get("/healthz"));
  assert_int_equal(w.answer(third).status, 200);
  w.end(first);
  w.turn();
  assert_int_equal(w.answer(fourth).status, 200);
  assert_false(accepting(w));  // It is the third again.
  w.end(second);
  assert_true(accepting(w));
}

void a_burst_beyond_the_bound_waits(void**) {
  World w(echo_config("limits: {connections: 2}\n"));
  std::string address = w.gateway->address("").value();
  std::vector<ConnId> all;
  for (int i = 0; i < 5; i++) all.push_back(w.net.dial(address));  // Accepted in one turn.
  w.turn();
  assert_has(w.gateway->stats_json(), "\"open\":2,");
  for (ConnId client : all) w.push(client, get("/healthz", "connection: close\r\n"));
  w.turn();
  // Each that is served makes room for the next, in their order.
  for (ConnId client : all) assert_int_equal(w.answer(client).status, 200);
  w.turn();
  assert_true(accepting(w));
  assert_has(w.gateway->stats_json(), "\"accepted\":5");
}

void one_that_leaves_while_it_waits_is_forgotten(void**) {
  World w(echo_config("limits: {connections: 1}\n"));
  std::string address = w.gateway->address("").value();
  ConnId first = w.net.dial(address), second = w.net.dial(address), third = w.net.dial(address);
  w.turn();
  w.reset(second);
  w.end(first);
  w.send(third, get("/healthz"));
  assert_int_equal(w.answer(third).status, 200);
}

void a_reload_moves_the_bound(void**) {
  World w(echo_config("limits: {connections: 1}\n"));
  ConnId first = w.dial(), second = w.dial();
  assert_false(accepting(w));
  auto next = configuration(echo_config("limits: {connections: 5}\n"));
  assert_int_equal(w.gateway->configure(*next, w.now, nullptr), Status::OK);
  w.engine->configure(next);
  w.turn();
  assert_true(accepting(w));
  w.send(second, get("/healthz"));
  assert_int_equal(w.answer(second).status, 200);
  w.send(first, get("/healthz"));
  assert_int_equal(w.answer(first).status, 200);
}

void a_listener_opened_at_the_bound_pauses_too(void**) {
  World w(echo_config("limits: {connections: 1}\n"));
  ConnId first = w.dial();
  auto next = configuration(
      "listen: [{address: '127.0.0.1:0'}, {name: b, address: '127.0.0.1:9'}]\n"
      "deployments:\n  - {name: east, kind: echo}\nlimits: {connections: 1}\n");
  assert_int_equal(w.gateway->configure(*next, w.now, nullptr), Status::OK);
  for (auto& [id, port] : w.net.ports) assert_false(port.accepting);
  w.end(first);
  for (auto& [id, port] : w.net.ports) assert_true(port.accepting);
}

void many_connections_come_and_go(void**) {
  World w;
  std::vector<ConnId> open;
  for (int i = 0; i < 2000; i++) {
    ConnId client = w.dial();
    w.send(client, i % 3 ? get("/healthz") : post(kStream));
    if (i % 2) open.push_back(client);
    else if (i % 4) w.end(client);
    else w.reset(client);
  }
  for (ConnId client : open) assert_int_equal(w.answer(client).status, 200);
  for (ConnId client : open) w.end(client);
  w.assert_at_rest();
  assert_has(w.gateway->stats_json(), "\"open\":0,\"busy\":0,\"accepted\":2000");
  w.pass(Duration::from_s(1000));
  assert_true(w.gateway->next_wake() == lb::Instant::never());
}

// --- The end ---

void draining_ends_what_rests_and_finishes_the_rest(void**) {
  World w(http_config());
  std::string address = w.gateway->address("").value();
  ConnId fresh = w.dial(), idle = w.dial(), half = w.dial(), busy = w.dial(), streaming = w.dial();
  w.send(idle, get("/healthz"));
  w.send(half, "POST /v1/chat/completions HTTP/1.1\r\nhost");
  w.send(busy, post(kChat) + get("/readyz"));
  w.connected(w.upstream(0));
  w.send(streaming, post(kStream));
  w.connected(w.upstream(1));
  w.send(w.upstream(1), "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n");
  w.gateway->drain(w.now);
  w.turn();
  assert_int_equal(w.net.dial(address), 0);
  assert_false(w.gateway->address("").ok());
  assert_true(w.gone(fresh) && w.gone(idle));
  assert_false(w.gone(half) || w.gone(busy) || w.gone(streaming));
  assert_false(w.gateway->idle());
  // A request that was on its way is told to go elsewhere.
  w.send(half, ": lb\r\ncontent-length: 2\r\n\r\n{}");
  Answer answer = w.answer(half);
  assert_int_equal(answer.status, 503);
  assert_text(error_member(answer, "code"), "draining");
  assert_text(answer.field("connection"), "close");
  assert_true(w.gone(half));
  w.send(w.upstream(0), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  answer = w.answer(busy);  // And nothing to /readyz.
  assert_text(answer.field("connection"), "close");
  assert_true(w.gone(busy));
  assert_false(w.gateway->idle());
  w.send(w.upstream(1), "data: [DONE]\n\n");
  w.end(w.upstream(1));
  assert_true(w.answer(streaming).whole && w.gone(streaming));
  w.assert_at_rest();
}

void a_client_that_comes_while_draining_is_closed(void**) {
  World w;
  ConnId late = w.net.dial(w.gateway->address("").value());
  w.gateway->drain(w.now);
  w.turn();
  assert_true(w.gone(late));
  assert_true(w.gateway->idle());
}

void readiness_while_draining(void**) {
  World w;
  ConnId client = w.dial();
  w.send(client, "GET /readyz HTTP/1.1\r\n");
  w.gateway->drain(w.now);
  w.send(client, "host: lb\r\n\r\n");
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 503);
  assert_text(answer.body, "draining\n");
  assert_true(w.gone(client));
}

void an_engine_that_closes_is_503(void**) {
  World w(http_config());
  ConnId client = w.dial(), other = w.dial();
  w.send(client, post(kChat));
  w.engine->close(true);
  w.turn();
  Answer answer = w.answer(client);
  assert_int_equal(answer.status, 503);
  assert_text(error_member(answer, "code"), "draining");
  w.send(other, post(kChat));
  assert_int_equal(w.answer(other).status, 503);
  w.assert_at_rest();
}

void closing_ends_everything_at_once(void**) {
  World w(http_config());
  ConnId idle = w.dial(), busy = w.dial();
  w.send(busy, post(kChat));
  w.connected(w.upstream());
  w.gateway->close();
  w.turn();
  assert_true(w.gone(idle) && w.gone(busy) && w.gone(w.upstream()));
  assert_true(w.got(busy).empty());
  w.assert_at_rest();
  assert_true(w.gateway->next_wake() == lb::Instant::never());
  w.gateway->close();
}

void a_completion_of_a_connection_that_was_closed_is_ignored(void**) {
  World w(http_config());
  ConnId client = w.dial();
  w.send(client, post(kChat));
  w.push(client, get("/healthz"));
  lb::Completion late = w.net.arrived.back();
  w.reset(client);
  w.net.arrived.push_back(late);
  w.turn();
  w.assert_at_rest();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(accepting_pauses_at_the_bound),
      cmocka_unit_test(a_burst_beyond_the_bound_waits),
      cmocka_unit_test(one_that_leaves_while_it_waits_is_forgotten),
      cmocka_unit_test(a_reload_moves_the_bound),
      cmocka_unit_test(a_listener_opened_at_the_bound_pauses_too),
      cmocka_unit_test(many_connections_come_and_go),
      cmocka_unit_test(draining_ends_what_rests_and_finishes_the_rest),
      cmocka_unit_test(a_client_that_comes_while_draining_is_closed),
      cmocka_unit_test(readiness_while_draining),
      cmocka_unit_test(an_engine_that_closes_is_503),
      cmocka_unit_test(closing_ends_everything_at_once),
      cmocka_unit_test(a_completion_of_a_connection_that_was_closed_is_ignored),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
