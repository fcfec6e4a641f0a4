// A selector of the host's own (lb_select) as the policies call it: their candidates in the words of lb.h.
#pragma once

#include <vector>

#include "engine/fleet.h"
#include "lb.h"

namespace lb {

class Selector {
 public:
  Selector(lb_select select, void* context) : select_(select), context_(context) {}
  Selector(const Selector&) = delete;
  Selector& operator=(const Selector&) = delete;

  // From now on `fleet` asks it; it must outlive the fleet. Without a function of the host nothing changes.
  void attach(Fleet& fleet) {
    fleet_ = &fleet;
    if (select_) fleet.balancer().set_host(choose, this);
  }

 private:
  static size_t choose(void* self, const policy::Candidate* candidates, size_t count) {
    auto* selector = static_cast<Selector*>(self);
    std::vector<lb_candidate>& out = selector->candidates_;
    out.clear();
    for (size_t i = 0; i < count; i++) {
      const policy::Facts& facts = candidates[i].facts;
      const Target& target = selector->fleet_->target(candidates[i].target);
      lb_candidate& to = out.emplace_back();
      to.deployment = selector->fleet_->upstream(target.upstream).deployment->name.c_str();
      to.model = target.model.c_str();
      to.weight = facts.weight * facts.warmth;
      to.utilisation = facts.utilisation;
      to.tokens_left = facts.headroom;
      to.tokens_in_flight = facts.tokens_in_flight;
      to.latency_ns = static_cast<uint64_t>(facts.latency.ns);
      to.in_flight = facts.in_flight;
    }
    return selector->select_(selector->context_, out.data(), out.size());
  }

  const lb_select select_;
  void* const context_;
  const Fleet* fleet_ = nullptr;
  std::vector<lb_candidate> candidates_;  // Scratch.
};

}  // namespace lb
