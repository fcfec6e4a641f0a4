// Hosts whose locale writes 1,5 and whose i has no dot when it is large. Locales are made here: a test must not need
// those of the machine.
#include <clocale>
#include <ctime>

#include "abi/upstream.h"
#include "hostile/process.h"

namespace {

using host::Host;

std::string folder;

// Of the sources in the package `locales`, compiled into `folder`.
bool make_locale(const char* source, const char* name) {
  std::string command = "localedef -i " + std::string(source) + " -f UTF-8 " + folder + "/" + name + " >/dev/null 2>&1";
  (void)!system(command.c_str());
  return setlocale(LC_ALL, name) != nullptr;
}

bool german() {
  if (!setlocale(LC_ALL, "de_DE.UTF-8")) return false;
  char text[16];
  snprintf(text, sizeof text, "%.1f", 1.5);
  assert_string_equal(text, "1,5");
  return true;
}

// Every comma of an object stands before a name: a decimal comma does not.
void assert_no_decimal_commas(const std::string& json) {
  std::string open;
  for (size_t i = 0; i < json.size(); i++) {
    char c = json[i];
    if (c == '"') {
      for (i++; json[i] != '"'; i++) i += json[i] == '\\';
    } else if (c == '{' || c == '[') {
      open += c;
    } else if (c == '}' || c == ']') {
      open.pop_back();
    } else if (c == ',' && open.back() == '{' && json[i + 1] != '"') {
      fail_msg("a comma in: %s", json.substr(i > 40 ? i - 40 : 0, 80).c_str());
    }
  }
  assert_true(open.empty());
}

// "name{labels} 1.5": numbers in Prometheus's spelling.
void assert_plain_samples(const std::string& text) {
  size_t samples = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with('#')) continue;
    samples++;
    if (line.find_first_not_of("0123456789.e+-", line.rfind(' ') + 1) != line.npos) fail_msg("%s", line.c_str());
  }
  assert_true(samples > 10);
}

constexpr const char* kFractions = ",\"weight\":0.25,\"models\":{\"m\":{\"price\":{\"input\":0.15,\"output\":0.6}}}";

std::string fractions() {
  return std::string("{\"deployments\":[{\"name\":\"echo\",\"kind\":\"echo\",\"delay_ms\":1") + kFractions +
         "}],\"health\":{\"rate\":0.55},\"retry_budget\":{\"ratio\":0.2}}";
}

void fractions_are_read_and_written(void**) {
  if (!german()) skip();
  Host h(fractions());
  for (int i = 0; i < 3; i++) assert_int_equal(h.finish(h.start(host::chat_body(true))).status, LB_OK);
  assert_no_decimal_commas(h.stats());
  assert_plain_samples(h.stats(1));
  std::string yaml = "deployments:\n  - {name: echo, kind: echo, weight: 2.5}\nhealth: {rate: 0.55}\n";
  lb_error error = {sizeof error, 0, "", ""};
  assert_int_equal(lb_config_check(yaml.data(), yaml.size(), &error), LB_OK);
  yaml.replace(yaml.find("0.55"), 4, "1.55");
  assert_int_equal(lb_config_check(yaml.data(), yaml.size(), &error), LB_CONFIG);
  std::string small = "{\"deployments\":[{\"name\":\"a\",\"kind\":\"echo\",\"weight\":0.0005}]}";
  assert_int_equal(lb_config_check(small.data(), small.size(), &error), LB_CONFIG);
  assert_non_null(strstr(error.message, "0.001"));
  small.replace(small.find("0.0005"), 6, "0,5");
  assert_int_equal(lb_config_check(small.data(), small.size(), &error), LB_CONFIG);
  // The host's locale is as it was.
  assert_string_equal(localeconv()->decimal_point, ",");
}

// What a second call is told to wait, when the first was answered 429 with these fields.
uint64_t told_after(const std::string& fields) {
  host::Upstream upstream("HTTP/1.1 429 Slow\r\n" + fields +
                          "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  Host h(host::upstream_config(upstream));
  assert_int_equal(h.finish(h.start(host::chat_body(false))).code, 429);
  host::Seen& second = h.finish(h.start(host::chat_body(false)));
  assert_int_equal(second.status, LB_LIMITED);
  assert_int_equal(upstream.requests(), 1);
  return second.numbers[LB_FIELD_RETRY_AFTER_MS];
}

// HTTP's dates are English in every country; strftime's are not.
std::string http_date(time_t when) {
  static const char* const kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char* const kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  tm parts;
  gmtime_r(&when, &parts);
  char text[64];
  snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", kDays[parts.tm_wday], parts.tm_mday,
           kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return text;
}

void waits_are_read_in_every_form(void**) {
  if (!german()) skip();
  assert_in_range(told_after("retry-after: 90\r\n"), 60'000, 90'000);
  assert_in_range(told_after("retry-after-ms: 90500.5\r\n"), 60'000, 90'501);
  assert_in_range(told_after("x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m30.5s\r\n"), 60'000,
                  90'501);
  assert_in_range(told_after("retry-after: " + http_date(time(nullptr) + 90) + "\r\n"), 60'000, 91'000);
}

// In Turkish, "I" is the large form of an i without a dot, so that "CHUNKED" and "TITLE" are other words to tolower.
void names_have_no_language(void**) {
  if (!setlocale(LC_ALL, "tr_TR.UTF-8")) skip();
  host::Upstream upstream("HTTP/1.1 200 OK\r\nCONTENT-TYPE: APPLICATION/JSON\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n"
                          "2\r\n{}\r\n0\r\n\r\n");
  Host h(host::upstream_config(upstream));
  host::Seen& seen = h.finish(h.start(host::chat_body(false), nullptr, "POST /v1/chat/completions HTTP/1.1\r\n"
                                                                       "CONTENT-TYPE: APPLICATION/JSON\r\n"
                                                                       "AUTHORIZATION: BEARER I\r\n\r\n"));
  assert_int_equal(seen.status, LB_OK);
  assert_string_equal(seen.data.c_str(), "{}");
  assert_in_range(told_after("RETRY-AFTER: 90\r\nX-RATELIMIT-LIMIT-REQUESTS: 1\r\n"), 60'000, 90'000);
}

int in_another_folder(void**) {
  char name[] = "/tmp/lb-locale-XXXXXX";
  if (!mkdtemp(name)) return 1;
  folder = name;
  setenv("LOCPATH", name, 1);
  for (const char* variable : {"LC_ALL", "LC_NUMERIC", "LANG"}) setenv(variable, "de_DE.UTF-8", 1);
  bool made = make_locale("de_DE", "de_DE.UTF-8");
  made = make_locale("tr_TR", "tr_TR.UTF-8") && made;
  if (!made) print_message("SKIPPED: no localedef or no sources of locales here (package locales)\n");
  return 0;
}

int remove_folder(void**) {
  setlocale(LC_ALL, "C");
  return system(("rm -r " + folder).c_str());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(fractions_are_read_and_written),
      cmocka_unit_test(waits_are_read_in_every_form),
      cmocka_unit_test(names_have_no_language),
  };
  return cmocka_run_group_tests(tests, in_another_folder, remove_folder);
}
