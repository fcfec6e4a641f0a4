#include "policy/pick.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "unit/policy/scene.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr Ask kAsk{};

Facts facts_with(uint32_t in_flight, double weight = 1, double utilisation = 0) {
  Facts facts;
  facts.in_flight = in_flight;
  facts.weight = weight;
  facts.utilisation = utilisation;
  return facts;
}

double plain_load(const Facts& facts) { return load(facts, Plan{}, kAsk); }

bool about(double a, double b) { return a > b - 1e-9 && a < b + 1e-9; }

// How often each target is picked in `times`.
std::vector<int> picks(Scene& scene, int times) {
  std::vector<int> count(scene.entries.size());
  for (int i = 0; i < times; i++) count[*scene.pick()]++;
  return count;
}

void assert_always(Scene& scene, TargetIndex target) {
  for (int i = 0; i < 200; i++) assert_int_equal(scene.pick().value_or(kNoTarget), target);
}

// --- Load ---

void more_calls_are_more_load(void**) {
  assert_true(about(plain_load(facts_with(0)), 1));
  assert_true(about(plain_load(facts_with(41)), 42));
}

void more_weight_is_less_load(void**) {
  assert_true(about(plain_load(facts_with(3, 2)), plain_load(facts_with(1))));
  Facts cold = facts_with(0);
  cold.warmth = 0.5;
  assert_true(about(plain_load(cold), 2));
}

void less_headroom_is_more_load(void**) {
  assert_true(about(plain_load(facts_with(0, 1, 0.5)), 2));
  assert_true(plain_load(facts_with(0, 1, 0.99)) > plain_load(facts_with(50)));
}

void no_headroom_is_finite(void**) {
  for (double utilisation : {1 - 1e-12, 1.0, 1e300}) {
    double most = plain_load(facts_with(0, 1, utilisation));
    assert_true(most > plain_load(facts_with(100'000, 1, 0.5)) && most < 1e300);
  }
}

bool plainly_lighter(const Facts& one, const Facts& other, Balance balance = Balance::p2c) {
  Plan plan;
  plan.balance = balance;
  return lighter(one, other, plan, kAsk);
}

// Nearly as many calls: the less used limits decide, and not how long the calls happen to last.
void of_as_many_calls_the_less_used(void**) {
  Facts busy = facts_with(14, 1, 0.30), used = facts_with(9, 1, 0.31);
  assert_true(plainly_lighter(busy, used) && !plainly_lighter(used, busy));
  busy.in_flight = 15;  // 16 over 10: more than chance makes of it.
  assert_true(!plainly_lighter(busy, used) && plainly_lighter(used, busy));
  assert_true(plainly_lighter(facts_with(2, 1, 0.1), facts_with(1, 1, 0.2)));
  assert_false(plainly_lighter(facts_with(1, 1, 0.1), facts_with(0, 1, 0.11)));
}

void limits_as_good_as_equal_decide_nothing(void**) {
  assert_false(plainly_lighter(facts_with(10, 1, 0.3), facts_with(9, 1, 0.3009)));
  assert_true(plainly_lighter(facts_with(10, 1, 0.3), facts_with(9, 1, 0.3011)));
  assert_false(plainly_lighter(facts_with(9, 1, 0.3), facts_with(9, 1, 0.3)));
}

void of_other_weights_the_load(void**) {
  assert_false(plainly_lighter(facts_with(10, 1, 0.3), facts_with(9, 1.5, 0.31)));
  Facts cold = facts_with(9, 1, 0.1);
  cold.warmth = 0.5;
  assert_false(plainly_lighter(cold, facts_with(9, 1, 0.2)));
  for (Balance balance : {Balance::p2c_tokens, Balance::peak_ewma})
    assert_false(plainly_lighter(facts_with(10, 1, 0.3), facts_with(9, 1, 0.31), balance));
  assert_true(plainly_lighter(facts_with(10, 1, 0.3), facts_with(9, 1, 0.31), Balance::host));
}

void tokens_in_flight_by_weight(void**) {
  Plan plan;
  plan.balance = Balance::p2c_tokens;
  Ask ask;
  ask.charge = {70, 30};
  Facts facts = facts_with(1'000, 2, 0.9);
  facts.tokens_in_flight = 300;
  assert_true(about(load(facts, plan, ask), 200));
  assert_true(about(load(facts, plan, kAsk), 150.5));  // A call has a token at least.
}

void latency_beyond_noise(void**) {
  Plan plan;
  plan.balance = Balance::peak_ewma;
  plan.mean_latency = Duration::from_ms(100);
  auto with = [&](int64_t ms) {
    Facts facts = facts_with(1, 1, 0.99);
    facts.latency = Duration::from_ms(ms);
    return load(facts, plan, kAsk);
  };
  assert_true(about(with(0), 2));  // None known: the mean.
  assert_true(about(with(100), 2));
  assert_true(about(with(125), 2));
  assert_true(about(with(80), 2));
  assert_true(about(with(250), 4));
  assert_true(about(with(40), 1));
  assert_true(about(with(1'250), 20));
  assert_true(about(with(1'000'000), 20));  // Ten times is the most that it counts.
  assert_true(about(with(1), 0.2));
  plan.mean_latency = Duration::zero();
  assert_true(about(with(250), 2));
}

// --- Eligibility ---

void nothing_where_none_may(void**) {
  for (auto balance : {Balance::p2c, Balance::p2c_tokens, Balance::peak_ewma, Balance::least_active, Balance::random,
                       Balance::round_robin, Balance::top_k, Balance::max_headroom, Balance::host}) {
    Scene scene({1, 1, 1, 1, 1});
    scene.plan.balance = balance;
    scene[0].open_at = kNow + Duration{1};
    scene[1].full = true;
    scene[2].utilisation = 1;
    scene[3].probed = true;
    scene.tried = {4};
    assert_false(scene.pick().has_value());
    scene.tried = {};
    assert_always(scene, 4);
    scene[4].full = true;
    scene[0].open_at = kNow;  // It is back at that instant.
    assert_always(scene, 0);
    scene[0].full = true;
    scene[2].utilisation = 1 - 1e-12;
    assert_always(scene, 2);
    scene.plan.tiers[0] = {};
    assert_false(scene.pick().has_value());
  }
}

// --- p2c and random ---

void of_two_always_the_better(void**) {
  for (auto balance : {Balance::p2c, Balance::p2c_tokens, Balance::peak_ewma}) {
    Scene scene({1, 1});
    scene.plan.balance = balance;
    scene[0].in_flight = 1;
    scene[0].tokens_in_flight = 1;
    assert_always(scene, 1);
    std::swap(scene[0], scene[1]);
    assert_always(scene, 0);
  }
}

// Two are two different ones, also where most of the tier may not take it or has no weight to speak of.
void the_pair_is_a_pair(void**) {
  Scene scene(std::vector<double>(40, 1));
  for (TargetIndex i = 0; i < 40; i++) scene[i].full = i != 7 && i != 30;
  scene[7].in_flight = 5;
  assert_always(scene, 30);
  Scene light({1e9, 1, 1e9});
  light[0].in_flight = 4'000'000'000;
  light[2].full = true;
  assert_always(light, 1);
}

void equals_share(void**) {
  Scene scene({1, 1, 1, 1});
  for (int n : picks(scene, 40'000)) assert_true(n > 9'567 && n < 10'433);  // Five standard deviations.
}

void random_goes_by_weight_and_warmth(void**) {
  Scene scene({1, 2, 4, 1});
  scene.plan.balance = Balance::random;
  scene[0].in_flight = 1'000'000;  // Says nothing here.
  scene[2].warmth = 0.25;
  scene[3].full = true;
  std::vector<int> count = picks(scene, 40'000);
  for (size_t i : {0, 2}) assert_true(count[i] > 9'567 && count[i] < 10'433);
  assert_true(count[1] > 19'500 && count[1] < 20'500);
  assert_int_equal(count[3], 0);
}

// --- The others ---

void least_active_then_least_recently_used(void**) {
  Scene scene({1, 2, 1, 1});
  scene.plan.balance = Balance::least_active;
  for (TargetIndex i = 0; i < 4; i++) scene[i].in_flight = 4;
  assert_always(scene, 1);  // By weight.
  scene[1].in_flight = 8;
  assert_always(scene, 0);  // All equal: the order written.
  for (TargetIndex i = 0; i < 4; i++) scene[i].used_at = later(-10);
  scene[3].used_at = later(-11);
  assert_always(scene, 3);
  scene[3].in_flight = 5;  // Fewer calls go before older ones.
  scene[2].used_at = later(-11);
  assert_always(scene, 2);
  scene[1].in_flight = 0;
  scene[0].in_flight = 0;
  scene[0].used_at = later(-1);
  scene[1].used_at = later(0);
  assert_always(scene, 0);
}

std::string turns(Scene& scene, int count) {
  std::string out;
  for (int i = 0; i < count; i++) out += static_cast<char>('a' + *scene.pick());
  return out;
}

void round_robin_as_nginx(void**) {
  Scene scene({5, 1, 1});
  scene.plan.balance = Balance::round_robin;
  assert_string_equal(turns(scene, 21).c_str(), "aabacaaaabacaaaabacaa");
  Scene equal({1, 1, 1});
  equal.plan.balance = Balance::round_robin;
  assert_string_equal(turns(equal, 6).c_str(), "abcabc");
}

void round_robin_without_one(void**) {
  Scene scene({5, 1, 1});
  scene.plan.balance = Balance::round_robin;
  scene[0].full = true;
  assert_string_equal(turns(scene, 6).c_str(), "bcbcbc");
  scene[0].full = false;  // It did not save up turns.
  std::string all = turns(scene, 7);
  assert_int_equal(std::count(all.begin(), all.end(), 'a'), 5);
  scene.tried = {0};
  assert_string_equal(turns(scene, 2).c_str(), "bc");
}

void round_robin_by_warmth(void**) {
  Scene scene({2, 1});
  scene.plan.balance = Balance::round_robin;
  scene[0].warmth = 0.5;
  std::string all = turns(scene, 10);
  assert_int_equal(std::count(all.begin(), all.end(), 'a'), 5);
}

void any_of_the_first_k(void**) {
  Scene scene({1, 100, 1, 1, 1});
  scene.plan.balance = Balance::top_k;
  scene[1].in_flight = 50;
  std::vector<int> count = picks(scene, 30'000);
  for (size_t i : {0, 1, 2}) assert_true(count[i] > 9'591 && count[i] < 10'409);
  assert_int_equal(count[3] + count[4], 0);
  scene[0].full = true;  // The first that may take it.
  scene.tried = {2};
  count = picks(scene, 30'000);
  for (size_t i : {1, 3, 4}) assert_true(count[i] > 9'591 && count[i] < 10'409);
  scene.plan.top_k = 1;
  assert_always(scene, 1);
  scene.plan.top_k = 1'000;
  count = picks(scene, 300);
  assert_true(count[1] > 0 && count[3] > 0 && count[4] > 0 && count[0] + count[2] == 0);
}

void the_most_headroom(void**) {
  Scene scene({1, 1, 1});
  scene.plan.balance = Balance::max_headroom;
  scene[0].headroom = 10;
  scene[1].headroom = 11;
  scene[2].headroom = -5;
  assert_always(scene, 1);
  scene[1].full = true;
  assert_always(scene, 0);
  scene[0].full = true;
  assert_always(scene, 2);  // Also below nothing.
  scene[0].full = scene[1].full = false;
  for (TargetIndex i = 0; i < 3; i++) scene[i].headroom = Facts::kBoundless;
  for (int n : picks(scene, 30'000)) assert_true(n > 9'591 && n < 10'409);
}

// --- The host's own ---

struct Seen {
  std::vector<TargetIndex> targets;
  std::vector<Facts> facts;
  size_t answer = 0;
  int calls = 0;
};

size_t choose(void* context, const Candidate* candidates, size_t count) {
  Seen& seen = *static_cast<Seen*>(context);
  seen.targets.clear();
  seen.facts.clear();
  for (size_t i = 0; i < count; i++) {
    seen.targets.push_back(candidates[i].target);
    seen.facts.push_back(candidates[i].facts);
  }
  seen.calls++;
  return seen.answer;
}

struct HostScene : Scene {
  Seen seen;
  std::array<Candidate, 8> room;
  explicit HostScene(const std::vector<double>& weights) : Scene(weights) {
    plan.balance = Balance::host;
    host = {choose, &seen, room};
  }
};

void the_host_sees_those_that_may(void**) {
  HostScene scene({1, 1, 1, 1, 1});
  scene[1].full = true;
  scene[3].in_flight = 7;
  scene.tried = {0};
  scene.seen.answer = 2;
  assert_int_equal(*scene.pick(), 4);
  assert_true((scene.seen.targets == std::vector<TargetIndex>{2, 3, 4}));
  assert_int_equal(scene.seen.facts[1].in_flight, 7);
  scene.seen.answer = 0;
  assert_int_equal(*scene.pick(), 2);
}

void the_host_is_asked_from_two_on(void**) {
  HostScene scene({1, 1, 1});
  scene[0].full = true;
  scene.seen.answer = 1;
  assert_int_equal(*scene.pick(), 2);
  assert_int_equal(scene.seen.calls, 1);
  scene[1].full = true;
  assert_int_equal(*scene.pick(), 2);
  scene[2].full = true;
  assert_false(scene.pick().has_value());
  assert_int_equal(scene.seen.calls, 1);
}

void any_other_number_leaves_it_to_p2c(void**) {
  for (size_t answer : {size_t{2}, size_t{3}, SIZE_MAX}) {
    HostScene scene({1, 1});
    scene.seen.answer = answer;
    scene[0].in_flight = 1;
    assert_always(scene, 1);
    assert_int_equal(scene.seen.calls, 200);
  }
  Scene none({1, 1});
  none.plan.balance = Balance::host;
  none[0].in_flight = 1;
  assert_always(none, 1);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(more_calls_are_more_load),       cmocka_unit_test(more_weight_is_less_load),
      cmocka_unit_test(less_headroom_is_more_load),     cmocka_unit_test(no_headroom_is_finite),
      cmocka_unit_test(of_as_many_calls_the_less_used), cmocka_unit_test(limits_as_good_as_equal_decide_nothing),
      cmocka_unit_test(of_other_weights_the_load),
      cmocka_unit_test(tokens_in_flight_by_weight),     cmocka_unit_test(latency_beyond_noise),
      cmocka_unit_test(nothing_where_none_may),         cmocka_unit_test(of_two_always_the_better),
      cmocka_unit_test(the_pair_is_a_pair),             cmocka_unit_test(equals_share),
      cmocka_unit_test(random_goes_by_weight_and_warmth), cmocka_unit_test(least_active_then_least_recently_used),
      cmocka_unit_test(round_robin_as_nginx),           cmocka_unit_test(round_robin_without_one),
      cmocka_unit_test(round_robin_by_warmth),          cmocka_unit_test(any_of_the_first_k),
      cmocka_unit_test(the_most_headroom),              cmocka_unit_test(the_host_sees_those_that_may),
      cmocka_unit_test(the_host_is_asked_from_two_on),  cmocka_unit_test(any_other_number_leaves_it_to_p2c),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
