// The order in which waiting calls are looked at: priority bands, and inside a band fair shares of tokens by caller
// (deficit round robin, Shreedhar and Varghese 1995). A call that cannot go is passed over; it does not hold up others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lb::policy {

struct Waiting {
  uint64_t call = 0;
  uint64_t caller = 0;  // Whose share it takes; 0 is a caller like others.
  double share = 1;     // Of that caller beside others.
  uint64_t tokens = 0;  // What it is expected to take.
  int32_t priority = 0; // Higher goes first.
};

class WaitQueue {
 public:
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  const std::vector<Waiting>& entries() const { return entries_; }
  void add(const Waiting& entry) { entries_.push_back(entry); }
  void remove(uint64_t call);

  // Offers each waiting call, in fair order, until all have been offered: `admit(call)` says whether it need not wait
  // any more; it is then taken out. `admit` may add calls; they are not offered in this round.
  template <typename Admit>
  void serve(Admit admit) {
    begin_round();
    while (const Waiting* next = next_offer()) settle_offer(admit(next->call));
    end_round();
  }

 private:
  // A caller with calls in the band that is being served.
  struct Share {
    uint64_t caller = 0;
    double weight = 1;
    double deficit = 0;
    double saved = 0;  // The deficit when a call was admitted last: what the round gives after that counts for nothing.
    size_t next = 0;   // Place of its next call in round_, by the chain below.
  };
  struct Deficit {
    int32_t priority = 0;
    uint64_t caller = 0;
    double left = 0;
  };
  // Whose turn it was last in a band.
  struct Turn {
    int32_t priority = 0;
    uint64_t caller = 0;
  };
  static constexpr size_t kNone = static_cast<size_t>(-1);
  // A visit gives at least so many tokens: about one chat call.
  static constexpr double kQuantum = 1000;

  void begin_round();
  bool begin_band();
  const Waiting* next_offer();
  void settle_offer(bool admitted);
  void keep(const Share& share);
  void end_round();
  double left_of(int32_t priority, uint64_t caller) const;
  uint64_t& turn_of(int32_t priority);

  std::vector<Waiting> entries_;   // In order of arrival.
  std::vector<Deficit> deficits_;  // Of callers that still have calls waiting.
  std::vector<Turn> turns_;        // Of bands that do.

  // Of the round that is going on.
  std::vector<Waiting> round_;       // By band; in order of arrival within.
  std::vector<size_t> chain_;        // Of each: the next of the same caller in the band.
  std::vector<Share> ring_;          // Callers of the band: by number, so that the order is the same in each round.
  std::vector<uint64_t> admitted_;
  size_t band_begin_ = 0, band_end_ = 0;
  size_t at_ = 0;                    // In the ring.
  bool visited_ = false;             // The one at at_ has had its quantum.
  double quantum_ = kQuantum;
};

}  // namespace lb::policy
