// What is asked besides conversations, and where: embeddings, counts of tokens, Azure's paths, what a vendor lacks. The
// port is played by hand.
#include "rig.h"

namespace lb::test {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

CallSpec asked(Rig& rig, std::string_view path, std::string_view body) {
  CallSpec call = rig.spec(body);
  call.head.target = path;
  return call;
}

// Of the request that was sent last on the connection.
std::string sent(Rig& rig, ConnId id) {
  std::string_view all = rig.net.conns[id - 1].sent;
  return std::string(all.substr(all.rfind("POST ")));
}

std::string sent_body(Rig& rig, ConnId id) {
  std::string request = sent(rig, id);
  return request.substr(request.find("\r\n\r\n") + 4);
}

size_t sent_length(Rig& rig, ConnId id) {
  std::string request = sent(rig, id);
  return std::stoul(request.substr(request.find("content-length: ") + 16));
}

std::string texts(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; i++) out += (i ? ",\"t" : "\"t") + std::to_string(i) + "\"";
  return out;
}

// Gemini's answer with the vectors of so many texts, from `first` on.
std::string vectors(size_t first, size_t count) {
  std::string out = R"({"embeddings":[)";
  for (size_t i = first; i < first + count; i++)
    out += (i > first ? R"(,{"values":[)" : R"({"values":[)") + std::to_string(i) + ",0.5]}";
  return reply(200, out + "]}");
}

void use(Rig& rig, Api api) {
  for (Deployment& to : rig.config->deployments) to.api = api;
}

void embeddings_are_split_and_joined(void**) {
  Rig rig(1);
  use(rig, Api::gemini);
  rig.config->deployments[0].models[0].as = "embed-x";
  rig.start(asked(rig, "/v1/embeddings", R"({"model":"m","input":[)" + texts(230) + "]}"));
  rig.up(1);
  for (size_t first = 0; first < 230; first += 100) {
    size_t count = std::min<size_t>(100, 230 - first);
    assert_true(sent(rig, 1).starts_with("POST /v1/models/embed-x:batchEmbedContents HTTP/1.1\r\n"));
    std::string body = sent_body(rig, 1);
    assert_int_equal(body.size(), sent_length(rig, 1));
    assert_true(has(body, "\"t" + std::to_string(first) + "\"") && has(body, "models/embed-x"));
    assert_true(has(body, "\"t" + std::to_string(first + count - 1) + "\""));
    assert_false(has(body, "\"t" + std::to_string(first + count) + "\""));
    rig.says(1, vectors(first, count));
  }
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.net.conns.size(), 1);  // One after the other on one connection, and one attempt.
  assert_true(has(rig.head, "x-lb-attempts: 1\r\n"));
  size_t at = 0;
  for (size_t i = 0; i < 230; i++) {
    at = rig.body.find("\"index\":" + std::to_string(i), at);
    assert_true(at != rig.body.npos);
    assert_true(has(rig.body, "\"embedding\":[" + std::to_string(i) + ",0.5]"));
  }
  assert_true(has(rig.head, "content-length: " + std::to_string(rig.body.size()) + "\r\n"));
}

// What has been asked of a target that fails in the middle is asked again elsewhere, all of it.
void embeddings_fail_over_as_a_whole(void**) {
  Rig rig;
  use(rig, Api::gemini);
  rig.start(asked(rig, "/v1/embeddings", R"({"model":"m","input":[)" + texts(101) + "]}"));
  rig.up(1);
  rig.says(1, vectors(0, 100));
  rig.says(1, failing(500));
  rig.up(2);
  assert_true(has(sent_body(rig, 2), "\"t0\""));
  rig.says(2, vectors(0, 100));
  rig.says(2, vectors(100, 1));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.head, "x-lb-attempts: 2\r\n") && has(rig.body, "[100,0.5]"));
}

// The connection was kept for the rest, and closed meanwhile.
void the_rest_survives_a_stale_connection(void**) {
  Rig rig(1);
  use(rig, Api::gemini);
  rig.start(asked(rig, "/v1/embeddings", R"({"model":"m","input":[)" + texts(101) + "]}"));
  rig.up(1);
  rig.says(1, vectors(0, 100));
  rig.step(1, Completion::Kind::closed, "", Status::BROKEN);
  rig.up(2);
  rig.says(2, vectors(0, 100));
  rig.says(2, vectors(100, 1));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, "[100,0.5]"));
}

void too_few_vectors_are_no_answer(void**) {
  Rig rig;
  use(rig, Api::gemini);
  rig.start(asked(rig, "/v1/embeddings", R"({"model":"m","input":["a","b"]})"));
  rig.up(1);
  rig.says(1, vectors(0, 1));
  rig.up(2);
  rig.says(2, vectors(0, 2));
  rig.expect_done(Status::OK, 200);
}

// Who cannot embed is not asked, and is no reason to refuse those who can.
void those_that_lack_it_are_left_out(void**) {
  Rig rig;
  rig.config->deployments[0].api = Api::anthropic;
  rig.start(asked(rig, "/v1/embeddings", R"({"model":"m","input":"x"})"));
  rig.up(1);
  assert_true(has(sent(rig, 1), "host: b.example\r\n") && sent_body(rig, 1) == R"({"model":"m","input":"x"})");
  rig.says(1, failing(500));
  rig.expect_done(Status::OK, 500);  // Its answer is passed on.
}

void gemini_embeds_at_openai(void**) {
  Rig rig(1);
  rig.start(asked(rig, "/v1beta/models/m:embedContent", R"({"content":{"parts":[{"text":"x"}]}})"));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/embeddings HTTP/1.1\r\n"));
  assert_true(has(sent_body(rig, 1), "\"model\":\"m\""));
  rig.says(1, reply(200, R"({"data":[{"index":0,"embedding":[1,2]}],"model":"m"})"));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), R"({"embedding":{"values":[1,2]}})");
}

// Gemini refuses a batch whose members name another model than the path.
void a_batch_is_asked_for_by_the_targets_name(void**) {
  Rig rig(1);
  use(rig, Api::gemini);
  rig.config->deployments[0].models[0].as = "x";
  rig.start(asked(rig, "/v1beta/models/m:batchEmbedContents",
                  R"({"requests":[{"model":"models/m","taskType":"A","content":{"parts":[{"text":"model"}]}},)"
                  R"({"content":{},"model": "models/m"}], "model":1})"));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/models/x:batchEmbedContents HTTP/1.1\r\n"));
  assert_string_equal(sent_body(rig, 1).c_str(),
                      R"({"requests":[{"model":"models/x","taskType":"A","content":{"parts":[{"text":"model"}]}},)"
                      R"({"content":{},"model": "models/x"}], "model":1})");
  assert_int_equal(sent_body(rig, 1).size(), sent_length(rig, 1));
}

constexpr std::string_view kCount = R"({"model":"m","messages":[{"role":"user","content":"How many are these?"}]})";

void tokens_are_counted_upstream(void**) {
  Rig rig(1);
  use(rig, Api::gemini);
  rig.start(asked(rig, "/v1/messages/count_tokens", kCount));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/models/m:countTokens HTTP/1.1\r\n"));
  rig.says(1, reply(200, R"({"totalTokens":31})"));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), R"({"input_tokens":31})");
  assert_false(has(rig.head, "x-lb-token-count"));
}

// The same dialect: bytes stay bytes.
void a_count_passes(void**) {
  Rig rig(1);
  use(rig, Api::anthropic);
  rig.start(asked(rig, "/v1/messages/count_tokens", kCount));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/messages/count_tokens HTTP/1.1\r\n") && sent_body(rig, 1) == kCount);
  rig.says(1, reply(200, R"({"input_tokens":12,"more":true})"));
  rig.expect_done(Status::OK, 200);
  assert_string_equal(rig.body.c_str(), R"({"input_tokens":12,"more":true})");
}

void tokens_are_counted_here_where_nobody_can(void**) {
  Rig rig(1);
  rig.start(asked(rig, "/v1/messages/count_tokens", kCount));
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.net.conns.size(), 0);
  assert_true(has(rig.head, "x-lb-token-count: estimate\r\n") && has(rig.head, "x-lb-served-by: lb\r\n"));
  assert_true(rig.body.starts_with("{\"input_tokens\":") && rig.body != "{\"input_tokens\":0}");
  Rig bad(1);
  bad.start(asked(bad, "/v1/messages/count_tokens", R"({"model":"m","messages":5})"));
  bad.expect_done(Status::INVALID, 400);
}

// However long the deployment may take for other calls.
void nobody_waits_long_for_a_count(void**) {
  Rig rig(1);
  use(rig, Api::anthropic);
  rig.config->deployments[0].timeouts.head = Duration::from_s(300);
  rig.start(asked(rig, "/v1/messages/count_tokens", kCount));
  rig.up(1);
  rig.pass(Duration::from_s(9));
  rig.expect_open();
  rig.pass(Duration::from_s(2));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.head, "x-lb-token-count: estimate\r\n"));
}

// Scenario 17 of reference/systems.md §11: upstream first; two failures, and it is not asked for 300 s.
void a_deployment_that_cannot_count_is_left_alone(void**) {
  Rig rig(1);
  use(rig, Api::anthropic);
  auto ask = [&] {
    rig.dones = 0;
    rig.code = 0;
    rig.head.clear();
    rig.start(asked(rig, "/v1/messages/count_tokens", kCount));
  };
  auto local = [&] { return has(rig.head, "x-lb-token-count: estimate\r\n"); };
  for (ConnId attempt = 1; attempt <= 2; attempt++) {
    ask();
    rig.up(attempt);
    rig.says(attempt, attempt == 1 ? failing(500) : failing(404));
    if (attempt == 1) rig.step(1, Completion::Kind::closed, "", Status::BROKEN);
    rig.expect_done(Status::OK, 200);
    assert_true(local());
  }
  size_t conns = rig.net.conns.size();
  std::string before = rig.net.conns[1].sent;
  ask();
  assert_true(local() && rig.net.conns.size() == conns && rig.net.conns[1].sent == before);
  // Its health is as it was: calls go there.
  rig.dones = 0;
  rig.start(asked(rig, "/v1/messages", R"({"model":"m","max_tokens":9,"messages":[]})"));
  assert_true(sent(rig, rig.last()).starts_with("POST /v1/messages HTTP/1.1\r\n"));
  rig.pass(Duration::from_s(301));
  ask();
  if (!rig.net.conns.back().sent.size()) rig.up(rig.last());
  assert_true(sent(rig, rig.last()).starts_with("POST /v1/messages/count_tokens HTTP/1.1\r\n"));
  rig.says(rig.last(), reply(200, R"({"input_tokens":12})"));
  assert_false(local());
}

// Scenario 19 of reference/systems.md §11: the deployment in its segment only, the query as it is, no credentials of
// the caller.
void azure_paths(void**) {
  Rig rig(1);
  Deployment& to = rig.config->deployments[0];
  to.vendor = &vendors()[2];
  to.api_version = "2024-10-21";
  to.url.path = "/openai";
  to.models[0] = {"chat", "my chat", {}, {}};
  rig.route().model = "chat";
  CallSpec call = asked(rig, "/openai/deployments/chat/chat/completions?api-version=2025-01-01&chat=chat",
                        R"({"messages":[],"stream":false})");
  for (const char* field : {"api-key", "authorization", "x-api-key", "lb-api-key"})
    call.head.add(field, "of the caller");
  rig.start(std::move(call));
  rig.up(1);
  std::string request = sent(rig, 1);
  assert_true(request.starts_with("POST /openai/deployments/my%20chat/chat/completions"
                                  "?api-version=2025-01-01&chat=chat HTTP/1.1\r\n"));
  assert_true(has(request, "\r\napi-key: secret-of-a\r\n") && !has(request, "of the caller"));
  assert_string_equal(sent_body(rig, 1).c_str(), R"({"model":"my chat","messages":[],"stream":false})");
  assert_int_equal(sent_body(rig, 1).size(), sent_length(rig, 1));
  rig.says(1, good());
  rig.expect_done(Status::OK, 200);
}

void a_model_in_an_azure_path_goes_into_the_body(void**) {
  struct Case {
    const char *body, *sent;
  };
  for (const Case& c : {Case{R"({"messages":[]})", R"({"model":"m","messages":[]})"},
                        Case{" {} ", R"( {"model":"m"} )"},
                        Case{R"({"messages":[],"model":"other"})", R"({"messages":[],"model":"m"})"},
                        Case{R"({"model":"m"})", R"({"model":"m"})"}}) {
    Rig rig(1);
    rig.start(asked(rig, "/openai/deployments/m/chat/completions?api-version=1", c.body));
    rig.up(1);
    assert_true(sent(rig, 1).starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_string_equal(sent_body(rig, 1).c_str(), c.sent);
    assert_int_equal(sent_body(rig, 1).size(), sent_length(rig, 1));
  }
}

void azure_is_asked_by_others(void**) {
  Rig rig(1);
  Deployment& to = rig.config->deployments[0];
  to.api_version = "2024-10-21";
  rig.start(asked(rig, "/v1/chat/completions?x=y", R"({"model":"m","messages":[]})"));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/deployments/m/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"));
}

void responses_become_chat_where_there_are_none(void**) {
  Rig rig(1);
  rig.config->deployments[0].lacks.add(Operation::responses);
  rig.config->deployments[0].vendor = &vendors()[7];  // Mistral: it knows max_tokens only.
  rig.start(asked(rig, "/v1/responses", R"({"model":"m","input":"hi","max_output_tokens":7})"));
  rig.up(1);
  assert_true(sent(rig, 1).starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
  assert_true(has(sent_body(rig, 1), "\"max_tokens\":7"));
  rig.says(1, good("yes"));
  rig.expect_done(Status::OK, 200);
  assert_true(has(rig.body, R"("object":"response")") && has(rig.body, R"("text":"yes")"));
}

// By the name that was asked for; of the larger model by its own, also where a pattern serves it.
void a_pattern_passes_names_through(void**) {
  Rig rig(1);
  rig.config->deployments[0].models[0] = {"m-*", "", {}, {}};
  rig.route().model = "m-*";
  rig.route().larger = "m-large";
  rig.start(rig.spec(R"({"model":"m-1","messages":[]})"));
  rig.up(1);
  assert_string_equal(sent_body(rig, 1).c_str(), R"({"model":"m-1","messages":[]})");
  rig.says(1, reply(400, R"({"error":{"message":"too long","code":"context_length_exceeded"}})"));
  if (rig.net.conns.size() > 1) rig.up(2);
  assert_string_equal(sent_body(rig, rig.last()).c_str(), R"({"model":"m-large","messages":[]})");
}

constexpr const char* kContents = R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})";

std::string gemini_event(const std::string& text, bool stops = false) {
  return event(R"({"candidates":[{"content":{"parts":[{"text":")" + text + "\"}]}" +
               (stops ? R"(,"finishReason":"STOP"})" : "}") + "]}");
}

// Without alt=sse a stream is a JSON array, whoever serves it.
void a_stream_is_an_array_where_it_is_asked_for(void**) {
  for (bool same : {true, false}) {
    Rig rig(1);
    if (same) use(rig, Api::gemini);
    rig.start(asked(rig, "/v1beta/models/m:streamGenerateContent", kContents));
    rig.up(1);
    assert_true(has(sent(rig, 1), same ? "?alt=sse HTTP" : "\"stream\":true"));
    rig.says(1, kStreamHead + chunk(same ? gemini_event("a") : delta("a")));
    assert_true(rig.body.starts_with("[{\"candidates\":") && has(rig.head, "content-type: application/json\r\n"));
    rig.says(1, chunk(same ? gemini_event("b", true) : delta("b") + finish()) + "0\r\n\r\n");
    rig.expect_done(Status::OK, 200);
    Result<Raw> json = Raw::parse(rig.body);
    if (!json.ok() || !json.value().is_array()) fail_msg("%s", rig.body.c_str());
    assert_true(has(rig.body, "\"a\"") && has(rig.body, "\"b\""));
  }
}

void an_array_that_breaks_ends_in_an_error(void**) {
  for (bool said : {true, false}) {
    Rig rig(1);
    use(rig, Api::gemini);
    rig.start(asked(rig, "/v1beta/models/m:streamGenerateContent", kContents));
    rig.up(1);
    rig.says(1, kStreamHead + chunk(gemini_event("a")));
    if (said)
      rig.says(1, chunk(event(R"({"error":{"code":500,"message":"no","status":"INTERNAL"}})")));
    else
      rig.step(1, Completion::Kind::closed, "", Status::BROKEN);
    rig.expect_done(Status::BROKEN, 200);
    Result<Raw> json = Raw::parse(rig.body);
    if (!json.ok() || !json.value().is_array()) fail_msg("%s", rig.body.c_str());
    assert_true(has(rig.body, "{\"error\":"));
  }
}

// Of the host that asks for single events there are no arrays.
void single_events_are_in_no_array(void**) {
  Rig rig(1);
  use(rig, Api::gemini);
  CallSpec call = asked(rig, "/v1beta/models/m:streamGenerateContent", kContents);
  call.delivery = Delivery::events;
  rig.start(std::move(call));
  rig.up(1);
  rig.says(1, kStreamHead + chunk(gemini_event("a") + gemini_event("b", true)) + "0\r\n\r\n");
  rig.expect_done(Status::OK, 200);
  assert_int_equal(rig.pieces.size(), 2);
  for (const std::string& piece : rig.pieces) assert_true(piece.starts_with("{\"candidates\":"));
}

void how_claude_is_asked_to_think(void**) {
  struct Case {
    const char* model;
    bool budget;
  };
  for (const Case& c :
       {Case{"claude-3-7-sonnet-20250219", true}, Case{"claude-sonnet-4-20250514", true}, Case{"claude-opus-4", true},
        Case{"claude-haiku-4-5-20251001", true}, Case{"claude-opus-4-6", false}, Case{"claude-sonnet-5", false},
        Case{"us.anthropic.claude-opus-4-1-20250805-v1:0", true}, Case{"m", false}}) {
    Rig rig(1);
    use(rig, Api::anthropic);
    rig.config->deployments[0].models[0].as = c.model;
    rig.start(asked(rig, "/v1/chat/completions", R"({"model":"m","reasoning_effort":"high","messages":[]})"));
    rig.up(1);
    if (has(sent_body(rig, 1), "budget_tokens") != c.budget) fail_msg("%s: %s", c.model, sent_body(rig, 1).c_str());
  }
}

}  // namespace
}  // namespace lb::test

int main() {
  using namespace lb::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(embeddings_are_split_and_joined),
      cmocka_unit_test(embeddings_fail_over_as_a_whole),
      cmocka_unit_test(the_rest_survives_a_stale_connection),
      cmocka_unit_test(too_few_vectors_are_no_answer),
      cmocka_unit_test(those_that_lack_it_are_left_out),
      cmocka_unit_test(gemini_embeds_at_openai),
      cmocka_unit_test(a_batch_is_asked_for_by_the_targets_name),
      cmocka_unit_test(tokens_are_counted_upstream),
      cmocka_unit_test(a_count_passes),
      cmocka_unit_test(tokens_are_counted_here_where_nobody_can),
      cmocka_unit_test(nobody_waits_long_for_a_count),
      cmocka_unit_test(a_deployment_that_cannot_count_is_left_alone),
      cmocka_unit_test(azure_paths),
      cmocka_unit_test(a_model_in_an_azure_path_goes_into_the_body),
      cmocka_unit_test(azure_is_asked_by_others),
      cmocka_unit_test(responses_become_chat_where_there_are_none),
      cmocka_unit_test(a_pattern_passes_names_through),
      cmocka_unit_test(a_stream_is_an_array_where_it_is_asked_for),
      cmocka_unit_test(an_array_that_breaks_ends_in_an_error),
      cmocka_unit_test(single_events_are_in_no_array),
      cmocka_unit_test(how_claude_is_asked_to_think),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
