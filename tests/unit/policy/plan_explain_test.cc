// A plan as people see it.
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

void places_in_a_plan(void**) {
  Scene scene({{4, 2}, {3, 1}}, std::vector<double>(5, 1));
  std::optional<Bindings::Binding> place = place_in(scene.plan, 1, later(5));
  assert_true(place && place->tier == 1 && place->place == 1 && place->target == 1 && place->used_at == later(5));
  assert_int_equal(place_in(scene.plan, 4, kNow)->place, 0);
  assert_false(place_in(scene.plan, 0, kNow).has_value());
}

void it_explains_itself(void**) {
  using Obstacle = Considered::Obstacle;
  Scene scene({{5, 0, 1}, {2, 3, 4}}, std::vector<double>(6, 1));
  scene.tried = {5};
  scene[0].open_at = later(7);
  scene[1].probed = true;
  scene[2].full = true;
  scene[3].utilisation = 1;
  scene.entries[3].frees_at = later(9);
  scene[4].in_flight = 2;
  scene.ask.tried = scene.tried;
  auto all = explain(scene.plan, FactsArray(scene.entries), scene.ask, kNow, 100);
  const Obstacle expected[] = {Obstacle::tried, Obstacle::out,     Obstacle::probing,
                               Obstacle::full,  Obstacle::limited, Obstacle::none};
  const TargetIndex targets[] = {5, 0, 1, 2, 3, 4};
  assert_int_equal(all.size(), 6);
  for (size_t i = 0; i < 6; i++) {
    assert_true(all[i].obstacle == expected[i]);
    assert_int_equal(all[i].target, targets[i]);
    assert_int_equal(all[i].tier, i / 3);
    assert_true(all[i].frees_at == (i == 4 ? later(9) : kNow));
  }
  assert_true(all[5].load > 2.99 && all[5].load < 3.01);
  assert_int_equal(explain(scene.plan, FactsArray(scene.entries), scene.ask, kNow, 2).size(), 2);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(places_in_a_plan),
      cmocka_unit_test(it_explains_itself),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
