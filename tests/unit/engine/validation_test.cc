// Calls whose answers are checked, with the port played by hand: what is held, who is asked again with what, and what
// the caller gets. Acceptance scenario 13 of reference/systems.md; what is valid is wire/validate_test.cc's.
#include "rig.h"
#include "wire/raw.h"

namespace lb::test {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

constexpr std::string_view kAsked = R"({"messages":[{"role":"user","content":"q"}],"n":1.50,"model":"m"})";
constexpr std::string_view kStreamed = R"({"stream":true,"messages":[{"role":"user","content":"q"}],"model":"m"})";
constexpr const char* kSchema = R"({"type":"object","required":["a"]})";

struct Checked : Rig {
  explicit Checked(Validator::Rules rules = {.schema = kSchema}, uint32_t asks = 3, size_t deployments = 1)
      : Rig(deployments) {
    check(std::move(rules), asks);
  }
  void check(Validator::Rules rules, uint32_t asks, uint32_t hold_bytes = 65536) {
    Result<Validator> validator = Validator::compile(std::move(rules));
    route().rules =
        std::make_shared<const AnswerRules>(AnswerRules{std::move(validator.value()), asks, hold_bytes});
  }
  CallSpec asked(std::string_view body = kAsked, std::string_view path = "/v1/chat/completions") {
    CallSpec call = spec(body);
    call.head.target = path;
    return call;
  }
  // The body of the request that went out last on that connection.
  std::string body_on(ConnId id) {
    const std::string& sent = net.conns[id - 1].sent;
    size_t head = sent.rfind("\r\n\r\n");
    return sent.substr(head + 4);
  }
  void expect_open_unsaid() {
    expect_open();
    assert_true(head.empty() && body.empty());
  }
};

void a_valid_answer_is_passed_on_as_it_came(void**) {
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  std::string answer = R"({"choices":[{"message":{"content":"{\"a\": 1.50}"},"finish_reason":"stop"}],"own":1.50})";
  rig.says(1, reply(200, answer));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), answer.c_str());
  assert_string_equal(rig.body_on(1).c_str(), std::string(kAsked).c_str());
  assert_int_equal(rig.detail.attempts, 1);
}

void json_is_taken_out_of_prose(void**) {
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, good(R"(Sure: {\"a\":\"\u00e9\"} Bye.)"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"("content":"{\"a\":\"é\"}")"));
  assert_true(has(rig.head, "content-length: " + std::to_string(rig.body.size()) + "\r\n"));
  assert_int_equal(*rig.detail.usage.output, 4);
}

// The second ask has what was said and why it will not do, spliced in: nothing else of the bytes has changed.
void the_second_ask_succeeds(void**) {
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, good(R"({\"b\":2})"));
  rig.expect_open_unsaid();
  std::string again = rig.body_on(rig.last());  // On the connection that rests.
  assert_true(again.starts_with(R"({"messages":[{"role":"user","content":"q"},)"
                                R"({"role":"assistant","content":"{\"b\":2}"},)"
                                R"({"role":"user","content":"This answer cannot be used: its JSON does not fit the )"
                                R"(schema: the value as a whole: lacks the member \"a\".)"));
  assert_true(again.ends_with(R"(}],"n":1.50,"model":"m"})") && has(again, R"({\"type\":\"object\")"));
  assert_true(has(rig.net.conns[0].sent, "content-length: " + std::to_string(again.size()) + "\r\n"));
  rig.says(1, good(R"({\"a\":1})"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"({\"a\":1})") && has(rig.head, "x-lb-attempts: 2\r\n"));
  // Both are paid.
  assert_int_equal(*rig.detail.usage.input, 6);
  assert_int_equal(*rig.detail.usage.output, 8);
  std::string stats = rig.engine->stats_json();
  assert_true(has(stats, "\"invalid_answers\":1") && has(stats, "\"replay_bytes\":0"));
}

// pllm's max_retries + 1: four asks, each with all that was said before.
void it_gives_up(void**) {
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  for (int i = 0; i < 4; i++) {
    rig.expect_open_unsaid();
    rig.says(1, good("no " + std::to_string(i)));
  }
  rig.expect_done(Status::UPSTREAM, 422);
  assert_string_equal(rig.detail.code.c_str(), "invalid_output");
  assert_string_equal(rig.detail.message.c_str(),
                      "no answer kept the rules of this route, asked 4 times; the last: there is no whole JSON object "
                      "or array in it; it said \"no 3\"");
  assert_int_equal(rig.detail.attempts, 4);
  assert_int_equal(*rig.detail.usage.output, 16);
  assert_true(has(rig.body_on(1), "no 0") && has(rig.body_on(1), "no 2") && rig.body.empty());
}

void long_answers_are_not_repeated_in_errors(void**) {
  Checked rig({.schema = kSchema}, 0);
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, good(std::string(201, 'x')));
  rig.expect_done(Status::UPSTREAM, 422);
  assert_true(rig.detail.message.ends_with("asked 1 time; the last: there is no whole JSON object or array in it"));
}

// Asks are attempts: the route's bound holds for both together, and so does the deadline.
void attempts_bound_the_asks(void**) {
  Checked rig({.schema = kSchema}, 3, 2);
  rig.route().retry.retries = 2;
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, failing(500));
  rig.up(2);
  rig.says(2, good("no"));
  rig.expect_open_unsaid();
  rig.says(1, good("no"));  // Whoever has failed may be asked again.
  rig.expect_done(Status::UPSTREAM, 422);
  assert_int_equal(rig.detail.attempts, 3);
  Checked late;
  CallSpec call = late.asked();
  call.deadline = Duration::from_s(2);
  late.start(std::move(call));
  late.up(1);
  late.says(1, good("no"));
  late.pass(Duration::from_s(2));
  late.expect_done(Status::DEADLINE, 504);
}

// An answer that breaks the rules is no fault of its target.
void health_is_not_touched(void**) {
  Checked rig;
  rig.config->policies.health.breaker.errors = 1;
  rig.start(rig.asked());
  rig.up(1);
  for (int i = 0; i < 4; i++) rig.says(1, good("no"));
  rig.expect_done(Status::UPSTREAM, 422);
  assert_true(has(rig.engine->stats_json(), "\"state\":\"up\""));
}

void streams_are_held_whole(void**) {
  Checked rig;
  rig.start(rig.asked(kStreamed));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(delta(R"({\"a\")")));
  rig.expect_open_unsaid();
  rig.says(1, chunk(delta(":1}")));
  rig.expect_open_unsaid();
  rig.says(1, chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), (delta(R"({\"a\")") + delta(":1}") + finish()).c_str());
}

void a_stream_is_written_anew_with_one_text(void**) {
  for (Delivery delivery : {Delivery::bytes, Delivery::events, Delivery::whole}) {
    Checked rig;
    CallSpec call = rig.asked(kStreamed);
    call.delivery = delivery;
    rig.start(std::move(call));
    rig.up(1);
    rig.says(1, kStreamHead + chunk(delta(R"(Sure: {\"a\")")) + chunk(delta(":1} Bye") + finish()) + "0\r\n\r\n");
    rig.expect_done(Status::OK, 200);
    assert_true(has(rig.body, R"("content":"{\"a\":1}")") && !has(rig.body, "Sure") && !has(rig.body, "Bye"));
    assert_true(has(rig.body, R"("finish_reason":"stop")"));
    assert_true(has(rig.body, "[DONE]") == (delivery != Delivery::events));
    if (delivery == Delivery::events)
      for (const std::string& piece : rig.pieces) assert_true(piece.starts_with("{") && piece.ends_with("}"));
  }
}

void a_stream_is_asked_for_again(void**) {
  Checked rig;
  rig.start(rig.asked(kStreamed));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(delta("no")) + chunk(finish()) + "0\r\n\r\n");
  rig.expect_open_unsaid();
  assert_true(has(rig.body_on(1), R"({"role":"assistant","content":"no"})"));
  rig.says(1, kStreamHead + chunk(delta(R"({\"a\":1})")) + chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_true(rig.body.starts_with("data: ") && has(rig.body, R"({\"a\":1})"));
}

// Nothing was delivered, so another deployment is asked, also after content.
void a_cut_stream_goes_elsewhere(void**) {
  Checked rig({.schema = kSchema}, 3, 3);
  rig.start(rig.asked(kStreamed));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(delta(R"({\"a\")")));
  rig.ends(1);
  rig.up(2);
  rig.says(2, kStreamHead + chunk(delta("x") + event(R"({"error":{"message":"no"}})")));
  rig.up(3);
  rig.says(3, kStreamHead + chunk(delta(R"({\"a\":1})")) + chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), (delta(R"({\"a\":1})") + finish()).c_str());
}

void what_cannot_be_held_fails(void**) {
  for (bool stream : {false, true}) {
    Checked rig;
    rig.check({.schema = kSchema}, 3, 1024);
    rig.start(rig.asked(stream ? kStreamed : kAsked));
    rig.up(1);
    std::string much(1100, 'x');
    rig.says(1, stream ? kStreamHead + chunk(delta(much)) : good(much));
    rig.expect_done(Status::TOO_LARGE, 502);
    assert_true(has(rig.detail.message, "hold_bytes") && rig.body.empty());
  }
}

void calls_of_tools_are_not_checked(void**) {
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  std::string answer = R"({"choices":[{"message":{"content":"let me see","tool_calls":[{"id":"1","type":"function",)"
                       R"("function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]})";
  rig.says(1, reply(200, answer));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), answer.c_str());
}

// Anthropic's caller at OpenAI's deployment: the check is of what the caller gets, and so is the conversation.
void translated_calls_are_checked(void**) {
  for (bool stream : {false, true}) {
    Checked rig;
    std::string body = R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"}])";
    rig.start(rig.asked(body + (stream ? R"(,"stream":true})" : "}"), "/v1/messages"));
    rig.up(1);
    auto says = [&](const std::string& text) {
      rig.says(1, stream ? kStreamHead + chunk(delta(text)) + chunk(finish()) + "0\r\n\r\n" : good(text));
    };
    says("no");
    rig.expect_open_unsaid();
    assert_true(has(rig.body_on(1), R"({"role":"assistant","content":"no"},{"role":"user","content":"This answer)"));
    says(R"(So: {\"a\":1})");
    rig.expect_done(Status::OK, 200);
    assert_true(has(rig.body, R"("text":"{\"a\":1}")") && !has(rig.body, "So:"));
    assert_true(stream ? has(rig.body, "event: message_stop\n") : has(rig.body, R"("type":"message")"));
  }
}

void each_dialect_goes_on_in_its_own_words(void**) {
  struct Case {
    Api api;
    const char *path, *body, *no, *yes, *again;
  };
  constexpr Case kCases[] = {
      {Api::anthropic, "/v1/messages", R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"}]})",
       R"({"type":"message","content":[{"type":"text","text":"no"}],"stop_reason":"end_turn"})",
       R"({"type":"message","content":[{"type":"text","text":"{\"a\":1}"}],"stop_reason":"end_turn"})",
       R"({"role":"assistant","content":"no"},{"role":"user",)"},
      {Api::openai, "/v1/responses", R"({"model":"m","input":"q"})",
       R"({"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"no"}]}]})",
       R"({"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"{\"a\":1}"}]}]})",
       R"("input":[{"role":"user","content":"q"},{"role":"assistant","content":"no"},{"role":"user",)"},
      {Api::gemini, "/v1beta/models/m:generateContent", R"({"contents":[{"role":"user","parts":[{"text":"q"}]}]})",
       R"({"candidates":[{"content":{"parts":[{"text":"no"}]},"finishReason":"STOP"}]})",
       R"({"candidates":[{"content":{"parts":[{"text":"{\"a\":1}"}]},"finishReason":"STOP"}]})",
       R"({"role":"model","parts":[{"text":"no"}]},{"role":"user",)"},
  };
  for (const Case& one : kCases) {
    Checked rig;
    rig.config->deployments[0].api = one.api;
    rig.start(rig.asked(one.body, one.path));
    rig.up(1);
    rig.says(1, reply(200, one.no));
    rig.expect_open_unsaid();
    assert_true(has(rig.body_on(1), one.again));
    rig.says(1, reply(200, one.yes));
    rig.expect_done(Status::OK, 200);
    assert_string_equal(rig.body.c_str(), one.yes);
  }
}

// Gemini's stream as a JSON array: what is in it is checked, and it is one again.
void a_stream_that_is_an_array(void**) {
  auto piece = [](const std::string& text, const std::string& end) {
    return chunk(event(R"({"candidates":[{"content":{"parts":[{"text":")" + text + R"("}]})" + end + "}]}"));
  };
  for (bool prose : {false, true}) {
    Checked rig;
    rig.config->deployments[0].api = Api::gemini;
    rig.start(rig.asked(R"({"contents":[{"parts":[{"text":"q"}]}]})", "/v1beta/models/m:streamGenerateContent"));
    rig.up(1);
    rig.says(1, kStreamHead + piece("no", R"(,"finishReason":"STOP")") + "0\r\n\r\n");
    rig.expect_open_unsaid();
    assert_true(has(rig.body_on(1), R"({"role":"model","parts":[{"text":"no"}]})"));
    std::string begin = prose ? R"(So: {\"a\")" : R"({\"a\")";
    rig.says(1, kStreamHead + piece(begin, "") + piece(":1}", R"(,"finishReason":"STOP")") + "0\r\n\r\n");
    rig.expect_done(Status::OK, 200);
    Result<Raw> list = Raw::parse(rig.body);
    assert_true(list.ok() && list.value().is_array() && list.value().size() >= 1);
    assert_true(has(rig.body, prose ? R"("text":"{\"a\":1}")" : R"("text":":1}")") && !has(rig.body, "So:"));
  }
}

// The name of the model goes where it stands in the longer request.
void a_model_by_another_name(void**) {
  Checked rig;
  rig.config->deployments[0].models[0].as = "gpt-x";
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, good("no"));
  assert_true(rig.body_on(1).ends_with(R"(}],"n":1.50,"model":"gpt-x"})"));
  rig.says(1, good(R"({\"a\":1})"));
  rig.expect_done(Status::OK, 200);
}

void a_conversation_that_is_none_cannot_go_on(void**) {
  Checked rig;
  rig.start(rig.asked(R"({"model":"m","messages":"q"})"));
  rig.up(1);
  rig.says(1, good("no"));
  rig.expect_done(Status::UPSTREAM, 422);
  assert_int_equal(rig.detail.attempts, 1);
}

// The body is awaited, whatever its length, and answers of a head are not committed to.
void other_settings_of_the_route(void**) {
  Checked rig;
  rig.route().replay_bytes = 20;
  rig.route().commit_on = CommitOn::head;
  constexpr std::string_view kBody = R"({"model":"m","messages":[{"role":"user","content":"q"}]})";
  CallSpec call = rig.asked(kBody.substr(0, 15));
  call.body_complete = false;
  CallId id = rig.start(std::move(call));
  assert_int_equal(rig.net.resolved.size(), 0);
  rig.engine->begin(rig.now);
  rig.engine->append_body(id, Chunk::copy(kBody.substr(15)), true);
  rig.turn();
  rig.up(1);
  rig.says(1, good("no"));
  rig.expect_open_unsaid();
  rig.says(1, good(R"({\"a\":1})"));
  rig.expect_done(Status::OK, 200);
}

void completions_are_refused_and_embeddings_pass(void**) {
  Checked rig;
  rig.start(rig.asked(R"({"model":"m","prompt":"q"})", "/v1/completions"));
  rig.expect_done(Status::INVALID, 400);
  assert_string_equal(rig.detail.code.c_str(), "wrong_operation");
  Checked other;
  other.start(other.asked(R"({"model":"m","input":"q"})", "/v1/embeddings"));
  other.up(1);
  std::string answer = R"({"object":"list","data":[{"embedding":[0.5]}]})";
  other.says(1, reply(200, answer));
  other.expect_done(Status::OK, 200);
  assert_string_equal(other.body.c_str(), answer.c_str());
}

void each_choice_is_checked(void**) {
  auto two = [](const std::string& a, const std::string& b) {
    return reply(200, R"({"choices":[{"message":{"content":")" + a + R"("},"finish_reason":"stop"},)" +
                          R"({"message":{"content":")" + b + R"("},"finish_reason":"stop"}]})");
  };
  Checked rig;
  rig.start(rig.asked());
  rig.up(1);
  rig.says(1, two(R"({\"a\":1})", "second"));
  rig.expect_open_unsaid();
  assert_true(has(rig.body_on(1), R"({"role":"assistant","content":"second"})"));
  rig.says(1, two(R"({\"a\":1})", R"(or {\"a\":2})"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"("content":"{\"a\":1}")") && has(rig.body, R"("content":"{\"a\":2}")"));
}

// A hedge is cancelled at the first content, though none of it is passed on yet; and of two plain answers the second
// may be the valid one.
void hedges(void**) {
  auto hedged = [](Checked& rig) {
    rig.route().plan.hedge = {.percentile = 0.95, .after_min = Duration::from_ms(100), .share = 1, .tokens_max = 0};
    rig.open();
  };
  Checked rig({.schema = kSchema}, 3, 2);
  hedged(rig);
  for (int i = 0; i < 25; i++) {  // It has to have seen what is usual.
    rig.start(rig.asked());
    if (i == 0) rig.up(1);
    rig.says(1, good(R"({\"a\":1})"));
  }
  rig.dones = 0;
  rig.body.clear();
  rig.start(rig.asked());
  rig.pass(Duration::from_ms(150));
  assert_int_equal(rig.net.conns.size(), 2);
  rig.up(2);
  rig.says(1, good("no"));
  rig.expect_open();
  rig.says(2, good(R"({\"a\":2})"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"({\"a\":2})"));
}

void an_echo_is_checked_too(void**) {
  Checked rig({.pattern = "tok 1"}, 1);
  rig.config->deployments[0].kind = DeploymentKind::echo;
  rig.config->deployments[0].echo_events = 3;
  rig.start(rig.asked(kStreamed));
  rig.pass(Duration::from_ms(1));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, "tok 2"));
  Checked no({.pattern = "nothing"}, 1);
  no.config->deployments[0].kind = DeploymentKind::echo;
  no.config->deployments[0].echo_events = 3;
  no.start(no.asked());
  no.pass(Duration::from_ms(1));
  no.pass(Duration::from_ms(1));
  no.expect_done(Status::UPSTREAM, 422);
  assert_int_equal(no.detail.attempts, 2);
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_valid_answer_is_passed_on_as_it_came),
      cmocka_unit_test(json_is_taken_out_of_prose),
      cmocka_unit_test(the_second_ask_succeeds),
      cmocka_unit_test(it_gives_up),
      cmocka_unit_test(long_answers_are_not_repeated_in_errors),
      cmocka_unit_test(attempts_bound_the_asks),
      cmocka_unit_test(health_is_not_touched),
      cmocka_unit_test(streams_are_held_whole),
      cmocka_unit_test(a_stream_is_written_anew_with_one_text),
      cmocka_unit_test(a_stream_is_asked_for_again),
      cmocka_unit_test(a_cut_stream_goes_elsewhere),
      cmocka_unit_test(what_cannot_be_held_fails),
      cmocka_unit_test(calls_of_tools_are_not_checked),
      cmocka_unit_test(translated_calls_are_checked),
      cmocka_unit_test(each_dialect_goes_on_in_its_own_words),
      cmocka_unit_test(a_stream_that_is_an_array),
      cmocka_unit_test(a_model_by_another_name),
      cmocka_unit_test(a_conversation_that_is_none_cannot_go_on),
      cmocka_unit_test(other_settings_of_the_route),
      cmocka_unit_test(completions_are_refused_and_embeddings_pass),
      cmocka_unit_test(each_choice_is_checked),
      cmocka_unit_test(hedges),
      cmocka_unit_test(an_echo_is_checked_too),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
