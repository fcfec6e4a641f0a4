// The balancer door: the fleet and its policies for hosts that send requests themselves. No I/O, no clock, no thread:
// abi/balancer.cc puts a mutex around it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/fleet.h"
#include "engine/judgement.h"

namespace lb {

struct DoorAsk {
  std::string_view model;
  std::string_view caller;
  std::string_view affinity;
  policy::Prompt prompt;
  uint64_t tokens_in = 0;  // Counted by the host; 0: from the prompt.
  std::span<const uint32_t> tried;
  uint32_t attempts = 0;   // Before this one.
  bool retry = false;
  Instant deadline;        // A default Instant: by the route.
};

struct DoorPick {
  Status status = Status::OK;
  uint64_t id = 0;
  policy::TargetIndex target = policy::kNoTarget;
  const World::Named* named = nullptr;  // Lent until it is reported.
  std::optional<Duration> wait;     // Absent: until another pick is reported.
  bool again = false;               // All have been tried, and may be after `wait`.
};

struct DoorOutcome {
  enum class Kind : uint32_t { ok, error, connect, timeout, broken, cancelled, not_sent } kind = Kind::ok;
  uint16_t http_status = 0;
  std::string_view head;
  std::string_view body;
  std::optional<uint64_t> input, output, cached;
  std::optional<Duration> first_content;
  bool delivered = false;
};

struct DoorNext {
  enum class Kind : uint32_t { stop, elsewhere } kind = Kind::stop;
  Duration out;
};

class Door {
 public:
  // `unix_minus_now`: zero where there is no wall clock.
  Door(uint64_t seed, uint32_t picks_max, Duration unix_minus_now);

  void configure(std::shared_ptr<const Config> config, Instant now);
  // `out` is fresh.
  void pick(const DoorAsk& ask, Instant now, DoorPick& out);
  // GONE: there is no such pick.
  Result<DoorNext> report(uint64_t pick, const DoorOutcome& outcome, Instant now);
  // "" when no route serves the model.
  std::string explain(const DoorAsk& ask, Instant now);
  std::string stats(Instant now);
  Fleet& fleet() { return fleet_; }
  size_t open_picks() const { return slots_.size() - free_.size(); }

 private:
  // A pick that has not been reported.
  struct Slot {
    uint64_t id = 0;  // 0: free.
    std::shared_ptr<World> world;
    uint32_t route = 0;
    policy::Reservation reservation;
    uint32_t attempts = 0;
    Instant deadline;
  };
  // id = serial << kSlotBits | slot: never reused.
  static constexpr uint32_t kSlotBits = 24;

  Instant advance(Instant now);
  policy::Ask policy_ask(const DoorAsk& ask, size_t route, const policy::Plan& plan) const;
  std::optional<size_t> route_of(std::string_view model) const;
  Instant deadline_of(const DoorAsk& ask, size_t route) const;
  void all_tried(const DoorAsk& ask, size_t route, DoorPick& out);
  Slot* find(uint64_t id);
  void read_end(const DoorOutcome& outcome, const Slot& slot, Judgement& judgement, policy::Ended& ended) const;
  DoorNext next(const DoorOutcome& outcome, const Judgement& judgement, const Slot& slot);

  Fleet fleet_;
  const uint32_t picks_max_;
  const Duration wall_;
  Instant now_;
  std::vector<Instant> told_until_;  // By target: by its last answer that said so.
  uint64_t serial_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace lb
