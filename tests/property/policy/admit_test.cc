// The queue of waiting calls against its promise: bands strictly, in a band tokens by share, and nobody starves.
#include "policy/admit.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "property/policy/law.h"

namespace lb::policy {
namespace {

// Each round offers each call once, band by band, and each caller's calls in the order in which they came.
const char* check_round(const std::vector<Waiting>& before, const std::vector<uint64_t>& offered) {
  if (offered.size() != before.size()) return "not each call once";
  std::vector<bool> seen(before.size());
  std::vector<size_t> places;
  for (uint64_t call : offered) {
    auto at = std::find_if(before.begin(), before.end(), [&](const Waiting& entry) { return entry.call == call; });
    if (at == before.end()) return "an unknown call";
    auto place = static_cast<size_t>(at - before.begin());
    if (seen[place]) return "a call twice";
    seen[place] = true;
    for (size_t other : places) {
      if (before[other].priority < at->priority) return "a lower band first";
      bool same = before[other].priority == at->priority && before[other].caller == at->caller;
      if (same && other > place) return "a later call of a caller first";
    }
    places.push_back(place);
  }
  return nullptr;
}

void bands_are_strict_and_nobody_is_left_out(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    WaitQueue queue;
    uint64_t calls = 0, callers = 1 + rng.below(5), largest = 1 + rng.below(20'000);
    int32_t bands = static_cast<int32_t>(1 + rng.below(4));
    auto any_call = [&] {
      auto band = static_cast<int32_t>(rng.below(static_cast<uint64_t>(bands)));
      queue.add({calls++, rng.below(callers), 0.5 + 4 * rng.unit(), rng.below(largest), band - 1});
    };
    for (int round = 0; round < 6; round++) {
      for (uint64_t n = rng.below(8); n > 0; n--) any_call();
      if (!queue.empty() && rng.below(3) == 0) queue.remove(queue.entries()[rng.below(queue.size())].call);
      std::vector<Waiting> before = queue.entries();
      std::vector<uint64_t> offered, admitted;
      uint64_t added = 0;
      queue.serve([&](uint64_t call) {
        offered.push_back(call);
        if (added < 3 && rng.below(8) == 0) any_call(), added++;
        if (rng.below(3)) return false;
        admitted.push_back(call);
        return true;
      });
      if (const char* broken = check_round(before, offered)) return broken;
      if (queue.size() != before.size() - admitted.size() + added) return "one is lost, or one is left";
      for (const Waiting& entry : queue.entries())
        if (std::find(admitted.begin(), admitted.end(), entry.call) != admitted.end()) return "one goes twice";
    }
    return nullptr;
  });
}

struct Caller {
  double share = 1;
  uint64_t largest = 1;
  int waiting = 0;
  double served = 0;  // Tokens by share.
};

// Callers that always have more calls waiting than may go at a time.
struct Backlog {
  static constexpr int kWaiting = 4;

  WaitQueue queue;
  std::vector<Caller> callers;
  std::vector<uint64_t> tokens;  // Of each call.
  std::vector<size_t> owner;
  double quantum = 1'000;
  uint64_t least = 0;

  Backlog(Rng& rng, uint64_t largest) : callers(2 + rng.below(4)) {
    for (Caller& caller : callers) {
      caller.share = rng.below(2) ? 1 : 0.5 + 4 * rng.unit();
      caller.largest = 1 + rng.below(largest);
    }
  }
  void fill(Rng& rng) {
    for (size_t c = 0; c < callers.size(); c++) {
      for (; callers[c].waiting < kWaiting; callers[c].waiting++) {
        queue.add({tokens.size(), 10 * c + 3, callers[c].share, least + rng.below(callers[c].largest + 1), 0});
        tokens.push_back(queue.entries().back().tokens);
        owner.push_back(c);
      }
    }
  }
  void round(size_t room, Rng& rng) {
    fill(rng);
    queue.serve([&](uint64_t call) {
      if (room == 0 || call >= tokens.size()) return false;
      room--;
      Caller& caller = callers[owner[call]];
      caller.waiting--;
      caller.served += static_cast<double>(tokens[call]) / caller.share;
      return true;
    });
  }
  // The most by which two may differ: what one visit gives, and what may be left of another.
  double bound() const {
    double least = 1;
    for (const Caller& caller : callers) least = std::min(least, caller.share);
    return 2 * quantum / least;
  }
  double difference() const {
    auto by = [](const Caller& a, const Caller& b) { return a.served < b.served; };
    auto [low, high] = std::minmax_element(callers.begin(), callers.end(), by);
    return high->served - low->served;
  }
};

void tokens_are_shared(void**) {
  holds(kCases / 20, [](Rng& rng) -> const char* {
    Backlog backlog(rng, 1'000);
    size_t room = 1 + rng.below(3);
    for (int i = 0; i < 200; i++) {
      backlog.round(room, rng);
      if (backlog.difference() > backlog.bound()) return "one got more than its share";
    }
    return nullptr;
  });
}

// The same beside a call that is larger than all others and never can go: it makes the quantum larger, and holds up
// nobody.
void one_that_cannot_go_holds_up_nobody(void**) {
  holds(kCases / 20, [](Rng& rng) -> const char* {
    Backlog backlog(rng, 5'000);
    backlog.quantum = 8'000;
    backlog.queue.add({1'000'000, 77, 1, 8'000, 0});
    for (int i = 0; i < 200; i++) {
      backlog.round(1, rng);
      if (backlog.difference() > backlog.bound()) return "one got more than its share";
    }
    return nullptr;
  });
}

// One call at a time may go: whatever others bring, each caller gets its turn within the visits that its largest call
// takes, and visits are bounded by what others may send in theirs.
void nobody_starves(void**) {
  constexpr uint64_t kLeast = 1'000, kMost = 10'000;
  holds(kCases / 50, [](Rng& rng) -> const char* {
    Backlog backlog(rng, kMost - kLeast);
    backlog.least = kLeast;
    std::vector<int> since(backlog.callers.size());
    // Four others, each with a quantum for ten calls by a share of 4.5, three times for a share of a half.
    constexpr int kPatience = 4 * 45 * 3;
    for (int i = 0; i < 1'000; i++) {
      backlog.round(1, rng);
      for (size_t c = 0; c < since.size(); c++) {
        since[c] = backlog.callers[c].waiting < Backlog::kWaiting ? 0 : since[c] + 1;
        if (since[c] > kPatience) return "one starves";
      }
    }
    return nullptr;
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(bands_are_strict_and_nobody_is_left_out),
      cmocka_unit_test(tokens_are_shared),
      cmocka_unit_test(one_that_cannot_go_holds_up_nobody),
      cmocka_unit_test(nobody_starves),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
