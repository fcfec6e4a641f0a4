// What the engine adds to the policies: probes that it sends, models that it changes to, rules that it reads bodies
// for, headers by which callers steer and ask why.
#include "policy/quota.h"
#include "unit/engine/rig.h"

namespace lb::test {
namespace {

using Kind = Completion::Kind;

CallSpec with(Rig& rig, const char* name, const char* value, std::string_view body = R"({"model":"m","messages":[]})") {
  CallSpec call = rig.spec(body);
  call.head.add(name, value);
  return call;
}

// The connection that something was last written to, or that was made; `sent` has what each had been sent before.
ConnId turned_to(Rig& rig, std::vector<size_t>& sent) {
  ConnId found = 0;
  for (ConnId id = 1; id <= rig.last(); id++) {
    bool fresh = id > sent.size();
    if (fresh) sent.push_back(0);
    if (fresh || rig.net.conns[id - 1].sent.size() > sent[id - 1]) found = id;
    if (fresh && found == id) rig.net.conns[id - 1].sent.clear();
    sent[id - 1] = rig.net.conns[id - 1].sent.size();
  }
  assert_true(found > 0);
  return found;
}

// Runs one call whose attempts answer in turn; "" refuses the connection.
void run(Rig& rig, CallSpec call, std::initializer_list<std::string> answers) {
  rig.dones = 0;
  rig.code = 0;
  rig.body.clear();
  rig.head.clear();
  std::vector<size_t> sent;
  for (const ScriptNet::Conn& conn : rig.net.conns) sent.push_back(conn.sent.size());
  rig.start(std::move(call));
  for (const std::string& answer : answers) {
    ConnId id = turned_to(rig, sent);
    if (answer.empty()) {
      rig.step(id, Kind::closed, "", Status::CONNECT);
      continue;
    }
    if (rig.net.conns[id - 1].sent.empty()) rig.up(id);
    sent[id - 1] = rig.net.conns[id - 1].sent.size();
    rig.says(id, answer);
  }
}

// What a call waits for does not change with each byte of its body, but when all of it is here.
void a_call_is_smaller_than_its_body(void**) {
  Rig rig(1);
  rig.route().wait = Duration::from_s(10);
  rig.config->deployments[0].models[0].limits.quotas.push_back(policy::per_minute(policy::Metric::tokens, 13));
  std::string begin = R"({"model":"m",)";
  std::string rest = R"("metadata":{"a":")" + std::string(200, 'x') + R"("},"messages":[]})";
  CallSpec call = rig.spec(begin);
  call.body_complete = false;
  call.body_length = begin.size() + rest.size();
  CallId id = rig.start(std::move(call));
  for (size_t i = 0; i < rest.size(); i++) {
    rig.engine->begin(rig.now);
    rig.engine->append_body(id, Chunk::copy(rest.substr(i, 1)), i + 1 == rest.size());
    rig.turn();
    assert_int_equal(rig.engine->census().startable, 0);
    assert_int_equal(rig.net.resolved.size(), i + 1 == rest.size() ? 1 : 0);
  }
  rig.up(1);
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
}

// --- What a caller is told when none may take the call ---

void it_is_told_what_holds_each_back(void**) {
  Rig rig(3);
  rig.route().retry.retries = 0;
  run(rig, rig.spec(), {failing(401)});
  run(rig, rig.spec(), {failing(503, "retry-after: 9\r\n")});
  rig.engine->mark("c", "m", Duration::from_s(5));
  run(rig, rig.spec(), {});
  rig.expect_done(Status::NO_UPSTREAM, 503);
  assert_string_equal(rig.detail.message.c_str(),
                      "no deployment of this model can take the call now: a (key refused, 60000 ms), b (overloaded, "
                      "9000 ms), c (taken out by hand, 5000 ms)");
}

// A machine that has no descriptor left for it: that says nothing of the upstream.
void a_shortage_of_ours_is_no_fault_of_the_upstream(void**) {
  Rig rig(1);
  for (int i = 0; i < 5; i++) {
    rig.dones = 0;
    rig.start(rig.spec());
    rig.step(rig.last(), Kind::closed, "", Status::FULL);
    rig.expect_done(Status::CONNECT, 502);
    assert_true(rig.engine->ready());
  }
  run(rig, rig.spec(), {""});
  assert_false(rig.engine->ready());  // As one that refuses.
}

// --- Active probes ---

void a_probe_finds_out_that_it_is_back(void**) {
  Rig rig(1);
  rig.config->deployments[0].probe = Duration::from_s(2);
  rig.config->deployments[0].probe_path = "/models";
  run(rig, rig.spec(), {""});
  rig.expect_done(Status::CONNECT, 502);
  assert_int_equal(rig.last(), 1);
  rig.pass(Duration::from_ms(1'999));
  assert_int_equal(rig.last(), 1);
  rig.pass(Duration::from_ms(1));
  assert_int_equal(rig.last(), 2);
  rig.step(2, Kind::closed, "", Status::CONNECT);  // Still down.
  rig.pass(Duration::from_s(2));
  assert_int_equal(rig.last(), 3);
  rig.up(3);
  const std::string& asked = rig.net.conns[2].sent;
  assert_true(asked.starts_with("GET /v1/models HTTP/1.1\r\nhost: a.example\r\n"));
  assert_true(asked.find("authorization: Bearer secret-of-a\r\n") != std::string::npos);
  assert_false(rig.engine->ready());  // 5 s of the breaker, of which 4 have passed.
  rig.says(3, reply(401, "{}"));
  assert_true(rig.engine->ready());
  assert_false(rig.net.conns[2].open);
  rig.pass(Duration::from_s(600));
  assert_int_equal(rig.last(), 3);  // It asks no more.
  assert_int_equal(rig.engine->census().links, 0);
  assert_int_equal(rig.engine->census().timers, 0);
}

void a_probe_without_a_good_answer_changes_nothing(void**) {
  Rig rig(1);
  rig.config->deployments[0].probe = Duration::from_s(1);
  run(rig, rig.spec(), {""});
  rig.pass(Duration::from_s(1));
  rig.up(2);
  rig.says(2, reply(503, "{}"));
  assert_false(rig.engine->ready());
  rig.pass(Duration::from_s(1));
  rig.up(3);
  rig.says(3, "SSH-2.0-OpenSSH_9.2\r\n");
  assert_false(rig.engine->ready());
  rig.pass(Duration::from_s(1));
  rig.up(4);
  rig.pass(Duration::from_s(3));  // connect and head, 1 and 2 s.
  assert_false(rig.net.conns[3].open);
}

void without_probe_ms_there_are_none(void**) {
  Rig rig(1);
  run(rig, rig.spec(), {""});
  rig.pass(Duration::from_s(3600));
  assert_int_equal(rig.last(), 1);
}

// A reload takes the deployment away while it is asked.
void a_probe_ends_with_its_deployment(void**) {
  Rig rig(2);
  rig.config->deployments[0].probe = Duration::from_s(1);
  run(rig, rig.spec(), {"", good()});
  rig.pass(Duration::from_s(1));
  assert_int_equal(rig.last(), 3);
  auto changed = std::make_shared<Config>(*rig.config);
  changed->deployments.erase(changed->deployments.begin());
  changed->routes[0].tiers = {{0}};
  rig.engine->configure(changed);
  rig.turn();
  rig.pass(Duration::from_s(10));
  assert_false(rig.net.conns[2].open);
  rig.pass(Duration::from_s(100));
  assert_int_equal(rig.last(), 3);
}

// --- Errors ---

std::string too_long() {
  return reply(400, R"({"error":{"message":"too long","code":"context_length_exceeded"}})");
}

void a_long_prompt_goes_to_the_larger_model(void**) {
  Rig rig(2);
  rig.config->deployments[1].models[0] = {"big", "big", {}, {}};
  rig.route().tiers = {{0}};
  rig.route().larger = "big";
  Route large = rig.route();
  large.model = "big";
  large.larger = "";
  large.tiers = {{1}};
  rig.config->routes.push_back(large);
  run(rig, rig.spec(), {too_long(), good()});
  rig.expect_done(Status::OK, 200);
  assert_true(rig.net.conns[1].sent.find(R"({"model":"big","messages":[]})") != std::string::npos);
  assert_int_equal(rig.detail.attempts, 2);
  assert_true(rig.engine->ready());  // No penalty.
  run(rig, rig.spec(), {too_long(), too_long()});  // Too long for that one as well: the caller is told.
  assert_int_equal(rig.code, 400);
}

void without_a_larger_model_the_caller_is_told(void**) {
  Rig rig(2);
  run(rig, rig.spec(), {too_long()});
  rig.expect_done(Status::OK, 400);
  assert_int_equal(rig.detail.attempts, 1);
}

void rules_decide_over_errors(void**) {
  Rig rig(2);
  ErrorRule relay;
  relay.status = 404;
  relay.contains = "no capacity";
  relay.as = ErrorClass::rate_limit;
  relay.cool = Duration::from_s(7);
  rig.config->errors.push_back(relay);
  ErrorRule final;
  final.pattern = std::make_shared<const Pattern>(std::move(Pattern::compile("do not (ever )?retry").value()));
  final.fail_over = false;
  final.mark = policy::Mark::none;
  rig.config->errors.push_back(std::move(final));
  run(rig, rig.spec(), {reply(404, R"({"error":{"message":"no capacity here"}})"), good()});
  rig.expect_done(Status::OK, 200);
  assert_true(rig.engine->stats_json().find(R"("open_in_ms":7000,"cooled_by":"rate_limit")") != std::string::npos);
  rig.pass(Duration::from_s(7));
  run(rig, rig.spec(), {reply(500, R"({"error":{"message":"do not ever retry"}})")});
  rig.expect_done(Status::OK, 500);
  assert_int_equal(rig.detail.attempts, 1);
  run(rig, rig.spec(), {reply(500, R"({"error":{"message":"something else"}})"), good()});
  rig.expect_done(Status::OK, 200);
}

// --- What callers say and ask ---

void a_trace_says_why(void**) {
  Rig rig(2);
  run(rig, with(rig, "x-lb-trace", "1"), {failing(500), good()});
  rig.expect_done(Status::OK, 200);
  size_t at = rig.head.find("x-lb-trace: [{\"route\":\"m\",\"to\":\"a\",\"by\":\"balance\"");
  assert_true(at != std::string::npos);
  assert_true(rig.head.find(R"({"deployment":"a","tier":0,"not":"tried"})", at) != std::string::npos);
  assert_true(rig.head.find(R"("to":"b")", at) != std::string::npos);
  assert_true(rig.net.conns[0].sent.find("x-lb-trace") == std::string::npos);
  assert_true(rig.detail.trace.starts_with("[{"));
  run(rig, rig.spec(), {good()});
  assert_true(rig.head.find("x-lb-trace") == std::string::npos);
}

void callers_have_limits(void**) {
  Rig rig(1);
  Party team{"team", {0, {policy::per_minute(policy::Metric::requests, 1)}}, 1};
  Party rest{"*", {0, {policy::per_minute(policy::Metric::requests, 2)}}, 1};
  rig.config->callers = {team, rest};
  rig.config->limits.callers = 10;
  run(rig, with(rig, "x-lb-caller", "team"), {good()});
  rig.expect_done(Status::OK, 200);
  run(rig, with(rig, "x-lb-caller", "team"), {});
  rig.expect_done(Status::LIMITED, 429);
  assert_int_equal(rig.detail.retry_after->ms(), 61'000);  // Since the whole second in which the first was sent.
  // Every other is counted by itself: by its name, or by the credential that it sends.
  for (const char* credential : {"Bearer one", "Bearer two"}) {
    for (int i = 0; i < 2; i++) {
      run(rig, with(rig, "authorization", credential), {good()});
      rig.expect_done(Status::OK, 200);
    }
    run(rig, with(rig, "authorization", credential), {});
    rig.expect_done(Status::LIMITED, 429);
  }
  assert_true(rig.net.conns[0].sent.find("x-lb-caller") == std::string::npos);
}

// One slot; those who wait go by priority.
void waiting_goes_by_priority(void**) {
  Rig rig(1);
  rig.config->deployments[0].models[0].limits.concurrency = 1;
  rig.route().wait = Duration::from_s(60);
  rig.start();
  rig.up(1);
  CallSpec low = rig.spec(R"({"model":"m","messages":[],"user":"low"})");
  CallSpec high = with(rig, "x-lb-priority", "5", R"({"model":"m","messages":[],"user":"high"})");
  rig.start(std::move(low));
  rig.start(std::move(high));
  rig.net.conns[0].sent.clear();
  rig.says(1, good());
  assert_true(rig.net.conns[0].sent.find("high") != std::string::npos);
  rig.net.conns[0].sent.clear();
  rig.says(1, good());
  assert_true(rig.net.conns[0].sent.find("low") != std::string::npos);
}

// A session stays where it was, although another deployment is as good.
void a_session_stays(void**) {
  Rig rig(4);
  rig.route().tiers = {{0, 1, 2, 3}};
  rig.route().plan.affinity = Duration::from_s(300);
  rig.config->policies.bindings = 100;
  run(rig, with(rig, "x-lb-affinity", "s1"), {good()});
  std::string first = rig.detail.upstream;
  for (int i = 0; i < 20; i++) {
    rig.dones = 0;
    rig.start(with(rig, "x-lb-affinity", "s1"));
    rig.says(1, good());
    assert_string_equal(rig.detail.upstream.c_str(), first.c_str());
  }
}

// What the provider states paces the engine: no call runs into its refusal.
void stated_limits_are_heeded(void**) {
  Rig rig(2);
  std::string fields = "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 1\r\n"
                       "x-ratelimit-reset-requests: 59s\r\n";
  std::string body = R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})";
  run(rig, rig.spec(), {reply(200, body, fields)});
  assert_string_equal(rig.detail.upstream.c_str(), "a");
  run(rig, rig.spec(), {reply(200, body)});
  assert_string_equal(rig.detail.upstream.c_str(), "a");  // The one that was left.
  run(rig, rig.spec(), {good()});
  assert_string_equal(rig.detail.upstream.c_str(), "b");
  assert_int_equal(rig.detail.attempts, 1);
  rig.pass(Duration::from_s(2));  // One a second comes back.
  rig.dones = 0;
  rig.start();
  assert_true(rig.net.conns[0].sent.size() > 0 && rig.detail.attempts == 1);
  rig.says(1, good());
  assert_string_equal(rig.detail.upstream.c_str(), "a");
}

void the_retry_budget_holds_for_all(void**) {
  Rig rig(2);
  rig.config->policies.budget = {0, 0.1};  // One retry in ten seconds.
  rig.config->policies.health.breaker.errors = 0;
  rig.config->policies.health.breaker.rate = 0;
  run(rig, rig.spec(), {failing(500), good()});
  rig.expect_done(Status::OK, 200);
  run(rig, rig.spec(), {failing(500)});
  rig.expect_done(Status::OK, 500);
  assert_true(rig.engine->stats_json().find(R"("retries_denied":1)") != std::string::npos);
  rig.pass(Duration::from_s(10));
  run(rig, rig.spec(), {failing(500), good()});
  rig.expect_done(Status::OK, 200);
}

// It goes on until the deadline, also while nothing may take the call.
void forever_means_until_the_deadline(void**) {
  Rig rig(1);
  rig.route().retry = {policy::RetryPolicy::forever, 0, Duration::zero(), Duration::zero()};
  rig.route().plan.when_none = policy::WhenNone::fail;
  rig.route().deadline = Duration::from_s(30);
  run(rig, rig.spec(), {failing(429, "retry-after: 5\r\n")});
  rig.expect_open();
  rig.pass(Duration::from_ms(5'000));
  rig.pass(Duration::from_ms(100));
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
  rig.engine->mark("a", "", Duration::from_s(3600));
  run(rig, rig.spec(), {});
  for (int i = 0; i < 310; i++) rig.pass(Duration::from_ms(100));
  rig.expect_done(Status::DEADLINE, 504);
}

void by_hand(void**) {
  Rig rig(2);
  rig.open();
  assert_false(rig.engine->mark("c", "", Duration::from_s(60)));
  assert_false(rig.engine->mark("a", "n", Duration::from_s(60)));
  assert_true(rig.engine->mark("a", "", Duration::from_s(60)));
  run(rig, rig.spec(), {good()});
  assert_string_equal(rig.detail.upstream.c_str(), "b");
  assert_true(rig.engine->stats_json().find(R"("cooled_by":"hand")") != std::string::npos);
  assert_true(rig.engine->mark("a", "m", Duration::zero()));
  run(rig, rig.spec(), {good()});
  assert_string_equal(rig.detail.upstream.c_str(), "a");
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_is_told_what_holds_each_back),
      cmocka_unit_test(a_shortage_of_ours_is_no_fault_of_the_upstream),
      cmocka_unit_test(a_probe_finds_out_that_it_is_back),
      cmocka_unit_test(a_probe_without_a_good_answer_changes_nothing),
      cmocka_unit_test(without_probe_ms_there_are_none),
      cmocka_unit_test(a_probe_ends_with_its_deployment),
      cmocka_unit_test(a_long_prompt_goes_to_the_larger_model),
      cmocka_unit_test(without_a_larger_model_the_caller_is_told),
      cmocka_unit_test(rules_decide_over_errors),
      cmocka_unit_test(a_trace_says_why),
      cmocka_unit_test(a_call_is_smaller_than_its_body),
      cmocka_unit_test(callers_have_limits),
      cmocka_unit_test(waiting_goes_by_priority),
      cmocka_unit_test(a_session_stays),
      cmocka_unit_test(stated_limits_are_heeded),
      cmocka_unit_test(the_retry_budget_holds_for_all),
      cmocka_unit_test(forever_means_until_the_deadline),
      cmocka_unit_test(by_hand),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
