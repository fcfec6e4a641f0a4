// Hedging: a call that has no content after the usual time is sent to a second target as well. The first to have
// content is passed on and the other cancelled; one that fails leaves the call to the other.
#include "engine/call.h"

namespace lb {

// The attempt in focus goes out now: when it would have to be hedged.
void Call::arm_hedge() {
  const policy::HedgeSpec& spec = plan().hedge;
  // Of an attempt before this one.
  if (tick_timer_.kind == static_cast<uint32_t>(TimerKind::call_hedge)) context_.timers.disarm(tick_timer_);
  // Of what is asked in parts, or is not worth it, there is one attempt at a time.
  bool in_parts = attempt_.translated && kind_of(operation_) == OperationKind::embedding;
  if (counting() || in_parts) return;
  if (hedged_ || !spec.covers(attempt_.reservation.charge)) return;
  std::optional<Duration> after = plan().hedges.after(spec, streams());
  if (!after) return;
  tick_timer_.kind = static_cast<uint32_t>(TimerKind::call_hedge);
  context_.timers.arm(tick_timer_, context_.now + *after);
}

void Call::hedge() {
  bool open = attempt_.serial && !head_emitted_ && phase_ >= Phase::connecting && phase_ <= Phase::holding;
  if (!open || hedged_ || !body_.complete() || !body_.replayable()) return;
  policy::Ask asked = ask();
  asked.retry = true;  // Nothing doubtful.
  asked.waits = false;
  asked.affinity = 0;
  policy::Decision decision = context_.fleet.balancer().decide(plan(), asked, caller_, context_.now);
  bool sound = decision.kind == policy::Decision::Kind::send && decision.by != policy::Decision::By::panic &&
               decision.by != policy::Decision::By::best_effort;
  if (!sound || upstream_of(decision.target).deployment->kind == DeploymentKind::echo) return;
  if (!plan().hedges.take()) {
    context_.meter.hedges_denied++;
    return;
  }
  decision.by = policy::Decision::By::hedge;
  if (traced_) add_trace(asked, decision);
  context_.meter.hedges++;
  hedged_ = true;
  rival_ = std::make_unique<Rival>();
  swap_rival();
  start_attempt(decision.target, Start::hedge);
}

void Call::swap_rival() {
  std::swap(attempt_, rival_->attempt);
  std::swap(phase_, rival_->phase);
  std::swap(phase_due_, rival_->phase_due);
  std::swap(events_, rival_->events);
  std::swap(held_, rival_->held);
  std::swap(held_begin_, rival_->held_begin);
  std::swap(complete_to_, rival_->complete_to);
  std::swap(served_by_, rival_->served_by);
}

void Call::take_over() {
  swap_rival();
  rival_.reset();
  set_phase(phase_, phase_due_);
}

void Call::win() {
  if (tick_timer_.kind == static_cast<uint32_t>(TimerKind::call_hedge)) context_.timers.disarm(tick_timer_);
  if (attempt_.hedge) context_.meter.hedges_won++;
  if (!rival_) return;
  if (Attempt& loser = rival_->attempt; !loser.hedge) {
    // It would have taken longer than that: without this, what is slow would look as if it were never used.
    loser.ended.first_content = context_.now - loser.started;
    plan().hedges.observe(plan().hedge, streams(), *loser.ended.first_content);
  }
  drop_rival();
}

void Call::drop_rival() {
  if (!rival_) return;
  swap_rival();
  context_.fleet.target(attempt_.target).meter.cancelled++;
  attempt_.ended.verdict = policy::Verdict::no_fault;
  close_attempt(took_unheard(Took::input));
  swap_rival();
  rival_.reset();
}

}  // namespace lb
