// lb_validate, and an engine whose route checks what its deployment says.
#include <thread>

#include "host.h"

namespace {

struct Verdict {
  lb_verdict value = {};
  lb_error error = {};
  lb_status status;
  std::string text;

  Verdict(const std::string& rules, std::string said) : text(std::move(said)) {
    value.struct_size = sizeof value;
    error.struct_size = sizeof error;
    status = lb_validate(rules.data(), rules.size(), text.data(), text.size(), &value, &error);
  }
  ~Verdict() {
    lb_free(value.error);
    lb_free(value.next);
  }
  Verdict(const Verdict&) = delete;
  std::string used() const { return text.substr(value.begin, value.size); }
};

constexpr const char* kRules = R"({"schema":{"type":"object","required":["a"]},"asks":2})";

void what_is_to_be_used(void**) {
  Verdict found(kRules, "Sure: {\"a\":1}!");
  assert_int_equal(found.status, LB_OK);
  assert_int_equal(found.value.valid, 1);
  assert_string_equal(found.used().c_str(), "{\"a\":1}");
  assert_int_equal(found.value.asks, 2);
  assert_true(!found.value.error && !found.value.next);
  Verdict whole("pattern: '^a'", "abc");  // YAML.
  assert_string_equal(whole.used().c_str(), "abc");
  assert_int_equal(whole.value.asks, 3);
}

void what_to_say_next(void**) {
  Verdict wrong(kRules, "{\"b\":1}");
  assert_int_equal(wrong.status, LB_OK);
  assert_true(wrong.value.valid == 0 && wrong.value.begin == 0 && wrong.value.size == 0);
  assert_string_equal(wrong.value.error,
                      "its JSON does not fit the schema: the value as a whole: lacks the member \"a\"");
  assert_non_null(strstr(wrong.value.next, wrong.value.error));
  assert_non_null(strstr(wrong.value.next, "{\"type\":\"object\",\"required\":[\"a\"]}"));
}

void rules_that_are_wrong(void**) {
  auto refusal = [](const char* rules) {
    Verdict out(rules, "x");
    assert_int_equal(out.status, LB_CONFIG);
    return std::string(out.error.where) + ": " + out.error.message;
  };
  assert_string_equal(refusal("{}").c_str(),
                      ": the document checks nothing; write `json`, `schema`, `pattern` or `text`");
  assert_true(refusal(R"({"schema":{"items":{"type":"list"}}})").starts_with("/schema/items/type: is no type; write "));
  assert_true(refusal(R"({"asks":-1,"json":"find"})").starts_with("/asks: "));
  assert_true(refusal(R"({"jsn":"find"})").starts_with("/jsn: unknown key"));
  assert_true(refusal("{").starts_with(": the document: "));
}

void arguments(void**) {
  lb_verdict out = {};
  assert_int_equal(lb_validate("{}", 2, "x", 1, &out, nullptr), LB_INVALID);  // struct_size is not set.
  out.struct_size = sizeof out;
  assert_int_equal(lb_validate(nullptr, 0, "x", 1, &out, nullptr), LB_INVALID);
  assert_int_equal(lb_validate(kRules, strlen(kRules), nullptr, 1, &out, nullptr), LB_INVALID);
  assert_int_equal(lb_validate(kRules, strlen(kRules), "x", 1, nullptr, nullptr), LB_INVALID);
  assert_int_equal(lb_validate(kRules, strlen(kRules), nullptr, 0, &out, nullptr), LB_OK);
  assert_int_equal(out.valid, 0);
  lb_free(out.error);
  lb_free(out.next);
}

void any_thread(void**) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++)
    threads.emplace_back([] {
      for (int n = 0; n < 50; n++) {
        Verdict found(kRules, "- {\"a\":" + std::to_string(n) + "}");
        if (found.value.valid != 1) abort();
      }
    });
  for (std::thread& thread : threads) thread.join();
}

// The engine does the same by its configuration.
void calls_are_checked(void**) {
  for (bool fits : {true, false}) {
    host::Host host(host::echo_config(
        "", std::string(R"(,"routes":[{"model":"m","validate":{"asks":1,"pattern":")") + (fits ? "tok 1" : "never") +
                "\"}}]"));
    const host::Seen& seen = host.finish(host.start(host::chat_body(true)));
    if (fits) {
      assert_int_equal(seen.status, LB_OK);
      assert_non_null(strstr(seen.data.c_str(), "tok 1"));
    } else {
      assert_int_equal(seen.status, LB_UPSTREAM);
      assert_true(seen.data.empty());
      assert_true(seen.message.starts_with("no answer kept the rules of this route, asked 2 times; the last: "));
      assert_int_equal(seen.numbers.at(LB_FIELD_ATTEMPTS), 2);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_to_be_used),   cmocka_unit_test(what_to_say_next),
      cmocka_unit_test(rules_that_are_wrong), cmocka_unit_test(arguments),
      cmocka_unit_test(any_thread),           cmocka_unit_test(calls_are_checked),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
