// Slots with generations. An id is never reused: a stale id finds nothing, so cancel and credit are safe at
// any moment. Objects keep their address for life. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

namespace lb {

// id = generation (high 40 bits) | slot (low 24 bits); never 0.
template <typename T>
class Slab {
 public:
  static constexpr uint32_t kSlotBits = 24;
  static constexpr uint32_t kSlotsMax = 1u << kSlotBits;

  template <typename... Args>
  uint64_t add(Args&&... args) {
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      LB_CHECK(slot < kSlotsMax);
      slots_.push_back({});
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Slot& s = slots_[slot];
    s.object = std::make_unique<T>(std::forward<Args>(args)...);
    s.generation = ++generations_;
    size_++;
    return (s.generation << kSlotBits) | slot;
  }

  // Null for an id that has been removed, or that never was.
  T* find(uint64_t id) const {
    uint64_t slot = id & (kSlotsMax - 1);
    if (slot >= slots_.size()) return nullptr;
    const Slot& s = slots_[slot];
    return s.generation == (id >> kSlotBits) ? s.object.get() : nullptr;
  }

  void remove(uint64_t id) {
    LB_CHECK(find(id) != nullptr);
    Slot& s = slots_[id & (kSlotsMax - 1)];
    s.generation = 0;
    free_.push_back(static_cast<uint32_t>(id & (kSlotsMax - 1)));
    size_--;
    s.object.reset();
  }

  size_t size() const { return size_; }

  // Ids in slot order; a copy, so that the slab may change while it is walked.
  std::vector<uint64_t> ids() const {
    std::vector<uint64_t> out;
    for (uint32_t i = 0; i < slots_.size(); i++)
      if (slots_[i].object) out.push_back((slots_[i].generation << kSlotBits) | i);
    return out;
  }

 private:
  struct Slot {
    std::unique_ptr<T> object;
    uint64_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t generations_ = 0;
  size_t size_ = 0;
};

}  // namespace lb
