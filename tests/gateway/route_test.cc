#include "gateway/route.h"

#include "gateway/world.h"

namespace {

using lb::Endpoint;
using lb::match_route;
using lb::origin_form;
using lb::test::assert_text;

void assert_route(const char* method, const char* target, Endpoint endpoint, const char* allow = "") {
  lb::RouteMatch match = match_route(method, target);
  assert_int_equal(match.endpoint, endpoint);
  assert_text(match.allow, allow);
}

void calls(void**) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}) {
    assert_route("POST", path, Endpoint::call);
    assert_route("GET", path, Endpoint::call, "POST");
    assert_route("HEAD", path, Endpoint::call, "POST");
  }
  assert_route("POST", "/v1/chat/completions?api-version=1", Endpoint::call);
  assert_route("POST", "/v1/chat/completions/", Endpoint::none);
  assert_route("POST", "/v1/chat/completion", Endpoint::none);
  assert_route("POST", "/V1/chat/completions", Endpoint::none);
}

void documents(void**) {
  assert_route("GET", "/v1/models", Endpoint::models);
  assert_route("GET", "/v1/models?limit=3", Endpoint::models);
  assert_route("GET", "/healthz", Endpoint::health);
  assert_route("HEAD", "/readyz", Endpoint::ready);
  assert_route("GET", "/metrics", Endpoint::metrics);
  assert_route("GET", "/stats", Endpoint::stats);
  assert_route("POST", "/stats", Endpoint::stats, "GET, HEAD");
  assert_route("DELETE", "/v1/models", Endpoint::models, "GET, HEAD");
  for (const char* path : {"", "/", "*", "/v1", "/v1/", "/v1/models/", "/v1/modelsx", "/healthz/", "healthz"})
    assert_route("GET", path, Endpoint::none);
}

void model_ids_are_decoded(void**) {
  auto id = [](const char* path) {
    lb::RouteMatch match = match_route("GET", path);
    assert_int_equal(match.endpoint, Endpoint::model);
    return match.model;
  };
  assert_text(id("/v1/models/m"), "m");
  assert_text(id("/v1/models/org/model"), "org/model");
  assert_text(id("/v1/models/org%2Fmodel%3a1?x=%41"), "org/model:1");
  assert_text(id("/v1/models/%zz%4"), "%zz%4");
  assert_text(id("/v1/models/a%2"), "a%2");
  assert_text(id("/v1/models/%"), "%");
}

void absolute_targets(void**) {
  assert_text(origin_form("http://lb/v1/models?x"), "/v1/models?x");
  assert_text(origin_form("HTTPS://lb:1"), "/");
  assert_text(origin_form("http://lb?x"), "?x");
  assert_text(origin_form("/http://lb/"), "/http://lb/");
  assert_route("GET", "http://lb/healthz", Endpoint::health);
  assert_route("POST", "http://lb/v1/embeddings?x=1", Endpoint::call);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(calls),
      cmocka_unit_test(documents),
      cmocka_unit_test(model_ids_are_decoded),
      cmocka_unit_test(absolute_targets),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
