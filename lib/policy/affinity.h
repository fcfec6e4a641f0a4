// Affinity: calls of one session, or with one prompt prefix, go to the target that has it in its cache. A key that has
// no target yet gets one by weighted rendezvous hashing with bounded load; it is then bound to it for as long as the
// provider's cache is likely to last after the last use. The table has a fixed size: the least recently used goes.
#pragma once

#include <memory>
#include <optional>

#include "policy/pick.h"

namespace lb::policy {

// Key -> place in a plan. No allocation after construction.
class Bindings {
 public:
  struct Binding {
    uint32_t tier = 0;
    uint32_t place = 0;  // In the tier.
    TargetIndex target = kNoTarget;
    Instant used_at;
  };

  explicit Bindings(uint32_t capacity = 0);
  uint32_t capacity() const { return capacity_; }
  uint32_t size() const { return size_; }

  // Null when there is none. Does not touch the order.
  const Binding* find(uint64_t key) const;
  // Binds, or binds anew, and makes it the most recently used; the least recently used makes room.
  void bind(uint64_t key, const Binding& binding);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    uint64_t key = 0;
    Binding binding;
    uint32_t newer = kNone, older = kNone;  // In the order of use.
    uint32_t next = kNone;                  // In its bucket.
  };
  struct Free {
    void operator()(void* memory) const;
  };
  uint32_t bucket(uint64_t key) const;
  uint32_t place_of(uint64_t key) const;
  void unlink(uint32_t entry);
  void drop_from_bucket(uint32_t entry);

  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t newest_ = kNone, oldest_ = kNone;
  // From calloc, so that a large table costs memory as it fills only. Bucket heads are one more than the number of
  // the entry.
  std::unique_ptr<uint32_t[], Free> heads_;
  std::unique_ptr<Entry[], Free> entries_;
};

// The target that the calls of a key share while none is bound: highest random weight among those that may take the
// call and have no more than kBoundedLoad times their share of the calls in flight.
std::optional<TargetIndex> pick_rendezvous(const Tier& tier, const View& view);

// Mirrokni, Thorup, Zadimoghaddam 2018 (consistent hashing with bounded loads) use 1 + ε with ε from 0.25.
inline constexpr double kBoundedLoad = 1.25;

}  // namespace lb::policy
