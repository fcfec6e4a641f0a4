#include "policy/affinity.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <utility>
#include <vector>

#include "unit/policy/scene.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

Bindings::Binding binding(TargetIndex target) { return {1, 2, target, later(target)}; }

void assert_bound(const Bindings& bindings, uint64_t key, TargetIndex target) {
  const Bindings::Binding* found = bindings.find(key);
  assert_non_null(found);
  assert_int_equal(found->target, target);
  assert_int_equal(found->tier, 1);
  assert_int_equal(found->place, 2);
  assert_true(found->used_at == later(target));
}

// --- The table ---

void without_room_nothing_is_bound(void**) {
  Bindings none;
  none.bind(1, binding(1));
  assert_null(none.find(1));
  assert_int_equal(none.size() + none.capacity(), 0);
}

void at_capacity_and_one_over(void**) {
  Bindings bindings(3);
  assert_int_equal(bindings.capacity(), 3);
  for (TargetIndex i = 0; i < 3; i++) bindings.bind(i, binding(i));
  assert_int_equal(bindings.size(), 3);
  for (TargetIndex i = 0; i < 3; i++) assert_bound(bindings, i, i);
  bindings.bind(3, binding(3));
  assert_int_equal(bindings.size(), 3);
  assert_null(bindings.find(0));
  for (TargetIndex i = 1; i <= 3; i++) assert_bound(bindings, i, i);
}

void the_least_recently_used_goes(void**) {
  Bindings bindings(3);
  for (TargetIndex i = 0; i < 3; i++) bindings.bind(i, binding(i));
  bindings.bind(0, binding(10));  // Bound anew: the most recently used.
  assert_bound(bindings, 0, 10);
  bindings.bind(3, binding(3));
  assert_null(bindings.find(1));
  bindings.bind(2, binding(2));
  bindings.bind(4, binding(4));
  assert_null(bindings.find(0));
  assert_bound(bindings, 2, 2);
  assert_bound(bindings, 3, 3);
  assert_bound(bindings, 4, 4);
}

void looking_does_not_touch_the_order(void**) {
  Bindings bindings(2);
  bindings.bind(1, binding(1));
  bindings.bind(2, binding(2));
  for (int i = 0; i < 5; i++) assert_non_null(bindings.find(1));
  bindings.bind(3, binding(3));
  assert_null(bindings.find(1));
}

void room_for_one(void**) {
  Bindings bindings(1);
  for (TargetIndex i = 0; i < 100; i++) {
    bindings.bind(i, binding(i));
    bindings.bind(i, binding(i + 1));
    assert_bound(bindings, i, i + 1);
    if (i > 0) assert_null(bindings.find(i - 1));
  }
  assert_int_equal(bindings.size(), 1);
}

// Keys that share a bucket are found apart, and one that goes leaves the others.
void many_keys(void**) {
  constexpr uint32_t kCapacity = 100;
  Bindings bindings(kCapacity);
  for (uint64_t i = 0; i < 10 * kCapacity; i++) {
    bindings.bind(i * i << 40, binding(static_cast<TargetIndex>(i)));
    for (uint64_t j = i < kCapacity ? 0 : i - kCapacity + 1; j <= i; j += 7)
      assert_bound(bindings, j * j << 40, static_cast<TargetIndex>(j));
    if (i >= kCapacity) assert_null(bindings.find((i - kCapacity) * (i - kCapacity) << 40));
  }
}

void any_number_is_a_key(void**) {
  Bindings bindings(4);
  bindings.bind(0, binding(1));
  bindings.bind(UINT64_MAX, binding(2));
  assert_bound(bindings, 0, 1);
  assert_bound(bindings, UINT64_MAX, 2);
}

// --- Rendezvous ---

void a_key_stays_with_its_target(void**) {
  Scene scene(std::vector<double>(5, 1));
  for (uint64_t key = 1; key <= 200; key++) {
    TargetIndex first = *scene.rendezvous(key);
    scene.rng.next();
    scene[first].utilisation = 0.99;
    assert_int_equal(*scene.rendezvous(key), first);
    scene[first].utilisation = 0;
  }
}

void keys_spread_by_weight(void**) {
  Scene scene({1, 2, 1});
  std::vector<int> count(3);
  for (uint64_t key = 1; key <= 40'000; key++) count[*scene.rendezvous(key)]++;
  assert_true(count[0] > 9'567 && count[0] < 10'433);
  assert_true(count[1] > 19'500 && count[1] < 20'500);
  assert_true(count[2] > 9'567 && count[2] < 10'433);
}

void who_may_not_take_it_is_passed_over(void**) {
  Scene scene({1, 1, 1, 1, 1});
  scene[0].full = true;
  scene[1].open_at = later(1);
  scene[2].utilisation = 1;
  scene.tried = {3};
  for (uint64_t key = 1; key <= 100; key++) assert_int_equal(*scene.rendezvous(key), 4);
  scene[4].probed = true;
  assert_false(scene.rendezvous(1).has_value());
}

// Only keys of the one that is out go elsewhere.
void others_keep_their_keys(void**) {
  Scene scene(std::vector<double>(6, 1));
  for (uint64_t key = 1; key <= 500; key++) {
    scene[2].full = false;
    TargetIndex before = *scene.rendezvous(key);
    scene[2].full = true;
    TargetIndex now = *scene.rendezvous(key);
    assert_true(before == 2 ? now != 2 : now == before);
  }
}

// Of two targets with n calls in all one may have ceil(1.25 * (n + 1) / 2).
void the_load_is_bounded(void**) {
  Scene scene({1, 1});
  uint64_t key = 1;
  while (*scene.rendezvous(key) != 0) key++;
  scene[1].in_flight = 7;
  scene[0].in_flight = 11;  // 1.25 * 19 / 2 = 11.9: twelve.
  assert_int_equal(*scene.rendezvous(key), 0);
  scene[0].in_flight = 12;  // 1.25 * 20 / 2 = 12.5: thirteen.
  assert_int_equal(*scene.rendezvous(key), 0);
  scene[0].in_flight = 13;  // 1.25 * 21 / 2 = 13.1: fourteen.
  assert_int_equal(*scene.rendezvous(key), 0);
  scene[0].in_flight = 14;  // 1.25 * 22 / 2 = 13.75: fourteen.
  assert_int_equal(*scene.rendezvous(key), 1);
}

// Calls on targets that may not take any do not count.
void the_bound_is_of_those_that_may(void**) {
  Scene scene({1, 1, 1});
  uint64_t key = 1;
  while (*scene.rendezvous(key) != 0) key++;
  scene[2].in_flight = 1'000;
  scene[2].full = true;
  scene[0].in_flight = 5;
  scene[1].in_flight = 0;
  assert_int_equal(*scene.rendezvous(key), 1);
  scene[2].full = false;
  assert_int_equal(*scene.rendezvous(key), 0);
}

void there_is_always_one_below_the_bound(void**) {
  Rng rng(4);
  for (int i = 0; i < 2'000; i++) {
    Scene scene(std::vector<double>(1 + rng.below(6), 0.1 + rng.unit()));
    for (FactsArray::Entry& entry : scene.entries) {
      entry.facts.weight = 0.01 + 10 * rng.unit();
      entry.facts.in_flight = static_cast<uint32_t>(rng.below(rng.below(2) ? 3 : 3'000));
    }
    assert_true(scene.rendezvous(rng.next()).has_value());
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(without_room_nothing_is_bound),
      cmocka_unit_test(at_capacity_and_one_over),
      cmocka_unit_test(the_least_recently_used_goes),
      cmocka_unit_test(looking_does_not_touch_the_order),
      cmocka_unit_test(room_for_one),
      cmocka_unit_test(many_keys),
      cmocka_unit_test(any_number_is_a_key),
      cmocka_unit_test(a_key_stays_with_its_target),
      cmocka_unit_test(keys_spread_by_weight),
      cmocka_unit_test(who_may_not_take_it_is_passed_over),
      cmocka_unit_test(others_keep_their_keys),
      cmocka_unit_test(the_load_is_bounded),
      cmocka_unit_test(the_bound_is_of_those_that_may),
      cmocka_unit_test(there_is_always_one_below_the_bound),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
