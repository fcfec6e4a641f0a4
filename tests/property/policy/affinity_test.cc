// Bindings against a list and a map; and who moves when a target goes or comes: only those that must.
#include "policy/affinity.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <list>
#include <unordered_map>
#include <vector>

#include "property/policy/chance.h"
#include "unit/policy/scene.h"

#include "property/policy/law.h"

namespace lb::policy {
namespace {

// The least recently used stands last.
struct Model {
  struct Entry {
    uint64_t key;
    TargetIndex target;
  };
  size_t capacity;
  std::list<Entry> order;
  std::unordered_map<uint64_t, std::list<Entry>::iterator> places;

  void bind(uint64_t key, TargetIndex target) {
    if (capacity == 0) return;
    auto place = places.find(key);
    if (place != places.end()) {
      order.erase(place->second);
    } else if (order.size() == capacity) {
      places.erase(order.back().key);
      order.pop_back();
    }
    order.push_front({key, target});
    places[key] = order.begin();
  }
};

void bindings_are_a_map_that_forgets(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    auto capacity = static_cast<uint32_t>(rng.below(rng.below(4) ? 8 : 60));
    Bindings bindings(capacity);
    Model model{capacity, {}, {}};
    uint64_t keys = 1 + rng.below(2 * capacity + 3), factor = rng.below(2) ? 1 : rng.next() | 1;
    for (TargetIndex i = 0; i < 100; i++) {
      uint64_t key = rng.below(keys) * factor;
      if (rng.below(2)) {
        bindings.bind(key, {i, i + 1, i, Instant{i}});
        model.bind(key, i);
      }
      uint64_t asked = rng.below(keys) * factor;
      const Bindings::Binding* found = bindings.find(asked);
      auto place = model.places.find(asked);
      if ((found != nullptr) != (place != model.places.end())) return "bound, or not";
      if (bindings.size() != model.order.size()) return "another size";
      if (!found) continue;
      TargetIndex target = place->second->target;
      if (found->target != target || found->tier != target || found->place != target + 1) return "another binding";
      if (found->used_at != Instant{target}) return "another time";
    }
    for (const Model::Entry& entry : model.order)
      if (!bindings.find(entry.key)) return "one is lost";
    return nullptr;
  });
}

Scene any_scene(Rng& rng) {
  std::vector<double> weights(2 + rng.below(10));
  for (double& weight : weights) weight = rng.below(2) ? 1 : 0.2 + 4 * rng.unit();
  return Scene(weights);
}

// Only the keys of the one that goes move; when it is back, all is as it was.
void who_must_moves_and_no_one_else(void**) {
  holds(kCases / 10, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    auto gone = static_cast<TargetIndex>(rng.below(scene.entries.size()));
    for (int i = 0; i < 100; i++) {
      uint64_t key = 1 + rng.next() / 2;
      scene[gone].full = false;
      TargetIndex before = *scene.rendezvous(key);
      scene[gone].full = true;
      TargetIndex now = *scene.rendezvous(key);
      if (now == gone) return "one that is full";
      if (before != gone && now != before) return "one moved that need not";
    }
    return nullptr;
  });
}

// Keys stand by weight; so what a target takes along when it goes, or draws when it comes, is its share: 1/n of equals.
void a_target_has_its_share_of_the_keys(void**) {
  holds(60, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    std::vector<uint64_t> keys(scene.entries.size());
    std::vector<double> weights;
    for (const FactsArray::Entry& entry : scene.entries) weights.push_back(entry.facts.weight);
    uint64_t first = rng.next() / 2, step = rng.below(2) ? 1 : rng.next() | 1;
    for (uint64_t i = 0; i < 4'000; i++) keys[*scene.rendezvous(first + i * step)]++;
    return follows(keys, weights) ? nullptr : "keys do not follow the weights";
  });
}

// One target more, at the end of the plan: what moves, moves to it.
void a_new_target_only_draws(void**) {
  holds(kCases / 10, [](Rng& rng) -> const char* {
    size_t count = 1 + rng.below(10);
    Scene few(std::vector<double>(count, 1)), many(std::vector<double>(count + 1, 1));
    for (int i = 0; i < 100; i++) {
      uint64_t key = 1 + rng.next() / 2;
      TargetIndex before = *few.rendezvous(key), now = *many.rendezvous(key);
      if (now != before && now != count) return "one moved between old targets";
    }
    return nullptr;
  });
}

// Whatever is in flight: the chosen one stays within its bound, and there is always one.
void the_load_stays_bounded(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    Scene scene = any_scene(rng);
    double calls = 1, weights = 0;
    for (FactsArray::Entry& entry : scene.entries) {
      entry.facts.in_flight = static_cast<uint32_t>(rng.below(rng.below(2) ? 4 : 400));
      if (rng.below(4) == 0) entry.facts.full = true;
      if (entry.facts.full) continue;
      calls += entry.facts.in_flight;
      weights += entry.facts.weight;
    }
    std::optional<TargetIndex> chosen = scene.rendezvous(rng.next());
    if (chosen.has_value() != (weights > 0)) return "one or none";
    if (!chosen) return nullptr;
    const Facts& facts = scene[*chosen];
    if (facts.full) return "one that is full";
    double bound = std::ceil(kBoundedLoad * calls * facts.weight / weights * (1 + 1e-9));
    return facts.in_flight + 1 <= bound ? nullptr : "more than its bound";
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(bindings_are_a_map_that_forgets),
      cmocka_unit_test(who_must_moves_and_no_one_else),
      cmocka_unit_test(a_target_has_its_share_of_the_keys),
      cmocka_unit_test(a_new_target_only_draws),
      cmocka_unit_test(the_load_stays_bounded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
