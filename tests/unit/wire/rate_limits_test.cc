#include "wire/rate_limits.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Duration;
using lb::Head;
using lb::kRetryAfterMax;
using lb::kStatedCountMax;
using lb::stated_limits;
using lb::StatedLimit;
using lb::StatedLimits;
using Metric = StatedLimit::Metric;

constexpr int64_t kNow = 1'795'244'400;  // 2026-11-21T07:00:00Z
const Head::Field kDateField{"date", "Sat, 21 Nov 2026 07:00:00 GMT"};

Head head_of(std::initializer_list<Head::Field> fields) {
  Head head;
  head.status = 200;
  head.fields = {{"content-type", "application/json"}, {"x-request-id", "req_1"}, {"server", "cloudflare"}};
  head.fields.insert(head.fields.end(), fields);
  return head;
}

const char* metric_name(Metric metric) {
  constexpr const char* kNames[] = {"requests", "tokens", "input", "output"};
  return kNames[static_cast<size_t>(metric)];
}

std::string seconds_text(std::optional<Duration> wait) {
  if (!wait) return "?";
  return std::to_string(wait->ms()) + "ms";
}

// "requests 59/60 1000ms full per 60": what is stated, one a line, in a form that tests can compare.
std::string said(const Head& head, int64_t now = 0) {
  std::string out;
  for (const StatedLimit& limit : stated_limits(head, now)) {
    out += out.empty() ? "" : "; ";
    out += metric_name(limit.metric) + (" " + std::to_string(limit.remaining)) + "/";
    out += limit.limit ? std::to_string(*limit.limit) : "?";
    out += " " + seconds_text(limit.reset) + (limit.continuous ? " full" : "");
    out += " per " + std::to_string(limit.period.ms() / 1000);
  }
  return out;
}

std::string said(std::initializer_list<Head::Field> fields, int64_t now = 0) { return said(head_of(fields), now); }

#define SAYS(expected, ...) assert_string_equal(said(__VA_ARGS__).c_str(), expected)

void none(void**) {
  SAYS("", {});
  assert_true(stated_limits(Head(), kNow).empty());
  SAYS("", {{"", "1"}, {"x", "1"}, {"r", "1"}, {"a", "1"}, {"ratelimi", "1"}, {"x-ratelimit", "1"},
            {"x-ratelimit-", "1"}, {"xx-ratelimit-remaining", "1"}, {"retry-after", "2"}, {"x-ratelimit-used", "3"}});
}

void openai(void**) {
  Head head = head_of({{"x-ratelimit-limit-requests", "5000"},
                       {"x-ratelimit-limit-tokens", "160000"},
                       {"x-ratelimit-limit-tokens_usage_based", "160000"},
                       {"x-ratelimit-remaining-requests", "4999"},
                       {"x-ratelimit-remaining-tokens", "159976"},
                       {"x-ratelimit-remaining-tokens_usage_based", "159970"},
                       {"x-ratelimit-reset-requests", "12ms"},
                       {"x-ratelimit-reset-tokens", "6m0s"},
                       {"x-ratelimit-reset-tokens_usage_based", "9ms"}});
  SAYS("requests 4999/5000 12ms full per 60; tokens 159976/160000 360000ms full per 60; "
       "tokens 159970/160000 9ms full per 60", head);
  // Names in any case; a project's share; a full bucket.
  SAYS("tokens 7/9 0ms full per 60; requests 3/3 0ms full per 60",
       {{"X-RateLimit-Remaining-Project-Tokens", "7"}, {"X-RATELIMIT-LIMIT-PROJECT-TOKENS", "9"},
        {"x-ratelimit-reset-project-tokens", "0s"}, {"x-ratelimit-remaining-requests", "3"},
        {"x-ratelimit-limit-requests", "3"}, {"x-ratelimit-reset-requests", "0s"}});
  // 200 a day, of which one was used: 432 s until it is there again.
  SAYS("requests 199/200 432000ms full per 86400", {{"x-ratelimit-limit-requests", "200"},
       {"x-ratelimit-remaining-requests", "199"}, {"x-ratelimit-reset-requests", "7m12s"}});
}

void azure(void**) {
  SAYS("requests 999/1000 10000ms per 60; tokens 99500/100000 ? per 60",
       {{"x-ratelimit-limit-requests", "1000"}, {"x-ratelimit-remaining-requests", "999"},
        {"x-ratelimit-reset-requests", "10"}, {"x-ratelimit-limit-tokens", "100000"},
        {"x-ratelimit-remaining-tokens", "99500"}, {"x-ratelimit-reset-tokens", "0"}, {"x-ms-region", "East US"},
        {"apim-request-id", "1"}});
  // The Responses API.
  SAYS("", {{"x-ratelimit-limit-requests", "-1"}, {"x-ratelimit-remaining-requests", "-1"},
            {"x-ratelimit-reset-requests", "-1"}, {"x-ratelimit-limit-tokens", "0"},
            {"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "0"}});
  SAYS("", {{"x-ratelimit-limit-tokens", "-1"}, {"x-ratelimit-remaining-tokens", "0"}});
  SAYS("tokens 0/? ? per 60", {{"x-ratelimit-remaining-tokens", "0"}});
  SAYS("tokens 5/? ? per 60", {{"x-ratelimit-limit-tokens", "0"}, {"x-ratelimit-remaining-tokens", "5"}});
}

void anthropic(void**) {
  Head head = head_of({{"anthropic-ratelimit-requests-limit", "4000"},
                       {"anthropic-ratelimit-requests-remaining", "3999"},
                       {"anthropic-ratelimit-requests-reset", "2026-11-21T07:00:01Z"},
                       {"anthropic-ratelimit-tokens-limit", "480000"},
                       {"anthropic-ratelimit-tokens-remaining", "480000"},
                       {"anthropic-ratelimit-tokens-reset", "2026-11-21T06:59:59Z"},
                       {"anthropic-ratelimit-input-tokens-limit", "400000"},
                       {"anthropic-ratelimit-input-tokens-remaining", "398000"},
                       {"anthropic-ratelimit-input-tokens-reset", "2026-11-21T07:00:00.250Z"},
                       {"anthropic-ratelimit-output-tokens-limit", "80000"},
                       {"anthropic-ratelimit-output-tokens-remaining", "0"},
                       {"anthropic-ratelimit-output-tokens-reset", "2026-11-21T08:01:00+01:00"},
                       kDateField});
  const char* expected = "requests 3999/4000 1000ms full per 60; tokens 480000/480000 0ms full per 60; "
                         "input 398000/400000 250ms full per 60; output 0/80000 60000ms full per 60";
  SAYS(expected, head);
  SAYS(expected, head, 1);  // The Date field counts, not our clock.
  head.remove("date");
  SAYS(expected, head, kNow);
  SAYS("requests 3999/4000 ? full per 60; tokens 480000/480000 ? full per 60; input 398000/400000 ? full per 60; "
       "output 0/80000 ? full per 60", head, 0);
  // Shares of a subscription; a tier beyond which calls go on.
  SAYS("", {{"anthropic-ratelimit-unified-status", "allowed"}, {"anthropic-ratelimit-unified-5h-status", "allowed"},
            {"anthropic-ratelimit-unified-5h-utilization", "0.12"},
            {"anthropic-ratelimit-unified-5h-reset", "1795250000"},
            {"anthropic-ratelimit-unified-7d-remaining", "0"}, {"anthropic-priority-input-tokens-limit", "10000"},
            {"anthropic-priority-input-tokens-remaining", "0"}}, kNow);
}

void groq(void**) {
  // Told by its own fields; by a reset that no minute takes; by the pace at which it refills.
  SAYS("requests 14370/14400 179560ms full per 86400; tokens 17997/18000 7660ms full per 60",
       {{"x-ratelimit-limit-requests", "14400"}, {"x-ratelimit-limit-tokens", "18000"},
        {"x-ratelimit-remaining-requests", "14370"}, {"x-ratelimit-remaining-tokens", "17997"},
        {"x-ratelimit-reset-requests", "2m59.56s"}, {"x-ratelimit-reset-tokens", "7.66s"}});
  SAYS("requests 900/1000 60000ms full per 86400; tokens 1/2 7660ms full per 60",
       {{"x-ratelimit-limit-requests", "1000"}, {"x-ratelimit-remaining-requests", "900"},
        {"x-ratelimit-reset-requests", "1m0s"}, {"x-ratelimit-limit-tokens", "2"},
        {"x-ratelimit-remaining-tokens", "1"}, {"x-ratelimit-reset-tokens", "7.66s"}, {"X-Groq-Region", "fra"}});
  auto by_reset = [](const char* reset) {
    return said({{"x-ratelimit-limit-requests", "1000"}, {"x-ratelimit-remaining-requests", "5"},
                 {"x-ratelimit-reset-requests", reset}});
  };
  assert_string_equal(by_reset("1h0m1s").c_str(), "requests 5/1000 3601000ms full per 86400");
  assert_string_equal(by_reset("1h0m0s").c_str(), "requests 5/1000 3600000ms full per 60");
  // Without a reset; an upstream's own words still count; other families do not become days.
  SAYS("requests 9/? ? per 86400; requests 8/? ? per 60; requests 7/? ? full per 60",
       {{"x-groq-region", "fra"}, {"x-ratelimit-remaining-requests", "9"},
        {"x-ratelimit-remaining-requests-minute", "8"}, {"anthropic-ratelimit-requests-remaining", "7"}});
}

void cerebras(void**) {
  SAYS("requests 9999/14400 33011382ms per 86400; tokens 59000/60000 11382ms per 60",
       {{"x-ratelimit-limit-requests-day", "14400"}, {"x-ratelimit-limit-tokens-minute", "60000"},
        {"x-ratelimit-remaining-requests-day", "9999"}, {"x-ratelimit-remaining-tokens-minute", "59000"},
        {"x-ratelimit-reset-requests-day", "33011.382867"}, {"x-ratelimit-reset-tokens-minute", "11.382867"}});
  SAYS("requests 1/? 15420000ms per 86400; tokens 2/? ? per 3600; tokens 3/? ? per 1",  // SambaNova; others.
       {{"x-ratelimit-remaining-requests-day", "1"}, {"x-ratelimit-reset-requests-day", "4h17m"},
        {"x-ratelimit-remaining-tokens-hour", "2"}, {"x-ratelimit-remaining-tokens-per-second", "3"}});
}

void mistral(void**) {
  SAYS("tokens 499900/500000 28000ms per 60; tokens 999000/1000000000 ? per 2592000; requests 59/60 ? per 60",
       {{"ratelimitbysize-limit", "500000"}, {"ratelimitbysize-remaining", "499900"}, {"ratelimitbysize-reset", "28"},
        {"ratelimitbysize-query-cost", "100"}, {"x-ratelimitbysize-limit-minute", "500000"},
        {"x-ratelimitbysize-remaining-minute", "499900"}, {"x-ratelimitbysize-limit-month", "1000000000"},
        {"x-ratelimitbysize-remaining-month", "999000"}, {"x-ratelimit-limit-req-minute", "60"},
        {"x-ratelimit-remaining-req-minute", "59"}, {"x-ratelimit-tokens-query-cost", "100"}});
  // The reset alone has no word for the minute.
  SAYS("tokens 499900/500000 28000ms per 60", {{"x-ratelimitbysize-limit-minute", "500000"},
       {"x-ratelimitbysize-remaining-minute", "499900"}, {"ratelimitbysize-reset", "28"}});
}

void openrouter(void**) {
  std::initializer_list<Head::Field> fields = {{"X-RateLimit-Limit", "20"}, {"X-RateLimit-Remaining", "0"},
                                               {"X-RateLimit-Reset", "1795244430500"}};
  SAYS("requests 0/20 30500ms per 0", fields, kNow);
  SAYS("requests 0/20 ? per 0", fields, 0);
  SAYS("requests 0/20 0ms per 0", fields, kNow + 60);
}

void together_fireworks_deepinfra(void**) {
  SAYS("requests 9/10 1000ms per 0; tokens 3000/3333 1000ms per 0",
       {{"x-ratelimit-limit", "10"}, {"x-ratelimit-remaining", "9"}, {"x-ratelimit-reset", "1"},
        {"x-tokenlimit-limit", "3333"}, {"x-tokenlimit-remaining", "3000"}});
  SAYS("tokens 3000/? 5000ms per 0; requests 9/? 1000ms per 0",
       {{"x-tokenlimit-remaining", "3000"}, {"x-ratelimit-remaining", "9"}, {"x-ratelimit-reset", "1"},
        {"x-tokenlimit-reset", "5"}});
  SAYS("requests 599/600 ? per 60; input 59000/60000 ? per 0; output 5900/6000 ? per 0; input 1/2 ? per 0",
       {{"x-ratelimit-limit-requests", "600"}, {"x-ratelimit-remaining-requests", "599"},
        {"x-ratelimit-limit-tokens-prompt", "60000"}, {"x-ratelimit-remaining-tokens-prompt", "59000"},
        {"x-ratelimit-limit-tokens-generated", "6000"}, {"x-ratelimit-remaining-tokens-generated", "5900"},
        {"x-ratelimit-over-limit", "no"}, {"x-ratelimit-limit-tokens-cache-adjusted-prompt", "2"},
        {"x-ratelimit-remaining-tokens-cache-adjusted-prompt", "1"}});
  // One reset for all, but for a day's it is too short.
  SAYS("requests 5/? 7000ms per 60; tokens 6/? 7000ms per 60; requests 7/? ? per 86400",
       {{"x-ratelimit-remaining-requests", "5"}, {"x-ratelimit-remaining-tokens", "6"},
        {"x-ratelimit-remaining-requests-day", "7"}, {"x-ratelimit-reset", "7"}});
  // Kong; the words in the other order.
  SAYS("requests 4/5 ? per 60", {{"X-RateLimit-Limit-Minute", "5"}, {"X-RateLimit-Remaining-Minute", "4"}});
  SAYS("requests 4/5 2000ms per 60", {{"x-ratelimit-requests-limit", "5"}, {"x-ratelimit-requests-remaining", "4"},
                                      {"x-ratelimit-requests-reset", "2"}});
}

void ietf(void**) {
  SAYS("requests 50/100 30000ms per 60; requests 900/1000 ? per 86400",
       {{"RateLimit", "\"burst\";r=50;t=30, \"daily\" ; r=900"},
        {"RateLimit-Policy", "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400;qu=\"requests\""}});
  // Several fields, the policy first, tokens for names, a comma and a quote in a name.
  SAYS("tokens 8/10 1000ms per 60; input 7/? ? per 0; requests 6/9 ? per 5",
       {{"ratelimit-policy", "default;q=10;w=60;qu=\"tokens\""}, {"ratelimit", "default;r=8;t=1"},
        {"ratelimit", "\"input-tokens\";r=7"}, {"ratelimit", "\"a,\\\"b;r=1\";r=6"},
        {"ratelimit-policy", "\"a,\\\"b;r=1\";q=9;w=5"}});
  SAYS("", {{"RateLimit", "\"b\";r=5"}, {"RateLimit-Policy", "\"b\";q=5;qu=\"content-bytes\""}});
  SAYS("", {{"RateLimit-Policy", "\"burst\";q=100;w=60"}});
  // Draft 7, draft 6, draft 3.
  SAYS("requests 50/100 5000ms per 10", {{"RateLimit", "limit=100, remaining=50, reset=5"},
                                         {"RateLimit-Policy", "100;w=10"}});
  SAYS("requests 9/10 4000ms per 60", {{"RateLimit-Limit", "10"}, {"RateLimit-Remaining", "9"},
                                       {"RateLimit-Reset", "4"}, {"RateLimit-Policy", "10;w=60, 1000;w=3600"}});
  SAYS("requests 9/10 4000ms per 1", {{"RateLimit-Limit", "10, 10;w=1;burst=1000, 1000;w=3600"},
                                      {"RateLimit-Remaining", "9"}, {"RateLimit-Reset", "4"}});
  SAYS("requests 9/30 4000ms per 60", {{"x-ratelimit-limit", "30, 1200;w=3600, 30;w=60"},
                                       {"x-ratelimit-remaining", "9"}, {"x-ratelimit-reset", "4"}});
  SAYS("requests 9/10 ? per 0", {{"RateLimit-Limit", "10"}, {"RateLimit-Remaining", "9"},
                                  {"RateLimit-Policy", "11;w=6"}});
}

void resets_by_number(void**) {
  auto reset = [](const char* text, int64_t now) {
    StatedLimits limits = stated_limits(head_of({{"x-ratelimit-remaining", "1"}, {"x-ratelimit-reset", text}}), now);
    assert_int_equal(limits.count, 1);
    return limits.items[0].reset;
  };
  assert_true(reset("59.5", 0) == Duration::from_ms(59'500));
  assert_true(reset("2591999", 0) == kRetryAfterMax);
  assert_true(reset("1795244405", kNow) == Duration::from_s(5));
  assert_true(reset("1795244405000", kNow) == Duration::from_s(5));
  assert_true(reset("Sat, 21 Nov 2026 07:00:09 GMT", kNow) == Duration::from_s(9));
  assert_true(reset("1e300", kNow) == kRetryAfterMax);
  for (const char* text : {"0", "-1", "", "soon", "nan", "inf", "1e999", "0x10", "5 s"})
    assert_false(reset(text, kNow).has_value());
  assert_false(reset("1795244405", 0).has_value());
  assert_true(reset("1795244405000", INT64_MIN) == kRetryAfterMax);
  assert_true(reset("1795244405000", INT64_MAX) == Duration::zero());
}

void absent_is_absent(void**) {
  SAYS("", {{"x-ratelimit-limit-requests", "60"}, {"x-ratelimit-reset-requests", "1s"}});
  SAYS("requests 3/? ? per 60", {{"x-ratelimit-remaining-requests", "3"}});
  for (const char* bad : {"", " ", "-1", "-0", "many", "nan", "inf", "0x1", "1 2", "1e999", "--1"})
    SAYS("", {{"x-ratelimit-remaining-requests", bad}, {"x-ratelimit-limit-requests", "9"}});
  for (const char* bad : {"", "-1", "many", "nan"})
    SAYS("requests 9/? ? per 60", {{"x-ratelimit-remaining-requests", "9"}, {"x-ratelimit-limit-requests", bad}});
  SAYS("requests 0/5 ? per 60", {{"x-ratelimit-remaining-requests", "0.5"}, {"x-ratelimit-limit-requests", "5"}});
  // What lb does not count; a limit of one thing is not another's.
  SAYS("", {{"x-ratelimit-remaining-images", "0"}, {"x-ratelimit-remaining-audio-seconds", "0"},
            {"x-ratelimit-remaining-input-images", "0"}, {"x-ratelimit-remaining-requests-tokens", "0"},
            {"x-ratelimit-remaining-input", "0"}, {"x-ratelimitbysize-remaining-requests", "1"},
            {"x-tokenlimit-remaining-pages", "1"}});
  SAYS("tokens 1/? ? per 60", {{"x-ratelimit-remaining-tokens", "1"}, {"x-ratelimit-limit-requests", "5"}});
  // The first of a name counts.
  SAYS("requests 1/? ? per 60", {{"x-ratelimit-remaining-requests", "1"}, {"X-Ratelimit-Remaining-Requests", "2"}});
}

void hostile_values(void**) {
  std::initializer_list<Head::Field> huge = {{"x-ratelimit-remaining-requests", "18446744073709551615"},
      {"x-ratelimit-limit-requests", "99999999999999999999999999"}, {"x-ratelimit-reset-requests", "1e308s"},
      {"x-ratelimit-remaining-tokens", "1e300"}, {"x-ratelimit-reset-tokens", "999999999999999999999h"}};
  Head head = head_of(huge);
  StatedLimits limits = stated_limits(head, kNow);
  assert_int_equal(limits.count, 2);
  assert_int_equal(limits.items[0].remaining, kStatedCountMax);
  assert_int_equal(limits.items[0].limit.value(), kStatedCountMax);
  assert_false(limits.items[0].reset.has_value());
  assert_int_equal(limits.items[1].remaining, kStatedCountMax);
  assert_true(limits.items[1].reset == kRetryAfterMax);
  SAYS("requests 5/? ? per 0; requests 6/? ? per 0",
       {{"RateLimit", "a;r=5,b;r=6"}, {"RateLimit-Policy", "a;w=1e300,b;w=-5"}});
  for (const char* bad : {",", ";", ";;,,;", "\"", "\"\\", "a;r", "a;=5", "=", "\"a;r=5", "limit=", "a;r=\"", " ,\t"}) {
    head = head_of({{"ratelimit", bad}, {"ratelimit-policy", bad}, {"ratelimit-limit", bad},
                    {"x-ratelimit-limit", bad}});
    SAYS("", head, kNow);
  }
}

void no_more_than_there_is_room_for(void**) {
  Head head;
  for (int i = 0; i < 200; i++) head.add("ratelimit", "\"n" + std::to_string(i) + "\";r=" + std::to_string(i));
  StatedLimits limits = stated_limits(head, kNow);
  assert_int_equal(limits.count, lb::kStatedLimitsMax);
  for (size_t i = 0; i < limits.count; i++) assert_int_equal(limits.items[i].remaining, i);
  std::string list;
  for (int i = 0; i < 5000; i++) list += "\"n" + std::to_string(i) + "\";r=0;t=" + std::to_string(i + 1) + ",";
  head.set("ratelimit", list);
  assert_int_equal(stated_limits(head, kNow).count, lb::kStatedLimitsMax);
  assert_true(lb::exhausted_reset(head, kNow).has_value());
}

void random_values_do_no_harm(void**) {
  constexpr std::string_view kBytes = "0123456789.-+eEsmhdnu :,;=\"\\rtqwGMTZ";
  const char* const names[] = {"x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-limit",
      "x-ratelimit-reset-requests", "ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining",
      "ratelimit-reset", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", "date",
      "x-ratelimit-reset", "x-ratelimit-remaining"};
  size_t stated = 0;
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    lb::Rng rng(seed);
    Head head;
    for (const char* name : names) {
      std::string value(rng.below(24), ' ');
      for (char& c : value) c = kBytes[rng.below(kBytes.size())];
      if (rng.below(3) == 0) value = std::to_string(rng.below(3) ? rng.below(100) : rng.next());
      std::string spelt = name;
      if (rng.below(8) == 0) spelt[rng.below(spelt.size())] = static_cast<char>(rng.next());
      head.add(spelt, value);
    }
    for (const StatedLimit& limit : stated_limits(head, rng.below(2) ? kNow : 0)) {
      stated++;
      assert_true(limit.remaining <= kStatedCountMax && limit.limit.value_or(1) <= kStatedCountMax);
      assert_true(limit.limit != 0u && limit.period >= Duration::zero());
      assert_true(limit.period <= Duration::from_s(366 * 86'400));
      if (limit.reset) assert_true(*limit.reset >= Duration::zero() && *limit.reset <= kRetryAfterMax);
    }
  }
  assert_true(stated > 20'000);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(none),
      cmocka_unit_test(openai),
      cmocka_unit_test(azure),
      cmocka_unit_test(anthropic),
      cmocka_unit_test(groq),
      cmocka_unit_test(cerebras),
      cmocka_unit_test(mistral),
      cmocka_unit_test(openrouter),
      cmocka_unit_test(together_fireworks_deepinfra),
      cmocka_unit_test(ietf),
      cmocka_unit_test(resets_by_number),
      cmocka_unit_test(absent_is_absent),
      cmocka_unit_test(hostile_values),
      cmocka_unit_test(no_more_than_there_is_room_for),
      cmocka_unit_test(random_values_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
