#include "policy/balancer.h"

#include <algorithm>

#include "base/check.h"

namespace lb::policy {

namespace {

// Finagle's default decay time for peak EWMA.
constexpr Duration kLatencyMemory = Duration::from_s(10);
// Share of the newest sample in the mean over a plan: the last hundred calls or so.
constexpr double kMeanLearning = 0.02;

// Weight of a sample that is worse than what is known, and of one that is better.
constexpr double kPeak = 0.5, kTrough = 0.1;

// The part of an old value that counts after `passed`: half after kLatencyMemory.
double old_part(Duration passed) {
  Duration all = kLatencyMemory + std::max(passed, Duration::zero());
  return static_cast<double>(kLatencyMemory.ns) / static_cast<double>(all.ns);
}

Duration between(Duration low, Duration high, double part) {
  return low + Duration{static_cast<int64_t>(static_cast<double>((high - low).ns) * part)};
}

}  // namespace

class Balancer::Source final : public FactsSource {
 public:
  Source(const Balancer& balancer, const Plan& plan, const Ask& ask, Instant now)
      : balancer_(balancer), plan_(plan), ask_(ask), now_(now) {}
  Facts facts(TargetIndex target) const override { return balancer_.facts(plan_, ask_, target, now_); }
  Instant frees_at(TargetIndex target) const override { return balancer_.frees_at(ask_, target, now_); }
  uint32_t deployment(TargetIndex target) const override { return balancer_.targets_[target].deployment; }

 private:
  const Balancer& balancer_;
  const Plan& plan_;
  const Ask& ask_;
  Instant now_;
};

void Balancer::configure(const Settings& settings, Duration wall, Instant now) {
  if (configurations_++ == 0) epoch_ = now;
  settings_ = settings;
  wall_ = wall;
  if (bindings_.capacity() != settings.bindings) bindings_ = Bindings(settings.bindings);
}

ScopeIndex Balancer::add_scope() {
  scopes_.emplace_back();
  return static_cast<ScopeIndex>(scopes_.size() - 1);
}

TargetIndex Balancer::add_target() {
  targets_.emplace_back();
  return static_cast<TargetIndex>(targets_.size() - 1);
}

// Where a window of that kind begins: the last full period of the wall clock, or the first configuration.
Instant Balancer::origin(const QuotaSpec& spec) const {
  if (spec.window != WindowKind::aligned) return epoch_;
  return Instant{-(wall_.ns % spec.period.ns)};
}

void Balancer::set_quotas(Scope& scope, const ScopeSpec& spec) {
  std::vector<Quota> quotas;
  quotas.reserve(spec.quotas.size());
  for (const QuotaSpec& wanted : spec.quotas) {
    // The same amount of the same thing in the same window goes on; a changed amount keeps what was counted as well.
    auto same = std::find_if(scope.quotas.begin(), scope.quotas.end(), [&](const Quota& quota) {
      return quota.spec().metric == wanted.metric && quota.spec().window == wanted.window &&
             quota.spec().period == wanted.period;
    });
    if (same == scope.quotas.end()) {
      quotas.emplace_back(wanted, origin(wanted), configurations_);
    } else {
      same->set_limit(wanted.limit);
      quotas.push_back(std::move(*same));
      scope.quotas.erase(same);
    }
  }
  scope.quotas = std::move(quotas);
  scope.concurrency = spec.concurrency;
}

void Balancer::set_scope(ScopeIndex index, const ScopeSpec& spec, bool fresh) {
  LB_CHECK(!fresh || scopes_[index].in_flight == 0);
  if (fresh) scopes_[index] = {};
  set_quotas(scopes_[index], spec);
}

void Balancer::set_target(TargetIndex index, const TargetSpec& spec, bool fresh) {
  LB_CHECK(!fresh || targets_[index].scope.in_flight == 0);
  if (fresh) targets_[index] = {};
  Target& target = targets_[index];
  set_quotas(target.scope, spec.own);
  target.weight = spec.weight;
  target.deployment = spec.deployment;
  target.price = spec.price;
  target.shared = {spec.in_deployment, spec.with_key, spec.at_endpoint};
  host_scratch_.resize(std::min(targets_.size(), kTargetsMax));
  host_.scratch = host_scratch_;
}

void Balancer::set_host(size_t (*choose)(void*, const Candidate*, size_t), void* context) {
  host_.choose = choose;
  host_.context = context;
}

void Balancer::absorb(const Scope& scope, const BreakerSpec& breaker, const Charge& charge, Instant now, Facts& facts) {
  const Health& health = scope.health;
  facts.open_at = std::max(facts.open_at, health.open_at());
  if (!health.may_take(now)) {
    facts.probed = facts.probed || health.open_at() <= now;
    // The worst of what holds it back, not what lasts longest: a fault that is forgiven must not hide a refused key.
    facts.outage = std::max(facts.outage, health.outage(now));
    facts.changes_at = std::min(facts.changes_at, health.changes_at(now));
  }
  facts.doubtful = facts.doubtful || health.doubtful(now);
  facts.warmth = std::min(facts.warmth, health.warmth(breaker, now));
  facts.full = facts.full || (scope.concurrency > 0 && scope.in_flight >= scope.concurrency);
  for (const Quota& quota : scope.quotas) facts.utilisation = std::max(facts.utilisation, quota.share(charge, now));
}

Facts Balancer::facts(const Plan& plan, const Ask& ask, TargetIndex index, Instant now) const {
  LB_ASSERT(index < targets_.size());
  const Target& target = targets_[index];
  const BreakerSpec& breaker = settings_.health.breaker;
  Facts facts;
  facts.in_flight = target.scope.in_flight;
  facts.weight = target.weight;
  facts.tokens_in_flight = target.tokens_in_flight;
  facts.used_at = target.used_at;
  Charge charge = priced(target, ask.charge, 0);
  absorb(target.scope, breaker, charge, now, facts);
  for (ScopeIndex shared : target.shared)
    if (shared != kNoScope) absorb(scopes_[shared], breaker, charge, now, facts);
  facts.utilisation = std::max(facts.utilisation, target.stated.share(ask.charge, now));
  if (plan.balance == Balance::peak_ewma || plan.balance == Balance::host)
    facts.latency = latency_of(plan, target, now);
  if (plan.balance == Balance::max_headroom || plan.balance == Balance::host)
    facts.headroom = headroom(target, ask, now);
  return facts;
}

// lbgpt's measure, without its faults: in tokens; requests left count as so many calls of this size, and a call has at
// least one token.
double Balancer::headroom(const Target& target, const Ask& ask, Instant now) const {
  auto tokens = static_cast<double>(ask.charge.of(Metric::tokens));
  double least = target.stated.tokens_left(ask.charge, now, Facts::kBoundless);
  auto look = [&](const Scope& scope) {
    for (const Quota& quota : scope.quotas) {
      double left = static_cast<double>(quota.limit() - quota.used(now) - ask.charge.of(quota.spec().metric));
      if (quota.spec().metric == Metric::requests) left *= tokens;
      if (quota.spec().metric != Metric::money) least = std::min(least, left);
    }
  };
  look(target.scope);
  for (ScopeIndex shared : target.shared)
    if (shared != kNoScope) look(scopes_[shared]);
  return least;
}

Instant Balancer::frees_at(const Ask& ask, TargetIndex index, Instant now) const {
  const Target& target = targets_[index];
  Charge charge = priced(target, ask.charge, 0);
  Instant latest = target.stated.fits_at(charge, now);
  auto look = [&](const Scope& scope) {
    for (const Quota& quota : scope.quotas) latest = std::max(latest, quota.fits_at(charge, now));
  };
  look(target.scope);
  for (ScopeIndex shared : target.shared)
    if (shared != kNoScope) look(scopes_[shared]);
  return latest;
}

Charge Balancer::expect(const Plan& plan, const Prompt& prompt) {
  // lbgpt's tenth of the tokens a minute needs a limit to be a tenth of; a thousand is an ordinary chat call.
  constexpr uint64_t kNoHistory = 1000;
  return plan.estimator.expect(plan.estimate, prompt, kNoHistory);
}

Decision Balancer::decide(Plan& plan, const Ask& ask, ScopeIndex caller, Instant now) {
  if (std::optional<Decision> held = held_by_caller(ask, caller, now)) return *held;
  Memory memory{&bindings_, &sticky_, host_};
  return policy::decide(plan, Source(*this, plan, ask, now), ask, Moment{now, rng_}, memory);
}

std::optional<Decision> Balancer::held_by_caller(const Ask& ask, ScopeIndex caller, Instant now) const {
  if (caller == kNoScope) return std::nullopt;
  const Scope& scope = scopes_[caller];
  bool full = scope.concurrency > 0 && scope.in_flight >= scope.concurrency;
  Instant fits = now;
  for (const Quota& quota : scope.quotas)
    if (!quota.fits(ask.charge, now)) fits = std::max(fits, quota.fits_at(ask.charge, now));
  if (!full && fits <= now) return std::nullopt;
  bool too_large = fits == Instant::never();
  return Decision{too_large ? Decision::Kind::reject : Decision::Kind::wait, kNoTarget,
                  full ? Instant::never() : fits, Status::LIMITED, Decision::By::caller};
}

bool Balancer::could_send(const Plan& plan, const Ask& ask, ScopeIndex caller, Instant now) const {
  if (held_by_caller(ask, caller, now)) return false;
  Plan scratch = plan;
  Rng any(1);  // Whichever it picks: the question is whether it picks one.
  Memory memory{&bindings_, &sticky_, {}};
  return policy::decide(scratch, Source(*this, scratch, ask, now), ask, Moment{now, any}, memory).kind ==
         Decision::Kind::send;
}

std::vector<Considered> Balancer::explain(const Plan& plan, const Ask& ask, Instant now, size_t most) const {
  return policy::explain(plan, Source(*this, plan, ask, now), ask, now, most);
}

template <typename F>
void Balancer::each_scope(const Reservation& reservation, F f) {
  f(targets_[reservation.target].scope, size_t{0});
  for (size_t i = 0; i < reservation.shared.size(); i++)
    if (reservation.shared[i] != kNoScope) f(scopes_[reservation.shared[i]], i + 1);
}

Charge Balancer::priced(const Target& target, Charge charge, uint64_t cached) const {
  if (target.price.input == 0 && target.price.output == 0) return charge;
  cached = std::min(cached, charge.input);
  // Saturates: a price times nonsense must not become a small number.
  auto cost = [](uint64_t tokens, uint64_t price) {
    return std::min(static_cast<Uint128>(tokens) * price, static_cast<Uint128>(uint64_t{1} << 60));
  };
  Uint128 sum = cost(charge.input - cached, target.price.input) + cost(cached, target.price.cached) +
                cost(charge.output, target.price.output);
  charge.money = static_cast<uint64_t>(std::min(sum, static_cast<Uint128>(uint64_t{1} << 60)));
  return charge;
}

void Balancer::reserve(Plan& plan, TargetIndex index, const Ask& ask, const Prompt& prompt, ScopeIndex caller,
                       Instant now, Reservation& out) {
  Target& target = targets_[index];
  out.target = index;
  out.configuration = configurations_;
  out.probes = 0;
  out.shared = {target.shared[0], target.shared[1], target.shared[2], caller};
  out.at = now;
  out.prompt = prompt;
  out.charge = priced(target, ask.charge, 0);
  each_scope(out, [&](Scope& scope, size_t place) {
    scope.in_flight++;
    for (Quota& quota : scope.quotas) quota.charge(out.charge, now);
    if (scope.health.on_dispatch(now)) out.probes = static_cast<uint8_t>(out.probes | 1u << place);
  });
  target.stated.charge(out.charge);
  out.sent = target.stated.sent();
  target.tokens_in_flight += static_cast<double>(out.charge.of(Metric::tokens));
  target.used_at = now;
  if (ask.affinity && plan.affinity > Duration::zero()) {
    const Bindings::Binding* bound = bindings_.find(ask.affinity);
    if (bound && bound->target == index && in_plan(plan, *bound))
      bindings_.bind(ask.affinity, {bound->tier, bound->place, index, now});
    else if (std::optional<Bindings::Binding> place = place_in(plan, index, now))
      bindings_.bind(ask.affinity, *place);
  }
}

Charge Balancer::true_charge(const Target& target, const Reservation& reservation, const Ended& ended) const {
  Charge charge = reservation.charge;
  switch (ended.took) {
    case Ended::Took::usage:
      charge.input = std::min(ended.input.value_or(charge.input), Charge::kTokensMax);
      charge.output = std::min(ended.output.value_or(charge.output), Charge::kTokensMax);
      return priced(target, charge, ended.cached.value_or(0));
    case Ended::Took::input:
      charge.output = 0;
      return priced(target, charge, 0);
    case Ended::Took::answer:
      return settings_.refund_failed ? Charge{} : charge;
    case Ended::Took::unknown:
    case Ended::Took::nothing:
      return charge;
  }
  return charge;
}

void Balancer::hear(const Reservation& reservation, std::span<const Statement> stated, Instant now) {
  for (const Statement& statement : stated) targets_[reservation.target].stated.hear(statement, reservation.sent, now);
}

Duration Balancer::settle(Plan& plan, const Reservation& reservation, const Ended& ended, Instant now) {
  Target& target = targets_[reservation.target];
  Charge truth = true_charge(target, reservation, ended);
  bool nothing = ended.took == Ended::Took::nothing;
  each_scope(reservation, [&](Scope& scope, size_t) {
    LB_CHECK(scope.in_flight > 0);
    scope.in_flight--;
    for (Quota& quota : scope.quotas) {
      if (quota.born() > reservation.configuration) continue;
      if (nothing)
        quota.release(reservation.charge, reservation.at, now);
      else if (truth != reservation.charge)
        quota.correct(reservation.charge, truth, reservation.at, now);
    }
  });
  target.stated.amend(reservation.charge, nothing ? Charge{} : truth, reservation.sent);
  target.tokens_in_flight =
      std::max(0.0, target.tokens_in_flight - static_cast<double>(reservation.charge.of(Metric::tokens)));
  // What nobody asks for is not learnt.
  bool learns = plan.estimate == Estimate::learned || plan.estimate == Estimate::history;
  if (learns && ended.took == Ended::Took::usage && ended.verdict == Verdict::good)
    plan.estimator.learn(reservation.prompt, ended.input, ended.output);
  if (ended.first_content) learn_latency(plan, target, *ended.first_content, now);
  if (ended.verdict == Verdict::good) sticky_ = {target.deployment, now};
  return judge(target, reservation, ended, now);
}

// Tells the health of the target and of what it shares what the attempt showed.
Duration Balancer::judge(Target& target, const Reservation& reservation, const Ended& ended, Instant now) {
  const HealthRules& rules = settings_.health;
  bool slow =
      rules.breaker.slow > Duration::zero() && ended.first_content.value_or(Duration::zero()) > rules.breaker.slow;
  Mark mark = ended.mark.value_or(rules.mark(ended.verdict));
  auto at = [&](size_t i) -> Health* {
    if (i == 0) return &target.scope.health;
    ScopeIndex shared = reservation.shared[i - 1];
    return shared == kNoScope ? nullptr : &scopes_[shared].health;
  };
  // A fault of the key or the endpoint is the target's own where it shares none.
  size_t blamed = mark == Mark::key && at(2) ? 2 : mark == Mark::endpoint && at(3) ? 3 : 0;
  Duration out = Duration::zero();
  for (size_t i = 0; i < 4; i++) {
    Health* health = at(i);
    if (!health) continue;
    bool probe = (reservation.probes >> i & 1) != 0;
    if (ended.verdict == Verdict::good) {
      out = std::max(out, health->on_good(probe, slow && i == 0, rules.breaker, now));
    } else if (i != blamed || mark == Mark::none) {
      // It got as far as the fault of another: what was half-open has let it through.
      bool reached = mark != Mark::none && mark != Mark::endpoint && i == 3;
      reached ? void(health->on_good(probe, false, rules.breaker, now)) : health->on_neutral(probe);
    } else if (mark == Mark::cool || mark == Mark::key) {
      health->on_neutral(probe);
      Duration length = ended.cool.value_or(rules.cooldown(ended.verdict, ended.told));
      out = health->cool(length, mark == Mark::key ? Outage::key : Outage::told, rules.cooldowns, now);
    } else {
      out = health->on_fault(probe, mark != Mark::count, rules.breaker, now);
      if (std::optional<Duration> least = ended.cool ? ended.cool : ended.told)
        out = std::max(out, health->cool(*least, Outage::fault, rules.cooldowns, now));
    }
  }
  return out;
}

// Peak EWMA (Finagle): a worse sample counts at once, a better one slowly.
void Balancer::learn_latency(Plan& plan, Target& target, Duration sample, Instant now) const {
  sample = std::clamp(sample, Duration{1}, Duration::from_s(3600));
  if (plan.mean_latency == Duration::zero()) plan.mean_latency = sample;
  Duration old = latency_of(plan, target, now);
  plan.mean_latency = between(plan.mean_latency, sample, kMeanLearning);
  target.latency = old == Duration::zero() ? sample : between(old, sample, sample > old ? kPeak : kTrough);
  target.latency_at = now;
}

// What is old counts less: it goes towards the mean, so that a target that was slow once is tried again.
Duration Balancer::latency_of(const Plan& plan, const Target& target, Instant now) const {
  if (target.latency == Duration::zero()) return Duration::zero();
  return between(plan.mean_latency, target.latency, old_part(now - target.latency_at));
}

std::optional<Duration> Balancer::shortest_wait(const Plan& plan, const Ask& ask, ScopeIndex caller,
                                                Instant now) const {
  Instant first = Instant::never();
  for (const Tier& tier : plan.tiers) {
    for (TargetIndex target : tier.targets) {
      Facts facts = this->facts(plan, ask, target, now);
      if (facts.outage == Outage::manual && facts.open_at > now) continue;
      first = std::min(first, std::max(facts.open_at, facts.utilisation < 1 ? now : frees_at(ask, target, now)));
    }
  }
  if (std::optional<Decision> held = held_by_caller(ask, caller, now)) first = std::max(first, held->wait_until);
  if (first <= now || first == Instant::never()) return std::nullopt;
  return first - now;
}

bool Balancer::faulted(TargetIndex index, Instant now) const {
  const Target& target = targets_[index];
  ScopeIndex endpoint = target.shared[2];
  return target.scope.health.faulted(now) || (endpoint != kNoScope && scopes_[endpoint].health.faulted(now));
}

void Balancer::revive(TargetIndex index, Instant now) {
  Target& target = targets_[index];
  target.scope.health.revive(settings_.health.breaker, now);
  if (target.shared[2] != kNoScope) scopes_[target.shared[2]].health.revive(settings_.health.breaker, now);
}

void Balancer::mark_down(TargetIndex target, Duration length, Instant now) {
  targets_[target].scope.health.mark_down(length, now);
}

void Balancer::mark_up(TargetIndex target) {
  targets_[target].scope.health.mark_up();
  for (ScopeIndex shared : targets_[target].shared)
    if (shared != kNoScope) scopes_[shared].health.mark_up();
}

}  // namespace lb::policy
