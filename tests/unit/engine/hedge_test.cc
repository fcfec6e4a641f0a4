// A call without content after the usual time is asked of a second deployment; the first to have content stays.
#include "policy/quota.h"
#include "unit/engine/rig.h"

namespace lb::test {
namespace {

using Kind = Completion::Kind;

constexpr int64_t kUsualMs = 100;
const char* const kStream = R"({"model":"m","stream":true,"messages":[]})";

// A rig whose route has seen what is usual: deployment a has answered so many streams after kUsualMs, on connection 1.
struct Hedging : Rig {
  explicit Hedging(size_t deployments = 2, double share = 0.1) : Rig(deployments) {
    route().plan.hedge = {0.95, Duration::from_ms(10), share, 8192, 0};
    route().retry.retries = 0;
  }
  void learn(int calls = 40) {
    for (int i = 0; i < calls; i++) {
      start(spec(kStream));
      if (i == 0) up(1);
      pass(Duration::from_ms(kUsualMs));
      answer(1);
    }
    expect_nothing_left();
    fresh();
  }
  void fresh() {
    head.clear();
    body.clear();
    code = 0;
    dones = 0;
  }
  void answer(ConnId id) { says(id, kStreamHead + chunk(delta("hi")) + chunk(finish()) + std::string(kLastChunk)); }
  // A call that has been sent to b, too, on connection 2.
  void hedge() {
    learn();
    start(spec(kStream));
    pass(Duration::from_ms(2 * kUsualMs));
    assert_int_equal(last(), 2);
    up(2);
    expect_open();
  }
  void expect_hedged(const char* how) {
    assert_true(head.find(std::string("x-lb-hedged: ") + how + "\r\n") != std::string::npos);
  }
  void expect_nothing_left() {
    Engine::Census census = engine->census();
    assert_int_equal(census.calls, 0);
    assert_int_equal(census.in_flight, 0);
    assert_int_equal(census.replay_bytes, 0);
  }
  bool counts(const std::string& what) { return engine->stats_json().find(what) != std::string::npos; }
};

void the_second_wins(void**) {
  Hedging rig;
  rig.hedge();
  rig.answer(2);
  rig.expect_done(Status::OK, 200);
  rig.expect_hedged("won");
  assert_true(rig.head.find("x-lb-served-by: b\r\nx-lb-attempts: 2\r\n") != std::string::npos);
  assert_true(rig.body.find("hi") != std::string::npos);
  assert_false(rig.net.conns[0].open);  // Cancelled at once.
  assert_true(rig.net.conns[1].open);
  assert_true(rig.counts(R"("retries":0,"retries_denied":0,"hedges":1,"hedges_won":1,"hedges_denied":0)"));
  rig.expect_nothing_left();
}

void the_first_still_wins(void**) {
  Hedging rig;
  rig.hedge();
  rig.says(1, kStreamHead + chunk(delta("hi")));
  assert_false(rig.net.conns[1].open);
  rig.expect_hedged("lost");
  assert_true(rig.head.find("x-lb-served-by: a\r\n") != std::string::npos);
  rig.says(1, chunk(finish()) + std::string(kLastChunk));
  rig.expect_done(Status::OK, 200);
  assert_true(rig.counts(R"("hedges":1,"hedges_won":0)"));
  rig.expect_nothing_left();
}

void a_head_without_content_wins_nothing(void**) {
  Hedging rig;
  rig.hedge();
  rig.says(1, kStreamHead);
  rig.says(2, std::string(kStreamHead) + chunk(": ping\n\n"));
  assert_true(rig.head.empty());
  assert_true(rig.net.conns[0].open && rig.net.conns[1].open);
  rig.says(2, chunk(delta("hi")));
  assert_false(rig.net.conns[0].open);
  rig.expect_hedged("won");
}

void one_that_fails_leaves_it_to_the_other(void**) {
  for (ConnId failing_one : {ConnId{1}, ConnId{2}}) {
    for (int how = 0; how < 3; how++) {
      Hedging rig;  // Its route has no retries: a hedge is none.
      rig.hedge();
      if (how == 0) rig.says(failing_one, failing(500));
      if (how == 1) rig.ends(failing_one);
      if (how == 2) rig.says(failing_one, std::string(kStreamHead) + chunk(event(R"({"error":{"message":"no"}})")));
      // A kept connection that is closed before a word is no failure: it is asked again, on a fresh one.
      if (how == 1 && failing_one == 1) assert_int_equal(rig.last(), 3);
      rig.expect_open();
      rig.answer(3 - failing_one);
      rig.expect_done(Status::OK, 200);
      rig.expect_hedged(failing_one == 1 ? "won" : "lost");
      rig.expect_nothing_left();
    }
  }
}

void when_both_fail_the_call_goes_elsewhere(void**) {
  Hedging rig(3);
  rig.route().retry.retries = 1;
  rig.hedge();
  rig.says(2, failing(500));
  rig.expect_open();
  assert_int_equal(rig.last(), 2);
  rig.says(1, failing(503));
  assert_int_equal(rig.last(), 3);
  rig.up(3);
  rig.answer(3);
  rig.expect_done(Status::OK, 200);
  assert_true(rig.head.find("x-lb-served-by: c\r\nx-lb-attempts: 3\r\n") != std::string::npos);
  assert_true(rig.counts(R"("retries":1,)"));
  rig.expect_nothing_left();
}

void without_retries_the_last_answer_is_given(void**) {
  Hedging rig(3);
  rig.hedge();
  rig.says(2, failing(500));
  rig.says(1, failing(503));
  rig.expect_done(Status::OK, 503);
  assert_int_equal(rig.last(), 2);
  rig.expect_nothing_left();
}

void the_callers_mistake_is_final(void**) {
  for (ConnId id : {ConnId{1}, ConnId{2}}) {
    Hedging rig(3);
    rig.hedge();
    rig.says(id, failing(400));
    rig.expect_done(Status::OK, 400);
    assert_false(rig.net.conns[2 - id].open);
    assert_int_equal(rig.last(), 2);
    rig.expect_nothing_left();
  }
}

void whatever_ends_the_call_ends_both(void**) {
  for (bool deadline : {false, true}) {
    Hedging rig;
    rig.learn();
    CallSpec call = rig.spec(kStream);
    call.deadline = Duration::from_ms(1000);
    CallId id = rig.start(std::move(call));
    rig.pass(Duration::from_ms(2 * kUsualMs));
    assert_int_equal(rig.last(), 2);
    if (deadline)
      rig.pass(Duration::from_ms(1000));
    else
      rig.engine->cancel(id), rig.turn();
    rig.expect_done(deadline ? Status::DEADLINE : Status::CANCELLED, deadline ? 504 : 499);
    assert_false(rig.net.conns[0].open || rig.net.conns[1].open);
    rig.expect_nothing_left();
    rig.pass(Duration::from_s(600));
    assert_int_equal(rig.engine->census().timers, 0);
  }
}

// Each has the times of its own phases: head_ms is two seconds here.
void a_phase_that_takes_too_long_is_that_attempts(void**) {
  Hedging rig;
  rig.hedge();
  rig.pass(Duration::from_ms(1850));
  assert_false(rig.net.conns[0].open);
  assert_true(rig.net.conns[1].open);
  rig.expect_open();
  rig.pass(Duration::from_ms(200));
  rig.expect_done(Status::DEADLINE, 504);
  rig.expect_nothing_left();
}

void the_share_bounds_them(void**) {
  Hedging rig(2, 0.025);
  rig.learn(20);  // Half a hedge is earned.
  rig.start(rig.spec(kStream));
  rig.pass(Duration::from_ms(2 * kUsualMs));
  assert_int_equal(rig.last(), 1);
  assert_true(rig.counts(R"("hedges":0,"hedges_won":0,"hedges_denied":1)"));
}

void big_calls_and_unknown_times_are_not_hedged(void**) {
  Hedging rig;
  rig.learn();
  std::string text(4 * 8192 + 4, 'x');
  std::string turn = R"({"role":"user","content":")" + text + "\"}";
  CallId id = rig.start(rig.spec(R"({"model":"m","stream":true,"messages":[)" + turn + "]}"));
  rig.pass(Duration::from_ms(2 * kUsualMs));
  assert_int_equal(rig.last(), 1);
  rig.engine->cancel(id);
  rig.turn();
  // Nothing is known of answers that are not streamed.
  rig.start();
  rig.pass(Duration::from_ms(1500));
  assert_int_equal(rig.last(), 2);
  assert_true(rig.counts(R"("hedges":0,)"));
}

void a_body_on_its_way_is_not_hedged(void**) {
  Hedging rig;
  rig.learn();
  CallSpec call = rig.spec(R"({"model":"m","stream":true,)");
  call.body_complete = false;
  CallId id = rig.start(std::move(call));
  rig.pass(Duration::from_ms(2 * kUsualMs));
  assert_int_equal(rig.last(), 1);
  rig.engine->append_body(id, Chunk::copy(R"("messages":[]})"), true);
  rig.turn();
  rig.answer(1);
  rig.expect_done(Status::OK, 200);
}

void no_hedge_goes_where_none_should(void**) {
  for (bool limited : {false, true}) {
    Hedging rig;
    if (limited)
      rig.config->deployments[1].limits.quotas.push_back(policy::per_minute(policy::Metric::tokens, 1));
    else
      rig.config->deployments[1].enabled = false;
    rig.learn();
    rig.start(rig.spec(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"longer than a token"}]})"));
    rig.pass(Duration::from_ms(2 * kUsualMs));
    assert_int_equal(rig.last(), 1);
    rig.answer(1);
    rig.expect_done(Status::OK, 200);
  }
}

// Both are asked for the same: byte by byte, but for what names the host and its key.
void both_are_sent_the_whole_request(void**) {
  Hedging rig;
  rig.hedge();
  const std::string& sent = rig.net.conns[1].sent;
  assert_true(sent.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: b.example\r\n"));
  assert_true(sent.find("authorization: Bearer secret-of-b\r\n") != std::string::npos);
  assert_true(sent.ends_with(std::string("\r\n\r\n") + kStream));
}

void a_trace_says_so(void**) {
  Hedging rig;
  rig.learn();
  CallSpec call = rig.spec(kStream);
  call.head.add("x-lb-trace", "1");
  rig.start(std::move(call));
  rig.pass(Duration::from_ms(2 * kUsualMs));
  rig.up(2);
  rig.answer(2);
  assert_true(rig.head.find(R"("to":"b","by":"hedge")") != std::string::npos);
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_second_wins),
      cmocka_unit_test(the_first_still_wins),
      cmocka_unit_test(a_head_without_content_wins_nothing),
      cmocka_unit_test(one_that_fails_leaves_it_to_the_other),
      cmocka_unit_test(when_both_fail_the_call_goes_elsewhere),
      cmocka_unit_test(without_retries_the_last_answer_is_given),
      cmocka_unit_test(the_callers_mistake_is_final),
      cmocka_unit_test(whatever_ends_the_call_ends_both),
      cmocka_unit_test(a_phase_that_takes_too_long_is_that_attempts),
      cmocka_unit_test(the_share_bounds_them),
      cmocka_unit_test(big_calls_and_unknown_times_are_not_hedged),
      cmocka_unit_test(a_body_on_its_way_is_not_hedged),
      cmocka_unit_test(no_hedge_goes_where_none_should),
      cmocka_unit_test(both_are_sent_the_whole_request),
      cmocka_unit_test(a_trace_says_so),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
