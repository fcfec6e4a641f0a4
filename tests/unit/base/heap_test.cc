#include "base/heap.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Instant;
using lb::Rng;
using lb::Timer;
using lb::TimerHeap;

std::vector<uint64_t> owners_due(TimerHeap& heap, int64_t now) {
  std::vector<TimerHeap::Fired> fired;
  heap.take_due(Instant{now}, fired);
  std::vector<uint64_t> out;
  for (const TimerHeap::Fired& one : fired) out.push_back(one.owner);
  return out;
}

void an_empty_heap_has_nothing_due(void**) {
  TimerHeap heap;
  assert_true(heap.next() == Instant::never());
  assert_true(owners_due(heap, INT64_MAX).empty());
  Timer timer;
  assert_false(timer.armed());
  heap.disarm(timer);  // Not armed: without effect.
}

void it_fires_at_its_time_and_not_before(void**) {
  TimerHeap heap;
  Timer timer;
  timer.owner = 9;
  timer.kind = 4;
  heap.arm(timer, Instant{100});
  assert_true(timer.armed());
  assert_int_equal(heap.next().ns, 100);
  assert_true(owners_due(heap, 99).empty());
  std::vector<TimerHeap::Fired> fired;
  heap.take_due(Instant{100}, fired);
  assert_int_equal(fired.size(), 1);
  assert_int_equal(fired[0].owner, 9);
  assert_int_equal(fired[0].kind, 4);
  assert_false(timer.armed());
  assert_int_equal(heap.size(), 0);
}

void ties_fire_in_the_order_in_which_they_were_set(void**) {
  TimerHeap heap;
  std::vector<std::unique_ptr<Timer>> timers;
  for (uint64_t i = 0; i < 50; i++) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->owner = i;
    heap.arm(*timers.back(), Instant{7});
  }
  heap.arm(*timers[3], Instant{7});  // Set again: now the last of them.
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < 50; i++)
    if (i != 3) expected.push_back(i);
  expected.push_back(3);
  assert_true(owners_due(heap, 7) == expected);
}

void it_may_be_set_again_sooner_and_later(void**) {
  TimerHeap heap;
  Timer a, b;
  a.owner = 1;
  b.owner = 2;
  heap.arm(a, Instant{10});
  heap.arm(b, Instant{20});
  heap.arm(b, Instant{5});
  assert_int_equal(heap.next().ns, 5);
  heap.arm(b, Instant{30});
  assert_int_equal(heap.size(), 2);
  assert_true(owners_due(heap, 30) == std::vector<uint64_t>({1, 2}));
}

// Against an ordered map, over random settings, re-settings, withdrawals and passing time.
void it_agrees_with_an_ordered_map(void**) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    Rng rng(seed);
    TimerHeap heap;
    std::vector<Timer> timers(200);
    std::map<std::pair<int64_t, uint64_t>, uint64_t> model;  // (due, order) -> owner
    std::vector<std::pair<int64_t, uint64_t>> keys(timers.size(), {-1, 0});
    uint64_t orders = 0;
    int64_t now = 0;
    for (size_t i = 0; i < timers.size(); i++) timers[i].owner = i;
    for (int step = 0; step < 3000; step++) {
      size_t i = rng.below(timers.size());
      uint64_t what = rng.below(10);
      if (what < 6) {
        model.erase(keys[i]);
        keys[i] = {now + static_cast<int64_t>(rng.below(50)), ++orders};
        model[keys[i]] = i;
        heap.arm(timers[i], Instant{keys[i].first});
      } else if (what < 8) {
        model.erase(keys[i]);
        heap.disarm(timers[i]);
      } else {
        now += static_cast<int64_t>(rng.below(20));
        std::vector<uint64_t> expected;
        while (!model.empty() && model.begin()->first.first <= now) {
          expected.push_back(model.begin()->second);
          model.erase(model.begin());
        }
        assert_true(owners_due(heap, now) == expected);
      }
      assert_int_equal(heap.size(), model.size());
      assert_true(heap.next() == (model.empty() ? Instant::never() : Instant{model.begin()->first.first}));
    }
    for (Timer& timer : timers) heap.disarm(timer);
    assert_int_equal(heap.size(), 0);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_heap_has_nothing_due),
      cmocka_unit_test(it_fires_at_its_time_and_not_before),
      cmocka_unit_test(ties_fire_in_the_order_in_which_they_were_set),
      cmocka_unit_test(it_may_be_set_again_sooner_and_later),
      cmocka_unit_test(it_agrees_with_an_ordered_map),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
