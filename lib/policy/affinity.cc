#include "policy/affinity.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/check.h"

namespace lb::policy {

namespace {

// splitmix64's finaliser: every bit of the key moves every bit of the hash.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

template <typename T>
T* zeroed(size_t count) {
  void* memory = std::calloc(count, sizeof(T));
  LB_CHECK(memory);
  return static_cast<T*>(memory);
}

}  // namespace

void Bindings::Free::operator()(void* memory) const { std::free(memory); }

Bindings::Bindings(uint32_t capacity) : capacity_(capacity) {
  if (capacity == 0) return;
  heads_.reset(zeroed<uint32_t>(capacity));
  entries_.reset(zeroed<Entry>(capacity));
}

uint32_t Bindings::bucket(uint64_t key) const {
  return static_cast<uint32_t>((static_cast<Uint128>(mix(key)) * capacity_) >> 64);
}

uint32_t Bindings::place_of(uint64_t key) const {
  if (capacity_ == 0) return kNone;
  uint32_t at = heads_[bucket(key)];
  while (at != 0 && entries_[at - 1].key != key) at = entries_[at - 1].next;
  return at == 0 ? kNone : at - 1;
}

const Bindings::Binding* Bindings::find(uint64_t key) const {
  uint32_t at = place_of(key);
  return at == kNone ? nullptr : &entries_[at].binding;
}

void Bindings::unlink(uint32_t at) {
  Entry& entry = entries_[at];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void Bindings::drop_from_bucket(uint32_t at) {
  uint32_t* link = &heads_[bucket(entries_[at].key)];
  while (*link != at + 1) link = &entries_[*link - 1].next;
  *link = entries_[at].next;
}

void Bindings::bind(uint64_t key, const Binding& binding) {
  if (capacity_ == 0) return;
  uint32_t at = place_of(key);
  if (at != kNone) {
    unlink(at);
  } else {
    if (size_ < capacity_) {
      at = size_++;
    } else {
      at = oldest_;
      unlink(at);
      drop_from_bucket(at);
    }
    entries_[at].key = key;
    uint32_t& head = heads_[bucket(key)];
    entries_[at].next = head;
    head = at + 1;
  }
  Entry& entry = entries_[at];
  entry.binding = binding;
  entry.newer = kNone;
  entry.older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = at;
  newest_ = at;
}

std::optional<TargetIndex> pick_rendezvous(const Tier& tier, const View& view) {
  double calls = 1, weights = 0;  // Of those that may take it, with this call.
  for (TargetIndex target : tier.targets) {
    if (!view.untried(target)) continue;
    Facts facts = view.source.facts(target);
    if (!view.may_take(facts)) continue;
    calls += facts.in_flight;
    weights += facts.weight * facts.warmth;
  }
  std::optional<TargetIndex> best;
  double highest = -std::numeric_limits<double>::infinity();
  for (TargetIndex target : tier.targets) {
    if (!view.untried(target)) continue;
    Facts facts = view.source.facts(target);
    if (!view.may_take(facts)) continue;
    double weight = facts.weight * facts.warmth;
    if (facts.in_flight + 1 > std::ceil(kBoundedLoad * calls * weight / weights)) continue;
    // Weighted rendezvous (Schindelhauer, Schomaker 2005): -w / ln(u), u uniform in (0, 1) by key and target.
    uint64_t hash = mix(view.ask.affinity ^ mix(target + 0x9e3779b97f4a7c15u));
    double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1.0p-53;
    double score = -facts.weight / std::log(uniform);
    if (score <= highest) continue;
    highest = score;
    best = target;
  }
  return best;
}

}  // namespace lb::policy
