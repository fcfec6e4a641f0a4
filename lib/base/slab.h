// Slots with generations. An id is never reused: a stale id finds nothing, so cancel and credit are safe at
// any moment. Objects keep their address for life. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LB_SLAB_SPARES 0
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LB_SLAB_SPARES 0
#endif
#ifndef LB_SLAB_SPARES
#define LB_SLAB_SPARES 64
#endif

namespace lb {

// id = generation (40 bits) << 20 | slot (20 bits). Never 0, and the top four bits are free for the owner of the
// id to mark it with. A slot whose generations run out is retired.
template <typename T>
class Slab {
 public:
  static constexpr uint32_t kSlotBits = 20;
  static constexpr uint32_t kSlotsMax = 1u << kSlotBits;
  static constexpr uint64_t kGenerationMax = (uint64_t{1} << 40) - 1;
  // Places of objects that are gone, kept for the next: calls come and go, and what is as large as one of them is slow
  // to allocate. A burst leaves no more than so many. None where a sanitizer looks for what is used after its end.
  static constexpr size_t kSparesMax = LB_SLAB_SPARES;

  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (Slot& slot : slots_)
      if (slot.object) drop(std::exchange(slot.object, nullptr));
    for (T* place : spares_) Places().deallocate(place, 1);
  }

  bool full() const { return free_.empty() && slots_.size() == kSlotsMax; }

  // Not while full().
  template <typename... Args>
  uint64_t add(Args&&... args) {
    uint64_t id = next_id();
    uint32_t slot = static_cast<uint32_t>(id & (kSlotsMax - 1));
    if (free_.empty())
      slots_.push_back({});
    else
      free_.pop_back();
    Slot& s = slots_[slot];
    s.generation++;
    T* place = nullptr;
    if (spares_.empty()) {
      place = Places().allocate(1);
    } else {
      place = spares_.back();
      spares_.pop_back();
    }
    s.object = std::construct_at(place, std::forward<Args>(args)...);
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
    return s.generation == (id >> kSlotBits) ? s.object : nullptr;
  }

  void remove(uint64_t id) {
    LB_CHECK(find(id) != nullptr);
    Slot& s = slots_[id & (kSlotsMax - 1)];
    if (s.generation < kGenerationMax) free_.push_back(static_cast<uint32_t>(id & (kSlotsMax - 1)));
    size_--;
    drop(std::exchange(s.object, nullptr));
  }

  size_t size() const { return size_; }
  size_t spares() const { return spares_.size(); }

  // Ids in slot order; a copy, so that the slab may change while it is walked.
  std::vector<uint64_t> ids() const {
    std::vector<uint64_t> out;
    for (uint32_t i = 0; i < slots_.size(); i++)
      if (slots_[i].object) out.push_back(slots_[i].generation << kSlotBits | i);
    return out;
  }

 private:
  using Places = std::allocator<T>;
  struct Slot {
    T* object = nullptr;
    uint64_t generation = 0;
  };

  void drop(T* object) {
    std::destroy_at(object);
    if (spares_.size() < kSparesMax)
      spares_.push_back(object);
    else
      Places().deallocate(object, 1);
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<T*> spares_;
  size_t size_ = 0;
};

}  // namespace lb
