#include "engine/door.h"

#include <algorithm>

#include "base/text.h"
#include "engine/stats.h"
#include "engine/trace.h"

namespace lb {

namespace {

using Kind = DoorOutcome::Kind;

// The head of an answer from its lines; what is no field is left out: nothing of it is the host's fault to begin with.
Head parse_head(std::string_view lines) {
  Head head;
  while (!lines.empty()) {
    std::string_view line = split_off(lines, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    size_t colon = line.find(':');
    if (colon == line.npos || colon == 0) continue;
    head.fields.push_back({std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1)))});
  }
  return head;
}

ErrorClass class_of(Kind kind) {
  switch (kind) {
    case Kind::connect: return ErrorClass::connect;
    case Kind::timeout: return ErrorClass::timeout;
    case Kind::broken: return ErrorClass::broken;
    case Kind::ok: case Kind::error: case Kind::cancelled: case Kind::not_sent: return ErrorClass::none;
  }
  return ErrorClass::none;
}

}  // namespace

Door::Door(uint64_t seed, uint32_t picks_max, Duration unix_minus_now)
    : fleet_(seed, false), picks_max_(picks_max), wall_(unix_minus_now) {}

Instant Door::advance(Instant now) {
  now_ = std::max(now_, now);
  return now_;
}

void Door::configure(std::shared_ptr<const Config> config, Instant now) {
  // Places that another deployment may be given now.
  for (size_t i = 0; i < told_until_.size(); i++)
    if (!fleet_.target(static_cast<policy::TargetIndex>(i)).live) told_until_[i] = Instant();
  fleet_.configure(std::move(config), wall_, advance(now));
  told_until_.resize(fleet_.target_count());
}

std::optional<size_t> Door::route_of(std::string_view model) const {
  const Config& config = *fleet_.world()->config;
  const Route* route = config.find_route(model);
  if (!route) return std::nullopt;
  return static_cast<size_t>(route - config.routes.data());
}

policy::Ask Door::policy_ask(const DoorAsk& ask, size_t route, const policy::Plan& plan) const {
  const Route& config = fleet_.world()->config->routes[route];
  policy::Ask out;
  out.tried = ask.tried;
  out.retry = ask.attempts > 0;
  out.charge = policy::Balancer::expect(plan, ask.prompt);
  if (ask.tokens_in > 0) out.charge.input = ask.tokens_in;
  if (!ask.affinity.empty() && config.affinity != Affinity::off)
    out.affinity = hash_text(ask.affinity) ^ hash_text(config.model);
  out.waits = config.wait > Duration::zero();
  out.patience = Duration{config.affinity_wait.ns *
                          static_cast<int64_t>(std::min(out.charge.input, uint64_t{1'000'000}))};
  out.patience = std::min(out.patience, config.wait);
  return out;
}

void Door::pick(const DoorAsk& ask, Instant now, DoorPick& out) {
  now = advance(now);
  std::optional<size_t> route = route_of(ask.model);
  if (!route) return void(out.status = Status::INVALID);
  if (free_.empty() && slots_.size() >= picks_max_) return void(out.status = Status::FULL);
  const std::shared_ptr<World>& world = fleet_.world();
  policy::Plan& plan = world->plans[*route];
  policy::Balancer& balancer = fleet_.balancer();
  policy::Ask asked = policy_ask(ask, *route, plan);
  policy::ScopeIndex caller = fleet_.caller(ask.caller);
  if (!ask.retry && ask.attempts == 0) balancer.on_call(now);
  policy::Decision decision = balancer.decide(plan, asked, caller, now);
  if (decision.kind != policy::Decision::Kind::send) {
    out.status = fleet_.all_limited(plan, asked, now) ? Status::LIMITED : decision.why;
    if (decision.kind == policy::Decision::Kind::reject)
      all_tried(ask, *route, out);
    else if (decision.wait_until < Instant::never())
      out.wait = decision.wait_until - now;
    return;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  uint32_t place = free_.back();
  free_.pop_back();
  Slot& slot = slots_[place];
  slot.id = ++serial_ << kSlotBits | place;
  slot.world = world;
  slot.route = static_cast<uint32_t>(*route);
  slot.attempts = ask.attempts + 1;
  slot.deadline = deadline_of(ask, *route);
  balancer.reserve(plan, decision.target, asked, ask.prompt, caller, now, slot.reservation);
  fleet_.target(decision.target).meter.attempts++;
  out.id = slot.id;
  out.target = decision.target;
  out.named = &world->named[decision.target];
}

Instant Door::deadline_of(const DoorAsk& ask, size_t route) const {
  return ask.deadline > Instant() ? ask.deadline : now_ + fleet_.world()->config->routes[route].deadline;
}

// Where the route has them tried again: after a pause, and none of them counts as tried.
void Door::all_tried(const DoorAsk& ask, size_t route, DoorPick& out) {
  const policy::RetryPlan& retry = fleet_.world()->config->routes[route].retry;
  out.wait = Duration::zero();
  if (ask.tried.empty()) return;
  // A third of what the next may be at most: each time that all have been tried has let the pause grow.
  uint32_t rounds = ask.attempts / static_cast<uint32_t>(ask.tried.size());
  Duration last = retry.backoff * static_cast<int64_t>(std::min(rounds, 1024u));
  policy::TargetIndex latest = ask.tried.back();
  std::optional<Duration> told;
  if (latest < told_until_.size()) told = std::max(told_until_[latest] - now_, Duration::zero());
  std::optional<Duration> pause =
      policy::pause_before_again(retry, last, told, deadline_of(ask, route), now_, fleet_.balancer().rng());
  out.again = pause.has_value();
  if (pause) out.wait = pause;
}

Door::Slot* Door::find(uint64_t id) {
  uint64_t place = id & ((uint64_t{1} << kSlotBits) - 1);
  return id != 0 && place < slots_.size() && slots_[place].id == id ? &slots_[place] : nullptr;
}

void Door::read_end(const DoorOutcome& outcome, const Slot& slot, Judgement& judgement, policy::Ended& ended) const {
  using Took = policy::Ended::Took;
  ended.verdict = policy::Verdict::no_fault;
  const Config& config = *slot.world->config;
  switch (outcome.kind) {
    case Kind::ok:
      ended.verdict = policy::Verdict::good;
      break;
    case Kind::error: {
      Head head = parse_head(outcome.head);
      head.status = outcome.http_status;
      int64_t unix_s = wall_ == Duration::zero() ? 0 : (wall_.ns + now_.ns) / 1'000'000'000;
      ErrorFacts facts = openai_error(head, outcome.body, unix_s);
      if (facts.what == ErrorClass::none) facts.what = ErrorClass::server;
      judgement = judgement_of(config, facts.what, facts.retry_after, outcome.http_status, outcome.body);
      ended.took = Took::answer;
      break;
    }
    case Kind::connect: case Kind::timeout: case Kind::broken:
      judgement = judgement_of(config, class_of(outcome.kind), std::nullopt, outcome.http_status, outcome.body);
      ended.took = outcome.kind == Kind::connect ? Took::nothing : Took::unknown;
      break;
    case Kind::cancelled:
      ended.took = outcome.first_content ? Took::unknown : Took::input;
      break;
    case Kind::not_sent:
      ended.took = Took::nothing;
      break;
  }
  if (judgement.what != ErrorClass::none) judgement.mark(ended);
  ended.input = outcome.input;
  ended.output = outcome.output;
  ended.cached = outcome.cached;
  if (ended.input || ended.output) ended.took = Took::usage;
  ended.first_content = outcome.first_content;
}

DoorNext Door::next(const DoorOutcome& outcome, const Judgement& judgement, const Slot& slot) {
  DoorNext out;
  if (judgement.what == ErrorClass::none || outcome.delivered) return out;
  const Route& route = slot.world->config->routes[slot.route];
  policy::Spent spent{slot.attempts, false, true};
  policy::Next next = policy::after(route.retry, judgement.outcome(), spent, slot.deadline, now_);
  if (next.kind == policy::Next::Kind::stop || !fleet_.balancer().take_retry(now_)) return out;
  out.kind = DoorNext::Kind::elsewhere;
  return out;
}

Result<DoorNext> Door::report(uint64_t pick, const DoorOutcome& outcome, Instant now) {
  now = advance(now);
  Slot* slot = find(pick);
  if (!slot) return Error{Status::GONE, "", "there is no such pick, or it has been reported"};
  policy::Plan& plan = slot->world->plans[slot->route];
  policy::Balancer& balancer = fleet_.balancer();
  Target& target = fleet_.target(slot->reservation.target);
  if (!outcome.head.empty()) {
    std::array<policy::Statement, kStatedLimitsMax> stated;
    size_t count = 0;
    int64_t unix_s = wall_ == Duration::zero() ? 0 : (wall_.ns + now_.ns) / 1'000'000'000;
    for (const StatedLimit& limit : stated_limits(parse_head(outcome.head), unix_s))
      stated[count++] = statement_of(limit);
    balancer.hear(slot->reservation, std::span(stated).first(count), now);
  }
  Judgement judgement;
  policy::Ended how;
  read_end(outcome, *slot, judgement, how);
  Duration out = balancer.settle(plan, slot->reservation, how, now);
  DoorNext after = next(outcome, judgement, *slot);
  after.out = out;
  TargetMeter& meter = target.meter;
  if (outcome.kind == Kind::ok) meter.ok++;
  if (outcome.kind == Kind::cancelled || outcome.kind == Kind::not_sent) meter.cancelled++;
  if (judgement.what != ErrorClass::none) meter.failed[static_cast<size_t>(judgement.what)]++;
  if (out > Duration::zero()) target.cooled_by = judgement.what;
  if (judgement.told) told_until_[slot->reservation.target] = now + *judgement.told;
  meter.tokens_in += outcome.input.value_or(0);
  meter.tokens_out += outcome.output.value_or(0);
  if (outcome.kind == Kind::ok) meter.latency.record(now - slot->reservation.at);
  if (outcome.first_content) meter.first_byte.record(*outcome.first_content);
  bool old = slot->world != fleet_.world();
  slot->id = 0;
  slot->world.reset();
  free_.push_back(static_cast<uint32_t>(pick & ((uint64_t{1} << kSlotBits) - 1)));
  if (old && fleet_.has_old_worlds()) fleet_.sweep();
  return after;
}

std::string Door::explain(const DoorAsk& ask, Instant now) {
  now = advance(now);
  std::optional<size_t> route = route_of(ask.model);
  if (!route) return "";
  const World& world = *fleet_.world();
  policy::Plan scratch = world.plans[*route];  // Round robin stays where it is.
  policy::Ask asked = policy_ask(ask, *route, scratch);
  Rng rng = fleet_.balancer().rng();
  policy::Decision decision = fleet_.balancer().decide(scratch, asked, fleet_.known_caller(ask.caller), now);
  fleet_.balancer().rng() = rng;
  return print_decision(fleet_, world, *route, asked, decision, now);
}

std::string Door::stats(Instant now) {
  JsonWriter json;
  json.begin_object().key("picks").value(uint64_t{open_picks()});
  write_deployments(json, fleet_, advance(now));
  return json.end_object().take();
}

}  // namespace lb
