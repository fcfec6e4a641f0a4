#include "policy/plan.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <vector>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};

Instant later(int64_t ms) { return kNow + Duration::from_ms(ms); }

struct World {
  Plan plan;
  std::vector<Facts> facts;
  std::vector<TargetIndex> tried;
  Rng rng{7};

  World(std::vector<std::vector<TargetIndex>> tiers, size_t targets) : facts(targets) { plan.tiers = std::move(tiers); }
  Decision ask() { return decide(plan, facts, Ask{tried}, kNow, rng); }
};

void assert_sent(World& world, TargetIndex target) {
  for (int i = 0; i < 20; i++) {
    Decision decision = world.ask();
    assert_true(decision.kind == Decision::Kind::send);
    assert_int_equal(decision.target, target);
    assert_true(decision.why == Status::OK);
  }
}

void assert_waits(World& world, Instant until, Status why) {
  Decision decision = world.ask();
  assert_true(decision.kind == Decision::Kind::wait);
  assert_int_equal(decision.wait_until.ns, until.ns);
  assert_true(decision.why == why);
}

void assert_rejected(World& world) {
  Decision decision = world.ask();
  assert_true(decision.kind == Decision::Kind::reject);
  assert_true(decision.why == Status::NO_UPSTREAM);
}

void the_first_tier_decides(void**) {
  World world({{2}, {0, 1}}, 3);
  assert_sent(world, 2);
  world.facts[2].in_flight = 1'000'000;  // Load alone does not lead to the next tier.
  assert_sent(world, 2);
}

void the_next_tier_when_none_may(void**) {
  World world({{0, 1}, {2}}, 3);
  world.facts[0].open_at = later(1);
  assert_sent(world, 1);
  world.facts[1].utilisation = 1;
  assert_sent(world, 2);
  world.facts[0].open_at = kNow;  // The cooldown is over at its end.
  assert_sent(world, 0);
}

void slots_are_counted(void**) {
  World world({{0}, {1}}, 2);
  world.facts[0].concurrency = 2;
  world.facts[0].in_flight = 1;
  assert_sent(world, 0);
  world.facts[0].in_flight = 2;
  assert_sent(world, 1);
}

void none_is_tried_twice(void**) {
  World world({{0, 1}, {2}}, 3);
  world.tried = {0};
  assert_sent(world, 1);
  world.tried = {1, 0};
  assert_sent(world, 2);
  world.tried = {0, 1, 2};
  assert_rejected(world);
}

void an_empty_plan_is_rejected(void**) {
  World none({}, 0);
  assert_rejected(none);
}

void waits_for_the_earliest(void**) {
  World world({{0}, {1, 2}}, 3);
  for (Facts& facts : world.facts) facts.open_at = later(900);
  world.facts[2].open_at = later(300);
  assert_waits(world, later(300), Status::NO_UPSTREAM);
  world.facts[1].open_at = kNow;
  world.facts[1].utilisation = 1;
  world.facts[1].frees_at = later(200);
  assert_waits(world, later(200), Status::LIMITED);
  world.tried = {1};
  assert_waits(world, later(300), Status::NO_UPSTREAM);
}

void the_longest_obstacle_counts(void**) {
  World world({{0}}, 1);
  world.facts[0].open_at = later(500);
  world.facts[0].utilisation = 1.5;
  world.facts[0].frees_at = later(800);
  assert_waits(world, later(800), Status::LIMITED);
  world.facts[0].frees_at = later(200);
  assert_waits(world, later(500), Status::NO_UPSTREAM);
  world.facts[0].concurrency = world.facts[0].in_flight = 1;
  assert_waits(world, Instant::never(), Status::LIMITED);
}

void nobody_waits_for_the_past(void**) {
  World world({{0}}, 1);
  world.facts[0].utilisation = 1;
  world.facts[0].frees_at = later(-5);
  assert_waits(world, kNow, Status::LIMITED);
}

// Nothing tells when a call in flight ends.
void full_slots_wait_for_ever(void**) {
  World world({{0, 1}}, 2);
  for (Facts& facts : world.facts) facts.concurrency = facts.in_flight = 3;
  assert_waits(world, Instant::never(), Status::LIMITED);
  world.facts[1].concurrency = 0;
  world.facts[1].open_at = later(60'000);
  assert_waits(world, later(60'000), Status::NO_UPSTREAM);
}

// frees_at is only read where utilisation has reached 1.
void below_one_there_is_room(void**) {
  World world({{0}}, 1);
  world.facts[0].utilisation = 0.999;
  world.facts[0].frees_at = Instant::never();
  assert_sent(world, 0);
}

// A tier beyond what is scanned at once: draws find the few that may, and the scan the only one.
void in_a_large_tier_the_only_one_is_found(void**) {
  World world({{}}, kTargetsMax);
  for (TargetIndex i = 0; i < kTargetsMax; i++) {
    world.plan.tiers[0].push_back(i);
    world.facts[i].open_at = later(5);
  }
  world.facts[517].open_at = kNow;
  assert_sent(world, 517);
  world.facts[517].open_at = later(4);
  assert_waits(world, later(4), Status::NO_UPSTREAM);
}


}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_first_tier_decides),      cmocka_unit_test(the_next_tier_when_none_may),
      cmocka_unit_test(slots_are_counted),           cmocka_unit_test(none_is_tried_twice),
      cmocka_unit_test(an_empty_plan_is_rejected),   cmocka_unit_test(waits_for_the_earliest),
      cmocka_unit_test(the_longest_obstacle_counts), cmocka_unit_test(full_slots_wait_for_ever),
      cmocka_unit_test(nobody_waits_for_the_past),
      cmocka_unit_test(below_one_there_is_room),     cmocka_unit_test(in_a_large_tier_the_only_one_is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
