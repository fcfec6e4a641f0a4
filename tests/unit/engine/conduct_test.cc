// What becomes of answers that go wrong in ways that tests/conduct found, with the port played by hand.
#include "rig.h"

namespace lb::test {
namespace {

constexpr std::string_view kMessage = R"({"model":"m","stream":true,"max_tokens":9,"messages":[]})";
constexpr std::string_view kPlainHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

std::string text_event(std::string_view text) {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + std::string(text) + "\"}}]}\n\n";
}
const std::string kFinish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const std::string kBad = "data: {\"choices\":[{\"ind\n\n";

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Wherever the pieces end: events that are no JSON are not passed on, and all else is, byte for byte.
void events_that_are_no_json_are_left_out(void**) {
  std::string text = kBad + text_event("x") + kBad + ": ping\n\n" + kBad + text_event("y") + kFinish + kBad;
  std::string expected = text_event("x") + ": ping\n\n" + text_event("y") + kFinish;
  for (size_t cut = 1; cut < text.size(); cut++) {
    Rig rig;
    rig.start(rig.spec(kMessage));
    rig.up(1);
    rig.says(1, std::string(kPlainHead) + text.substr(0, cut));
    rig.says(1, text.substr(cut));
    rig.ends(1);
    rig.expect_done(Status::OK, 200);
    assert_string_equal(rig.body.c_str(), expected.c_str());
    assert_true(has(rig.engine->stats_json(), "\"malformed_events\":4"));
  }
}

// One that is longer than may be held has begun to go out before anybody knows.
void what_has_gone_out_stays(void**) {
  Rig rig;
  rig.route().hold_bytes = 100;
  rig.start(rig.spec(kMessage));
  rig.up(1);
  std::string bad = "data: {" + std::string(300, 'x') + "\n\n";
  rig.says(1, std::string(kPlainHead) + text_event("x"));
  rig.says(1, bad.substr(0, 250));
  rig.says(1, bad.substr(250) + kFinish);
  rig.ends(1);
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), (text_event("x") + bad + kFinish).c_str());
}

// What may follow a stream, or be left out of it, is not within the length that its upstream stated.
void no_length_of_a_stream_is_passed_on(void**) {
  Rig rig;
  rig.start(rig.spec(kMessage));
  rig.up(1);
  std::string text = text_event("x");
  rig.says(1, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: " + std::to_string(text.size()) +
                  "\r\n\r\n" + text);
  rig.expect_done(Status::BROKEN, 200);
  assert_false(has(rig.head, "content-length"));
  assert_true(rig.body.starts_with(text + "data: {\"error\":"));
}

// An error in a success that is longer than may be held passes through as what it is, judged once.
void a_long_error_in_a_success_is_an_answer(void**) {
  Rig rig(1);
  rig.route().hold_bytes = 20;
  rig.route().retry.retries = 0;
  rig.start();
  rig.up(1);
  std::string error = R"({"error":{"message":"no","type":"server_error"}})";
  rig.says(1, reply(200, error));
  rig.expect_done(Status::OK, 502);
  assert_string_equal(rig.body.c_str(), error.c_str());
  assert_true(has(rig.engine->stats_json(), "\"failed\":{\"server\":1}"));
}

// A stop that does not wait says so in the stream, holds nobody's fault against the upstream, and waits for no credit.
void a_stop_in_mid_stream_is_said(void**) {
  for (bool credits : {true, false}) {
    Rig rig(1);
    rig.credits = credits;
    rig.route().window_bytes = 10;
    rig.start(rig.spec(kMessage));
    rig.up(1);
    rig.says(1, std::string(kPlainHead) + text_event("x") + "data: {\"cho");
    rig.engine->begin(rig.now);
    rig.engine->close(true);
    rig.turn();
    rig.expect_done(Status::CANCELLED, 200);
    assert_true(rig.body.starts_with(text_event("x")));
    assert_true(has(rig.body, "data: {\"error\":") == credits);
    assert_false(has(rig.body, "\"cho\n") || rig.net.conns[0].open);
    assert_true(has(rig.engine->stats_json(), "\"cancelled\":1,\"failed\":{}"));
  }
}

void a_page_is_not_the_last_word(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>");
  rig.up(2);
  rig.says(2, "HTTP/1.1 503 Unavailable\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>");
  // An error of lb's own, which the gateway words; no head has gone out.
  rig.expect_done(Status::UPSTREAM, 503);
  assert_string_equal(rig.head.c_str(), "");
}

void a_page_about_the_callers_mistake_is(void**) {
  Rig rig;
  rig.start();
  rig.up(1);
  rig.says(1, "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nno!");
  rig.expect_done(Status::OK, 400);
  assert_string_equal(rig.body.c_str(), "no!");
}

// The second call finds nobody where the name led, so the third asks where it leads.
void a_name_is_doubted_when_nobody_answers(void**) {
  Rig rig(1);
  rig.route().plan.when_none = policy::WhenNone::panic;
  rig.start();
  rig.up(1);
  rig.says(1, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.net.resolved.size(), 1);
  rig.start();
  rig.step(rig.last(), Completion::Kind::closed, "", Status::CONNECT);
  assert_int_equal(rig.net.resolved.size(), 1);
  rig.start();
  assert_int_equal(rig.net.resolved.size(), 2);
}

CallSpec message_of(Rig& rig) {
  CallSpec out = rig.spec(kMessage);
  out.head.target = "/v1/messages";
  out.head.add("x-api-key", "of-the-caller");
  out.head.add("anthropic-beta", "new-things");
  return out;
}

void anthropic_is_asked_as_it_wants_to_be(void**) {
  Rig rig;
  for (Deployment& to : rig.config->deployments) to.api = Api::anthropic;
  rig.start(message_of(rig));
  rig.up(1);
  const std::string& sent = rig.net.conns[0].sent;
  assert_true(sent.starts_with("POST /v1/messages HTTP/1.1\r\n"));
  assert_true(has(sent, "\r\nx-api-key: secret-of-a\r\n"));
  assert_true(has(sent, "\r\nanthropic-version: 2023-06-01\r\n"));
  assert_true(has(sent, "\r\nanthropic-beta: new-things\r\n"));
  assert_false(has(sent, "authorization"));
  assert_false(has(sent, "of-the-caller"));
  Rig newer;
  for (Deployment& to : newer.config->deployments) to.api = Api::anthropic;
  CallSpec spec = message_of(newer);
  spec.head.add("anthropic-version", "2030-01-01");
  newer.start(std::move(spec));
  newer.up(1);
  assert_true(has(newer.net.conns[0].sent, "\r\nanthropic-version: 2030-01-01\r\n"));
  assert_false(has(newer.net.conns[0].sent, "2023-06-01"));
}

void a_cut_stream_of_messages_ends_in_its_own_error(void**) {
  Rig rig;
  for (Deployment& to : rig.config->deployments) to.api = Api::anthropic;
  rig.start(message_of(rig));
  rig.up(1);
  std::string delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                      "\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";
  rig.says(1, std::string(kPlainHead) + delta + "event: content_block_del");
  rig.ends(1);
  rig.expect_done(Status::BROKEN, 200);
  std::string error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",";
  assert_true(rig.body.starts_with(delta + error));
  assert_false(has(rig.body, "message_stop"));
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(events_that_are_no_json_are_left_out),
      cmocka_unit_test(what_has_gone_out_stays),
      cmocka_unit_test(no_length_of_a_stream_is_passed_on),
      cmocka_unit_test(a_long_error_in_a_success_is_an_answer),
      cmocka_unit_test(a_stop_in_mid_stream_is_said),
      cmocka_unit_test(a_page_is_not_the_last_word),
      cmocka_unit_test(a_page_about_the_callers_mistake_is),
      cmocka_unit_test(a_name_is_doubted_when_nobody_answers),
      cmocka_unit_test(anthropic_is_asked_as_it_wants_to_be),
      cmocka_unit_test(a_cut_stream_of_messages_ends_in_its_own_error),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
