// The balancer of lb.h over time: what is counted, remembered and kept over a new configuration, many threads at once,
// and what a pick allocates. Run under TSan by tests/run.
#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>

#include "balancer.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LB_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LB_TEST_SANITIZED 1
#endif

// Counts every allocation of the process: the dynamic linker takes the program's malloc for that of all libraries.
// glibc keeps its own under another name; a sanitizer needs its own.
#if defined(__GLIBC__) && !defined(LB_TEST_SANITIZED)
#define LB_TEST_COUNTS 1
namespace {
std::atomic<uint64_t> allocations{0};
}
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* malloc(size_t size) {
  allocations++;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  allocations++;
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  allocations++;
  return __libc_realloc(old, size);
}
}
#endif

namespace {

using host::Door;
using host::ended;
using host::has;
using host::kMs;
using host::kSecond;

lb_ask ask_of(uint64_t tokens_in) {
  lb_ask out = host::ask_for();
  out.tokens_in = tokens_in;
  return out;
}

// What the answer took replaces what was expected; what is not known stays as expected, and zero is a number.
void test_tokens_settle(void**) {
  struct Row {
    uint32_t known;
    uint64_t in, out;
    uint64_t left;  // Of 1000, after a call that was expected to take 900, of which 800 in.
  };
  const Row rows[] = {
      {0, 5, 5, 100},
      {LB_KNOWN_TOKENS_IN, 5, 5, 895},
      {LB_KNOWN_TOKENS_OUT, 5, 5, 195},
      {LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT, 5, 5, 990},
      {LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT, 0, 0, 999},  // Every call has one.
      {LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT, 900, 100, 0},
      {LB_KNOWN_TOKENS_OUT, 0, UINT64_MAX, 0},
      {LB_KNOWN_TOKENS_CACHED, 0, 0, 100},
  };
  for (const Row& row : rows) {
    Door door(host::deployments(1, "tpm: 1000"));
    lb_ask ask = ask_of(800);
    ask.tokens_out_max = 100;
    lb_pick pick = door.pick(ask);
    door.pick(ask_of(101), LB_LIMITED);
    lb_outcome outcome = host::ended_well();
    outcome.known = row.known;
    outcome.tokens_in = row.in;
    outcome.tokens_out = row.out;
    outcome.tokens_cached = 3;
    door.report(pick, outcome);
    door.pick(ask_of(row.left + 1), LB_LIMITED);
    if (row.left) door.pick(ask_of(row.left));
  }
}

// Who never sent it has used up nothing, not even a request; an error answer gives the tokens back, not the request.
void test_given_back(void**) {
  Door door(host::deployments(1, "rpm: 1, tpm: 1000"));
  for (int i = 0; i < 5; i++) door.report(door.pick(ask_of(1000)), ended(LB_OUTCOME_NOT_SENT));
  Door two(host::deployments(1, "rpm: 2, tpm: 1000"));
  two.report(two.pick(ask_of(1000)), ended(LB_OUTCOME_ERROR, 400));
  two.report(two.pick(ask_of(999)), ended(LB_OUTCOME_BROKEN));
  two.now += host::kMinute - 2 * kSecond;
  two.pick(ask_of(1), LB_LIMITED);
}

void test_characters(void**) {
  Door door(host::deployments(1, "tpm: 1000"));
  lb_ask ask = host::ask_for();
  ask.characters = 4004;
  door.pick(ask, LB_LIMITED);
  ask.tokens_in = 7;  // Counted: `characters` is not read.
  door.report(door.pick(ask), ended(LB_OUTCOME_NOT_SENT));
  ask.tokens_in = 0;
  ask.characters = 4000;
  door.report(door.pick(ask), ended(LB_OUTCOME_NOT_SENT));
  ask.choices = 2;
  ask.tokens_out_max = 1;
  door.pick(ask, LB_LIMITED);
  ask.characters = 3992;
  door.pick(ask);
}

void test_clock_backwards(void**) {
  Door door(host::deployments(1, "rpm: 1"));
  lb_pick pick = door.pick();
  uint64_t wait = door.pick(LB_LIMITED).wait_ns;
  uint64_t begin = door.now;
  for (uint64_t now : {begin - kSecond, uint64_t{1}, uint64_t{0}}) {
    door.now = now;
    assert_int_equal(door.pick(LB_LIMITED).wait_ns, wait);  // It stands still.
  }
  door.report(pick, ended(LB_OUTCOME_ERROR, 500));
  assert_int_equal(door.mark("a", "", 1), LB_OK);
  door.stats();
  door.explain();
  assert_int_equal(door.configure(host::deployments(1, "rpm: 1")), LB_OK);
  door.now = begin + wait;
  door.pick();
}

void test_configure(void**) {
  std::string both = host::deployments(2, "rpm: 3");
  Door door(both);
  lb_pick first = door.pick();
  door.report(first, ended(LB_OUTCOME_ERROR, 429, "retry-after: 30\r\n"));
  lb_pick open = door.pick();
  std::string before = door.stats();
  // What is not valid changes nothing.
  for (const char* bad : {"", "{", "{\"deployments\":[]}", "deployments: [{name: a, kind: echo, key: {env: HOME}}]"}) {
    lb_error error = {sizeof error, 0, "", ""};
    assert_int_equal(door.configure(bad, &error), LB_CONFIG);
    assert_int_equal(error.status, LB_CONFIG);
    assert_true(error.message[0] != 0);
    assert_string_equal(door.stats().c_str(), before.c_str());
  }
  // Health, limits and open picks of what is the same go on.
  lb_error error = {sizeof error, LB_INTERNAL, "x", "x"};
  assert_int_equal(door.configure(host::deployments(3, "rpm: 3"), &error), LB_OK);
  assert_int_equal(error.status, LB_OK);
  assert_string_equal(error.message, "");
  assert_true(has(door.stats(), "\"picks\":1,"));
  for (int i = 0; i < 5; i++) assert_true(door.pick().target != first.target);  // Two of b, three of c.
  assert_int_equal(door.pick(LB_LIMITED).wait_ns, 30 * kSecond);
  door.report(open);
  door.report(open, host::ended_well(), LB_GONE);
  // A name that is gone is nobody's; its open picks may still be reported.
  assert_int_equal(door.configure("deployments: [{name: z, kind: echo, models: [n]}]"), LB_OK);
  door.pick(LB_INVALID);
  door.pick(host::ask_for("n"));
  assert_true(has(door.stats(), "\"picks\":6,"));
}

// Texts are lent until the report, whatever is configured meanwhile.
void test_texts_are_lent(void**) {
  auto config = [](int i) {
    std::string n = std::to_string(i);
    return "deployments: [{name: a-long-name-of-a-deployment-" + n + ", url: 'http://host-of-number-" + n +
           ".test/and/a/long/path', key: a-key-that-is-not-short-" + n + ", models: {m: {as: the-upstream-name-" + n +
           "}}}]";
  };
  Door door(config(0));
  std::vector<lb_pick> picks;
  for (int i = 0; i < 20; i++) {
    picks.push_back(door.pick());
    assert_int_equal(door.configure(config(i + 1)), LB_OK);
  }
  for (int i = 0; i < 20; i++) {
    std::string n = std::to_string(i);
    lb_pick& pick = picks[static_cast<size_t>(i)];
    assert_string_equal(pick.deployment, ("a-long-name-of-a-deployment-" + n).c_str());
    assert_string_equal(pick.url, ("http://host-of-number-" + n + ".test/and/a/long/path").c_str());
    assert_string_equal(pick.key, ("a-key-that-is-not-short-" + n).c_str());
    assert_string_equal(pick.model, ("the-upstream-name-" + n).c_str());
    assert_int_equal(door.report(pick, ended(LB_OUTCOME_ERROR, 500)).kind, LB_NEXT_ELSEWHERE);
  }
}

void test_explain_and_stats(void**) {
  Door door(host::deployments(3, "concurrency: 1"));
  lb_pick first = door.pick();
  assert_int_equal(door.mark("b", "", 90'000), LB_OK);
  std::string before = door.stats();
  std::string why = door.explain();
  assert_true(why.front() == '{' && why.back() == '}');
  assert_true(has(why, "\"route\":\"m\",\"to\":\""));
  assert_true(has(why, "\"by\":\"balance\",\"candidates\":[{"));
  assert_true(has(why, "\"not\":\"manual\",\"for_ms\":90000"));
  assert_true(has(why, "\"load\":"));
  std::string to = why.substr(why.find("\"to\":\"") + 6, 1);
  for (int i = 0; i < 10; i++) assert_string_equal(door.explain().c_str(), why.c_str());
  assert_string_equal(door.stats().c_str(), before.c_str());
  lb_pick second = door.pick();
  assert_string_equal(second.deployment, to.c_str());
  assert_true(has(door.explain(), "\"wait_ms\":90000"));
  lb_ask ask = host::ask_for();
  ask.tried = &first.target;
  ask.tried_count = 1;
  assert_true(has(door.explain(ask), "\"not\":\"tried\""));

  lb_outcome outcome = host::ended_well();
  outcome.known = LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT | LB_KNOWN_FIRST_CONTENT;
  outcome.tokens_in = 11;
  outcome.tokens_out = 22;
  outcome.first_content_ns = 5 * kMs;
  door.now += 10 * kMs;
  door.report(first, outcome);
  door.report(second, ended(LB_OUTCOME_ERROR, 503));
  std::string stats = door.stats();
  for (const char* part : {"{\"picks\":0,", "\"url\":\"http://a.test/v1\"", "\"ok\":1", "\"overloaded\":1",
                           "\"tokens_in\":11,\"tokens_out\":22", "\"latency_ms\":{", "\"ttft_ms\":{",
                           "\"cooled_by\":\"hand\"", "\"cooled_by\":\"overloaded\""})
    assert_true(has(stats, part));
  assert_false(has(stats, "key-a"));
  assert_false(has(why, "key-a"));
}

void test_mark(void**) {
  Door door(host::deployments(2));
  assert_int_equal(door.mark("a", "", 1000), LB_OK);
  for (int i = 0; i < 10; i++) assert_string_equal(door.pick().deployment, "b");
  assert_int_equal(door.mark("b", "m", UINT64_MAX), LB_OK);
  assert_int_equal(door.pick(LB_NO_UPSTREAM).wait_ns, kSecond);
  door.now += kSecond;
  assert_string_equal(door.pick().deployment, "a");
  // Back at once, with a fault forgotten.
  lb_pick pick = door.pick();
  assert_int_equal(door.report(pick, ended(LB_OUTCOME_ERROR, 429, "retry-after: 100\r\n")).out_ns, 100 * kSecond);
  door.pick(LB_NO_UPSTREAM);
  assert_int_equal(door.mark("a", "", 0), LB_OK);
  assert_string_equal(door.pick().deployment, "a");
  lb_error error = {sizeof error, 0, "", ""};
  for (const char* model : {"another", "*"}) assert_int_equal(door.mark("a", model, 1, &error), LB_INVALID);
  assert_int_equal(door.mark("c", "", 1, &error), LB_INVALID);
  assert_int_equal(error.status, LB_INVALID);
  assert_true(error.message[0] != 0);
  assert_int_equal(door.mark("", "", 1, nullptr), LB_INVALID);
}

lb_ask ask_by(const char* caller) {
  lb_ask out = host::ask_for();
  out.caller = caller;
  out.caller_len = strlen(caller);
  return out;
}

void test_callers(void**) {
  Door door(host::deployments(1, "", "callers: {vip: {concurrency: 2}, '*': {rpm: 1}}\nlimits: {callers: 2}"));
  lb_pick one = door.pick(ask_by("vip"));
  door.pick(ask_by("vip"));
  assert_true(door.pick(ask_by("vip"), LB_LIMITED).wait_ns == UINT64_MAX);
  door.report(one);
  door.pick(ask_by("vip"));
  // Every other by itself.
  door.report(door.pick(ask_by("x")));
  uint64_t wait = door.pick(ask_by("x"), LB_LIMITED).wait_ns;
  assert_in_range(wait, 1, host::kMinute + kSecond);  // A sixtieth of the window more.
  // To explain is not to count: nobody is forgotten for it.
  assert_true(has(door.explain(ask_by("y")), "\"to\":\"a\""));
  assert_true(has(door.explain(ask_by("x")), "\"by\":\"caller\""));
  assert_int_equal(door.pick(ask_by("x"), LB_LIMITED).wait_ns, wait);
  door.report(door.pick(ask_by("z")));
  Door free(host::deployments(1));
  for (int i = 0; i < 10; i++) free.pick(ask_by("anyone"));
}

void test_affinity(void**) {
  Door door(host::deployments(4));
  std::set<std::string> used;
  for (int session = 0; session < 16; session++) {
    std::string name = "session-" + std::to_string(session);
    lb_ask ask = host::ask_for();
    ask.affinity = name.data();
    ask.affinity_len = name.size();
    lb_pick first = door.pick(ask);
    door.report(first);
    used.insert(first.deployment);
    for (int i = 0; i < 10; i++) {
      door.now += kSecond;
      lb_pick pick = door.pick(ask);
      assert_int_equal(pick.target, first.target);
      if (i % 2) door.report(pick);
    }
    // Not where that one is out.
    ask.tried = &first.target;
    ask.tried_count = 1;
    assert_true(door.pick(ask).target != first.target);
  }
  assert_true(used.size() >= 3);
}

std::string order(Door& door) {
  std::string out;
  for (int i = 0; i < 60; i++) out += door.pick().deployment;
  return out;
}

void test_seeds(void**) {
  std::string config = host::deployments(5, "", "routes: [{model: m, balance: random}]");
  Door one(config, Door::options(1)), same(config, Door::options(1)), other(config, Door::options(2));
  Door any(config, Door::options(0)), any_other(config, Door::options(0));
  std::string first = order(one);
  assert_string_equal(first.c_str(), order(same).c_str());
  assert_true(first != order(other));
  assert_true(order(any) != order(any_other));
}

void test_nothing_is_shared(void**) {
  std::string config = host::deployments(2, "rpm: 5, concurrency: 3");
  Door one(config), two(config), untouched(config);
  lb_pick pick = one.pick();
  two.report(pick, host::ended_well(), LB_GONE);
  one.report(pick, ended(LB_OUTCOME_ERROR, 401));
  assert_int_equal(one.mark("b", "", 1000), LB_OK);
  while (true) {
    lb_pick next = {};
    next.struct_size = sizeof next;
    lb_ask ask = host::ask_for();
    if (lb_balancer_pick(one.balancer, &ask, one.now, &next) != LB_OK) break;
  }
  assert_string_equal(two.stats().c_str(), untouched.stats().c_str());
  for (int i = 0; i < 6; i++) {
    std::string there = untouched.pick().deployment;
    assert_string_equal(two.pick().deployment, there.c_str());
  }
}

// --- Many threads ---

constexpr int kThreads = 2;
constexpr uint64_t kCallsEach = 3000;

struct Counts {
  std::atomic<uint64_t> served{0}, failed{0}, gone{0}, faults{0};
  std::atomic<int> working{kThreads};
};

void call_often(lb_balancer* balancer, uint64_t seed, Counts& counts) {
  for (uint64_t i = 0; i < kCallsEach; i++) {
    lb_ask ask = host::ask_for();
    std::string session = "s" + std::to_string(i % 50), caller = "c" + std::to_string(i % 7);
    ask.affinity = session.data();
    ask.affinity_len = i % 3 ? session.size() : 0;
    ask.caller = caller.data();
    ask.caller_len = caller.size();
    lb_pick pick = {};
    pick.struct_size = sizeof pick;
    uint64_t now = 2000 * kSecond + i * kMs;
    if (lb_balancer_pick(balancer, &ask, now, &pick) != LB_OK) {
      counts.faults++;
      continue;
    }
    bool fails = (i + seed) % 100 == 0;
    if (strlen(pick.url) == 0 || strncmp(pick.key, "key-", 4) != 0) counts.faults++;
    lb_outcome outcome = fails ? ended(LB_OUTCOME_ERROR, 500, "x-a: b\r\n") : host::ended_well();
    outcome.known = LB_KNOWN_TOKENS_OUT;
    outcome.tokens_out = 1;
    lb_next next = {};
    next.struct_size = sizeof next;
    if (lb_balancer_report(balancer, pick.pick, &outcome, now, &next) == LB_OK)
      (fails ? counts.failed : counts.served)++;
    if (lb_balancer_report(balancer, pick.pick, &outcome, now, &next) == LB_GONE) counts.gone++;
  }
  counts.working--;
}

uint64_t sum_of(const std::string& text, const std::string& key) {
  uint64_t sum = 0;
  std::string wanted = "\"" + key + "\":";
  for (size_t at = text.find(wanted); at != text.npos; at = text.find(wanted, at + 1))
    sum += strtoull(text.c_str() + at + wanted.size(), nullptr, 10);
  return sum;
}

void test_threads(void**) {
  std::string config = host::deployments(3, "", "callers: {'*': {rpm: 1000000}}\nlimits: {callers: 4}");
  Door door(config);
  Counts counts;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kThreads; i++)
    threads.emplace_back(call_often, door.balancer, i, std::ref(counts));
  for (int i = 0; counts.working > 0; i++) {
    assert_int_equal(door.configure(config), LB_OK);
    door.stats();
    door.explain();
    assert_int_equal(door.mark("b", "", i % 2 ? 1 : 0), LB_OK);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
  assert_int_equal(counts.faults, 0);
  assert_int_equal(counts.served + counts.failed, kThreads * kCallsEach);
  assert_int_equal(counts.gone, kThreads * kCallsEach);
  std::string stats = door.stats();
  assert_int_equal(sum_of(stats, "ok"), counts.served);
  assert_int_equal(sum_of(stats, "server"), counts.failed);
  assert_int_equal(sum_of(stats, "attempts"), kThreads * kCallsEach);
  assert_int_equal(sum_of(stats, "tokens_out"), kThreads * kCallsEach);
  assert_int_equal(sum_of(stats, "picks"), 0);
  assert_int_equal(sum_of(stats, "in_flight"), 0);
}

// --- Allocations ---

#ifdef LB_TEST_COUNTS
size_t first_of(void*, const lb_candidate*, size_t) { return 0; }

void test_allocates_nothing(void**) {
  for (const char* balance : {"p2c", "p2c_tokens", "peak_ewma", "least_active", "random", "round_robin", "top_k",
                              "max_headroom", "host"}) {
    lb_balancer_options options = Door::options();
    options.select = first_of;
    Door door(host::deployments(5, "rpm: 1000000, tpm: 100000000, concurrency: 100",
                                std::string("callers: {c: {rpm: 1000000}}\nroutes: [{model: m, estimate: learned,") +
                                    " balance: " + balance + "}]"), options);
    lb_ask ask = ask_by("c");
    ask.characters = 400;
    lb_outcome outcome = host::ended_well();
    outcome.known = LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT | LB_KNOWN_FIRST_CONTENT;
    outcome.tokens_in = outcome.tokens_out = 100;
    outcome.first_content_ns = kMs;
    lb_pick picks[40];
    uint64_t before = 0;
    for (int round = 0; round < 20; round++) {
      if (round == 2) before = allocations;
      for (size_t i = 0; i < 40; i++) {
        ask.affinity = i % 2 ? "session" : "";
        ask.affinity_len = strlen(ask.affinity);
        picks[i] = door.pick(ask);
        door.now += kMs;
      }
      for (const lb_pick& pick : picks) door.report(pick, outcome);
    }
    assert_int_equal(allocations - before, 0);
  }
}
#endif

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_tokens_settle),
      cmocka_unit_test(test_given_back),
      cmocka_unit_test(test_characters),
      cmocka_unit_test(test_clock_backwards),
      cmocka_unit_test(test_configure),
      cmocka_unit_test(test_texts_are_lent),
      cmocka_unit_test(test_explain_and_stats),
      cmocka_unit_test(test_mark),
      cmocka_unit_test(test_callers),
      cmocka_unit_test(test_affinity),
      cmocka_unit_test(test_seeds),
      cmocka_unit_test(test_nothing_is_shared),
      cmocka_unit_test(test_threads),
#ifdef LB_TEST_COUNTS
      cmocka_unit_test(test_allocates_nothing),
#endif
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
