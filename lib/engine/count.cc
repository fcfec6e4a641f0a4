// How many tokens a request would be: asked of the first deployment that can say, else counted here. Asking changes
// nothing of a deployment's health, and takes nothing of its limits.
#include <algorithm>

#include "engine/call.h"
#include "wire/dialect/count_tokens.h"
#include "wire/dialect/tokens.h"

namespace lb {

namespace {

// After so many failures in a row a deployment is not asked for so long: claude-code-provider-balancer's defaults
// (reference/systems.md §5.2, token_counting).
constexpr uint32_t kFailuresMax = 2;
constexpr Duration kOut = Duration::from_s(300);
// As the same program's example has it: nobody waits long for a number.
constexpr Duration kHeadMax = Duration::from_s(10);

}  // namespace

void Call::count() {
  for (const policy::Tier& tier : plan().tiers) {
    for (policy::TargetIndex index : tier.targets) {
      const Upstream& upstream = upstream_of(index);
      const Deployment& to = *upstream.deployment;
      if (!operation_at(to.api, to.lacks, operation_) || upstream.count_out_until > context_.now) continue;
      policy::Facts facts = context_.fleet.balancer().facts(plan(), ask(), index, context_.now);
      if (facts.may_take(context_.now)) return start_attempt(index, Start::first_or_next);
    }
  }
  count_here();
}

Duration Call::head_timeout() {
  Duration own = deployment().timeouts.head;
  return counting() ? std::min(own, kHeadMax) : own;
}

// Whatever the reason: the caller is not kept waiting for a number.
void Call::count_failed() {
  Upstream& upstream = upstream_of(attempt_.target);
  if (++upstream.count_failures >= kFailuresMax) {
    upstream.count_failures = 0;
    upstream.count_out_until = context_.now + kOut;
  }
  count_here();
}

void Call::count_here() {
  Error error;
  if (!read_request_whole(error))
    return refuse(400, "invalid_request", error.where.empty() ? error.message : error.where + ": " + error.message);
  const Bpe* ranks = world_->config->tokenizer.get();
  uint64_t tokens = count_tokens(translation_->conversation(), ranks);
  counted_ = ranks ? "exact" : "estimate";
  served_by_ = "lb";
  std::string body = write_count_answer(translation_->caller(), tokens);
  Head head;
  head.status = 200;
  head.set("content-type", "application/json");
  head.set("content-length", std::to_string(body.size()));
  last_ = LastAnswer{std::move(head), 200, Chain(Chunk::copy(body))};
  give_last();
}

}  // namespace lb
