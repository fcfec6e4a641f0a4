// The policies by themselves: the Fleet of a configuration and its Balancer, told what the engine would tell them.
#include "cases/host.h"
#include "engine/fleet.h"
#include "engine/judgement.h"

namespace lb::cases {

namespace {

class PureChooser final : public Chooser {
 public:
  explicit PureChooser(uint64_t seed) : fleet_(seed, true) {}
  std::string configure(std::shared_ptr<const Config> config, const std::string&, Instant now) override {
    fleet_.configure(std::move(config), Duration::from_s(kUnixBegin) - (kBegin - Instant()), now);
    return "";
  }
  void begin(const Question& question, Instant now) override;
  void end(uint64_t call) override { calls_.erase(call), fleet_.sweep(); }
  Pick pick(uint64_t call, Instant now) override;
  bool report(uint64_t call, const Outcome& outcome, Instant now) override;
  std::optional<Duration> shortest_wait(uint64_t number, Instant now) override {
    Call& call = calls_[number];
    return balancer().shortest_wait(call.plan(), ask(call), call.caller, now);
  }
  void mark(const std::string& deployment, Duration length, Instant now) override {
    fleet_.mark(deployment, "", length, now);
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
    policy::Prompt prompt;
    policy::ScopeIndex caller = policy::kNoScope;
    uint64_t affinity = 0;
    Instant deadline;
    std::vector<policy::TargetIndex> tried;
    uint32_t attempts = 0;
    Duration pause;
    std::optional<Duration> told;
    policy::Reservation reservation;
    policy::Plan& plan() { return world->plans[route]; }
    const Route& config() const { return world->config->routes[route]; }
  };

  policy::Balancer& balancer() { return fleet_.balancer(); }
  policy::Ask ask(Call& call);
  void start_again(Call& call, Instant now, Pick& out);
  static Judgement judge(const Call& call, const Outcome& outcome);
  static policy::Ended ended(const Outcome& outcome, const Judgement& judgement);

  Fleet fleet_;
  std::map<uint64_t, Call> calls_;
};

void PureChooser::begin(const Question& question, Instant now) {
  Call& call = calls_[question.text.number];
  call.world = fleet_.world();
  const Config& config = *call.world->config;
  call.route = static_cast<size_t>(config.find_route(question.text.model) - config.routes.data());
  call.deadline = question.deadline;
  call.caller = fleet_.caller(question.text.caller);
  call.prompt = question.prompt;
  if (!question.affinity.empty()) call.affinity = hash_text(question.affinity) ^ hash_text(question.text.model);
  balancer().on_call(now);
}

policy::Ask PureChooser::ask(Call& call) {
  policy::Ask ask;
  ask.tried = call.tried;
  ask.retry = call.attempts > 0;
  ask.charge = policy::Balancer::expect(call.plan(), call.prompt);
  ask.affinity = call.affinity;
  Duration worth{call.config().affinity_wait.ns * static_cast<int64_t>(ask.charge.input)};
  ask.patience = std::min(worth, call.config().wait);
  return ask;
}

Pick PureChooser::pick(uint64_t number, Instant now) {
  Call& call = calls_[number];
  policy::Ask asked = ask(call);
  policy::Decision decision = balancer().decide(call.plan(), asked, call.caller, now);
  Pick out;
  out.until = decision.wait_until;
  out.limited = decision.why == Status::LIMITED || fleet_.all_limited(call.plan(), asked, now);
  switch (decision.kind) {
    case policy::Decision::Kind::send:
      break;
    case policy::Decision::Kind::wait:
      out.kind = Pick::Kind::wait;
      return out;
    case policy::Decision::Kind::reject:
      start_again(call, now, out);
      return out;
  }
  balancer().reserve(call.plan(), decision.target, asked, call.prompt, call.caller, now, call.reservation);
  call.tried.push_back(decision.target);
  call.attempts++;
  out.kind = Pick::Kind::send;
  out.deployment = fleet_.upstream(fleet_.target(decision.target).upstream).deployment->name;
  return out;
}

void PureChooser::start_again(Call& call, Instant now, Pick& out) {
  if (call.tried.empty()) return;
  std::optional<Duration> pause = policy::pause_before_again(call.config().retry, call.pause, call.told, call.deadline,
                                                             now, balancer().rng());
  if (!pause) return;
  call.pause = *pause;
  call.tried.clear();
  out.kind = Pick::Kind::again;
  out.until = now + *pause;
}

Judgement PureChooser::judge(const Call& call, const Outcome& outcome) {
  const Config& config = *call.world->config;
  switch (outcome.kind) {
    case Outcome::Kind::cancelled:
      break;
    case Outcome::Kind::answer: {
      const Answer& answer = *outcome.answer;
      if (answer.status < 300 && !answer.holds_error()) break;
      std::string body = answer.body(outcome.stream);
      ErrorFacts facts = openai_error(answer.head(outcome.stream), body, kUnixBegin);
      ErrorClass what = facts.what == ErrorClass::none ? ErrorClass::server : facts.what;
      return judgement_of(config, what, facts.retry_after, answer.status, body);
    }
    case Outcome::Kind::broken:
    case Outcome::Kind::cut: return judgement_of(config, ErrorClass::broken, std::nullopt, 0, "");
    case Outcome::Kind::refused: return judgement_of(config, ErrorClass::connect, std::nullopt, 0, "");
    case Outcome::Kind::timeout: return judgement_of(config, ErrorClass::timeout, std::nullopt, 0, "");
  }
  return {};
}

policy::Ended PureChooser::ended(const Outcome& outcome, const Judgement& judgement) {
  using Took = policy::Ended::Took;
  policy::Ended out;
  bool good = outcome.kind == Outcome::Kind::answer && judgement.what == ErrorClass::none;
  out.verdict = good ? policy::Verdict::good : policy::Verdict::no_fault;
  if (judgement.what != ErrorClass::none) judgement.mark(out);
  switch (outcome.kind) {
    case Outcome::Kind::answer: out.took = good ? Took::usage : Took::answer; break;
    case Outcome::Kind::broken:
    case Outcome::Kind::timeout:
    case Outcome::Kind::cut: out.took = Took::unknown; break;
    case Outcome::Kind::refused: out.took = Took::nothing; break;
    case Outcome::Kind::cancelled: out.took = Took::input; break;
  }
  if (good || outcome.kind == Outcome::Kind::broken) out.first_content = outcome.took;
  if (!good) return out;
  out.input = outcome.answer->input;
  out.output = outcome.answer->output;
  out.cached = outcome.answer->cached;
  return out;
}

bool PureChooser::report(uint64_t number, const Outcome& outcome, Instant now) {
  Call& call = calls_[number];
  if (outcome.answer) {
    std::vector<policy::Statement> stated;
    for (const StatedLimit& limit : stated_limits(outcome.answer->head(outcome.stream), kUnixBegin))
      stated.push_back(statement_of(limit));
    balancer().hear(call.reservation, stated, now);
  }
  Judgement judgement = judge(call, outcome);
  call.told = judgement.told;
  Duration out = balancer().settle(call.plan(), call.reservation, ended(outcome, judgement), now);
  if (out > Duration::zero()) fleet_.target(call.reservation.target).cooled_by = judgement.what;
  if (judgement.what == ErrorClass::none || outcome.kind == Outcome::Kind::broken) return false;
  policy::Next next = policy::after(call.config().retry, judgement.outcome(), {call.attempts, false, true},
                                    call.deadline, now);
  return next.kind != policy::Next::Kind::stop && balancer().take_retry(now);
}

}  // namespace

std::unique_ptr<Driver> make_pure_driver(uint64_t seed, Upstreams& upstreams) {
  return std::make_unique<Host>(std::make_unique<PureChooser>(seed), upstreams);
}

}  // namespace lb::cases
