// Calls whose caller and target speak different dialects, with the port played by hand. What becomes of each member is
// the business of tests/translations; here it is who is asked how, and what the call does with the answer.
#include "rig.h"

namespace lb::test {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

constexpr std::string_view kMessage =
    R"({"model":"m","max_tokens":9,"system":"be brief","top_k":3,"messages":[{"role":"user","content":"hi"}]})";

// Asks as Anthropic's clients do, of deployments that speak OpenAI's API, the first with a name of its own for m.
CallSpec asked(Rig& rig, std::string_view body = kMessage, std::string_view path = "/v1/messages") {
  CallSpec call = rig.spec(body);
  call.head.target = path;
  call.head.add("anthropic-version", "2023-06-01");
  call.head.add("x-api-key", "of the caller");
  return call;
}

std::string sent(Rig& rig, ConnId id) { return rig.net.conns[id - 1].sent; }

void a_request_goes_in_the_targets_dialect(void**) {
  Rig rig;
  rig.config->deployments[0].models[0].as = "gpt-x";
  rig.start(asked(rig));
  rig.up(1);
  std::string request = sent(rig, 1);
  assert_true(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
  assert_true(has(request, R"("model":"gpt-x")") && has(request, R"("content":"be brief")"));
  assert_false(has(request, "anthropic-version") || has(request, "of the caller"));
  assert_true(has(request, "authorization: Bearer secret-of-a\r\n"));
  size_t head = request.find("\r\n\r\n") + 4;
  assert_true(has(request, "content-length: " + std::to_string(request.size() - head) + "\r\n"));
  rig.says(1, good("yes"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"("type":"message")") && has(rig.body, R"("text":"yes")"));
  assert_true(has(rig.body, R"("model":"m")"));  // As the caller called it.
  assert_true(has(rig.body, R"("input_tokens":3)") && has(rig.head, "x-lb-lossy: top_k\r\n"));
  assert_true(has(rig.head, "content-length: " + std::to_string(rig.body.size()) + "\r\n"));
  assert_int_equal(*rig.detail.usage.input, 3);
}

// What is lost is named in the trace as well; what is lost in a stream only there, for its head is gone.
void losses_are_traced(void**) {
  Rig rig;
  CallSpec call = asked(rig);
  call.head.add("x-lb-trace", "1");
  rig.start(std::move(call));
  rig.up(1);
  rig.says(1, good("yes"));
  assert_true(has(rig.head, R"(,{"lost":"top_k"}])"));
  Rig stream;
  call = asked(stream, R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})");
  call.head.add("x-lb-trace", "1");
  stream.start(std::move(call));
  stream.up(1);
  std::string more = event(R"({"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[]}}]})");
  stream.says(1, kStreamHead + chunk(delta("a") + more + finish()) + "0\r\n\r\n");
  stream.expect_done(Status::OK, 200);
  if (!has(stream.detail.trace, R"({"lost":")")) fail_msg("%s", stream.detail.trace.c_str());
}

// A part of the body at a time, and the model first: nothing can be sent before all of it is here.
void the_whole_request_is_awaited(void**) {
  Rig rig;
  rig.route().replay_bytes = 20;  // It is kept all the same.
  CallSpec call = asked(rig, kMessage.substr(0, 30));
  call.body_complete = false;
  CallId id = rig.start(std::move(call));
  for (size_t i = 30; i < kMessage.size(); i++) {
    assert_int_equal(rig.net.resolved.size(), 0);
    rig.engine->begin(rig.now);
    assert_true(rig.engine->body_room(id));
    rig.engine->append_body(id, Chunk::copy(kMessage.substr(i, 1)), i + 1 == kMessage.size());
    rig.turn();
  }
  rig.up(1);
  assert_true(has(sent(rig, 1), "be brief"));
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
}

void a_stream_is_translated_wherever_it_is_cut(void**) {
  std::string answer = kStreamHead;
  for (const std::string& one :
       {delta("a"), std::string(": ping\n\n"), std::string("data: {bad\n\n"), delta("b"), finish()})
    answer += chunk(one);
  answer += "0\r\n\r\n";
  std::string expected;
  for (size_t cut = 1; cut < answer.size(); cut += 3) {
    Rig rig(1);
    rig.start(asked(rig, R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})"));
    rig.up(1);
    rig.says(1, answer.substr(0, cut));
    rig.says(1, answer.substr(cut));
    rig.expect_done(Status::OK, 200);
    assert_true(rig.body.starts_with("event: message_start\n"));
    assert_true(has(rig.body, "event: message_stop\n") && !has(rig.body, "[DONE]"));
    std::string from = rig.body.substr(rig.body.find("content_block_start"));  // The ids differ.
    if (expected.empty()) expected = from;
    assert_string_equal(from.c_str(), expected.c_str());
    assert_true(has(rig.engine->stats_json(), "\"malformed_events\":1"));
  }
}

void single_events_are_the_callers(void**) {
  Rig rig(1);
  CallSpec call = asked(
      rig, R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})");
  call.delivery = Delivery::events;
  rig.start(std::move(call));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(delta("a")) + chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_true(rig.pieces.size() > 4);
  for (const std::string& piece : rig.pieces) assert_true(piece.starts_with("{\"type\":\"") && piece.ends_with("}"));
}

void a_cut_stream_is_broken_in_the_callers_dialect(void**) {
  Rig rig(1);
  rig.start(asked(rig, R"({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})"));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(delta("a")));
  rig.ends(1);
  rig.expect_done(Status::BROKEN, 200);
  assert_true(has(rig.body, "event: error\n") && !has(rig.body, "message_stop"));
}

// An error goes elsewhere first; the last word is said in the caller's dialect.
void errors_are_translated(void**) {
  Rig rig;
  rig.start(asked(rig));
  rig.up(1);
  rig.says(1, failing(500));
  rig.up(2);
  rig.says(2, failing(429, "retry-after: 7\r\n"));
  rig.expect_done(Status::OK, 429);
  assert_true(rig.body.starts_with(R"({"type":"error","error":{"type":"rate_limit_error","message":"no"}})"));
  assert_true(has(rig.head, "content-length: " + std::to_string(rig.body.size()) + "\r\n"));
}

void what_cannot_be_read_as_an_answer_fails_over(void**) {
  Rig rig;
  rig.start(asked(rig));
  rig.up(1);
  rig.says(1, reply(200, R"({"choices":"none","finish_reason":"stop"})"));
  rig.up(2);
  rig.says(2, good("second"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, "second"));
}

// To targets of either dialect, whoever is asked first.
void a_route_may_mix_dialects(void**) {
  Rig rig;
  rig.config->deployments[1].api = Api::anthropic;
  rig.start(asked(rig));
  rig.up(1);
  rig.says(1, failing(500));
  rig.up(2);
  std::string request = sent(rig, 2);
  assert_true(request.starts_with("POST /v1/messages HTTP/1.1\r\n") && has(request, "x-api-key: secret-of-b\r\n"));
  assert_true(request.ends_with(kMessage));  // The same dialect: byte for byte.
  assert_true(has(request, "anthropic-version: 2023-06-01\r\n"));
  std::string body = R"({"type":"message","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","n":1.50})";
  rig.says(2, reply(200, body));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), body.c_str());
  assert_false(has(rig.head, "x-lb-lossy"));
}

void what_cannot_be_said_goes_to_who_understands(void**) {
  constexpr std::string_view kAudio =
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"input_audio",)"
      R"("input_audio":{"data":"aa","format":"wav"}}]}]})";
  for (bool other : {true, false}) {
    Rig rig;
    rig.config->deployments[0].api = Api::anthropic;
    if (!other) rig.config->deployments[1].api = Api::anthropic;
    rig.start(rig.spec(kAudio));
    if (!other) {
      rig.expect_done(Status::INVALID, 400);
      assert_true(has(rig.detail.message, "messages.0.content"));
      continue;
    }
    rig.up(1);
    assert_true(has(sent(rig, 1), "host: b.example"));
    rig.says(1, good());
    rig.expect_done(Status::OK, 200);
    assert_int_equal(rig.detail.attempts, 1);
  }
}

void a_request_that_is_none_is_refused(void**) {
  Rig rig;
  rig.start(asked(rig, R"({"model":"m","messages":[{"role":"nobody","content":"hi"}]})"));
  rig.expect_done(Status::INVALID, 400);
  assert_true(has(rig.detail.message, "messages.0.role"));
  assert_int_equal(rig.net.conns.size(), 0);
}

// Gemini's requests name their model in the path, and have their own way to say that they stream.
void a_model_in_the_path(void**) {
  Rig rig(1);
  rig.start(asked(rig, R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})",
                  "/v1beta/models/m:streamGenerateContent?alt=sse&key=secret"));
  rig.up(1);
  std::string request = sent(rig, 1);
  assert_true(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n") && has(request, "\"stream\":true"));
  rig.says(1, kStreamHead + chunk(delta("a")) + chunk(finish()) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_true(rig.body.starts_with("data: {\"candidates\":"));
  Rig same(1);
  same.config->deployments[0].api = Api::gemini;
  same.config->deployments[0].models[0].as = "gemini-x";
  same.start(asked(same, R"({"contents":[]})", "/v1beta/models/m:streamGenerateContent?alt=sse&key=secret"));
  same.up(1);
  request = sent(same, 1);
  assert_true(request.starts_with("POST /v1/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1\r\n"));
  assert_true(request.ends_with(R"({"contents":[]})") && has(request, "x-goog-api-key: secret-of-a\r\n"));
  assert_false(has(request, "key=secret"));
  std::string event = R"(data: {"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]})" "\n\n";
  same.says(1, kStreamHead + chunk(event) + "0\r\n\r\n");
  same.expect_done(Status::OK, 200);
  assert_string_equal(same.body.c_str(), event.c_str());
}

// A stream that is passed through is whole when every candidate has ended.
void a_candidate_that_has_not_ended(void**) {
  const std::string both = R"(data: {"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"},)"
                           R"({"content":{"parts":[{"text":"y"}]},"index":1}]})" "\n\n";
  const std::string last = R"(data: {"candidates":[{"finishReason":"STOP","index":1}]})" "\n\n";
  for (bool whole : {false, true}) {
    Rig rig(1);
    rig.config->deployments[0].api = Api::gemini;
    rig.start(asked(rig, R"({"contents":[]})", "/v1beta/models/m:streamGenerateContent?alt=sse"));
    rig.up(1);
    rig.says(1, kStreamHead + chunk(both) + (whole ? chunk(last) : "") + "0\r\n\r\n");
    rig.expect_done(whole ? Status::OK : Status::BROKEN, 200);
  }
}

// Embeddings have no counterpart at those who have none.
void other_operations_are_refused(void**) {
  Rig rig;
  for (Deployment& to : rig.config->deployments) to.api = Api::anthropic;
  rig.start(asked(rig, R"({"model":"m","input":"x"})", "/v1/embeddings"));
  rig.expect_done(Status::INVALID, 400);
  assert_int_equal(rig.net.conns.size(), 0);
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_request_goes_in_the_targets_dialect),
      cmocka_unit_test(losses_are_traced),
      cmocka_unit_test(the_whole_request_is_awaited),
      cmocka_unit_test(a_stream_is_translated_wherever_it_is_cut),
      cmocka_unit_test(single_events_are_the_callers),
      cmocka_unit_test(a_cut_stream_is_broken_in_the_callers_dialect),
      cmocka_unit_test(errors_are_translated),
      cmocka_unit_test(what_cannot_be_read_as_an_answer_fails_over),
      cmocka_unit_test(a_route_may_mix_dialects),
      cmocka_unit_test(what_cannot_be_said_goes_to_who_understands),
      cmocka_unit_test(a_request_that_is_none_is_refused),
      cmocka_unit_test(a_model_in_the_path),
      cmocka_unit_test(a_candidate_that_has_not_ended),
      cmocka_unit_test(other_operations_are_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
