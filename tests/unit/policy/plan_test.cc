#include "policy/plan.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <vector>

#include "unit/policy/scene.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

using By = Decision::By;

// Two tiers: 0 and 1, then 2.
Scene two_tiers() { return Scene({{0, 1}, {2}}, {1, 1, 1}); }

void assert_sent(Scene& scene, TargetIndex target, By by = By::balance) {
  for (int i = 0; i < 20; i++) {
    Decision decision = scene.decide();
    assert_true(decision.kind == Decision::Kind::send);
    assert_int_equal(decision.target, target);
    assert_true(decision.why == Status::OK && decision.by == by);
  }
}

void assert_waits(Scene& scene, Instant until, Status why, By by = By::balance) {
  Decision decision = scene.decide();
  assert_true(decision.kind == Decision::Kind::wait);
  assert_int_equal(decision.wait_until.ns, until.ns);
  assert_true(decision.why == why && decision.by == by);
}

void assert_rejected(Scene& scene) {
  Decision decision = scene.decide();
  assert_true(decision.kind == Decision::Kind::reject && decision.why == Status::NO_UPSTREAM);
  assert_int_equal(decision.target, kNoTarget);
}

void out(Scene& scene, TargetIndex target, int64_t until_ms, Outage why = Outage::fault) {
  scene[target].open_at = later(until_ms);
  scene[target].outage = why;
}

void limited(Scene& scene, TargetIndex target, int64_t until_ms, double utilisation = 1) {
  scene[target].utilisation = utilisation;
  scene.entries[target].frees_at = later(until_ms);
}

// --- Tiers ---

void the_first_tier_decides(void**) {
  Scene scene({{2}, {0, 1}}, {1, 1, 1});
  assert_sent(scene, 2);
  scene[2].in_flight = 1'000'000;  // Load alone does not lead to the next tier.
  assert_sent(scene, 2);
}

void the_next_tier_when_none_may(void**) {
  Scene scene = two_tiers();
  out(scene, 0, 1);
  assert_sent(scene, 1);
  limited(scene, 1, 50);
  assert_sent(scene, 2);
  scene[0].open_at = kNow;  // The cooldown is over at its end.
  assert_sent(scene, 0);
  scene[0].full = true;
  assert_sent(scene, 2);
}

void strict_tiers_wait_for_the_first(void**) {
  Scene scene = two_tiers();
  scene.plan.spill = Spill::strict;
  out(scene, 0, 5);
  limited(scene, 1, 30);
  assert_waits(scene, later(5), Status::NO_UPSTREAM);
  out(scene, 0, 50);
  assert_waits(scene, later(30), Status::LIMITED);
  scene[1].utilisation = 0;
  scene[1].full = true;
  scene.tried = {0};
  assert_waits(scene, Instant::never(), Status::LIMITED);
  scene.tried = {0, 1};  // Nothing is left of it to wait for.
  assert_sent(scene, 2);
  scene.tried = {};
  out(scene, 1, 1);  // Out as a whole.
  assert_sent(scene, 2);
  scene[1].open_at = kNow;
  scene[1].probed = true;
  assert_sent(scene, 2);
}

void none_is_tried_twice(void**) {
  Scene scene = two_tiers();
  scene.tried = {0};
  assert_sent(scene, 1);
  scene.tried = {1, 0};
  assert_sent(scene, 2);
  for (auto when_none : {WhenNone::panic, WhenNone::best_effort, WhenNone::fail}) {
    scene.plan.when_none = when_none;
    scene.tried = {0, 1, 2};
    assert_rejected(scene);
  }
}

void an_empty_plan_is_rejected(void**) {
  for (auto when_none : {WhenNone::panic, WhenNone::best_effort, WhenNone::fail}) {
    Scene none(std::vector<std::vector<TargetIndex>>{}, {}), empty({{}, {}}, {});
    none.plan.when_none = empty.plan.when_none = when_none;
    assert_rejected(none);
    assert_rejected(empty);
  }
}

// Beyond what draws find: the only one that may take it.
void in_a_large_tier_the_only_one_is_found(void**) {
  Scene scene(std::vector<double>(kTargetsMax, 1));
  scene.plan.when_none = WhenNone::fail;
  for (TargetIndex i = 0; i < kTargetsMax; i++) out(scene, i, 5);
  scene[517].open_at = kNow;
  assert_sent(scene, 517);
  out(scene, 517, 4);
  assert_waits(scene, later(4), Status::NO_UPSTREAM);
}

// --- Waiting ---

void waits_for_the_earliest(void**) {
  Scene scene({{0}, {1, 2}}, {1, 1, 1});
  scene.plan.when_none = WhenNone::fail;
  for (TargetIndex i = 0; i < 3; i++) out(scene, i, 900);
  out(scene, 2, 300);
  assert_waits(scene, later(300), Status::NO_UPSTREAM);
  scene[1].open_at = kNow;
  limited(scene, 1, 200);
  assert_waits(scene, later(200), Status::LIMITED);
  scene.tried = {1};
  assert_waits(scene, later(300), Status::NO_UPSTREAM);
}

void the_longest_obstacle_counts(void**) {
  Scene scene({1});
  scene.plan.when_none = WhenNone::fail;
  out(scene, 0, 500);
  limited(scene, 0, 800, 1.5);
  assert_waits(scene, later(800), Status::LIMITED);
  limited(scene, 0, 200);
  assert_waits(scene, later(500), Status::NO_UPSTREAM);
  scene[0].full = true;  // Nothing tells when a call in flight ends.
  assert_waits(scene, Instant::never(), Status::LIMITED);
  scene[0].full = false;
  scene[0].open_at = kNow;
  scene[0].probed = true;  // Nor when the probe does.
  assert_waits(scene, Instant::never(), Status::NO_UPSTREAM);
}

void nobody_waits_for_the_past(void**) {
  Scene scene({1});
  limited(scene, 0, -5);
  assert_waits(scene, kNow, Status::LIMITED);
}

// frees_at is only read where utilisation has reached 1.
void below_one_there_is_room(void**) {
  Scene scene({1});
  scene[0].utilisation = 0.999;
  scene.entries[0].frees_at = Instant::never();
  assert_sent(scene, 0);
}

// --- When none may ---

void fail_means_wait(void**) {
  Scene scene({1, 1});
  scene.plan.when_none = WhenNone::fail;
  out(scene, 0, 70);
  out(scene, 1, 60);
  assert_waits(scene, later(60), Status::NO_UPSTREAM);
}

void panic_forgives_faults_only(void**) {
  for (Outage why : {Outage::told, Outage::key, Outage::manual}) {
    Scene scene({1});
    out(scene, 0, 70, why);
    assert_waits(scene, later(70), Status::NO_UPSTREAM);
  }
  Scene scene({{0, 1}, {2, 3}}, {1, 1, 1, 1});
  out(scene, 0, 5, Outage::told);
  out(scene, 1, 90);
  out(scene, 2, 80);
  out(scene, 3, 6, Outage::key);
  assert_sent(scene, 2, By::panic);  // The one that is back first.
  scene[2].full = true;
  assert_sent(scene, 1, By::panic);
  limited(scene, 1, 3);
  assert_waits(scene, later(3), Status::LIMITED);  // Its fault would be forgiven then.
  limited(scene, 1, 8);
  assert_waits(scene, later(5), Status::NO_UPSTREAM);
}

void panic_takes_no_target_out_of_tests(void**) {
  Scene scene({1, 1});
  out(scene, 0, -10);
  scene[0].probed = true;
  out(scene, 1, 10);
  assert_sent(scene, 0, By::panic);  // Half-open: nearer to health than one that is out.
}

// While a healthy one is only full or limited, waiting for it is better.
void no_panic_while_one_is_healthy(void**) {
  Scene scene({{0}, {1}}, {1, 1});
  out(scene, 0, 90);
  limited(scene, 1, 40);
  assert_waits(scene, later(40), Status::LIMITED);
  scene[1].utilisation = 0;
  scene[1].full = true;
  assert_waits(scene, later(90), Status::NO_UPSTREAM);
  scene.tried = {1};
  assert_sent(scene, 0, By::panic);
}

void best_effort_from_the_least_bad(void**) {
  Scene scene({{0, 1, 2}, {3, 4, 5, 6}}, std::vector<double>(7, 1));
  scene.plan.when_none = WhenNone::best_effort;
  out(scene, 0, 10, Outage::manual);
  out(scene, 1, 1'000, Outage::key);
  out(scene, 2, 2'000, Outage::told);
  out(scene, 3, 4'000, Outage::fault);
  out(scene, 4, 3'000, Outage::fault);
  limited(scene, 5, 5'000, 7);
  limited(scene, 6, 9'000, 6);
  // Over its budget before cooling down; then faults, told waits and refused keys; by hand is by hand.
  for (TargetIndex expected : {6, 5, 4, 3, 2, 1}) {
    assert_sent(scene, expected, By::best_effort);
    if (expected % 2) scene[expected].full = true;
    else scene.tried.push_back(expected);
  }
  assert_waits(scene, later(10), Status::NO_UPSTREAM);
}

// Of what is equally bad any.
void equals_share_what_is_bad(void**) {
  Scene scene(std::vector<double>(4, 1));
  for (TargetIndex i = 0; i < 4; i++) out(scene, i, i == 0 ? 20 : 10);
  std::vector<int> count(4);
  for (int i = 0; i < 30'000; i++) count[scene.decide().target]++;
  assert_int_equal(count[0], 0);
  for (size_t i : {1, 2, 3}) assert_true(count[i] > 9'591 && count[i] < 10'409);
}

void strict_tiers_in_need(void**) {
  Scene scene = two_tiers();
  scene.plan.spill = Spill::strict;
  scene.plan.when_none = WhenNone::best_effort;
  limited(scene, 0, 50);
  scene[1].full = true;
  assert_sent(scene, 0, By::best_effort);  // The second tier stays closed.
  scene[0].full = true;
  assert_waits(scene, Instant::never(), Status::LIMITED);
}

// --- The panic share ---

void below_the_share_faults_are_forgiven(void**) {
  Scene scene(std::vector<double>(4, 1));
  scene.plan.panic_share = 0.5;
  out(scene, 0, 50);
  out(scene, 1, 50);
  for (int i = 0; i < 200; i++) assert_true(scene.decide().target >= 2);  // Half of them is not below half.
  out(scene, 2, 50);
  std::vector<int> count(4);
  for (int i = 0; i < 20'000; i++) {
    Decision decision = scene.decide();
    assert_true(decision.kind == Decision::Kind::send && decision.by == By::balance);
    count[decision.target]++;
  }
  for (int n : count) assert_true(n > 4'690 && n < 5'310);
}

void the_share_forgives_nothing_else(void**) {
  Scene scene(std::vector<double>(5, 1));
  scene.plan.panic_share = 1;
  out(scene, 0, 50, Outage::told);
  out(scene, 1, 50, Outage::key);
  out(scene, 2, 50, Outage::manual);
  out(scene, 3, 50);
  scene[3].full = true;
  out(scene, 4, 50);
  limited(scene, 4, 20);
  scene.plan.when_none = WhenNone::fail;
  assert_waits(scene, later(20), Status::LIMITED);  // Its limit is what holds it, not the fault.
  scene[4].utilisation = 0;
  assert_sent(scene, 4);
}

void the_share_is_of_each_tier(void**) {
  Scene scene = two_tiers();
  scene.plan.panic_share = 0.6;
  out(scene, 0, 50);
  scene[1].full = true;
  assert_sent(scene, 0);
  scene.plan.panic_share = 0.5;
  assert_sent(scene, 2);
}

// --- Sticky ---

void on_with_the_deployment_that_served_last(void**) {
  Scene scene = two_tiers();
  scene.plan.sticky = Duration::from_s(10);
  scene.entries[0].deployment = 9;
  assert_true(scene.decide().by == By::balance);  // None has served yet.
  scene.last = {9, kNow - Duration::from_s(10)};
  assert_sent(scene, 0, By::sticky);
  scene[0].in_flight = 1'000;
  assert_sent(scene, 0, By::sticky);
  scene.last.used_at = kNow - Duration::from_s(10) - Duration{1};
  assert_sent(scene, 1);
  scene.last = {9, kNow};
  scene.plan.sticky = Duration::zero();
  assert_sent(scene, 1);
  scene.plan.sticky = Duration::from_s(10);
  scene[0].full = true;
  assert_sent(scene, 1);
  scene[0].full = false;
  scene.tried = {0};
  assert_sent(scene, 1);
  scene.last.deployment = 77;  // None of this plan.
  assert_sent(scene, 1);
}

void in_a_later_tier_with_and_without_fail_back(void**) {
  Scene scene = two_tiers();
  scene.plan.sticky = Duration::from_s(10);
  scene.last = {2, kNow};
  assert_sent(scene, 2, By::sticky);
  scene.plan.fail_back = true;
  scene[0].in_flight = 5;
  assert_sent(scene, 1);
  out(scene, 0, 5);
  scene[1].full = true;
  assert_sent(scene, 2, By::sticky);  // None of the earlier tier is back.
  scene[0].open_at = kNow;
  assert_sent(scene, 0);
  scene.last.deployment = 1;  // In its own tier it stays, whoever stands before it.
  scene[1].full = false;
  assert_sent(scene, 1, By::sticky);
}

// --- Affinity ---

struct Bound : Scene {
  explicit Bound(const std::vector<std::vector<TargetIndex>>& tiers = {{0, 1}, {2}}) : Scene(tiers, {1, 1, 1}) {
    plan.affinity = Duration::from_s(300);
    plan.when_none = WhenNone::fail;
    ask.affinity = 42;
    bindings.bind(42, {0, 1, 1, kNow});
  }
};

void a_key_keeps_its_target(void**) {
  Bound scene;
  assert_sent(scene, 1, By::affinity);
  scene[1].in_flight = 63;
  assert_sent(scene, 1, By::affinity);
  scene.bindings.bind(42, {1, 0, 2, kNow - Duration::from_s(300)});
  assert_sent(scene, 2, By::affinity);  // Also in a later tier: there its cache is.
  scene.bindings.bind(42, {1, 0, 2, kNow - Duration::from_s(300) - Duration{1}});
  assert_true(scene.decide().target != 2);
}

void who_is_not_bound_goes_by_rendezvous(void**) {
  Bound scene;
  for (uint64_t key = 100; key < 200; key++) {
    scene.ask.affinity = key;
    Decision decision = scene.decide();
    assert_true(decision.by == By::balance);
    assert_int_equal(decision.target, *scene.rendezvous(key));
  }
  scene.ask.affinity = 0;
  scene[0].in_flight = 1;
  assert_sent(scene, 1);
  scene.ask.affinity = 42;
  scene.plan.affinity = Duration::zero();
  assert_sent(scene, 1);
}

void a_binding_of_another_plan_says_nothing(void**) {
  for (Bindings::Binding binding : {Bindings::Binding{0, 0, 1, kNow}, Bindings::Binding{2, 0, 1, kNow},
                                    Bindings::Binding{0, 2, 1, kNow}, Bindings::Binding{0, 1, 7, kNow}}) {
    Bound scene;
    scene.bindings.bind(42, binding);
    assert_true(scene.decide().by == By::balance);
  }
}

void it_is_left_when_it_is_out_tried_or_full(void**) {
  Bound scene;
  out(scene, 1, 1);
  assert_sent(scene, 0);
  scene[1].open_at = kNow;
  scene[1].probed = true;
  assert_sent(scene, 0);
  scene[1].probed = false;
  scene[1].full = true;
  assert_sent(scene, 0);
  scene[1].full = false;
  scene.tried = {1};
  assert_sent(scene, 0);
}

void it_waits_for_as_long_as_its_patience(void**) {
  Bound scene;
  limited(scene, 1, 500);
  assert_sent(scene, 0);
  scene.ask.patience = Duration::from_ms(500) - Duration{1};
  assert_sent(scene, 0);
  scene.ask.patience = Duration::from_ms(500);
  assert_waits(scene, later(500), Status::LIMITED, By::affinity);
  assert_int_equal(scene.decide().target, 1);
  scene.entries[1].frees_at = Instant::never();
  scene.ask.patience = Duration::max();
  assert_sent(scene, 0);
}

// From 64 calls on, and half as much again as another has: too many callers for one target.
void it_is_left_when_far_too_many_come(void**) {
  Bound scene({{0, 1}});
  uint64_t key = 1;  // One that goes to the other when it leaves.
  while (*scene.rendezvous(key) != 0) key++;
  scene.bindings.bind(key, {0, 1, 1, kNow});
  scene[1].in_flight = 64;
  scene[0].in_flight = 43;  // 65 is 1.48 times 44.
  assert_sent(scene, 1, By::affinity);
  scene[0].in_flight = 42;  // 65 is 1.51 times 43: where the other is drawn, the key leaves.
  int left = 0;
  for (int i = 0; i < 1'000; i++) {
    Decision decision = scene.decide();
    assert_true(decision.kind == Decision::Kind::send);
    left += decision.target == 0;
  }
  assert_true(left > 400 && left < 600);
  scene[1].in_flight = 63;
  scene[0].in_flight = 0;
  assert_sent(scene, 1, By::affinity);
  scene[1].in_flight = 64;
  scene[0].full = true;
  assert_sent(scene, 1, By::affinity);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_first_tier_decides),
      cmocka_unit_test(the_next_tier_when_none_may),
      cmocka_unit_test(strict_tiers_wait_for_the_first),
      cmocka_unit_test(none_is_tried_twice),
      cmocka_unit_test(an_empty_plan_is_rejected),
      cmocka_unit_test(in_a_large_tier_the_only_one_is_found),
      cmocka_unit_test(waits_for_the_earliest),
      cmocka_unit_test(the_longest_obstacle_counts),
      cmocka_unit_test(nobody_waits_for_the_past),
      cmocka_unit_test(below_one_there_is_room),
      cmocka_unit_test(fail_means_wait),
      cmocka_unit_test(panic_forgives_faults_only),
      cmocka_unit_test(panic_takes_no_target_out_of_tests),
      cmocka_unit_test(no_panic_while_one_is_healthy),
      cmocka_unit_test(best_effort_from_the_least_bad),
      cmocka_unit_test(equals_share_what_is_bad),
      cmocka_unit_test(strict_tiers_in_need),
      cmocka_unit_test(below_the_share_faults_are_forgiven),
      cmocka_unit_test(the_share_forgives_nothing_else),
      cmocka_unit_test(the_share_is_of_each_tier),
      cmocka_unit_test(on_with_the_deployment_that_served_last),
      cmocka_unit_test(in_a_later_tier_with_and_without_fail_back),
      cmocka_unit_test(a_key_keeps_its_target),
      cmocka_unit_test(who_is_not_bound_goes_by_rendezvous),
      cmocka_unit_test(a_binding_of_another_plan_says_nothing),
      cmocka_unit_test(it_is_left_when_it_is_out_tried_or_full),
      cmocka_unit_test(it_waits_for_as_long_as_its_patience),
      cmocka_unit_test(it_is_left_when_far_too_many_come),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
