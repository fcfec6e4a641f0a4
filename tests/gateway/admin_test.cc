#include "gateway/admin.h"

#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::ConnId;
using lb::Duration;
using lb::JsonDocument;

JsonDocument json(const Answer& answer) {
  assert_text(answer.field("content-type"), "application/json");
  auto parsed = JsonDocument::parse(answer.body);
  if (!parsed.ok()) fail_msg("not JSON: %s", answer.body.c_str());
  return std::move(parsed.value());
}

void models_are_listed(void**) {
  World w(
      "listen: [{address: '127.0.0.1:0'}]\n"
      "deployments:\n  - {name: a, kind: echo, models: [m, org/n]}\n  - {name: b, kind: echo}\n"
      "routes:\n  - {model: routed, tiers: [[b]]}\n  - {model: '*', tiers: [[b]]}\n");
  Answer answer = w.ask(get("/v1/models"));
  assert_int_equal(answer.status, 200);
  JsonDocument document = json(answer);
  assert_text(document.root()["object"].string(), "list");
  std::string ids;
  for (lb::JsonView model = document.root()["data"].first(); model.present(); model = model.next()) {
    ids.append(model["id"].string()).append(" ");
    assert_text(model["object"].string(), "model");
    assert_true(model["created"].is_number());
    assert_text(model["owned_by"].string(), "lb");
  }
  assert_int_equal(document.root()["data"].size(), 3);  // Not "*".
  for (const char* id : {"m ", "org/n ", "routed "}) assert_has(ids, id);
}

void models_are_listed_in_each_dialect(void**) {
  World w("listen: [{address: '127.0.0.1:0'}]\n"
          "deployments:\n  - {name: a, kind: echo, models: [m, 'x-*']}\n  - {name: b, kind: echo, models: [n]}\n");
  assert_text(w.ask(get("/v1beta/models")).body,
              R"({"models":[{"name":"models/m","displayName":"m",)"
              R"("supportedGenerationMethods":["generateContent","countTokens","embedContent"]},)"
              R"({"name":"models/n","displayName":"n",)"
              R"("supportedGenerationMethods":["generateContent","countTokens","embedContent"]}]})");
  assert_text(json(w.ask(get("/v1beta/models/n"))).root()["name"].string(), "models/n");
  assert_has(w.ask(get("/v1beta/models/x-1")).body, R"("status":"NOT_FOUND")");
  std::string anthropic = "anthropic-version: 2023-06-01\r\n";
  assert_text(w.ask(get("/v1/models", anthropic)).body,
              R"({"data":[{"type":"model","id":"m","display_name":"m","created_at":"1970-01-01T00:00:00Z"},)"
              R"({"type":"model","id":"n","display_name":"n","created_at":"1970-01-01T00:00:00Z"}],)"
              R"("has_more":false,"first_id":"m","last_id":"n"})");
  assert_text(json(w.ask(get("/v1/models/m", anthropic))).root()["type"].string(), "model");
  assert_has(w.ask(get("/v1/models/o", anthropic)).body, R"("type":"not_found_error")");
}

void one_model(void**) {
  World w("listen: [{address: '127.0.0.1:0'}]\ndeployments:\n  - {name: a, kind: echo, models: [m, org/n]}\n");
  assert_text(json(w.ask(get("/v1/models/m"))).root()["id"].string(), "m");
  assert_text(json(w.ask(get("/v1/models/org/n"))).root()["id"].string(), "org/n");
  assert_text(json(w.ask(get("/v1/models/org%2fn"))).root()["id"].string(), "org/n");
  for (const char* path : {"/v1/models/M", "/v1/models/*", "/v1/models/org"}) {
    Answer answer = w.ask(get(path));
    assert_int_equal(answer.status, 404);
    assert_text(error_member(answer, "code"), "model_not_found");
    assert_text(error_member(answer, "type"), "invalid_request_error");
  }
}

void health_and_readiness(void**) {
  World w(http_config("routes: [{model: m, retries: 0}]\n"));
  Answer health = w.ask(get("/healthz"));
  assert_int_equal(health.status, 200);
  assert_text(health.body, "ok\n");
  assert_int_equal(w.ask(get("/readyz")).status, 200);
  // The only deployment says that it is at its limit for a minute.
  ConnId client = w.dial();
  w.send(client, post(kChat));
  w.connected(w.upstream());
  w.send(w.upstream(), "HTTP/1.1 429 Slow\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n");
  assert_int_equal(w.answer(client).status, 429);
  assert_int_equal(w.ask(get("/readyz")).status, 503);
  assert_int_equal(w.ask(get("/healthz")).status, 200);
  w.pass(Duration::from_s(61));
  assert_int_equal(w.ask(get("/readyz")).status, 200);
}

void stats_have_both_halves(void**) {
  World w;
  assert_int_equal(w.ask(post(kChat)).status, 200);
  assert_int_equal(w.ask(get("/nothing")).status, 404);
  JsonDocument document = json(w.ask(get("/stats")));
  lb::JsonView root = document.root();
  assert_true(root["calls"]["ok"].number() == 1);
  assert_true(root["clients"]["accepted"].number() == 3);
  assert_true(root["clients"]["requests"].number() == 3);
  assert_true(root["clients"]["busy"].number() == 1);
  assert_true(root["clients"]["answers"]["2xx"].number() == 1);
  assert_true(root["clients"]["answers"]["4xx"].number() == 1);
  assert_false(root["clients"]["answers"]["5xx"].present());
  assert_text(root["listeners"].first()["name"].string(), "default");
  assert_text(root["listeners"].first()["address"].string(), w.gateway->address("default").value());
  assert_text(w.gateway->stats_json().substr(0, 11), "{\"version\":");
}

void metrics_have_both_halves(void**) {
  World w;
  assert_int_equal(w.ask(post(kChat)).status, 200);
  Answer answer = w.ask(get("/metrics"));
  assert_text(answer.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line : {"\nlb_calls_total{result=\"ok\"} 1\n", "\nlb_requests_total 2\n", "\nlb_clients 2\n",
                           "\nlb_answers_total{class=\"2xx\"} 1\n", "# TYPE lb_clients gauge\n",
                           "# TYPE lb_clients_accepted_total counter\n"})
    assert_has(answer.body, line);
  assert_true(answer.body.back() == '\n');
}

void head_has_no_body(void**) {
  World w;
  ConnId client = w.dial();
  for (const char* path : {"/healthz", "/readyz", "/v1/models", "/stats", "/metrics", "/nothing"}) {
    w.send(client, get(path, "", "HEAD"));
    std::string raw = w.got(client);
    Answer answer = w.answer(client, true);
    assert_int_equal(answer.status, std::string_view(path) == "/nothing" ? 404 : 200);
    assert_true(answer.field("content-length") != "0");
    assert_text(raw.substr(raw.size() - 4), "\r\n\r\n");
  }
  w.assert_at_rest();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(models_are_listed),
      cmocka_unit_test(models_are_listed_in_each_dialect),
      cmocka_unit_test(one_model),
      cmocka_unit_test(health_and_readiness),   cmocka_unit_test(stats_have_both_halves),
      cmocka_unit_test(metrics_have_both_halves), cmocka_unit_test(head_has_no_body),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
