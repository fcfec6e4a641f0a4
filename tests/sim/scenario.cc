#include "sim/scenario.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "sim/clients.h"
#include "sim/net.h"
#include "sim/schedule.h"

namespace lb::sim {

namespace {

// A run of this many turns does not come to rest.
constexpr uint64_t kTurnsMax = 2'000'000;

template <typename T>
T one_of(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(values.size())];
}

// Prints the lines of the engine's log.
struct LogSink : EventSink {
  bool on = false;
  void deliver(std::vector<Event>& events) override {
    for (const Event& event : events)
      std::printf("%12.6f %s\n", static_cast<double>(event.time.ns) / 1e9, std::string(event.data.view()).c_str());
  }
};

class Scenario {
 public:
  Scenario(uint64_t seed, bool log);
  Outcome run();

 private:
  void draw_hosts();
  void draw_policies(Route& route);
  void draw_settings(policy::Settings& settings);
  std::shared_ptr<const Config> draw_config();
  Deployment draw_deployment(uint32_t host);
  CallPlan draw_call();
  void turn();
  void check_rest();

  Rng rng_;
  LogSink log_;
  Schedule schedule_;
  std::vector<Host> hosts_;
  Verdict verdict_;
  bool promised_;  // Host 0 is in perfect health.
  bool again_;     // Routes may try a target again.
  bool reloads_;
  uint64_t calls_;
  uint64_t started_ = 0;
  Duration deadline_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<FakeNet> net_;
  std::unique_ptr<Engine> engine_;
  uint64_t turns_ = 0;
};

Scenario::Scenario(uint64_t seed, bool log) : rng_(Rng(seed).split("scenario")) {
  promised_ = rng_.below(3) == 0;
  reloads_ = rng_.below(4) == 0;
  calls_ = 1 + rng_.below(60);
  if (rng_.below(8) == 0) calls_ += 200;  // What is learnt from calls shows only after so many.
  deadline_ = promised_ ? Duration::from_s(600) : Duration::from_ms(one_of<int64_t>(rng_, {300, 3000, 30'000}));
  draw_hosts();
  again_ = !promised_ && rng_.below(4) == 0;
  Promise promise{promised_, deadline_, again_};
  clients_ = std::make_unique<Clients>(schedule_, Rng(seed).split("clients"), promise, verdict_);
  net_ = std::make_unique<FakeNet>(schedule_, Rng(seed).split("net"), hosts_, *clients_);
  EngineOptions options;
  options.seed = seed;
  if (log) {
    log_.on = true;
    options.log = &log_;
    options.log_level = LogLevel::debug;
  }
  engine_ = std::make_unique<Engine>(*net_, options, draw_config(), schedule_.now());
  clients_->attach(engine_.get(), net_.get(), log);
}

// Swarm: each seed leaves most faults out and draws wild odds for the rest, so that runs differ from one another.
void Scenario::draw_hosts() {
  uint32_t count = 1 + static_cast<uint32_t>(rng_.below(5));
  std::vector<double> odds(kFaults);
  for (double& value : odds)
    if (rng_.below(3) == 0) value = rng_.unit() * rng_.unit();
  for (uint32_t i = 0; i < count; i++) {
    Host& host = hosts_.emplace_back();
    host.name = "h" + std::to_string(i);
    host.odds = odds;
    host.fault_rate = promised_ && i == 0 ? 0 : one_of<double>(rng_, {0.0, 0.1, 0.5, 1.0});
    // A caller's own mistake is final wherever it is found: no promise covers it.
    if (promised_) host.odds[static_cast<size_t>(Fault::status_400)] = 0;
    if (rng_.below(4) == 0) host.socket_bytes = 500 + static_cast<size_t>(rng_.below(3000));
  }
}

Deployment Scenario::draw_deployment(uint32_t index) {
  bool perfect = promised_ && index == 0;
  Deployment to;
  to.name = hosts_[index].name;
  to.url.host = to.name + ".sim";
  to.url.port = 443;
  to.url.tls = rng_.below(2) == 0;
  to.url.path = "/v1";
  to.key = "key-of-" + to.name;
  for (const char* name : {"small", "large"}) {
    ModelConfig model;
    model.name = name;
    model.as = rng_.below(2) ? name : std::string(name) + "-at-" + to.name;
    if (!perfect && rng_.below(4) == 0)
      model.limits.quotas.push_back(policy::per_minute(policy::Metric::requests, 1 + rng_.below(30)));
    if (!perfect && rng_.below(6) == 0)
      model.limits.quotas.push_back(policy::per_minute(policy::Metric::tokens, 1 + rng_.below(20'000)));
    if (!perfect && rng_.below(4) == 0) model.limits.concurrency = 1 + static_cast<uint32_t>(rng_.below(3));
    clients_->names[{index, name}].push_back(model.as);
    to.models.push_back(std::move(model));
  }
  to.weight = 1 + static_cast<double>(rng_.below(4));
  to.timeouts = {Duration::from_s(1), Duration::from_s(2), Duration::from_s(2), Duration::from_s(2)};
  to.connections_max = perfect ? 1024 : one_of<uint32_t>(rng_, {1, 2, 1024});
  to.keep_alive = Duration::from_ms(one_of<int64_t>(rng_, {50, 5000}));
  if (rng_.below(4) == 0) to.probe = Duration::from_ms(one_of<int64_t>(rng_, {20, 1000}));
  to.probe_path = "/models";
  return to;
}

// Every way to balance, to wait and to try again; whatever they are, all that callers are promised holds.
void Scenario::draw_policies(Route& route) {
  policy::PlanSpec& plan = route.plan;
  plan.balance = static_cast<policy::Balance>(rng_.below(static_cast<uint64_t>(policy::Balance::host) + 1));
  plan.estimate = static_cast<policy::Estimate>(rng_.below(4));
  if (rng_.below(4) == 0) plan.sticky = Duration::from_s(5);
  plan.fail_back = rng_.below(2) == 0;
  if (rng_.below(2) == 0) plan.affinity = Duration::from_s(20);
  route.affinity_tokens = one_of<uint32_t>(rng_, {0, 100});
  route.affinity_wait = Duration::from_us(100);
  if (rng_.below(2) == 0)
    plan.hedge = {one_of<double>(rng_, {0.5, 0.95}), Duration::from_ms(one_of<int64_t>(rng_, {1, 50})),
                  one_of<double>(rng_, {0.1, 1.0}), 0, 0};
  if (promised_) return;
  plan.spill = rng_.below(3) == 0 ? policy::Spill::strict : policy::Spill::spill;
  plan.when_none = static_cast<policy::WhenNone>(rng_.below(3));
  plan.panic_share = one_of<double>(rng_, {0.0, 0.0, 0.5, 1.0});
  if (!again_) return;
  route.retry.policy = rng_.below(2) ? policy::RetryPolicy::again : policy::RetryPolicy::forever;
  route.retry.backoff = Duration::from_ms(one_of<int64_t>(rng_, {50, 500}));
  route.retry.backoff_max = Duration::from_s(3);
}

void Scenario::draw_settings(policy::Settings& settings) {
  settings.bindings = one_of<uint32_t>(rng_, {0, 2, 1000});
  settings.refund_failed = rng_.below(2) == 0;
  policy::BreakerSpec& breaker = settings.health.breaker;
  breaker.errors = one_of<uint32_t>(rng_, {0, 1, 3});
  breaker.slow_start = Duration::from_ms(one_of<int64_t>(rng_, {0, 2000}));
  breaker.open = Duration::from_ms(one_of<int64_t>(rng_, {10, 5000}));
  if (rng_.below(4) == 0) breaker.slow = Duration::from_ms(200);
  if (promised_) return;
  for (policy::Mark& mark : settings.health.marks)
    if (rng_.below(6) == 0) mark = static_cast<policy::Mark>(rng_.below(6));
  if (rng_.below(4) == 0) settings.budget = {0.1, 0.5};
}

std::shared_ptr<const Config> Scenario::draw_config() {
  auto config = std::make_shared<Config>();
  for (uint32_t i = 0; i < hosts_.size(); i++) config->deployments.push_back(draw_deployment(i));
  for (const char* name : {"small", "large"}) {
    Route& route = config->routes.emplace_back();
    route.model = name;
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < hosts_.size(); i++)
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(rng_.below(i + 1)), i);
    for (uint32_t i : order) {
      if (route.tiers.empty() || rng_.below(3) == 0) route.tiers.emplace_back();
      route.tiers.back().push_back(i);
    }
    route.retry.retries = promised_ ? 9 : static_cast<uint32_t>(rng_.below(6));
    route.deadline = deadline_;
    route.wait = promised_ ? Duration::zero() : Duration::from_ms(one_of<int64_t>(rng_, {0, 0, 500, 20'000}));
    route.window_bytes = one_of<uint32_t>(rng_, {1, 700, 65536});
    route.hold_bytes = promised_ ? 1u << 20 : one_of<uint32_t>(rng_, {64, 2000, 65536});
    route.replay_bytes = promised_ ? 1u << 20 : one_of<uint32_t>(rng_, {1000, 1u << 20});
    if (!promised_ && rng_.below(6) == 0) route.commit_on = CommitOn::head;
    draw_policies(route);
  }
  draw_settings(config->policies);
  Limits& limits = config->limits;
  limits.head_bytes = 65536;
  limits.body_bytes = 1u << 20;
  limits.replay_bytes_total = promised_ ? 1u << 30 : one_of<uint64_t>(rng_, {20'000, 1u << 30});
  limits.waiting = one_of<uint32_t>(rng_, {2, 1000});
  limits.dns_ttl = Duration::from_ms(one_of<int64_t>(rng_, {1, 30'000}));
  return config;
}

CallPlan Scenario::draw_call() {
  CallPlan plan;
  plan.number = ++started_;
  plan.model = rng_.below(2) ? "small" : "large";
  plan.stream = rng_.below(2) == 0;
  plan.in_pieces = rng_.below(3) == 0;
  std::string text(static_cast<size_t>(rng_.below(one_of<uint64_t>(rng_, {600, 600, 600, 60'000, 600'000}))), 'p');
  std::string messages = "\"messages\":[{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"no\\\" " + text + "\"}]";
  std::string stream = plan.stream ? ",\"stream\":true" : "";
  bool last = rng_.below(3) == 0 && text.size() < 900;
  plan.before = last ? "{" + messages + stream + ", \"model\" : " : "{\"model\":";
  plan.after = last ? "\n}" : "," + messages + stream + "}";
  plan.delivery = one_of(rng_, {Delivery::bytes, Delivery::bytes, Delivery::events, Delivery::whole});
  if (!promised_ && rng_.below(5) == 0)
    plan.deadline = Duration::from_ms(1 + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(deadline_.ms()))));
  if (rng_.below(4) == 0) plan.window = one_of<uint32_t>(rng_, {1, 100, 10'000});
  plan.taking = one_of(rng_, {Taking::at_once, Taking::at_once, Taking::soon, Taking::drip, Taking::late});
  if (plan.window == 1 && plan.taking == Taking::late) plan.taking = Taking::soon;
  if (rng_.below(5) == 0) plan.cancel_after = Duration::from_us(1 + static_cast<int64_t>(rng_.below(3'000'000)));
  return plan;
}

void Scenario::turn() {
  Instant now = std::min(schedule_.next(), net_->wake());
  LB_CHECK(now != Instant::never());
  // In the order of a real turn: timers, completions, commands; what the schedule runs are I/O and commands.
  engine_->begin(std::max(now, schedule_.now()));
  schedule_.run_to(now);
  std::vector<Completion> completions;
  completions.swap(net_->completions());
  for (Completion& completion : completions) engine_->complete(completion);
  engine_->settle();
  net_->wake_at(engine_->next_wake());
  clients_->check_turn();
  turns_++;
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
  expect("connections", net_->open(), 0);
  for (const Host& host : hosts_) {
    uint32_t most = 0;
    for (const Deployment& to : engine_->config().deployments)
      if (to.name == host.name) most = to.connections_max + (to.probe > Duration::zero() ? 1 : 0);
    if (!reloads_ && host.connections_peak > most)
      verdict_.broken(host.name + " had " + std::to_string(host.connections_peak) + " connections, with at most " +
                      std::to_string(most));
  }
  clients_->check_end();
}

Outcome Scenario::run() {
  // Arrivals in bursts or spread out; then faults stop, and everything must come to an end.
  Duration spread = Duration::from_ms(one_of<int64_t>(rng_, {1, 1000, 60'000}));
  for (uint64_t i = 0; i < calls_; i++)
    schedule_.after(Duration{static_cast<int64_t>(rng_.below(static_cast<uint64_t>(spread.ns)))},
                    [this] { clients_->start(draw_call()); });
  if (reloads_)
    for (int i = 0; i < 3; i++)
      schedule_.after(Duration{static_cast<int64_t>(rng_.below(static_cast<uint64_t>(spread.ns)))},
                      [this] { engine_->configure(draw_config()); });
  schedule_.after(spread + Duration::from_s(30), [this] { net_->stop_faults(); });
  while (verdict_.fine() && (schedule_.next() != Instant::never() || net_->wake() != Instant::never())) {
    turn();
    if (turns_ > kTurnsMax) verdict_.broken("it does not come to rest");
  }
  if (verdict_.fine()) check_rest();
  if (!verdict_.fine() && log_.on) std::printf("%s\n", engine_->stats_json().c_str());
  Outcome out;
  out.broken = verdict_.text();
  out.hash = clients_->hash();
  out.calls = started_;
  out.ok = clients_->ok();
  out.failed = clients_->failed();
  out.turns = turns_;
  out.seconds = static_cast<double>(schedule_.now().ns) / 1e9;
  for (size_t i = 0; i < kFaults; i++)
    if (uint64_t n = net_->met()[i])
      out.faults +=
          std::string(out.faults.empty() ? "" : " ") + fault_name(static_cast<Fault>(i)) + "=" + std::to_string(n);
  return out;
}

}  // namespace

Outcome run(uint64_t seed, bool log) { return Scenario(seed, log).run(); }

}  // namespace lb::sim
