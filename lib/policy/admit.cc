#include "policy/admit.h"

#include <algorithm>

namespace lb::policy {

void WaitQueue::remove(uint64_t call) {
  std::erase_if(entries_, [&](const Waiting& entry) { return entry.call == call; });
}

double WaitQueue::left_of(int32_t priority, uint64_t caller) const {
  for (const Deficit& deficit : deficits_)
    if (deficit.priority == priority && deficit.caller == caller) return deficit.left;
  return 0;
}

uint64_t& WaitQueue::turn_of(int32_t priority) {
  for (Turn& turn : turns_)
    if (turn.priority == priority) return turn.caller;
  return turns_.emplace_back(Turn{priority, 0}).caller;
}

void WaitQueue::begin_round() {
  round_ = entries_;
  std::stable_sort(round_.begin(), round_.end(),
                   [](const Waiting& a, const Waiting& b) { return a.priority > b.priority; });
  chain_.assign(round_.size(), kNone);
  admitted_.clear();
  ring_.clear();
  band_begin_ = band_end_ = at_ = 0;
  visited_ = false;
}

// The next band's callers, each with the chain of its calls. False: there is none.
bool WaitQueue::begin_band() {
  band_begin_ = band_end_;
  if (band_begin_ == round_.size()) return false;
  int32_t priority = round_[band_begin_].priority;
  quantum_ = kQuantum;
  ring_.clear();
  std::vector<size_t> tails;
  for (; band_end_ < round_.size() && round_[band_end_].priority == priority; band_end_++) {
    const Waiting& entry = round_[band_end_];
    // With a quantum as large as the largest call every visit lets at least one go.
    quantum_ = std::max(quantum_, static_cast<double>(entry.tokens));
    auto share = std::find_if(ring_.begin(), ring_.end(), [&](const Share& s) { return s.caller == entry.caller; });
    auto place = static_cast<size_t>(share - ring_.begin());
    if (share == ring_.end()) {
      double left = left_of(priority, entry.caller);
      ring_.push_back({entry.caller, entry.share, left, left, band_end_});
      tails.push_back(band_end_);
    } else {
      chain_[tails[place]] = band_end_;
      tails[place] = band_end_;
    }
  }
  // Goes on with the caller that had its turn last, whose quantum may not be used up, or with the one behind it.
  std::sort(ring_.begin(), ring_.end(), [](const Share& a, const Share& b) { return a.caller < b.caller; });
  uint64_t last = turn_of(priority);
  auto next = std::find_if(ring_.begin(), ring_.end(), [&](const Share& s) { return s.caller >= last; });
  visited_ = next != ring_.end() && next->caller == last;
  std::rotate(ring_.begin(), next, ring_.end());
  at_ = 0;
  return true;
}

const Waiting* WaitQueue::next_offer() {
  while (true) {
    bool left = std::any_of(ring_.begin(), ring_.end(), [](const Share& s) { return s.next != kNone; });
    if (!left) {
      for (const Share& share : ring_) keep(share);
      if (!begin_band()) return nullptr;
      continue;
    }
    Share& share = ring_[at_];
    if (share.next != kNone) {
      const Waiting& entry = round_[share.next];
      if (!visited_) share.deficit += quantum_ * entry.share;
      visited_ = true;
      if (static_cast<double>(entry.tokens) <= share.deficit) return &entry;
    }
    at_ = (at_ + 1) % ring_.size();
    visited_ = false;
  }
}

void WaitQueue::settle_offer(bool admitted) {
  Share& share = ring_[at_];
  const Waiting& entry = round_[share.next];
  if (admitted) {
    share.deficit -= static_cast<double>(entry.tokens);
    turn_of(entry.priority) = entry.caller;
    admitted_.push_back(entry.call);
    for (Share& one : ring_) one.saved = one.deficit;
  }
  share.next = chain_[share.next];
}

// A caller with calls left keeps what it has saved, up to what one visit gives, or one quantum: who could not go must
// not hoard.
void WaitQueue::keep(const Share& share) {
  int32_t priority = round_[band_begin_].priority;
  std::erase_if(deficits_, [&](const Deficit& d) { return d.priority == priority && d.caller == share.caller; });
  deficits_.push_back({priority, share.caller, std::min(share.saved, quantum_ * std::max(share.weight, 1.0))});
}

void WaitQueue::end_round() {
  std::sort(admitted_.begin(), admitted_.end());
  std::erase_if(entries_, [&](const Waiting& entry) {
    return std::binary_search(admitted_.begin(), admitted_.end(), entry.call);
  });
  std::erase_if(deficits_, [&](const Deficit& deficit) {
    return std::none_of(entries_.begin(), entries_.end(), [&](const Waiting& entry) {
      return entry.caller == deficit.caller && entry.priority == deficit.priority;
    });
  });
  std::erase_if(turns_, [&](const Turn& turn) {
    return std::none_of(entries_.begin(), entries_.end(),
                        [&](const Waiting& entry) { return entry.priority == turn.priority; });
  });
}

}  // namespace lb::policy
