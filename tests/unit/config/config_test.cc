// parse_config as a whole: the vectors, the defaults, what both formats have in common, and the bounds of a document.
#include "fixture.h"
#include "vectors.h"

namespace lb {
namespace {

std::string folder;  // Of the vectors.

void every_refusal_says_where_and_what(void**) {
  std::vector<Case> cases = cases_of(contents(folder + "/errors.case"));
  assert_true(cases.size() > 100);
  int wrong = 0;
  for (const Case& one : cases) {
    std::string is = refusal(one.document);
    if (is.empty()) is = "ok";
    if (is == one.expected) continue;
    wrong++;
    print_error("%s\n  wanted %s\n  is     %s\n", one.title.c_str(), one.expected.c_str(), is.c_str());
  }
  assert_int_equal(wrong, 0);
}

void no_message_holds_a_secret(void**) {
  for (const Case& one : cases_of(contents(folder + "/errors.case"))) {
    std::string is = refusal(one.document);
    assert_true(is.find("sk-secret") == std::string::npos);
    assert_true(is.find("user:secret") == std::string::npos);
  }
}

void the_sample_is_taken(void**) {
  std::string text = contents(folder + "/sample.yaml");
  MapSecrets secrets;
  secrets.variables = {{"EAST_KEY", "sk-east"}, {"WEST_KEY", "sk-west"}};
  auto config = taken(text, &secrets, SecretUse::read);
  assert_int_equal(config->deployments.size(), 3);
  const Deployment& east = config->deployments[0];
  assert_text(east.key, "sk-east");
  assert_text(east.url.host, "east.example");
  assert_text(east.url.path, "/openai/v1");
  assert_int_equal(east.url.port, 443);
  assert_int_equal(per_minute(east.find_model("gpt-4o-mini")->limits, policy::Metric::requests), 300);
  assert_text(config->deployments[1].find_model("gpt-4o-mini")->as, "mini-2");
  assert_null(east.find_model("gpt-4o"));
  const Route* route = config->find_route("gpt-4o-mini");
  assert_true((route->tiers == std::vector<std::vector<uint32_t>>{{0, 1}, {2}}));
  assert_int_equal(route->retry.retries, 3);
  assert_int_equal(route->deadline.ms(), 120000);
  assert_text(config->find_route("anything else")->model, "*");
  assert_text(config->listen[0].name, "default");
}

void absent_keys_have_their_defaults(void**) {
  auto config = taken(R"({"deployments": [{"name": "a", "url": "https://host"}, {"name": "b", "kind": "echo"}],
                          "routes": [{"model": "m"}]})");
  assert_text(dump(*config),
              "deployment a kind 0 dialect 0 url https host 443  key \n"
              "  weight 1.000000 tls ||||verify\n"
              "  proxy  0 \n"
              "  10000 ms  120000 ms  120000 ms  60000 ms  60000 ms 1024 connections, echo 5 0\n"
              "deployment b kind 1 dialect 0 url http  0  key \n"
              "  weight 1.000000 tls ||||verify\n"
              "  proxy  0 \n"
              "  10000 ms  120000 ms  120000 ms  60000 ms  60000 ms 1024 connections, echo 5 0\n"
              "route m: [ 0 1 ] 0 0 2 600000 0 65536 16777216 65536\n"
              "route *: [ 0 1 ] 0 0 2 600000 0 65536 16777216 65536\n"
              "limits 65536 200 8192 268435456 268435456 8192 1024 30000 60000 300000 75000 30000\n");
}

constexpr const char* kEverythingJson = R"({
  "listen": [{"address": "127.0.0.1:8080"}, {"name": "in", "address": "unix:/run/lb.sock"}],
  "deployments": [
    {"name": "a", "kind": "http", "dialect": "openai", "url": "http://Host:8080/v1/", "key": "sk-1: x",
     "headers": {"x-team": "t"}, "models": {"m": null, "org/n": {"as": "n", "rpm": 1, "tpm": 2, "concurrency": 3}},
     "weight": 2.5, "proxy": "http://u:p@proxy:3128", "connect_ms": 1, "head_ms": 2, "content_ms": 3, "idle_ms": 4,
     "connections_max": 5, "keep_alive_ms": 0},
    {"name": "b", "url": "https://[::1]:9/x", "tls": {"verify": false, "server_name": "s"}, "models": ["m", "4"]},
    {"name": "c", "kind": "echo", "events": 7, "delay_ms": 8}],
  "routes": [{"model": "m", "tiers": [["a", "b"], ["c"]], "balance": "p2c", "retries": 0, "deadline_ms": 9,
              "wait_ms": 10, "window_bytes": 2048, "replay_bytes": 12, "hold_bytes": 13, "commit_on": "head"}],
  "limits": {"head_bytes": 4096, "head_fields": 23, "target_bytes": 99, "request_timeout_ms": 24,
             "body_bytes": 1099511627776, "replay_bytes_total": 16, "connections": 17,
             "waiting": 18, "head_timeout_ms": 19, "body_timeout_ms": 20, "idle_timeout_ms": 21, "dns_ttl_ms": 22}
})";

constexpr const char* kEverythingYaml = R"(# The same.
listen:
- address: 127.0.0.1:8080
- {name: in, address: "unix:/run/lb.sock"}
deployments:
- name: a
  kind: http
  dialect: 'openai'
  url: http://Host:8080/v1/
  key: 'sk-1: x'
  headers: {x-team: t}
  models:
    m:
    org/n: {as: n, rpm: 1, tpm: 0x2, concurrency: 0o3}
  weight: +2.50
  proxy: http://u:p@proxy:3128
  connect_ms: 1
  head_ms: 2.0
  content_ms: 3
  idle_ms: 4
  connections_max: 5
  keep_alive_ms: 0
- name: b
  url: https://[::1]:9/x
  tls: {verify: False, server_name: s}
  models: [m, "4"]
- {name: c, kind: echo, events: 7, delay_ms: 8}
routes:
- model: m
  tiers: [[a, b],
          [c]]
  balance: p2c
  retries: 0
  deadline_ms: 9
  wait_ms: 1e1
  window_bytes: 2048
  replay_bytes: 12
  hold_bytes: 13
  commit_on: head
limits: {head_bytes: 4096, head_fields: 23, target_bytes: 99, request_timeout_ms: 24, body_bytes: 1099511627776,
  replay_bytes_total: 16, connections: 17, waiting: 18,
  head_timeout_ms: 19, body_timeout_ms: 20, idle_timeout_ms: 21, dns_ttl_ms: 22}
)";

void json_and_yaml_are_the_same(void**) {
  std::string json = dump(*taken(kEverythingJson));
  assert_text(json,
              "listen default 127.0.0.1:8080\n"
              "listen in unix:/run/lb.sock\n"
              "deployment a kind 0 dialect 0 url http host 8080 /v1 key sk-1: x\n"
              "  x-team: t\n"
              "  model m as m 0 0 0\n"
              "  model org/n as n 1 2 3\n"
              "  weight 2.500000 tls ||||verify\n"
              "  proxy proxy 3128 Basic dTpw\n"
              "  1 ms  2 ms  3 ms  4 ms  0 ms 5 connections, echo 5 0\n"
              "deployment b kind 0 dialect 0 url https ::1 9 /x key \n"
              "  model m as m 0 0 0\n"
              "  model 4 as 4 0 0 0\n"
              "  weight 1.000000 tls |||s|trust\n"
              "  proxy  0 \n"
              "  10000 ms  120000 ms  120000 ms  60000 ms  60000 ms 1024 connections, echo 5 0\n"
              "deployment c kind 1 dialect 0 url http  0  key \n"
              "  weight 1.000000 tls ||||verify\n"
              "  proxy  0 \n"
              "  10000 ms  120000 ms  120000 ms  60000 ms  60000 ms 1024 connections, echo 7 8\n"
              "route m: [ 0 1 ] [ 2 ] 0 1 0 9 10 2048 12 13\n"
              "route org/n: [ 0 2 ] 0 0 2 600000 0 65536 16777216 65536\n"
              "route 4: [ 1 2 ] 0 0 2 600000 0 65536 16777216 65536\n"
              "route *: [ 2 ] 0 0 2 600000 0 65536 16777216 65536\n"
              "limits 4096 23 99 1099511627776 16 17 18 19 20 24 21 22\n");
  assert_text(dump(*taken(kEverythingYaml)), json);
  assert_text(dump(*taken(std::string(" \r\n\t") + kEverythingJson)), json);
  std::string as_flow = std::string("# JSON is YAML\n") + kEverythingJson;
  assert_text(dump(*taken(as_flow)), json);
  assert_text(dump(*taken("\xef\xbb\xbf" + std::string(kEverythingYaml))), json);
}

void a_document_has_a_size(void**) {
  std::string text = R"({"deployments": [{"name": "a", "kind": "echo"}]})";
  text.resize(kDocumentMax, ' ');
  assert_text(refusal(text), "");
  text += ' ';
  assert_text(refusal(text), ": the document: longer than 16777216 bytes; write less");
}

void a_document_is_utf8(void**) {
  assert_text(refusal("{\"deployments\": [{\"name\": \"a\", \"kind\": \"echo\", \"models\": [\"gr\xc3\xbc\"]}]}"), "");
  const char* words = ": the document: not UTF-8; save it in that encoding";
  assert_text(refusal("{\"deployments\": [{\"name\": \"a\", \"kind\": \"echo\", \"models\": [\"gr\xfc\"]}]}"), words);
  assert_text(refusal("deployments: [{name: a, kind: echo, models: [gr\xfc]}]"), words);
}

void json_nests_so_deep(void**) {
  std::string deep = "{\"x\": " + std::string(199, '[') + std::string(199, ']') + "}";
  assert_text(refusal(deep),
              "/x: unknown key; the keys here are: preset, listen, deployments, routes, accounts, callers, errors, "
              "health, retry_budget, limits, tokenizer");
  deep = "{\"x\": " + std::string(200, '[') + std::string(200, ']') + "}";
  assert_text(refusal(deep), ": the document: line 1 column 206: nested too deeply; write at most 200 levels");
}

// Aliases may nest where the text does not.
void aliases_nest_so_deep(void**) {
  auto nested = [](int levels) {
    std::string text = "a0: &a0 x\n";
    for (int i = 1; i <= levels; i++) {
      std::string name = 'a' + std::to_string(i);
      text += name + ": &" + name + " [*a" + std::to_string(i - 1) + "]\n";
    }
    return text;
  };
  assert_true(refusal(nested(199)).starts_with("/a0: unknown key"));
  assert_text(refusal(nested(200)), ": the document: nested too deeply; write at most 200 levels");
}

void a_route_is_found(void**) {
  auto config = taken("deployments: [{name: a, kind: echo, models: [m, n]}]\nroutes: [{model: n}]");
  assert_text(config->find_route("m")->model, "m");
  assert_text(config->find_route("n")->model, "n");
  assert_null(config->find_route("M"));
  assert_null(config->find_route("*"));
  config = taken("deployments: [{name: a, kind: echo}, {name: b, kind: echo, models: [m]}]");
  assert_ptr_equal(config->find_route("x"), config->find_route("*"));
  assert_text(config->find_route("m")->model, "m");
}

void a_pattern_fits(void**) {
  auto config =
      taken("deployments: [{name: a, kind: echo, models: [gpt-4, 'gpt-4*', 'gpt-*']}, {name: b, kind: echo}]");
  assert_text(config->find_route("gpt-4")->model, "gpt-4");
  assert_text(config->find_route("gpt-4o")->model, "gpt-4*");
  assert_text(config->find_route("gpt-")->model, "gpt-*");
  assert_text(config->find_route("o3")->model, "*");
  assert_text(config->deployments[0].find_model("gpt-5")->as, "");
  for (const char* fitting : {"ab", "axb", "axbxb", "abb"}) assert_true(fits_pattern("a*b", fitting));
  for (const char* other : {"", "a", "b", "abc", "xab", "aXbX"}) assert_false(fits_pattern("a*b", other));
  assert_true(fits_pattern("*a*b*", "xaxbx") && fits_pattern("**", "") && !fits_pattern("*a*b*", "ba"));
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  lb::folder = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::every_refusal_says_where_and_what),
      cmocka_unit_test(lb::no_message_holds_a_secret),
      cmocka_unit_test(lb::the_sample_is_taken),
      cmocka_unit_test(lb::absent_keys_have_their_defaults),
      cmocka_unit_test(lb::json_and_yaml_are_the_same),
      cmocka_unit_test(lb::a_document_has_a_size),
      cmocka_unit_test(lb::a_document_is_utf8),
      cmocka_unit_test(lb::json_nests_so_deep),
      cmocka_unit_test(lb::aliases_nest_so_deep),
      cmocka_unit_test(lb::a_route_is_found),
      cmocka_unit_test(lb::a_pattern_fits),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
