#include "base/slab.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "dies.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Rng;
using lb::Slab;

void what_is_added_is_found_until_removed(void**) {
  Slab<int> slab;
  assert_null(slab.find(0));
  assert_null(slab.find(UINT64_MAX));
  uint64_t expected = slab.next_id();
  uint64_t id = slab.add(7);
  assert_int_equal(id, expected);
  assert_true(id != 0);
  assert_int_equal(*slab.find(id), 7);
  assert_int_equal(slab.size(), 1);
  slab.remove(id);
  assert_null(slab.find(id));
  assert_int_equal(slab.size(), 0);
}

void a_stale_id_finds_nothing(void**) {
  Slab<int> slab;
  uint64_t first = slab.add(1);
  slab.remove(first);
  uint64_t second = slab.add(2);
  assert_true(first != second);
  assert_int_equal(first & (Slab<int>::kSlotsMax - 1), second & (Slab<int>::kSlotsMax - 1));  // The same slot.
  assert_null(slab.find(first));
  assert_int_equal(*slab.find(second), 2);
}

void objects_stay_where_they_are(void**) {
  Slab<int> slab;
  uint64_t id = slab.add(5);
  int* place = slab.find(id);
  for (int i = 0; i < 1000; i++) slab.add(i);
  assert_ptr_equal(slab.find(id), place);
}

void the_top_bits_are_free(void**) {
  constexpr uint64_t kLargest = Slab<int>::kGenerationMax << Slab<int>::kSlotBits | (Slab<int>::kSlotsMax - 1);
  static_assert(kLargest >> 60 == 0);
}

void ids_are_listed_in_slot_order(void**) {
  Slab<int> slab;
  uint64_t a = slab.add(1), b = slab.add(2), c = slab.add(3);
  slab.remove(b);
  assert_true(slab.ids() == std::vector<uint64_t>({a, c}));
  uint64_t d = slab.add(4);
  assert_true(slab.ids() == std::vector<uint64_t>({a, d, c}));
}

// An object that destroys another of the same slab, as calls do.
struct Pair {
  Pair(Slab<Pair>* owner, uint64_t id) : slab(owner), other(id) {}
  ~Pair() {
    if (other) slab->remove(other);
  }
  Slab<Pair>* slab;
  uint64_t other;
};

void a_destructor_may_use_the_slab(void**) {
  Slab<Pair> slab;
  uint64_t inner = slab.add(&slab, uint64_t{0});
  uint64_t outer = slab.add(&slab, inner);
  slab.remove(outer);
  assert_int_equal(slab.size(), 0);
  assert_null(slab.find(inner));
}

struct Counted {
  explicit Counted(int* count) : live(count) { ++*live; }
  ~Counted() { --*live; }
  int* live;
  uint64_t size[100] = {};
};

// What is gone is destroyed at once, whether its place is kept or not; so are those that are left at the end.
void a_burst_leaves_few_places(void**) {
  int live = 0;
  {
    Slab<Counted> slab;
    for (int round = 0; round < 3; round++) {
      for (size_t i = 0; i < Slab<Counted>::kSparesMax + 100; i++) slab.add(&live);
      assert_int_equal(live, slab.size());
      for (uint64_t id : slab.ids()) slab.remove(id);
      assert_int_equal(live, 0);
      assert_int_equal(slab.spares(), Slab<Counted>::kSparesMax);
    }
    if (Slab<Counted>::kSparesMax > 0) {
      uint64_t id = slab.add(&live);
      assert_int_equal(slab.spares(), Slab<Counted>::kSparesMax - 1);
      const Counted* place = slab.find(id);
      slab.remove(id);
      assert_ptr_equal(slab.find(slab.add(&live)), place);
    }
    slab.add(&live);
  }
  assert_int_equal(live, 0);
}

void it_is_full_at_its_limit_and_one_over_is_a_defect(void**) {
  Slab<char> slab;
  uint64_t last = 0;
  for (uint32_t i = 0; i < Slab<char>::kSlotsMax; i++) {
    assert_false(slab.full());
    last = slab.add('x');
  }
  assert_true(slab.full());
  assert_int_equal(slab.size(), Slab<char>::kSlotsMax);
  assert_true(dies([&] { slab.add('y'); }));
  slab.remove(last);
  assert_false(slab.full());
  assert_true(slab.add('y') != last);
  assert_true(slab.full());
}

void removing_what_is_gone_is_a_defect(void**) {
  Slab<int> slab;
  uint64_t id = slab.add(1);
  slab.remove(id);
  assert_true(dies([&] { slab.remove(id); }));
  assert_true(dies([&] { slab.remove(0); }));
}

void no_id_comes_twice(void**) {
  Rng rng(11);
  Slab<uint64_t> slab;
  std::unordered_map<uint64_t, uint64_t> model;
  std::vector<uint64_t> dead;
  for (uint64_t step = 0; step < 20'000; step++) {
    if (model.empty() || rng.below(2)) {
      uint64_t id = slab.add(step);
      assert_true(model.emplace(id, step).second);
      assert_true(std::find(dead.end() - static_cast<std::ptrdiff_t>(std::min<size_t>(dead.size(), 100)), dead.end(),
                            id) == dead.end());
    } else {
      uint64_t id = model.begin()->first;
      assert_int_equal(*slab.find(id), model.begin()->second);
      slab.remove(id);
      model.erase(id);
      dead.push_back(id);
    }
    assert_int_equal(slab.size(), model.size());
  }
  for (uint64_t id : dead) assert_null(slab.find(id));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_added_is_found_until_removed),
      cmocka_unit_test(a_stale_id_finds_nothing),
      cmocka_unit_test(objects_stay_where_they_are),
      cmocka_unit_test(the_top_bits_are_free),
      cmocka_unit_test(ids_are_listed_in_slot_order),
      cmocka_unit_test(a_destructor_may_use_the_slab),
      cmocka_unit_test(a_burst_leaves_few_places),
      cmocka_unit_test(it_is_full_at_its_limit_and_one_over_is_a_defect),
      cmocka_unit_test(removing_what_is_gone_is_a_defect),
      cmocka_unit_test(no_id_comes_twice),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
