// What a host decides itself: its selector (balance: host), in a balancer and in an engine, and deployments that it
// marks.
#include <atomic>

#include "balancer.h"

namespace {

using host::Door;
using host::has;
using host::Host;

constexpr const char* kHostRoute = "routes: [{model: m, balance: host}]";

struct Chooser {
  std::atomic<int> calls{0};
  std::atomic<int> faults{0};
  std::atomic<size_t> answer{0};
  std::atomic<const char*> wanted{nullptr};  // By name, instead of `answer`.

  static size_t choose(void* self, const lb_candidate* candidates, size_t count) {
    auto* chooser = static_cast<Chooser*>(self);
    chooser->calls++;
    if (count < 2) chooser->faults++;
    for (size_t i = 0; i < count; i++) {
      const lb_candidate& c = candidates[i];
      bool sane = c.weight > 0 && c.utilisation >= 0 && c.utilisation < 1 && c.tokens_left >= 0 &&
                  c.tokens_in_flight >= 0 && strcmp(c.model, "m") == 0 && c.reserved == 0;
      if (!sane) chooser->faults++;
      if (const char* wanted = chooser->wanted; wanted && strcmp(c.deployment, wanted) == 0) return i;
    }
    return chooser->answer;
  }
};

lb_balancer_options options_with(Chooser& chooser) {
  lb_balancer_options out = Door::options();
  out.select = Chooser::choose;
  out.select_ctx = &chooser;
  return out;
}

void test_is_obeyed(void**) {
  Chooser chooser;
  Door door(host::deployments(3, "", kHostRoute), options_with(chooser));
  for (size_t i = 0; i < 30; i++) {
    chooser.answer = i % 3;
    lb_pick pick = door.pick();
    assert_int_equal(pick.deployment[0], 'a' + static_cast<int>(i % 3));
    if (i % 2) door.report(pick);
  }
  assert_int_equal(chooser.calls, 30);
  assert_int_equal(chooser.faults, 0);
  // Out of range: lb chooses, and none is left out for long.
  for (size_t answer : {size_t{3}, SIZE_MAX}) {
    chooser.answer = answer;
    bool seen[3] = {};
    for (int i = 0; i < 60; i++) seen[door.pick().deployment[0] - 'a'] = true;
    assert_true(seen[0] && seen[1] && seen[2]);
  }
}

// It sees what may take the call, and is not asked where there is no choice.
void test_sees_those_that_may(void**) {
  Chooser chooser;
  Door door(host::deployments(3, "", kHostRoute), options_with(chooser));
  assert_int_equal(door.mark("a", "", 60'000), LB_OK);
  chooser.answer = 0;
  lb_pick first = door.pick();
  assert_string_equal(first.deployment, "b");
  assert_int_equal(chooser.calls, 1);
  assert_string_equal(door.pick_but({first.target}).deployment, "c");
  assert_int_equal(chooser.calls, 1);
  chooser.wanted = "a";
  chooser.answer = 1;
  assert_string_equal(door.pick().deployment, "c");
  assert_int_equal(door.mark("a", "", 0), LB_OK);
  assert_string_equal(door.pick().deployment, "a");
  // Another way to balance does not ask it.
  assert_int_equal(door.configure(host::deployments(3)), LB_OK);
  int before = chooser.calls;
  door.pick();
  assert_int_equal(chooser.calls, before);
  assert_int_equal(chooser.faults, 0);
}

struct LastSeen {
  lb_candidate candidates[4] = {};
  std::string names;
};

size_t remember(void* context, const lb_candidate* candidates, size_t count) {
  auto* seen = static_cast<LastSeen*>(context);
  seen->names.clear();
  for (size_t i = 0; i < count && i < 4; i++) {
    seen->candidates[i] = candidates[i];
    seen->names += candidates[i].deployment;
  }
  return 0;
}

void test_facts(void**) {
  LastSeen seen;
  lb_balancer_options options = Door::options();
  options.select = remember;
  options.select_ctx = &seen;
  Door door("deployments: [{name: a, url: 'http://a.test', models: {m: {tpm: 1000}}, weight: 3},"
            "{name: b, url: 'http://b.test', models: [m]}]\n" + std::string(kHostRoute), options);
  lb_ask ask = host::ask_for();
  ask.tokens_in = 100;
  ask.tokens_out_max = 150;
  lb_pick pick = door.pick(ask);
  assert_string_equal(seen.names.c_str(), "ab");
  assert_true(seen.candidates[0].weight == 3 && seen.candidates[1].weight == 1);
  assert_true(seen.candidates[0].utilisation == 0 && seen.candidates[0].tokens_left == 750);
  assert_true(seen.candidates[1].tokens_left == 1e18);
  assert_int_equal(seen.candidates[0].in_flight, 0);
  assert_int_equal(seen.candidates[0].latency_ns, 0);
  door.pick(ask);
  assert_int_equal(seen.candidates[0].in_flight, 1);
  assert_true(seen.candidates[0].tokens_in_flight == 250);
  assert_true(seen.candidates[0].utilisation == 0.25 && seen.candidates[0].tokens_left == 500);
  lb_outcome outcome = host::ended_well();
  outcome.known = LB_KNOWN_FIRST_CONTENT;
  outcome.first_content_ns = 300 * host::kMs;
  door.report(pick, outcome);
  door.pick(ask);
  assert_in_range(seen.candidates[0].latency_ns, 299 * host::kMs, 301 * host::kMs);
  assert_int_equal(seen.candidates[1].latency_ns, 0);
}

std::string echoes(const std::string& rest) {
  return "{\"deployments\":[{\"name\":\"a\",\"kind\":\"echo\",\"models\":[\"m\"]},"
         "{\"name\":\"b\",\"kind\":\"echo\",\"models\":[\"m\"]}]" + rest + "}";
}

void test_of_an_engine(void**) {
  Chooser chooser;
  std::string config = echoes(",\"routes\":[{\"model\":\"m\",\"balance\":\"host\"}]");
  lb_engine_options options = {};
  options.struct_size = sizeof options;
  options.seed = 7;
  options.select = Chooser::choose;
  options.select_ctx = &chooser;
  Host h(config);
  lb_queue_close(h.queue);
  lb_engine_free(h.engine);
  assert_int_equal(lb_engine_open(&options, config.data(), config.size(), &h.engine, nullptr), LB_OK);
  assert_int_equal(lb_queue_open(h.engine, nullptr, &h.queue, nullptr), LB_OK);
  for (const char* name : {"a", "b", "a", "b"}) {
    chooser.wanted = name;
    assert_string_equal(h.finish(h.start(host::chat_body(false))).upstream.c_str(), name);
  }
  assert_int_equal(chooser.calls, 4);
  chooser.wanted = nullptr;
  chooser.answer = 99;
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_OK);
  assert_int_equal(chooser.faults, 0);
}

lb_status mark(Host& h, const char* name, const char* model, uint64_t ms, lb_error* error = nullptr) {
  return lb_engine_mark(h.engine, name, strlen(name), model, strlen(model), ms, error);
}

void served_by(Host& h, const char* name) {
  for (int i = 0; i < 10; i++)
    assert_string_equal(h.finish(h.start(host::chat_body(false))).upstream.c_str(), name);
}

void test_engine_mark(void**) {
  Host h(echoes(",\"routes\":[{\"model\":\"m\",\"tiers\":[[\"a\"],[\"b\"]]}]"));
  served_by(h, "a");
  assert_int_equal(mark(h, "a", "", UINT64_MAX), LB_OK);
  served_by(h, "b");
  assert_true(has(h.stats(), "\"cooled_by\":\"hand\""));
  assert_int_equal(mark(h, "b", "m", 3'600'000), LB_OK);
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_NO_UPSTREAM);
  assert_int_equal(mark(h, "a", "m", 0), LB_OK);
  served_by(h, "a");
  lb_error error = {sizeof error, 0, "", ""};
  assert_int_equal(mark(h, "c", "", 1, &error), LB_INVALID);
  assert_int_equal(error.status, LB_INVALID);
  assert_true(error.message[0] != 0);
  assert_int_equal(mark(h, "a", "another", 1), LB_INVALID);
  assert_int_equal(mark(h, "", "", 1), LB_INVALID);
  assert_int_equal(lb_engine_mark(nullptr, "a", 1, "", 0, 1, nullptr), LB_INVALID);
  assert_int_equal(lb_engine_mark(h.engine, nullptr, 1, "", 0, 1, nullptr), LB_INVALID);
  assert_int_equal(lb_engine_mark(h.engine, "a", 1, nullptr, 1, 1, nullptr), LB_INVALID);
  served_by(h, "a");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_is_obeyed),
      cmocka_unit_test(test_sees_those_that_may),
      cmocka_unit_test(test_facts),
      cmocka_unit_test(test_of_an_engine),
      cmocka_unit_test(test_engine_mark),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
