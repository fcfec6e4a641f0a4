// The balancer of lb.h, call by call: opening it, picks and reports, waits, attempts, and structs of any age.
#include <algorithm>
#include <cstdlib>

#include "balancer.h"

namespace {

using host::Door;
using host::ended;
using host::has;
using host::kMs;
using host::kSecond;

lb_status open_error(const std::string& config, const lb_balancer_options* options, lb_error* error) {
  *error = {};
  error->struct_size = sizeof *error;
  lb_balancer* balancer = nullptr;
  lb_status status = lb_balancer_open(options, config.data(), config.size(), &balancer, error);
  assert_int_equal(error->status, status);
  assert_int_equal(balancer != nullptr, status == LB_OK);
  lb_balancer_free(balancer);
  return status;
}

void test_bad_configurations(void**) {
  lb_error error;
  assert_int_equal(open_error("{\"deployment\":[]}", nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/deployment");
  assert_non_null(strstr(error.message, "deployments"));
  assert_int_equal(open_error(host::deployments(1, "rpm: many"), nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/deployments/0/rpm");
  assert_int_equal(open_error("", nullptr, &error), LB_CONFIG);
  assert_int_equal(open_error("deployments: [", nullptr, &error), LB_CONFIG);
  assert_int_equal(open_error(host::deployments(1), nullptr, &error), LB_OK);
  assert_string_equal(error.message, "");
  lb_balancer* none = nullptr;
  assert_int_equal(lb_balancer_open(nullptr, nullptr, 1, &none, &error), LB_INVALID);
  assert_true(error.message[0] != 0);
  std::string config = host::deployments(1);
  assert_int_equal(lb_balancer_open(nullptr, config.data(), config.size(), nullptr, nullptr), LB_INVALID);
  lb_balancer_free(nullptr);
}

void test_options(void**) {
  lb_error error;
  std::string config = host::deployments(1);
  lb_balancer_options options = Door::options();
  options.flags = LB_ENGINE_DRIVEN;
  assert_int_equal(open_error(config, &options, &error), LB_UNSUPPORTED);
  assert_true(error.message[0] != 0);
  options.flags = 0;
  options.picks_max = 1u << 24;
  assert_int_equal(open_error(config, &options, &error), LB_OK);
  options.picks_max++;
  assert_int_equal(open_error(config, &options, &error), LB_INVALID);
  assert_non_null(strstr(error.message, "16777216"));
  options = Door::options();
  options.struct_size = 0;
  assert_int_equal(open_error(config, &options, &error), LB_INVALID);
  assert_non_null(strstr(error.message, "struct_size"));
  options.struct_size = sizeof(uint32_t);  // The oldest host there could be.
  options.picks_max = UINT32_MAX;
  assert_int_equal(open_error(config, &options, &error), LB_OK);
  // Clocks that cannot be: sums of them must not overflow.
  for (uint64_t now : {uint64_t{0}, uint64_t{1}, UINT64_MAX})
    for (uint64_t unix_ns : {uint64_t{1}, UINT64_MAX / 2, UINT64_MAX}) {
      options = Door::options();
      options.now_ns = now;
      options.unix_ns = unix_ns;
      Door door(host::deployments(1, "rpm: 5, window: aligned"), options);
      lb_pick pick = door.pick();
      door.now = UINT64_MAX;
      door.report(pick, ended(LB_OUTCOME_ERROR, 429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"));
    }
}

void test_secrets(void**) {
  setenv("LB_TEST_KEY", "from-environment", 1);
  std::string config = "deployments: [{name: a, url: 'http://a.test/v1', key: {env: LB_TEST_KEY}, models: [m]}]";
  lb_error error;
  lb_balancer_options options = Door::options();
  assert_int_equal(open_error(config, &options, &error), LB_CONFIG);
  options.flags = LB_ENGINE_SECRETS;
  Door door(config, options);
  lb_pick pick = door.pick();
  assert_string_equal(pick.key, "from-environment");
  door.report(pick);
}

void test_a_call(void**) {
  Door door("deployments: [{name: a, url: 'http://a.test/v1/', key: k, models: {m: {as: n}}},"
            "{name: e, kind: echo, models: [n]}, {name: any, url: 'https://any.test'}]");
  lb_pick pick = door.pick(host::ask_for("n"));
  if (strcmp(pick.deployment, "e") == 0) assert_string_equal(pick.url, "");
  door.report(pick);
  pick = door.pick(host::ask_for("m"));
  lb_next next = door.report(pick);
  assert_int_equal(next.kind, LB_NEXT_STOP);
  assert_int_equal(next.out_ns, 0);
  assert_int_equal(door.report(pick, host::ended_well(), LB_GONE).kind, LB_NEXT_STOP);
  // By whatever name: a deployment that lists no models.
  Door one("deployments: [{name: a, url: 'http://a.test/v1/', key: k, models: {m: {as: n}}}]");
  pick = one.pick();
  assert_string_equal(pick.deployment, "a");
  assert_string_equal(pick.url, "http://a.test/v1");
  assert_string_equal(pick.key, "k");
  assert_string_equal(pick.model, "n");
  assert_int_equal(pick.wait_ns, 0);
  assert_int_equal(pick.again, 0);
  Door any("deployments: [{name: any, url: 'https://any.test'}]");
  pick = any.pick(host::ask_for("whatever"));
  assert_null(pick.model);
  assert_string_equal(pick.key, "");
  assert_string_equal(pick.url, "https://any.test");
}

// A number is never used again, and only what was picked and not yet reported can be reported.
void test_gone(void**) {
  Door door(host::deployments(1));
  lb_pick first = door.pick(), second = door.pick();
  assert_true(first.pick != second.pick);
  door.report(first);
  door.report(first, host::ended_well(), LB_GONE);
  lb_pick third = door.pick();  // In the place of the first.
  assert_true(third.pick != first.pick);
  door.report(first, host::ended_well(), LB_GONE);
  for (uint64_t made_up : {uint64_t{0}, third.pick + 1, third.pick + (uint64_t{1} << 24), UINT64_MAX}) {
    lb_pick wrong = third;
    wrong.pick = made_up;
    door.report(wrong, host::ended_well(), LB_GONE);
  }
  assert_true(has(door.stats(), "\"picks\":2,"));
  door.report(second);
  door.report(third);
  assert_true(has(door.stats(), "\"picks\":0,"));
}

void test_full(void**) {
  lb_balancer_options options = Door::options();
  options.picks_max = 3;
  Door door(host::deployments(2), options);
  lb_pick picks[3];
  for (lb_pick& pick : picks) pick = door.pick();
  assert_int_equal(door.pick(LB_FULL).pick, 0);
  assert_int_equal(door.pick(host::ask_for("another"), LB_INVALID).wait_ns, 0);
  door.report(picks[1], ended(LB_OUTCOME_NOT_SENT));
  picks[1] = door.pick();
  door.pick(LB_FULL);
  for (lb_pick& pick : picks) door.report(pick);
}

void test_invalid(void**) {
  Door door(host::deployments(1));
  lb_ask ask = host::ask_for();
  lb_pick pick = {};
  pick.struct_size = sizeof pick;
  assert_int_equal(lb_balancer_pick(nullptr, &ask, door.now, &pick), LB_INVALID);
  assert_int_equal(lb_balancer_pick(door.balancer, nullptr, door.now, &pick), LB_INVALID);
  assert_int_equal(lb_balancer_pick(door.balancer, &ask, door.now, nullptr), LB_INVALID);
  door.pick(host::ask_for("nobody's"), LB_INVALID);
  door.pick(host::ask_for(""), LB_INVALID);
  for (int field = 0; field < 4; field++) {
    ask = host::ask_for();
    if (field == 0) ask.model = nullptr;
    if (field == 1) ask.caller_len = 1;
    if (field == 2) ask.affinity_len = 1;
    if (field == 3) ask.tried_count = 1;
    door.pick(ask, LB_INVALID);
    assert_null(lb_balancer_explain(door.balancer, &ask, door.now, nullptr));
  }
  ask = host::ask_for();
  ask.flags = 1 << 1;
  door.pick(ask, LB_UNSUPPORTED);
  // An outcome that says nothing leaves the pick open.
  lb_pick open = door.pick();
  lb_outcome outcome = ended(LB_OUTCOME_NOT_SENT + 1);
  door.report(open, outcome, LB_INVALID);
  door.report(open, ended(LB_OUTCOME_ERROR, 1000), LB_INVALID);
  outcome = host::ended_well();
  outcome.known = 1 << 4;
  door.report(open, outcome, LB_UNSUPPORTED);
  for (bool head : {true, false}) {
    outcome = host::ended_well();
    (head ? outcome.head : outcome.body) = nullptr;
    (head ? outcome.head_len : outcome.body_len) = 1;
    door.report(open, outcome, LB_INVALID);
  }
  lb_next next = {};
  next.struct_size = sizeof next;
  assert_int_equal(lb_balancer_report(nullptr, open.pick, &outcome, door.now, &next), LB_INVALID);
  assert_int_equal(lb_balancer_report(door.balancer, open.pick, nullptr, door.now, &next), LB_INVALID);
  outcome = host::ended_well();
  assert_int_equal(lb_balancer_report(door.balancer, open.pick, &outcome, door.now, nullptr), LB_INVALID);
  door.report(open);
  assert_true(has(door.stats(), "\"picks\":0,"));
  lb_error error = {sizeof error, 0, "", ""};
  assert_int_equal(lb_balancer_configure(nullptr, "", 0, 0, &error), LB_INVALID);
  assert_int_equal(lb_balancer_configure(door.balancer, nullptr, 3, 0, &error), LB_INVALID);
  assert_int_equal(lb_balancer_mark(nullptr, "a", 1, "", 0, 0, 0, &error), LB_INVALID);
  assert_int_equal(lb_balancer_mark(door.balancer, nullptr, 1, "", 0, 0, 0, &error), LB_INVALID);
  assert_null(lb_balancer_stats(nullptr, 0, nullptr));
  ask = host::ask_for("nobody's");
  assert_null(lb_balancer_explain(door.balancer, &ask, door.now, nullptr));
}

// A struct as the host of another age has it: `value`, and behind it what this library does not know.
template <typename T>
struct Aged {
  T value;
  unsigned char tail[24];

  Aged(const T& given, uint32_t size) : value(given) {
    memset(tail, 0, sizeof tail);
    value.struct_size = size;
  }
};

// What options, asks and outcomes of every size come to; `use` says how one is taken.
template <typename T, typename Use>
void check_ages(const T& given, size_t least, Use use) {
  for (uint32_t size = 0; size < sizeof given; size += size < 8 ? 1 : 8) {
    Aged<T> old(given, size);
    lb_status status = use(old.value);
    assert_int_equal(status, size < least ? LB_INVALID : LB_OK);
  }
  Aged<T> newer(given, sizeof newer);
  assert_int_equal(use(newer.value), LB_OK);
  newer.tail[sizeof newer.tail - 1] = 1;
  assert_int_equal(use(newer.value), LB_UNSUPPORTED);
  newer.value.struct_size--;
  assert_int_equal(use(newer.value), LB_OK);
  newer.value.struct_size = UINT32_MAX;
  assert_int_equal(use(newer.value), LB_INVALID);
}

void test_ages_of_what_is_given(void**) {
  std::string config = host::deployments(1);
  lb_error error;
  lb_balancer_options options = Door::options();
  check_ages(options, sizeof(uint32_t),
             [&](const lb_balancer_options& aged) { return open_error(config, &aged, &error); });
  Door door(config);
  // Without its model an ask is of no use.
  check_ages(host::ask_for(), offsetof(lb_ask, caller), [&](const lb_ask& aged) {
    lb_pick pick = {};
    pick.struct_size = sizeof pick;
    lb_status status = lb_balancer_pick(door.balancer, &aged, door.now, &pick);
    if (status == LB_OK) door.report(pick);
    return status;
  });
  check_ages(host::ended_well(), sizeof(uint32_t), [&](const lb_outcome& aged) {
    lb_pick pick = door.pick();
    lb_next next = {};
    next.struct_size = sizeof next;
    lb_status status = lb_balancer_report(door.balancer, pick.pick, &aged, door.now, &next);
    if (status != LB_OK) door.report(pick);
    return status;
  });
  assert_true(has(door.stats(), "\"picks\":0,"));
}

// What is written is written as far as the host has room, and no further.
void test_ages_of_what_is_written(void**) {
  Door door(host::deployments(1));
  lb_ask ask = host::ask_for();
  lb_outcome outcome = ended(LB_OUTCOME_ERROR, 429, "retry-after: 1\r\n");
  for (uint32_t size = 0; size <= sizeof(Aged<lb_pick>); size++) {
    Aged<lb_pick> aged({}, 0);
    memset(static_cast<void*>(&aged), 'x', sizeof aged);
    aged.value.struct_size = size;
    lb_status status = lb_balancer_pick(door.balancer, &ask, door.now, &aged.value);
    // A pick whose number the host cannot learn could never be reported.
    assert_int_equal(status, size < offsetof(lb_pick, wait_ns) ? LB_INVALID : LB_OK);
    assert_int_equal(aged.value.struct_size, size);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&aged);
    for (size_t i = std::max<size_t>(size, sizeof size); i < sizeof aged; i++) assert_int_equal(bytes[i], 'x');
    if (status != LB_OK) continue;
    if (size >= sizeof(lb_pick)) assert_string_equal(aged.value.deployment, "a");
    door.report(aged.value);
  }
  for (uint32_t size = 0; size <= sizeof(Aged<lb_next>); size++) {
    lb_pick pick = door.pick();
    Aged<lb_next> aged({}, 0);
    memset(static_cast<void*>(&aged), 'x', sizeof aged);
    aged.value.struct_size = size;
    lb_status status = lb_balancer_report(door.balancer, pick.pick, &outcome, door.now, &aged.value);
    assert_int_equal(status, size < sizeof size ? LB_INVALID : LB_OK);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&aged);
    for (size_t i = std::max<size_t>(size, sizeof size); i < sizeof aged; i++) assert_int_equal(bytes[i], 'x');
    if (size >= sizeof(lb_next)) assert_int_equal(aged.value.out_ns, kSecond);
    if (status != LB_OK) door.report(pick);
    door.now += 2 * kSecond;
  }
  assert_true(has(door.stats(), "\"picks\":0,"));
}

// Exactly then, and not before.
void test_wait_for_a_limit(void**) {
  for (const char* window : {"sliding", "fixed", "bucket"}) {
    Door door(host::deployments(1, std::string("rpm: 2, window: ") + window));
    door.report(door.pick());
    door.now += 1234567890;
    door.report(door.pick());
    door.now += 77;
    uint64_t wait = door.pick(LB_LIMITED).wait_ns;
    assert_true(wait > 0 && wait <= host::kMinute);
    uint64_t short_of = strcmp(window, "bucket") == 0 ? 1000 : 1;  // A bucket is no whole number of nanoseconds.
    door.now += wait - short_of;
    assert_in_range(door.pick(LB_LIMITED).wait_ns, 1, short_of);
    door.now += short_of;
    door.pick();
  }
}

void test_wait_for_a_call(void**) {
  Door door(host::deployments(2, "concurrency: 1"));
  lb_pick first = door.pick(), second = door.pick();
  assert_true(first.target != second.target);
  lb_pick none = door.pick(LB_LIMITED);
  assert_true(none.wait_ns == UINT64_MAX);
  assert_int_equal(none.pick, 0);
  assert_null(none.deployment);
  door.report(first);
  assert_int_equal(door.pick().target, first.target);
  // Larger than every limit: nothing to wait for.
  Door small(host::deployments(1, "tpm: 100"));
  lb_ask ask = host::ask_for();
  for (uint64_t tokens : {uint64_t{101}, UINT64_MAX}) {
    ask.tokens_in = tokens;
    assert_int_equal(small.pick(ask, LB_LIMITED).wait_ns, 0);
  }
  ask.tokens_in = 1;
  ask.tokens_out_max = UINT64_MAX;
  assert_int_equal(small.pick(ask, LB_LIMITED).wait_ns, 0);
}

void test_tried(void**) {
  Door door(host::deployments(3));
  std::vector<uint32_t> tried;
  for (int i = 0; i < 3; i++) {
    lb_pick pick = door.pick_but(tried);
    for (uint32_t before : tried) assert_true(pick.target != before);
    tried.push_back(pick.target);
    lb_next next = door.report(pick, ended(LB_OUTCOME_ERROR, 500));
    assert_int_equal(next.kind, i < 2 ? LB_NEXT_ELSEWHERE : LB_NEXT_STOP);  // `retries` is 2.
  }
  lb_pick none = door.pick_but(tried, LB_NO_UPSTREAM);
  assert_int_equal(none.wait_ns, 0);
  assert_int_equal(none.again, 0);
  // Attempts count beside the tried ones: those of rounds before.
  lb_ask ask = host::ask_for();
  ask.attempts = 2;
  door.report(door.pick(ask), ended(LB_OUTCOME_ERROR, 400));
  assert_int_equal(door.report(door.pick(ask), ended(LB_OUTCOME_BROKEN)).kind, LB_NEXT_STOP);
  tried.assign({UINT32_MAX, 77});  // What never was is no harm.
  door.report(door.pick_but(tried));
}

void test_again(void**) {
  for (const char* retry : {"again", "forever"}) {
    Door door(host::deployments(2, "", std::string("routes: [{model: m, retries: 5, retry: ") + retry + "}]"));
    lb_pick first = door.pick();
    assert_int_equal(door.report(first, ended(LB_OUTCOME_ERROR, 500)).kind, LB_NEXT_ELSEWHERE);
    lb_pick second = door.pick_but({first.target});
    assert_int_equal(door.report(second, ended(LB_OUTCOME_ERROR, 500)).kind, LB_NEXT_ELSEWHERE);
    lb_pick all = door.pick_but({first.target, second.target}, LB_NO_UPSTREAM);
    assert_int_equal(all.again, 1);
    assert_true(all.wait_ns >= 500 * kMs && all.wait_ns <= 8000 * kMs);  // backoff_ms, backoff_max_ms.
    lb_ask ask = host::ask_for();
    ask.attempts = 2;
    ask.flags = LB_ASK_RETRY;
    door.now += all.wait_ns;
    door.report(door.pick(ask));
    // Not where the pause would pass the deadline, which the host may have set.
    ask.tried = &first.target;
    ask.tried_count = 1;
    uint32_t both[] = {first.target, second.target};
    ask.tried = both;
    ask.tried_count = 2;
    ask.deadline_ns = door.now + 499 * kMs;
    lb_pick late = door.pick(ask, LB_NO_UPSTREAM);
    assert_int_equal(late.again, 0);
    assert_int_equal(late.wait_ns, 0);
  }
}

// A deployment is not taken for the one whose place it has got: what that was told is not its own.
void test_again_in_the_place_of_another(void**) {
  std::string rest = "routes: [{model: m, retry: again}]";
  auto config = [&](const char* name) {
    return std::string("deployments: [{name: ") + name + ", url: 'http://" + name + ".test', models: [m]}]\n" + rest;
  };
  Door door(config("a"));
  lb_pick first = door.pick();
  door.report(first, ended(LB_OUTCOME_ERROR, 429, "retry-after: 3600\r\n"));
  assert_int_equal(door.configure(config("b")), LB_OK);
  assert_int_equal(door.configure(config("c")), LB_OK);
  lb_pick third = door.pick();
  assert_int_equal(third.target, first.target);
  door.report(third, ended(LB_OUTCOME_ERROR, 500));
  lb_pick all = door.pick_but({third.target}, LB_NO_UPSTREAM);
  assert_int_equal(all.again, 1);
  assert_true(all.wait_ns <= 8000 * kMs);
}

void test_what_is_next(void**) {
  struct Row {
    lb_outcome outcome;
    uint32_t delivered;
    uint32_t kind;
    bool out;
  };
  const Row rows[] = {
      {host::ended_well(), 0, LB_NEXT_STOP, false},
      {ended(LB_OUTCOME_ERROR, 400), 0, LB_NEXT_STOP, false},
      {ended(LB_OUTCOME_ERROR, 500), 0, LB_NEXT_ELSEWHERE, false},
      {ended(LB_OUTCOME_ERROR, 503), 0, LB_NEXT_ELSEWHERE, true},
      {ended(LB_OUTCOME_ERROR, 401), 0, LB_NEXT_ELSEWHERE, true},
      {ended(LB_OUTCOME_ERROR, 0), 0, LB_NEXT_ELSEWHERE, false},
      {ended(LB_OUTCOME_CONNECT), 0, LB_NEXT_ELSEWHERE, true},
      {ended(LB_OUTCOME_TIMEOUT), 0, LB_NEXT_ELSEWHERE, false},
      {ended(LB_OUTCOME_BROKEN), 0, LB_NEXT_ELSEWHERE, false},
      {ended(LB_OUTCOME_BROKEN), 1, LB_NEXT_STOP, false},
      {ended(LB_OUTCOME_CANCELLED), 0, LB_NEXT_STOP, false},
      {ended(LB_OUTCOME_NOT_SENT), 0, LB_NEXT_STOP, false},
  };
  for (const Row& row : rows) {
    Door door(host::deployments(2));
    lb_outcome outcome = row.outcome;
    outcome.delivered = row.delivered;
    lb_next next = door.report(door.pick(), outcome);
    assert_int_equal(next.kind, row.kind);
    assert_int_equal(next.out_ns > 0, row.out);
  }
  // After the deadline nothing follows.
  Door door(host::deployments(2));
  lb_ask ask = host::ask_for();
  ask.deadline_ns = door.now + kSecond;
  lb_pick pick = door.pick(ask);
  door.now += kSecond;
  assert_int_equal(door.report(pick, ended(LB_OUTCOME_ERROR, 500)).kind, LB_NEXT_STOP);
}

void test_told_to_wait(void**) {
  Door door(host::deployments(2));
  lb_pick first = door.pick();
  lb_next next = door.report(first, ended(LB_OUTCOME_ERROR, 429, "Server: x\r\nRetry-After: 7\r\nx-more: y\r\n"));
  assert_int_equal(next.out_ns, 7 * kSecond);
  assert_int_equal(next.kind, LB_NEXT_ELSEWHERE);
  for (int i = 0; i < 20; i++) {
    lb_pick pick = door.pick();
    assert_true(pick.target != first.target);
    door.report(pick);
  }
  // Both are out now: until the first is back.
  door.now += kSecond;
  door.report(door.pick(), ended(LB_OUTCOME_ERROR, 429, "retry-after: 60"));
  lb_pick none = door.pick(LB_LIMITED);
  assert_int_equal(none.wait_ns, 6 * kSecond);
  door.now += none.wait_ns - 1;
  door.pick(LB_LIMITED);
  door.now++;
  assert_int_equal(door.pick().target, first.target);
  // Lines that are none are no harm.
  for (const char* head : {"\n\n:\r\n: x\r\n", "retry-after", "retry-after:", "\r\nretry-after : 3\n"}) {
    Door other(host::deployments(1));
    assert_true(other.report(other.pick(), ended(LB_OUTCOME_ERROR, 429, head)).out_ns > 0);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_configurations),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_secrets),
      cmocka_unit_test(test_a_call),
      cmocka_unit_test(test_gone),
      cmocka_unit_test(test_full),
      cmocka_unit_test(test_invalid),
      cmocka_unit_test(test_ages_of_what_is_given),
      cmocka_unit_test(test_ages_of_what_is_written),
      cmocka_unit_test(test_wait_for_a_limit),
      cmocka_unit_test(test_wait_for_a_call),
      cmocka_unit_test(test_tried),
      cmocka_unit_test(test_again),
      cmocka_unit_test(test_again_in_the_place_of_another),
      cmocka_unit_test(test_what_is_next),
      cmocka_unit_test(test_told_to_wait),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
