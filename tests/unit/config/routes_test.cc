// The routes of a document, and those that follow from the deployments.
#include "config/schema.h"
#include "fixture.h"

namespace lb {
namespace {

std::string routes_of(const std::string& text) {
  auto config = taken(text);
  std::string out;
  for (const Route& route : config->routes) {
    out += route.model + ':';
    for (const auto& tier : route.tiers) {
      out += '[';
      for (uint32_t index : tier) out += config->deployments[index].name;
      out += ']';
    }
    out += ' ';
  }
  return out;
}

constexpr const char* kThree =
    "deployments: [{name: a, kind: echo, models: [m, n]}, {name: b, kind: echo, models: [n, o]}, "
    "{name: c, kind: echo}]\n";

void models_have_routes(void**) {
  assert_text(routes_of("deployments: [{name: a, kind: echo, models: [m]}]"), "m:[a] ");
  assert_text(routes_of("deployments: [{name: a, kind: echo}]"), "*:[a] ");
  assert_text(routes_of(kThree), "m:[ac] n:[abc] o:[bc] *:[c] ");
}

void written_routes_come_first(void**) {
  std::string three = kThree;
  assert_text(routes_of(three + "routes: [{model: n, tiers: [[b], [a]]}]"), "n:[b][a] m:[ac] o:[bc] *:[c] ");
  assert_text(routes_of(three + "routes: [{model: n}]"), "n:[abc] m:[ac] o:[bc] *:[c] ");
  assert_text(routes_of(three + "routes: [{model: '*', retries: 1}]"), "*:[c] m:[ac] n:[abc] o:[bc] ");
  // By the name it is asked for.
  assert_text(routes_of(three + "routes: [{model: x}]"), "x:[c] m:[ac] n:[abc] o:[bc] *:[c] ");
}

void patterns_have_routes(void**) {
  std::string some =
      "deployments: [{name: a, kind: echo, models: [m-1]}, {name: b, kind: echo, models: ['m-*', 'x*y']}, "
      "{name: c, kind: echo}]\n";
  assert_text(routes_of(some), "m-1:[abc] m-*:[bc] x*y:[bc] *:[c] ");
  assert_text(routes_of(some + "routes: [{model: 'm-*', tiers: [[c], [b]]}, {model: m-2}]"),
              "m-*:[c][b] m-2:[bc] m-1:[abc] x*y:[bc] *:[c] ");
  assert_text(refusal(some + "routes: [{model: 'm*', tiers: [[b]]}]"),
              "/routes/0/tiers/0/0: \"b\" does not serve \"m*\"; add it to its models, or take it out here");
}

void tiers_keep_their_order(void**) {
  std::string three = kThree;
  assert_text(routes_of(three + "routes: [{model: n, tiers: [[c, a], [b]]}]").substr(0, 10), "n:[ca][b] ");
}

// The largest that is taken: 4096 routes and "*".
void routes_are_bounded(void**) {
  auto document = [](int listed, int more) {
    std::string text = "deployments:\n- {name: z, kind: echo}\n";
    for (int d = 0; d < 2; d++) {
      text += "- {name: d" + std::to_string(d) + ", kind: echo, models: [";
      int count = d == 0 ? listed : more;
      for (int i = 0; i < count; i++) text += "m" + std::to_string(d) + '-' + std::to_string(i) + ", ";
      text += "]}\n";
    }
    return text;
  };
  assert_int_equal(taken(document(2048, 2048))->routes.size(), 4097);
  assert_text(refusal(document(2048, 2049)), "/deployments: names more than 4096 models together; write fewer");
}

void a_route_may_mix_dialects(void**) {
  std::string two =
      "deployments: [{name: a, url: 'http://h/1', models: [m, n]}, "
      "{name: b, url: 'http://h/2', dialect: anthropic, models: [n, o]}]\n";
  assert_text(routes_of(two), "m:[a] n:[ab] o:[b] ");
  assert_text(routes_of(two + "routes: [{model: n, tiers: [[b], [a]], larger: o}]"), "n:[b][a] m:[a] o:[b] ");
}

void vendors_have_their_ways(void**) {
  auto config = taken("deployments: [{name: a, vendor: deepseek}, {name: b, vendor: anthropic}, "
                      "{name: c, vendor: deepseek, dialect: anthropic, url: 'https://api.deepseek.com/anthropic/v1'}, "
                      "{name: d, vendor: azure, url: 'https://r.openai.azure.com/openai', api_version: '2024-10-21'}, "
                      "{name: e, url: 'http://h', without: [count_tokens, embeddings]}, {name: f, vendor: ollama}]");
  const std::vector<Deployment>& all = config->deployments;
  assert_text(all[0].url.text(), "https://api.deepseek.com/v1");
  assert_true(all[0].lacks.has(Operation::embeddings) && all[0].vendor->thinking_back);
  assert_true(all[1].api == Api::anthropic && !all[1].lacks.has(Operation::count_messages));
  assert_text(all[1].url.text(), "https://api.anthropic.com/v1");
  // What is said of a vendor is said of the dialect that is its own.
  assert_true(all[2].api == Api::anthropic && all[2].vendor == &vendor_other());
  assert_true(all[3].lacks.has(Operation::responses) && !all[3].lacks.has(Operation::embeddings));
  assert_true(all[3].vendor->key_field == "api-key: ");
  for (Operation operation : {Operation::embeddings, Operation::batch_embed, Operation::count_messages})
    assert_true(all[4].lacks.has(operation));
  assert_false(all[4].lacks.has(Operation::responses));
  assert_text(all[5].url.text(), "http://127.0.0.1:11434/v1");
  // The names of the key are the names of the table.
  for (size_t i = 0; i < vendors().size(); i++)
    assert_true(schema::choice_index(schema::row(schema::Key::deployment_vendor), vendors()[i].name) == i);
}

void echo_speaks_openai(void**) {
  assert_text(refusal("deployments: [{name: a, kind: echo, dialect: anthropic}]"),
              "/deployments/0/dialect: kind echo answers as OpenAI does; leave it out");
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::models_have_routes),
      cmocka_unit_test(lb::written_routes_come_first),
      cmocka_unit_test(lb::patterns_have_routes),
      cmocka_unit_test(lb::tiers_keep_their_order),
      cmocka_unit_test(lb::routes_are_bounded),
      cmocka_unit_test(lb::a_route_may_mix_dialects),
      cmocka_unit_test(lb::vendors_have_their_ways),
      cmocka_unit_test(lb::echo_speaks_openai),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
