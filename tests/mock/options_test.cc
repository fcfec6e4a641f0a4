// The options of a mock: what is taken, what is refused and how that is said, and that the help knows every key.
#include <cstring>

#include "lb_mock.h"
#include "mock/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace {

using namespace lb::mock;

void refused(const char* json, const char* why, bool running = false) {
  Options options;
  const std::optional<std::string> error = read_options(json, running, &options);
  if (!error || error->find(why) == error->npos)
    fail_msg("%s: \"%s\", not \"%s\"", json, error ? error->c_str() : "taken", why);
}

Options taken(const std::string& json) {
  Options options;
  const std::optional<std::string> error = read_options(json, false, &options);
  if (error) fail_msg("%s: %s", json.c_str(), error->c_str());
  return options;
}

void defaults(void**) {
  const Options options = taken("");
  assert_string_equal(options.address.c_str(), "127.0.0.1");
  assert_int_equal(options.behaviour.tokens, 16);
  assert_true(options.behaviour.content.starts_with("mock: a mock answers"));
  assert_int_equal(taken("{\"tokens\":0}").behaviour.content.size(), 0);
}

void overrides_inherit(void**) {
  const Options options = taken(R"({"latency_ms":3,"per_model":{"m":{"tokens":1}},"per_call":[{"nth":1,"name":"x"}]})");
  assert_int_equal(options.per_model[0].second.latency_ms, 3);
  assert_string_equal(options.per_model[0].second.content.c_str(), "mock:");
  assert_true(options.per_call[0].behaviour.content.starts_with("x: a mock"));
  assert_true(options.per_call[0].takes(1) && !options.per_call[0].takes(2));
}

// What is said in an override wins, be it a text or a number of words.
void texts_are_inherited(void**) {
  const Options options = taken(R"({"text":"one  two\n","tool_calls":0,
      "per_model":{"a":{"name":"x"},"b":{"tokens":2},"c":{"text":""}},"per_call":[{"tool_calls":1}]})");
  assert_int_equal(options.behaviour.tokens, 3);  // "one", " ", " two\n"
  assert_string_equal(options.behaviour.content.c_str(), "one  two\\u000a");
  assert_string_equal(options.per_model[0].second.content.c_str(), options.behaviour.content.c_str());
  assert_string_equal(options.per_model[1].second.content.c_str(), "mock: a");
  assert_int_equal(options.per_model[2].second.tokens, 0);
  assert_true(options.calls_tools);
  assert_false(taken("{}").calls_tools);
}

void wrong_ones(void**) {
  refused("{", "not JSON");
  refused("[]", "must be an object");
  refused(R"({"tokns":1})", "/tokns: is not known; known here: address, port");
  refused(R"({"tokens":"1"})", "/tokens: must be a number from 0 to 1000000");
  refused(R"({"tokens":1.5})", "/tokens: must be a whole number");
  refused(R"({"usage":1})", "/usage: must be true or false");
  refused(R"({"name":""})", "/name: must be 1 to 64");
  refused(R"({"name":"a\nb"})", "/name: must be");
  refused(R"({"content_type":"a\r\nb: c"})", "/content_type: must be printable");
  refused(R"({"headers":{"x":"a\r\nb"}})", "/headers: must be names");
  refused(R"({"models":["a\"b"]})", "/models: must have names");
  refused(R"({"framing":"none"})", R"(/framing: must be one of "auto", "length", "chunked", "close")");
  refused(R"({"event_gap_ms":1,"tokens_per_second":1})", "give one");
  refused(R"({"text":"a","tokens":1})", "/tokens: says how long the text is; give one");
  refused(R"({"text":1})", "/text: must be a text");
  refused(R"({"limit":{"every_ms":5}})", "/limit: needs both");
  refused(R"({"limit":{"every_ms":5,"for_ms":6}})", "/limit/for_ms: must not be more");
  refused(R"({"limit":{"form":"x"}})", "/limit/form: must be one of");
  refused(R"({"error":{"rate":2}})", "/error/rate: must be a number from 0 to 1");
  refused(R"({"error":{"status":[]}})", "/error/status: must not be empty");
  refused(R"({"error":{"status":[700]}})", "/error/status: must have whole numbers");
  refused(R"({"cut":{}})", "/cut: needs one of");
  refused(R"({"cut":{"after_bytes":1,"after_events":1}})", "/cut: needs one of");
  refused(R"({"stall":{"after_bytes":1}})", "/stall: needs one of");
  refused(R"({"stall":3})", "/stall: must be an object");
  refused(R"({"per_model":{"m":{"port":1}}})", "/per_model/m/port: is not known");
  refused(R"({"per_call":{}})", "/per_call: must be a list");
  refused(R"({"per_call":[{},{"nth":0}]})", "/per_call/1/nth: must be a number from 1");
  refused(R"({"journal_calls":5})", "/journal_calls: cannot change", true);
}

void at_the_bounds(void**) {
  taken(R"({"tokens":1000000})");
  refused(R"({"tokens":1000001})", "/tokens");
  taken(R"({"tokens":1024,"token_bytes":65536})");
  refused(R"({"tokens":1025,"token_bytes":65536})", "/tokens: times token_bytes");
  refused(R"({"token_bytes":65537})", "/token_bytes");
  taken(R"({"tool_calls":128,"thinking":1000000})");
  refused(R"({"tool_calls":129})", "/tool_calls: must be a number from 0 to 128");
  refused(R"({"thinking":1000001})", "/thinking");
  taken(R"({"body_bytes":67108864,"dimensions":16384,"latency_ms":86400000})");
  taken(R"({"journal_calls":65536,"journal_body":65536})");
  refused(R"({"body_bytes":67108865})", "/body_bytes");
  refused(R"({"dimensions":16385})", "/dimensions");
  refused(R"({"latency_ms":86400001})", "/latency_ms");
  refused(R"({"journal_calls":65537})", "/journal_calls");
  refused(R"({"journal_body":65537})", "/journal_body");
  refused(R"({"port":65536})", "/port");
  taken("{\"name\":\"" + std::string(64, 'n') + "\"}");
  refused(("{\"name\":\"" + std::string(65, 'n') + "\"}").c_str(), "/name");
  std::string rules = "{\"nth\":1}", models = "\"m\":{}";
  for (size_t i = 1; i < kRulesMax; i++) rules += ",{}", models += ",\"m" + std::to_string(i) + "\":{}";
  taken("{\"per_call\":[" + rules + "],\"per_model\":{" + models + "}}");
  refused(("{\"per_call\":[" + rules + ",{}]}").c_str(), "/per_call: must not have more than 256");
  refused(("{\"per_model\":{" + models + ",\"z\":{}}}").c_str(), "/per_model: must not have more than 256");
}

// The complaint about an unknown key lists the known ones: each has to be in the help.
void help_has_every_key(void**) {
  const std::string help = lb_mock_help();
  for (const char* json : {R"({"?":1})", R"({"limit":{"?":1}})", R"({"error":{"?":1}})", R"({"error_event":{"?":1}})",
                           R"({"cut":{"after_bytes":1,"?":1}})", R"({"stall":{"after_events":1,"?":1}})",
                           R"({"per_call":[{"?":1}]})"}) {
    Options options;
    const std::string error = read_options(json, false, &options).value_or("");
    size_t at = error.find("known here: ");
    assert_true(at != error.npos);
    for (at += 12; at < error.size();) {
      const size_t end = std::min(error.find(", ", at), error.size());
      const std::string key = error.substr(at, end - at);
      if (help.find(key) == help.npos) fail_msg("the help lacks %s", key.c_str());
      at = end + 2;
    }
  }
}

void errors_of_the_start(void**) {
  lb_mock* started = nullptr;
  char error[16];
  assert_int_equal(lb_mock_start("{\"x\":1}", 7, &started, error, sizeof error), -1);
  assert_null(started);
  assert_int_equal(std::strlen(error), 15);  // Cut, with its NUL.
  assert_int_equal(lb_mock_start("{\"x\":1}", 7, &started, nullptr, 0), -1);
  char all[256];
  const char wrong[] = R"({"address":"nowhere"})";
  assert_int_equal(lb_mock_start(wrong, sizeof wrong - 1, &started, all, sizeof all), -1);
  assert_non_null(std::strstr(all, "\"nowhere\" is no IPv4 or IPv6 address"));
  assert_int_equal(lb_mock_start("", 0, &started, all, sizeof all), 0);
  const std::string taken_port = "{\"port\":" + std::to_string(lb_mock_port(started)) + "}";
  lb_mock* second = nullptr;
  assert_int_equal(lb_mock_start(taken_port.data(), taken_port.size(), &second, all, sizeof all), -1);
  assert_non_null(std::strstr(all, "cannot listen on 127.0.0.1:"));
  assert_int_equal(lb_mock_control(started, "{\"x\":1}", 7, all, sizeof all), -1);
  assert_non_null(std::strstr(all, "/x: is not known"));
  lb_mock_free(started);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(defaults),      cmocka_unit_test(overrides_inherit),  cmocka_unit_test(wrong_ones),
      cmocka_unit_test(texts_are_inherited),
      cmocka_unit_test(at_the_bounds), cmocka_unit_test(help_has_every_key), cmocka_unit_test(errors_of_the_start),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
