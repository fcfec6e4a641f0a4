// Slots with generations. An id is never reused: a stale id finds nothing, so cancel and credit are safe at
// any moment. Objects keep their address for life. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

namespace lb {

// id = generation (40 bits) << 20 | slot (20 bits). Never 0, and the top four bits are free for the owner of the
// id to mark it with. A slot whose generations run out is retired.
template <typename T>
class Slab {
 public:
  static constexpr uint32_t kSlotBits = 20;
  static constexpr uint32_t kSlotsMax = 1u << kSlotBits;
  static constexpr uint64_t kGenerationMax = (uint64_t{1} << 40) - 1;

  bool full() const { return free_.empty() && slots_.size() == kSlotsMax; }

  // Not while full().
  template <typename... Args>
  uint64_t add(Args&&... args) {
    uint64_t id = next_id();
    uint32_t slot = static_cast<uint32_t>(id & (kSlotsMax - 1));
    if (slot == slots_.size())
      slots_.push_back({});
    else
      free_.pop_back();
    Slot& s = slots_[slot];
    s.generation++;
    s.object = std::make_unique<T>(std::forward<Args>(args)...);
    size_++;
    return id;
  }
  // The id that the next `add` will give: for objects that want to know their own.
  uint64_t next_id() const {
    LB_CHECK(!full());
    uint64_t slot = free_.empty() ? slots_.size() : free_.back();
    uint64_t generation = free_.empty() ? 1 : slots_[slot].generation + 1;
    return generation << kSlotBits | slot;
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
    if (s.generation < kGenerationMax) free_.push_back(static_cast<uint32_t>(id & (kSlotsMax - 1)));
    size_--;
    s.object.reset();
  }

  size_t size() const { return size_; }

  // Ids in slot order; a copy, so that the slab may change while it is walked.
  std::vector<uint64_t> ids() const {
    std::vector<uint64_t> out;
    for (uint32_t i = 0; i < slots_.size(); i++)
      if (slots_[i].object) out.push_back(slots_[i].generation << kSlotBits | i);
    return out;
  }

 private:
  struct Slot {
    std::unique_ptr<T> object;
    uint64_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
};

}  // namespace lb
