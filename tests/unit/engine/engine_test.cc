#include "engine/engine.h"

#include "unit/engine/rig.h"

namespace {

using namespace lb;
using namespace lb::test;
using Kind = Completion::Kind;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// --- What goes upstream ---

void passes_a_call(void**) {
  Rig rig;
  CallSpec call = rig.spec();
  call.head.add("authorization", "Bearer of-the-caller");
  call.head.add("cookie", "c=1");
  call.head.add("x-lb-affinity", "k");
  call.head.add("x-custom", "kept");
  rig.start(std::move(call));
  rig.up(1);
  const std::string& sent = rig.net.conns[0].sent;
  assert_true(sent.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: a.example\r\n"));
  assert_true(has(sent, "authorization: Bearer secret-of-a\r\n"));
  assert_true(has(sent, "x-custom: kept\r\n"));
  assert_false(has(sent, "of-the-caller"));
  assert_false(has(sent, "cookie"));
  assert_false(has(sent, "x-lb-"));
  assert_true(sent.ends_with("content-length: 27\r\n\r\n{\"model\":\"m\",\"messages\":[]}"));
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.head, "x-lb-served-by: a\r\n"));
  assert_true(has(rig.head, "x-lb-attempts: 1\r\n"));
  assert_true(has(rig.head, "x-lb-request-id: " + std::string(rig.detail.request_id.view())));
  assert_int_equal(*rig.detail.usage.input, 3);
  assert_int_equal(*rig.detail.usage.output, 4);
}

void renames_the_model_only(void**) {
  Rig rig(1);
  rig.config->deployments[0].models[0].as = "m-at-a";
  rig.start(rig.spec("{ \"x\": 1.50, \"model\" : \"m\" , \"y\":\"\\u00e9\"}"));
  rig.up(1);
  assert_true(rig.net.conns[0].sent.ends_with(
      "content-length: 47\r\n\r\n{ \"x\": 1.50, \"model\" : \"m-at-a\" , \"y\":\"\\u00e9\"}"));
}

void keeps_connections(void**) {
  Rig rig(1);
  rig.start();
  rig.up(1);
  rig.says(1, good());
  rig.dones = 0;
  rig.start();
  assert_int_equal(rig.last(), 1);
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
  rig.pass(Duration::from_s(61));
  assert_false(rig.net.conns[0].open);
}

void retries_a_stale_connection_free_of_charge(void**) {
  Rig rig(1);
  rig.start();
  rig.up(1);
  rig.says(1, good());
  rig.dones = 0;
  rig.start();
  rig.step(1, Kind::closed, "", Status::BROKEN);
  assert_int_equal(rig.last(), 2);
  rig.up(2);
  rig.says(2, good());
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.detail.attempts, 1);
}

// --- Failing over ---

void fails_over_on_500(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, failing(500));
  rig.up(2);
  rig.says(2, good());
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.head, "x-lb-served-by: b"));
  assert_int_equal(rig.detail.attempts, 2);
}

void gives_the_last_answer(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, failing(500));
  rig.up(2);
  rig.says(2, failing(503));
  rig.expect_done(Status::OK, 503);
  assert_true(has(rig.body, "\"no\""));
}

void the_callers_mistake_is_final(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, failing(400));
  rig.expect_done(Status::OK, 400);
  assert_int_equal(rig.last(), 1);
  assert_true(rig.engine->ready());
}

void the_smallest_wait_is_told(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, failing(429, "retry-after: 9\r\n"));
  rig.up(2);
  rig.says(2, failing(429, "retry-after-ms: 20500\r\n"));
  rig.expect_done(Status::OK, 429);
  assert_true(has(rig.head, "retry-after: 9\r\n"));
  rig.dones = 0;
  rig.code = 0;
  rig.pass(Duration::from_s(1));
  rig.start();
  rig.expect_done(Status::LIMITED, 429);
  assert_int_equal(rig.detail.retry_after->ms(), 8000);
}

void tries_each_address(void**) {
  Rig rig(1);
  rig.net.addresses = 2;
  rig.start();
  rig.step(1, Kind::closed, "", Status::CONNECT);
  rig.up(2);
  rig.says(2, good());
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.detail.attempts, 1);
}

void an_error_event_before_content_fails_over(void**) {
  Rig rig;
  rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  rig.says(1, std::string(kStreamHead) + chunk(event(R"({"choices":[{"delta":{"role":"assistant"}}]})")));
  rig.says(1, chunk(event(R"({"error":{"message":"overloaded","type":"overloaded_error"}})")));
  assert_string_equal(rig.head.c_str(), "");
  rig.up(2);
  rig.says(2, std::string(kStreamHead) + chunk(delta("x") + finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), (delta("x") + finish()).c_str());
}

// Of an answer that is delivered whole nothing has gone out, whatever stood before the error.
void an_error_event_behind_content_fails_over_where_all_is_held(void**) {
  Rig rig;
  CallSpec call = rig.spec(R"({"model":"m","stream":true})");
  call.delivery = Delivery::whole;
  rig.start(std::move(call));
  rig.up(1);
  rig.says(1, std::string(kStreamHead) +
                  chunk(delta("x") + event(R"({"error":{"message":"overloaded","type":"overloaded_error"}})")));
  rig.up(2);
  rig.says(2, std::string(kStreamHead) + chunk(delta("y") + finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), (delta("y") + finish()).c_str());
}

// Chunks of one read go on as one piece; of many bytes, in pieces that overrun the window by little.
void chunks_of_one_read_are_one_piece(void**) {
  Rig rig(1);
  rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  std::string events = delta("x");
  rig.says(1, std::string(kStreamHead) + chunk(events));
  std::string many;
  for (int i = 0; i < 50; i++) {
    std::string one = delta("y" + std::to_string(i));
    events += one;
    many += chunk(one.substr(0, 9)) + chunk(one.substr(9));
  }
  rig.says(1, many + chunk("data: half"));
  assert_int_equal(rig.pieces.size(), 2);
  assert_string_equal(rig.body.c_str(), events.c_str());
  rig.says(1, chunk("\n\n"));
  rig.pieces.clear();
  std::string large = delta(std::string(5000, 'z'));
  rig.says(1, chunk(large) + chunk(large) + chunk(large));
  assert_int_equal(rig.pieces.size(), 1);
  assert_string_equal(rig.pieces[0].c_str(), (large + large + large).c_str());
  rig.says(1, chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
}

void a_cut_stream_is_broken_and_says_so(void**) {
  Rig rig;
  rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  rig.says(1, std::string(kStreamHead) + chunk(delta("x")) + chunk("data: {\"half"));
  rig.ends(1);
  rig.expect_done(Status::BROKEN, 200);
  assert_true(rig.body.starts_with(delta("x") + "data: {\"error\":"));
  assert_false(has(rig.body, "half"));
  assert_false(has(rig.body, "[DONE]"));
  assert_int_equal(rig.last(), 1);
}

// --- Deadlines, one for each phase ---

void connect_deadline(void**) {
  Rig rig;
  rig.start();
  rig.pass(Duration::from_ms(999));
  assert_int_equal(rig.last(), 1);
  rig.pass(Duration::from_ms(2));
  assert_int_equal(rig.last(), 2);
  assert_false(rig.net.conns[0].open);
}

void head_deadline(void**) {
  Rig rig(1);
  rig.start();
  rig.up(1);
  rig.pass(Duration::from_ms(1999));
  rig.expect_open();
  rig.pass(Duration::from_ms(2));
  rig.expect_done(Status::DEADLINE, 504);
  assert_true(rig.engine->ready());  // A timeout does not mark down.
}

void content_deadline(void**) {
  Rig rig(1);
  rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  rig.says(1, kStreamHead);
  rig.pass(Duration::from_ms(3001));
  rig.expect_done(Status::DEADLINE, 504);
}

void idle_deadline(void**) {
  Rig rig(1);
  rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  rig.says(1, std::string(kStreamHead) + chunk(delta("x")));
  rig.pass(Duration::from_ms(3999));
  rig.expect_open();
  rig.pass(Duration::from_ms(2));
  rig.expect_done(Status::BROKEN, 200);
}

void a_slow_caller_is_no_idle_upstream(void**) {
  Rig rig(1);
  rig.credits = false;
  rig.route().window_bytes = 1;
  CallId id = rig.start(rig.spec(R"({"model":"m","stream":true})"));
  rig.up(1);
  rig.says(1, std::string(kStreamHead) + chunk(delta("x")));
  assert_false(rig.net.conns[0].reading);
  rig.says(1, chunk(delta("y")));  // It was on its way already.
  rig.pass(Duration::from_s(60));
  rig.expect_open();
  rig.engine->credit(id, 1000);
  rig.turn();
  rig.engine->credit(id, 1000);
  rig.turn();
  assert_true(rig.net.conns[0].reading);
  rig.says(1, chunk(finish()) + "0\r\n\r\n");
  rig.engine->credit(id, 1000);
  rig.turn();
  rig.expect_done(Status::OK, 200);
}

void whole_deadline(void**) {
  Rig rig(1);
  CallSpec call = rig.spec();
  call.deadline = Duration::from_ms(500);
  rig.start(std::move(call));
  rig.up(1);
  rig.pass(Duration::from_ms(501));
  rig.expect_done(Status::DEADLINE, 504);
  assert_false(rig.net.conns[0].open);
}

// --- Bad input ---

void expect_refused(std::string_view body, uint32_t code, const char* reason) {
  Rig rig;
  rig.start(rig.spec(body));
  assert_int_equal(rig.dones, 1);
  assert_int_equal(rig.code, code);
  assert_string_equal(rig.detail.code.c_str(), reason);
  assert_int_equal(rig.last(), 0);
}

void refuses_bad_bodies(void**) {
  expect_refused("", 400, "invalid_json");
  expect_refused("[]", 400, "invalid_json");
  expect_refused("{\"model\":\"m\"", 400, "invalid_json");
  expect_refused("{\"messages\":[]}", 400, "missing_model");
  expect_refused("{\"model\":\"m\",\"model\":\"other\"}", 400, "invalid_json");
  expect_refused("{\"model\":\"m\",\"mod\\u0065l\":\"other\"}", 400, "invalid_json");
  expect_refused("{\"model\":\"nobody\"}", 404, "model_not_found");
}

void refuses_a_model_that_comes_too_late(void**) {
  Rig rig(1);
  rig.route().replay_bytes = 100;
  std::string before = "{\"x\":\"" + std::string(80, 'x') + "\",\"model\":\"m\"}";
  rig.start(rig.spec(before));
  rig.expect_open();
  CallSpec late = rig.spec("{\"x\":\"" + std::string(200, 'x'));
  late.body_complete = false;
  rig.start(std::move(late));
  rig.expect_done(Status::TOO_LARGE, 413);
  assert_string_equal(rig.detail.code.c_str(), "model_too_late");
}

void bounds_calls_and_answers(void**) {
  Rig rig(1);
  rig.calls_max = 1;
  rig.config->limits.body_bytes = 1000;
  CallSpec call = rig.spec();
  call.delivery = Delivery::whole;
  rig.start(std::move(call));
  Result<CallId> second = rig.engine->start(rig.spec());
  assert_false(second.ok());
  assert_true(second.error().status == Status::FULL);
  rig.up(1);
  rig.says(1, good(std::string(2000, 'x')));
  rig.expect_done(Status::TOO_LARGE, 502);
  rig.engine->close(false);
  assert_true(rig.engine->start(rig.spec()).error().status == Status::CLOSED);
}

// --- Bodies in pieces ---

void sends_in_chunks_what_has_no_length(void**) {
  Rig rig(1);
  CallSpec call = rig.spec("{\"model\":\"m\",");
  call.body_complete = false;
  CallId id = rig.start(std::move(call));
  rig.up(1);
  rig.engine->append_body(id, Chunk::copy("\"x\":1}"), true);
  rig.turn();
  assert_true(has(rig.net.conns[0].sent,
                  "transfer-encoding: chunked\r\n\r\nd\r\n{\"model\":\"m\",\r\n6\r\n\"x\":1}\r\n0\r\n\r\n"));
}

void a_long_body_passes_in_little_memory(void**) {
  Rig rig;
  rig.route().replay_bytes = 1000;
  constexpr uint64_t kTotal = 64 << 20;
  rig.config->limits.body_bytes = 2 * kTotal;
  std::string begin = "{\"model\":\"m\",\"x\":\"", end = "\"}";
  CallSpec call = rig.spec(begin);
  call.body_complete = false;
  call.body_length = begin.size() + kTotal + end.size();
  CallId id = rig.start(std::move(call));
  rig.up(1);
  std::string part(65536, 'x');
  for (uint64_t sent = 0; sent < kTotal; sent += part.size()) {
    assert_true(rig.engine->body_room(id));
    rig.engine->append_body(id, Chunk::copy(part), false);
    rig.turn();
    assert_true(rig.engine->census().replay_bytes <= 512 * 1024);
    if (rig.net.conns[0].sent.size() > 1 << 20) rig.net.conns[0].sent.clear();
  }
  rig.engine->append_body(id, Chunk::copy(end), true);
  rig.turn();
  // Sent once: there is nothing left to try elsewhere with.
  rig.says(1, failing(500));
  rig.expect_done(Status::OK, 500);
  assert_int_equal(rig.last(), 1);
}

// The model comes last, so all of the body is there when sending begins; and the port takes all of it at once.
void a_long_body_goes_out_in_one_turn(void**) {
  Rig rig(1);
  rig.route().replay_bytes = rig.config->limits.body_bytes = 4 << 20;
  std::string body = "{\"x\":\"" + std::string(3 << 20, 'x') + "\",\"model\":\"m\"}";
  rig.start(rig.spec(body));
  rig.up(1);
  assert_true(rig.net.conns[0].sent.ends_with(body));
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
}

void a_slow_upstream_stops_the_caller(void**) {
  Rig rig(1);
  rig.route().replay_bytes = 1000;
  rig.net.pending_all = true;
  CallSpec call = rig.spec("{\"model\":\"m\",\"x\":\"");
  call.body_complete = false;
  CallId id = rig.start(std::move(call));
  rig.up(1);
  int pieces = 0;
  for (; rig.engine->body_room(id); pieces++) {
    assert_true(pieces < 100);
    rig.engine->append_body(id, Chunk::copy(std::string(65536, 'x')), false);
    rig.turn();
  }
  assert_int_equal(rig.rooms, 0);
  rig.step(1, Kind::written, std::string(rig.net.conns[0].sent.size(), ' '));
  assert_int_equal(rig.rooms, 1);
  assert_true(rig.engine->body_room(id));
}

// --- The rest ---

void waits_for_a_slot(void**) {
  Rig rig(1);
  rig.config->deployments[0].models[0].limits.concurrency = 1;
  rig.route().wait = Duration::from_s(5);
  rig.config->limits.waiting = 1;
  rig.start();
  CallId waiting = rig.start();
  assert_int_equal(rig.engine->census().waiting, 1);
  rig.start();
  rig.expect_done(Status::LIMITED, 429);  // One over the bound of the queue.
  rig.engine->cancel(waiting);
  rig.turn();
  assert_int_equal(rig.dones, 2);
  assert_int_equal(rig.engine->census().calls, 1);
}

void echoes(void**) {
  Rig rig(1);
  rig.config->deployments[0].kind = DeploymentKind::echo;
  rig.config->deployments[0].echo_events = 2;
  CallSpec call = rig.spec(R"({"model":"m","stream":true})");
  call.delivery = Delivery::events;
  rig.start(std::move(call));
  rig.pass(Duration::from_ms(1));
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.pieces.size(), 4);
  assert_true(has(rig.pieces[0], "tok 0"));
  assert_int_equal(*rig.detail.usage.output, 2);
}

void logs_no_secret(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, failing(401));
  rig.up(2);
  rig.step(2, Kind::closed, "", Status::BROKEN);
  assert_int_equal(rig.dones, 1);
  assert_true(has(rig.log.text, "cools down"));
  assert_false(has(rig.log.text, "secret-of-"));
  assert_false(has(rig.engine->stats_json(), "secret-of-"));
  assert_false(has(rig.detail.message, "secret-of-"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(passes_a_call),
      cmocka_unit_test(renames_the_model_only),
      cmocka_unit_test(keeps_connections),
      cmocka_unit_test(retries_a_stale_connection_free_of_charge),
      cmocka_unit_test(fails_over_on_500),
      cmocka_unit_test(gives_the_last_answer),
      cmocka_unit_test(the_callers_mistake_is_final),
      cmocka_unit_test(the_smallest_wait_is_told),
      cmocka_unit_test(tries_each_address),
      cmocka_unit_test(an_error_event_before_content_fails_over),
      cmocka_unit_test(an_error_event_behind_content_fails_over_where_all_is_held),
      cmocka_unit_test(chunks_of_one_read_are_one_piece),
      cmocka_unit_test(a_cut_stream_is_broken_and_says_so),
      cmocka_unit_test(connect_deadline),
      cmocka_unit_test(head_deadline),
      cmocka_unit_test(content_deadline),
      cmocka_unit_test(idle_deadline),
      cmocka_unit_test(a_slow_caller_is_no_idle_upstream),
      cmocka_unit_test(whole_deadline),
      cmocka_unit_test(refuses_bad_bodies),
      cmocka_unit_test(refuses_a_model_that_comes_too_late),
      cmocka_unit_test(bounds_calls_and_answers),
      cmocka_unit_test(sends_in_chunks_what_has_no_length),
      cmocka_unit_test(a_long_body_passes_in_little_memory),
      cmocka_unit_test(a_long_body_goes_out_in_one_turn),
      cmocka_unit_test(a_slow_upstream_stops_the_caller),
      cmocka_unit_test(waits_for_a_slot),
      cmocka_unit_test(echoes),
      cmocka_unit_test(logs_no_secret),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
