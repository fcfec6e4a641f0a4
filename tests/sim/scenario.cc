#include "sim/scenario.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "gateway/gateway.h"
#include "sim/clients.h"
#include "sim/visitors.h"

namespace lb::sim {

namespace {

// A run of this many turns does not come to rest.
constexpr uint64_t kTurnsMax = 2'000'000;
// What a connection of the gateway may have unsent besides the window: the answers before (Client::kUnsentMax), a head
// and the framing of events, and one read of an upstream.
constexpr size_t kUnsentMax = 64 * 1024, kFraming = 16 * 1024;

int64_t unix_time() { return kUnixTime; }

// Prints the lines of the engine's log.
struct LogSink : EventSink {
  void deliver(std::vector<Event>& events) override {
    for (const Event& event : events)
      std::printf("%12.6f %s\n", static_cast<double>(event.time.ns) / 1e9, std::string(event.data.view()).c_str());
  }
};

class Scenario {
 public:
  Scenario(const Plan& plan, const RunOptions& options);
  Outcome run();

 private:
  void set_out();
  void command_at(Duration when, std::function<void()> what);
  void configure(size_t index);
  void drain();
  void turn();
  void part(std::vector<Completion>& completions, size_t from, size_t to, bool last);
  void check_rest();
  Outcome outcome() const;

  const Plan& plan_;
  const RunOptions options_;
  Schedule schedule_;
  Commands commands_;
  Verdict verdict_;
  Excuses excuses_;
  LogSink log_;
  Rng split_;
  Asked asked_;
  FakeNet net_;
  Clients clients_;
  Visitors visitors_;
  std::vector<std::shared_ptr<const Config>> configs_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Gateway> gateway_;
  uint64_t turns_ = 0;
};

Scenario::Scenario(const Plan& plan, const RunOptions& options)
    : plan_(plan),
      options_(options),
      split_(options.split),
      asked_(plan, schedule_, verdict_),
      net_(schedule_, plan.seed, plan.hosts, asked_),
      clients_(plan, schedule_, commands_, asked_, excuses_, verdict_),
      visitors_(plan, schedule_, asked_, excuses_, verdict_) {
  schedule_.set_grain(plan.grain);
  net_.fail_at(options.fail_at);
  net_.set_log(options.log);
  excuses_.failures = options.fail_at > 0;
  for (const Config& config : plan.configs) configs_.push_back(std::make_shared<Config>(config));
  EngineOptions engine;
  engine.seed = plan.seed;
  engine.unix_time_s = unix_time;
  if (options.log) {
    engine.log = &log_;
    engine.log_level = LogLevel::debug;
  }
  engine_ = std::make_unique<Engine>(net_, engine, configs_[0], schedule_.now());
  gateway_ = std::make_unique<Gateway>(*engine_, net_);
  asked_.attach(&net_);
  clients_.attach(engine_.get(), &net_, options.log);
  visitors_.attach(&net_, options.log);
}

void Scenario::command_at(Duration when, std::function<void()> what) {
  schedule_.after(when, [this, what = std::move(what)] { commands_.push_back(what); });
}

// As abi/machine.cc: the gateway first, for it may say no, and then nothing has changed.
void Scenario::configure(size_t index) {
  if (excuses_.closing) return;
  Error why;
  if (gateway_->configure(*configs_[index], schedule_.now(), &why) != Status::OK) {
    if (options_.fail_at == 0) verdict_.broken("not configured: " + why.message);
    if (why.where.empty() || why.message.empty()) verdict_.broken("an address that cannot be bound is not named");
    if (gateway_->address("").ok() != (index > 0))
      verdict_.broken("a configuration that was refused changed something");
    return configure(index);
  }
  if (!gateway_->address("").ok()) verdict_.broken("a configuration was taken, and nothing listens");
  engine_->configure(configs_[index]);
}

void Scenario::drain() {
  excuses_.closing = true;
  gateway_->drain(engine_->now());
  engine_->close(false);
}

// Arrivals; then faults stop, and everything must come to an end.
void Scenario::set_out() {
  configure(0);
  for (const CallPlan& call : plan_.calls) command_at(call.at, [this, &call] { clients_.start(call); });
  for (const VisitorPlan& visitor : plan_.visitors)
    schedule_.after(visitor.at, [this, &visitor] { visitors_.arrive(visitor); });
  for (const Reload& reload : plan_.reloads) command_at(reload.at, [this, &reload] { configure(reload.config); });
  if (plan_.drain_at > Duration::zero()) command_at(plan_.drain_at, [this] { drain(); });
  schedule_.after(plan_.calm_at, [this] { net_.stop_faults(); });
}

// One turn, as in abi/machine.cc: timers, completions, commands, what is left to settle and to write.
void Scenario::part(std::vector<Completion>& completions, size_t from, size_t to, bool last) {
  engine_->begin(schedule_.now());
  gateway_->begin(schedule_.now());
  for (size_t i = from; i < to; i++) {
    if (Engine::ours(completions[i].tag))
      engine_->complete(completions[i]);
    else if (Gateway::ours(completions[i].tag))
      gateway_->complete(completions[i]);
  }
  if (last) {
    Commands commands = std::exchange(commands_, {});
    for (const std::function<void()>& command : commands) command();
  }
  engine_->settle();
  gateway_->flush();
  turns_++;
}

// All that happens at one instant: in one turn, or in several.
void Scenario::turn() {
  Instant now = std::min(schedule_.next(), net_.wake());
  LB_CHECK(now != Instant::never());
  schedule_.run_to(now);
  std::vector<Completion> completions;
  completions.swap(net_.completions());
  size_t from = 0;
  while (options_.split > 0 && from + 1 < completions.size()) {
    size_t to = from + 1 + static_cast<size_t>(split_.below(2) ? 0 : split_.below(completions.size() - from));
    if (to >= completions.size()) break;
    part(completions, from, to, false);
    from = to;
  }
  part(completions, from, completions.size(), true);
  net_.wake_at(std::min(engine_->next_wake(), gateway_->next_wake()));
  if (!net_.completions().empty()) net_.wake_at(schedule_.now());
  clients_.check_turn();
  visitors_.check_turn();
}

// Every reservation settled, every connection idle or gone, every timer but those of idle connections disarmed.
void Scenario::check_rest() {
  Engine::Census census = engine_->census();
  auto expect = [&](const char* what, uint64_t is, uint64_t should) {
    if (is != should)
      verdict_.broken(std::string("at rest: ") + what + " is " + std::to_string(is) + " instead of " +
                      std::to_string(should));
  };
  expect("calls", census.calls, 0);
  expect("in flight", static_cast<uint64_t>(census.in_flight), 0);
  expect("waiting", census.waiting, 0);
  expect("bytes for replay", census.replay_bytes, 0);
  expect("links", census.links, 0);
  expect("timers", census.timers, 0);
  expect("connections", net_.open(), 0);
  expect("requests of the gateway that are not over", !gateway_->idle(), false);
  expect("timers of the gateway", gateway_->next_wake() < Instant::never(), false);
  size_t window = 0;
  for (const Config& config : plan_.configs)
    for (const Route& route : config.routes) window = std::max<size_t>(window, route.window_bytes);
  size_t most = window + kUnsentMax + kFraming + FakeNet::kReadMax;
  if (net_.inbound().pending_peak() > most)
    verdict_.broken("the gateway had " + std::to_string(net_.inbound().pending_peak()) +
                    " bytes unsent for one client; at most " + std::to_string(most) + " can be");
  for (uint32_t host = 0; host < plan_.hosts.size(); host++) {
    uint32_t links = 0;
    for (const Deployment& to : engine_->config().deployments)
      if (to.name == plan_.hosts[host].name) links = to.connections_max + (to.probe > Duration::zero() ? 1 : 0);
    if (plan_.reloads.empty() && net_.connections_peak(host) > links)
      verdict_.broken(plan_.hosts[host].name + " had " + std::to_string(net_.connections_peak(host)) +
                      " connections, with at most " + std::to_string(links));
  }
  clients_.check_end();
  visitors_.check_end();
  asked_.check_end(!excuses_.failures);
}

Outcome Scenario::run() {
  set_out();
  while (verdict_.fine() && (schedule_.next() != Instant::never() || net_.wake() != Instant::never())) {
    turn();
    if (turns_ > kTurnsMax) verdict_.broken("it does not come to rest");
  }
  if (verdict_.fine()) check_rest();
  if (!verdict_.fine() && options_.log) std::printf("%s\n", gateway_->stats_json().c_str());
  return outcome();
}

Outcome Scenario::outcome() const {
  Outcome out;
  out.broken = verdict_.text();
  Hash hash;
  hash.mix(clients_.hash());
  hash.mix(visitors_.hash());
  out.hash = hash.value();
  out.told = clients_.told();
  for (auto& [number, said] : visitors_.told()) out.told[number] = said;
  out.calls = plan_.requests();
  out.ok = clients_.ok() + visitors_.ok();
  out.failed = clients_.failed() + visitors_.failed();
  out.turns = turns_;
  out.port_calls = net_.port_calls();
  out.failed_call = net_.failed();
  out.seconds = static_cast<double>(schedule_.now().ns) / 1e9;
  for (size_t i = 0; i < kFaults; i++)
    if (uint64_t n = net_.met()[i])
      out.faults +=
          std::string(out.faults.empty() ? "" : " ") + fault_name(static_cast<Fault>(i)) + "=" + std::to_string(n);
  return out;
}

}  // namespace

Outcome run(const Plan& plan, const RunOptions& options) { return Scenario(plan, options).run(); }

Outcome run_all(const Plan& plan, bool log) {
  Outcome first = run(plan, {.log = log});
  if (!first.broken.empty()) return first;
  if (run(plan, {}).hash != first.hash) {
    first.broken = "two runs of one seed differ";
    return first;
  }
  Outcome divided = run(plan, {.split = plan.seed * 2 + 1});
  if (!divided.broken.empty()) {
    first.broken = "with divided turns: " + divided.broken;
  } else if (independent(plan)) {
    for (const auto& [number, said] : first.told) {
      const std::string& other = divided.told[number];
      if (!first.broken.empty() || other == said) continue;
      // Cancelled at the very instant of its end, it may end either way, and what comes of that is open.
      if ((other.find("CANCELLED") == other.npos) != (said.find("CANCELLED") == said.npos)) return first;
      first.broken =
          "with divided turns call " + std::to_string(number) + " is told\n" + other + "\n  instead of\n" + said;
    }
  }
  return first;
}

}  // namespace lb::sim
