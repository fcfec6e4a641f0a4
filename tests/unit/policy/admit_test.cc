#include "policy/admit.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <algorithm>
#include <array>
#include <vector>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

using Calls = std::vector<uint64_t>;

// One round in which `room` calls may go; the calls in the order in which they were offered.
Calls offered(WaitQueue& queue, size_t room) {
  Calls out;
  queue.serve([&](uint64_t call) {
    out.push_back(call);
    return room > 0 && room-- > 0;
  });
  return out;
}

Calls admitted(WaitQueue& queue, size_t room) {
  Calls all = offered(queue, room);
  all.resize(std::min(room, all.size()));
  return all;
}

// Call number n of caller c is 100 * c + n.
void add(WaitQueue& queue, uint64_t caller, uint64_t n, uint64_t tokens, double share = 1, int32_t priority = 0) {
  queue.add({100 * caller + n, caller, share, tokens, priority});
}

void an_empty_queue_offers_nothing(void**) {
  WaitQueue queue;
  assert_true(queue.empty() && offered(queue, 5).empty());
}

void who_goes_is_taken_out(void**) {
  WaitQueue queue;
  for (uint64_t n = 1; n <= 3; n++) add(queue, 1, n, 10);
  assert_true((admitted(queue, 2) == Calls{101, 102}));
  assert_int_equal(queue.size(), 1);
  assert_int_equal(queue.entries()[0].call, 103);
  assert_true((admitted(queue, 2) == Calls{103}));
  assert_true(queue.empty());
}

void calls_of_one_caller_in_their_order(void**) {
  WaitQueue queue;
  for (uint64_t n = 1; n <= 9; n++) add(queue, 1, n, n * 700);
  assert_true((offered(queue, 0) == Calls{101, 102, 103, 104, 105, 106, 107, 108, 109}));
  assert_int_equal(queue.size(), 9);
}

// Nobody is held up by one that cannot go.
void each_is_offered_once(void**) {
  WaitQueue queue;
  for (uint64_t caller = 0; caller < 4; caller++)
    for (uint64_t n = 1; n <= 5; n++) add(queue, caller, n, 3'000 * caller + n, 0.5 + static_cast<double>(caller));
  Calls all;
  queue.serve([&](uint64_t call) {
    all.push_back(call);
    return call % 2 == 0;
  });
  std::sort(all.begin(), all.end());
  assert_int_equal(all.size(), 20);
  assert_true(std::adjacent_find(all.begin(), all.end()) == all.end());
  assert_int_equal(queue.size(), 12);
}

void higher_bands_go_first(void**) {
  WaitQueue queue;
  add(queue, 1, 1, 10, 1, INT32_MIN);
  add(queue, 1, 2, 10, 1, 0);
  add(queue, 2, 1, 10, 1, -5);
  add(queue, 2, 2, 1'000'000, 1, 7);
  add(queue, 3, 1, 10, 1, INT32_MAX);
  assert_true((offered(queue, 0) == Calls{301, 202, 102, 201, 101}));
}

void a_call_may_be_removed(void**) {
  WaitQueue queue;
  for (uint64_t n = 1; n <= 3; n++) add(queue, 1, n, 10);
  queue.remove(102);
  queue.remove(999);
  assert_true((offered(queue, 9) == Calls{101, 103}));
}

void what_is_added_meanwhile_waits_for_the_next_round(void**) {
  WaitQueue queue;
  add(queue, 1, 1, 10);
  Calls all;
  queue.serve([&](uint64_t call) {
    all.push_back(call);
    add(queue, 2, all.size(), 10, 1, 5);
    return true;
  });
  assert_true((all == Calls{101}));
  assert_int_equal(queue.size(), 1);
  assert_true((offered(queue, 9) == Calls{201}));
}

void no_tokens_are_no_trouble(void**) {
  WaitQueue queue;
  for (uint64_t caller = 0; caller < 3; caller++) add(queue, caller, 1, 0);
  assert_int_equal(offered(queue, 9).size(), 3);
  add(queue, 1, 1, uint64_t{1} << 41);
  add(queue, 2, 1, 1);
  assert_int_equal(offered(queue, 9).size(), 2);
}

// Three callers that always have four calls waiting, and `rounds` times room for `room` of them: what each got, in
// tokens by share.
std::array<double, 3> served(std::array<uint64_t, 3> tokens, std::array<double, 3> shares, int rounds, size_t room) {
  WaitQueue queue;
  std::array<double, 3> got{};
  std::array<int, 3> waiting{};
  uint64_t calls = 0;
  for (int round = 0; round < rounds; round++) {
    for (size_t c = 0; c < 3; c++)
      for (; waiting[c] < 4; waiting[c]++) queue.add({3 * calls++ + c, c, shares[c], tokens[c], 0});
    size_t left = room;
    queue.serve([&](uint64_t call) {
      if (left == 0) return false;
      left--;
      waiting[call % 3]--;
      got[call % 3] += static_cast<double>(tokens[call % 3]) / shares[call % 3];
      return true;
    });
  }
  return got;
}

void assert_even(std::array<double, 3> got, double difference) {
  assert_true(*std::max_element(got.begin(), got.end()) - *std::min_element(got.begin(), got.end()) <= difference);
}

// One call at a time may go, which is how it is when all slots are taken.
void tokens_not_calls_are_shared(void**) {
  for (size_t room : {1, 2, 3}) {
    assert_even(served({1'000, 100, 500}, {1, 1, 1}, 2'000, room), 2'000);
    assert_even(served({1'000, 1'000, 1'000}, {1, 1, 1}, 2'000, room), 2'000);
    assert_even(served({10, 1, 3}, {1, 1, 1}, 3'000, room), 2'000);
    assert_even(served({8'000, 100, 3'000}, {1, 1, 1}, 4'000, room), 16'000);
  }
}

void shares_are_kept(void**) {
  for (size_t room : {1, 2, 3}) {
    assert_even(served({500, 500, 500}, {10, 1, 1}, 4'000, room), 2'000);
    assert_even(served({1'000, 1'000, 1'000}, {1, 2, 4}, 4'000, room), 2'000);
    assert_even(served({1'000, 100, 500}, {0.5, 1, 3}, 4'000, room), 4'000);
  }
}

// Who could not go for long gets no more afterwards than one quantum.
void nobody_hoards(void**) {
  WaitQueue queue;
  for (uint64_t n = 0; n < 50; n++) queue.add({n, 1, 1, 100, 0});
  for (uint64_t n = 100; n < 300; n++) queue.add({n, 2, 1, 100, 0});
  for (int round = 0; round < 100; round++) {
    bool gone = false;
    queue.serve([&](uint64_t call) {
      bool goes = call >= 100 && !gone;
      gone = gone || goes;
      return goes;
    });
  }
  int first = 0;
  for (int round = 0; round < 40; round++) first += admitted(queue, 1).at(0) < 100;
  assert_true(first >= 10 && first <= 30);
}

void who_comes_back_begins_anew(void**) {
  WaitQueue queue;
  add(queue, 1, 1, 10);
  add(queue, 2, 1, 1'000);
  add(queue, 2, 2, 1'000);
  assert_int_equal(admitted(queue, 2).size(), 2);  // What caller 1 had left is gone with its last call.
  for (uint64_t n = 2; n <= 4; n++) add(queue, 1, n, 500);
  assert_true((admitted(queue, 4) == Calls{102, 103, 202, 104}));
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_queue_offers_nothing),
      cmocka_unit_test(who_goes_is_taken_out),
      cmocka_unit_test(calls_of_one_caller_in_their_order),
      cmocka_unit_test(each_is_offered_once),
      cmocka_unit_test(higher_bands_go_first),
      cmocka_unit_test(a_call_may_be_removed),
      cmocka_unit_test(what_is_added_meanwhile_waits_for_the_next_round),
      cmocka_unit_test(no_tokens_are_no_trouble),
      cmocka_unit_test(tokens_not_calls_are_shared),
      cmocka_unit_test(shares_are_kept),
      cmocka_unit_test(nobody_hoards),
      cmocka_unit_test(who_comes_back_begins_anew),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
