// The policies by themselves: the Fleet of a configuration and its Balancer, told what the engine would tell them.
#include <algorithm>

#include "cases/host.h"
#include "engine/fleet.h"
#include "wire/openai.h"
#include "wire/rate_limits.h"

namespace lb::cases {

namespace {

policy::Verdict verdict_of(ErrorClass what) {
  using policy::Verdict;
  switch (what) {
    case ErrorClass::none: return Verdict::good;
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter: return Verdict::no_fault;
    case ErrorClass::auth: return Verdict::key_refused;
    case ErrorClass::billing: return Verdict::exhausted;
    case ErrorClass::rate_limit: return Verdict::limited;
    case ErrorClass::overloaded: return Verdict::overloaded;
    case ErrorClass::server:
    case ErrorClass::broken: return Verdict::faulty;
    case ErrorClass::connect: return Verdict::unreachable;
    case ErrorClass::not_found: return Verdict::not_found;
    case ErrorClass::timeout: return Verdict::timed_out;
  }
  return Verdict::faulty;
}

policy::Metric metric_of(StatedLimit::Metric metric) {
  switch (metric) {
    case StatedLimit::Metric::requests: return policy::Metric::requests;
    case StatedLimit::Metric::tokens: return policy::Metric::tokens;
    case StatedLimit::Metric::input_tokens: return policy::Metric::input_tokens;
    case StatedLimit::Metric::output_tokens: return policy::Metric::output_tokens;
  }
  return policy::Metric::requests;
}

class PureDoor final : public Door {
 public:
  explicit PureDoor(uint64_t seed) : fleet_(seed, true) {}
  std::string configure(std::shared_ptr<const Config> config, const std::string&, Instant now) override {
    fleet_.configure(std::move(config), Duration::from_s(kUnixBegin) - (kBegin - Instant()), now);
    return "";
  }
  void begin(const CallText& text, Instant deadline, Instant now) override;
  void end(uint64_t call) override { calls_.erase(call), fleet_.sweep(); }
  Pick pick(uint64_t call, Instant now) override;
  Next report(uint64_t call, const Outcome& outcome, Instant now) override;
  std::optional<Duration> shortest_wait(uint64_t number, Instant now) override {
    Call& call = calls_[number];
    return balancer().shortest_wait(call.plan(), ask(call), call.caller, now);
  }
  uint32_t in_flight() const override {
    uint32_t sum = 0;
    for (policy::TargetIndex i = 0; i < fleet_.target_count(); i++) sum += fleet_.balancer().in_flight(i);
    return sum;
  }

 private:
  struct Call {
    std::shared_ptr<World> world;
    size_t route = 0;
    bool larger = false;
    policy::Prompt prompt;
    policy::ScopeIndex caller = policy::kNoScope;
    uint64_t affinity = 0;
    Instant deadline;
    std::vector<policy::TargetIndex> tried;
    uint32_t attempts = 0;
    Duration pause;
    policy::Reservation reservation;
    policy::Plan& plan() { return world->plans[route]; }
    const Route& config() const { return world->config->routes[route]; }
  };

  policy::Balancer& balancer() { return fleet_.balancer(); }
  policy::Ask ask(Call& call);
  void learn_key(Call& call, const CallText& text, const OpenAiRequest& request);
  bool all_limited(Call& call, Instant now);
  ErrorFacts facts_of(const Outcome& outcome) const;
  const ErrorRule* rule_for(const Call& call, const Outcome& outcome) const;
  static void note_usage(const Outcome& outcome, policy::Ended& ended);
  bool may_go_on(Call& call, policy::Outcome outcome, Instant now);
  Next go_on(Call& call, std::optional<Duration> told, Instant now);

  Fleet fleet_;
  std::map<uint64_t, Call> calls_;
};

void PureDoor::begin(const CallText& text, Instant deadline, Instant now) {
  Call& call = calls_[text.number];
  call.world = fleet_.world();
  call.route = static_cast<size_t>(call.world->config->find_route(text.model) - call.world->config->routes.data());
  call.deadline = deadline;
  call.caller = fleet_.caller(text.caller);
  OpenAiRequest request;
  request.feed(text.body());
  call.prompt = {request.text_characters(), request.images(), request.output_tokens_max(), request.choices()};
  learn_key(call, text, request);
  balancer().on_call(now);
}

void PureDoor::learn_key(Call& call, const CallText& text, const OpenAiRequest& request) {
  uint64_t key = text.session.empty() ? 0 : hash_text(text.session);
  bool worth = policy::Balancer::expect(call.plan(), call.prompt).input >= call.config().affinity_tokens;
  std::string named = request.prompt_cache_key().empty() ? request.user() : request.prompt_cache_key();
  if (key == 0 && worth && !named.empty()) key = hash_text(named);
  if (key == 0 && worth && call.config().affinity == Affinity::prompt) key = request.prefix_hash();
  if (key != 0) call.affinity = key ^ hash_text(call.config().model);
}

policy::Ask PureDoor::ask(Call& call) {
  policy::Ask ask;
  ask.tried = call.tried;
  ask.charge = policy::Balancer::expect(call.plan(), call.prompt);
  ask.affinity = call.affinity;
  Duration worth{call.config().affinity_wait.ns * static_cast<int64_t>(ask.charge.input)};
  ask.patience = std::min(worth, call.config().wait);
  return ask;
}

bool PureDoor::all_limited(Call& call, Instant now) {
  policy::Ask asked = ask(call);
  for (const policy::Tier& tier : call.plan().tiers)
    for (policy::TargetIndex index : tier.targets) {
      policy::Facts facts = balancer().facts(call.plan(), asked, index, now);
      bool cooling = facts.open_at > now;
      if (cooling ? fleet_.target(index).cooled_by != ErrorClass::rate_limit : facts.utilisation < 1) return false;
    }
  return true;
}

Pick PureDoor::pick(uint64_t number, Instant now) {
  Call& call = calls_[number];
  policy::Ask asked = ask(call);
  policy::Decision decision = balancer().decide(call.plan(), asked, call.caller, now);
  Pick out;
  out.until = decision.wait_until;
  out.limited = decision.why == Status::LIMITED;
  if (decision.kind != policy::Decision::Kind::send) {
    out.kind = decision.kind == policy::Decision::Kind::wait ? Pick::Kind::wait : Pick::Kind::none;
    out.limited = out.limited || all_limited(call, now);
    return out;
  }
  call.reservation = balancer().reserve(call.plan(), decision.target, asked, call.prompt, call.caller, now);
  call.tried.push_back(decision.target);
  call.attempts++;
  out.kind = Pick::Kind::send;
  out.deployment = fleet_.upstream(fleet_.target(decision.target).upstream).deployment->name;
  return out;
}

ErrorFacts PureDoor::facts_of(const Outcome& outcome) const {
  ErrorFacts facts;
  switch (outcome.kind) {
    case Outcome::Kind::answer: {
      Head head = outcome.answer->head(outcome.stream);
      if (head.status < 300 && !outcome.answer->holds_error()) return facts;
      facts = openai_error(head, outcome.answer->body(outcome.stream), kUnixBegin);
      if (facts.what == ErrorClass::none) facts.what = ErrorClass::server;
      return facts;
    }
    case Outcome::Kind::broken:
    case Outcome::Kind::cut: facts.what = ErrorClass::broken; return facts;
    case Outcome::Kind::refused: facts.what = ErrorClass::connect; return facts;
    case Outcome::Kind::timeout: facts.what = ErrorClass::timeout; return facts;
    case Outcome::Kind::cancelled: return facts;
  }
  return facts;
}

const ErrorRule* PureDoor::rule_for(const Call& call, const Outcome& outcome) const {
  if (outcome.kind != Outcome::Kind::answer) return nullptr;
  std::string body = outcome.answer->body(outcome.stream);
  for (const ErrorRule& rule : call.world->config->errors)
    if ((rule.status == 0 || rule.status == outcome.answer->status) &&
        (rule.contains.empty() || body.find(rule.contains) != body.npos) &&
        (!rule.pattern || rule.pattern->matches(body)))
      return &rule;
  return nullptr;
}

void PureDoor::note_usage(const Outcome& outcome, policy::Ended& ended) {
  using Took = policy::Ended::Took;
  switch (outcome.kind) {
    case Outcome::Kind::answer: ended.took = ended.verdict == policy::Verdict::good ? Took::usage : Took::answer; break;
    case Outcome::Kind::broken:
    case Outcome::Kind::timeout:
    case Outcome::Kind::cut: ended.took = Took::unknown; break;
    case Outcome::Kind::refused: ended.took = Took::nothing; break;
    case Outcome::Kind::cancelled: ended.took = Took::input; break;
  }
  bool good = ended.verdict == policy::Verdict::good;
  if (good || outcome.kind == Outcome::Kind::broken) ended.first_content = outcome.took;
  if (!good || !outcome.answer || !outcome.answer->input) return;
  ended.input = outcome.answer->input;
  ended.output = outcome.answer->output;
  ended.cached = outcome.answer->cached;
}

Next PureDoor::report(uint64_t number, const Outcome& outcome, Instant now) {
  Call& call = calls_[number];
  ErrorFacts facts = facts_of(outcome);
  const ErrorRule* rule = facts.what == ErrorClass::none ? nullptr : rule_for(call, outcome);
  if (rule && rule->as) facts.what = *rule->as;
  policy::Ended ended;
  ended.verdict = outcome.kind == Outcome::Kind::cancelled ? policy::Verdict::no_fault : verdict_of(facts.what);
  ended.told = facts.retry_after;
  if (rule) ended.mark = rule->mark, ended.cool = rule->cool;
  note_usage(outcome, ended);
  if (outcome.answer) {
    std::vector<policy::Statement> stated;
    for (const StatedLimit& limit : stated_limits(outcome.answer->head(outcome.stream), kUnixBegin))
      stated.push_back({metric_of(limit.metric), limit.limit, limit.remaining, limit.reset, limit.continuous});
    balancer().hear(call.reservation, stated, now);
  }
  Duration out = balancer().settle(call.plan(), call.reservation, ended, now);
  if (out > Duration::zero()) fleet_.target(call.reservation.target).cooled_by = facts.what;
  if (facts.what == ErrorClass::none || outcome.kind == Outcome::Kind::broken) return {};
  const Route* larger = call.config().larger.empty() ? nullptr : call.world->config->find_route(call.config().larger);
  if (facts.what == ErrorClass::context_length && larger && !call.larger) {
    call.route = static_cast<size_t>(larger - call.world->config->routes.data());
    call.larger = true;
    call.tried.clear();
    return {Next::Kind::elsewhere, {}};
  }
  bool no_fault = ended.verdict == policy::Verdict::no_fault;
  if (rule && rule->fail_over) no_fault = !*rule->fail_over;
  if (!may_go_on(call, no_fault ? policy::Outcome::caller_fault : policy::Outcome::target_fault, now)) return {};
  return go_on(call, facts.retry_after, now);
}

bool PureDoor::may_go_on(Call& call, policy::Outcome outcome, Instant now) {
  policy::Next next = policy::after(call.config().retry, outcome, {call.attempts, false, true}, call.deadline, now);
  return next.kind != policy::Next::Kind::stop && balancer().take_retry(now);
}

// Elsewhere while there is one that has not been tried, else from the start after a pause, if the route says so.
Next PureDoor::go_on(Call& call, std::optional<Duration> told, Instant now) {
  size_t targets = 0;
  for (const policy::Tier& tier : call.plan().tiers) targets += tier.targets.size();
  if (call.tried.size() < targets) return {Next::Kind::elsewhere, {}};
  std::optional<Duration> pause =
      policy::pause_before_again(call.config().retry, call.pause, told, call.deadline, now, balancer().rng());
  if (!pause) return {};
  call.pause = *pause;
  call.tried.clear();
  return {Next::Kind::again, *pause};
}

}  // namespace

std::unique_ptr<Driver> make_pure_driver(uint64_t seed, Upstreams& upstreams) {
  return std::make_unique<Host>(std::make_unique<PureDoor>(seed), upstreams);
}

}  // namespace lb::cases
