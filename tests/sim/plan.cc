#include "sim/plan.h"

#include <algorithm>

namespace lb::sim {

namespace {

Duration within(Rng& rng, Duration most) { return {static_cast<int64_t>(rng.below(static_cast<uint64_t>(most.ns)))}; }

class Draw {
 public:
  explicit Draw(uint64_t seed) : rng_(Rng(seed).split("scenario")), dialects_(Rng(seed).split("dialects")) {
    plan_.seed = seed;
  }
  Plan plan();

 private:
  void hosts();
  void spells(HostPlan& host);
  void policies(Route& route);
  void settings(policy::Settings& settings);
  Config config();
  void limits(Limits& limits);
  Deployment deployment(uint32_t host);
  void calls(Duration spread);
  CallPlan call();
  VisitorPlan visitor();
  void visit_pace(VisitorPlan& visitor);
  RequestPlan request(bool last_allowed);
  void calm();

  Rng rng_;
  Rng dialects_;  // Of its own, so that all else is as it was before there were several.
  Plan plan_;
  std::vector<Api> apis_;  // By host.
  uint64_t numbers_ = 0;
};

Plan Draw::plan() {
  plan_.promised = rng_.below(3) == 0;
  plan_.again = !plan_.promised && rng_.below(4) == 0;
  plan_.deadline = Duration::from_s(600);
  if (!plan_.promised) plan_.deadline = Duration::from_ms(one_of<int64_t>(rng_, {300, 3000, 30'000}));
  plan_.grain = Duration::from_us(one_of<int64_t>(rng_, {0, 0, 1000, 10'000}));
  plan_.urls_change = rng_.below(4) == 0;
  plan_.mixed = dialects_.below(3) == 0;
  uint64_t other = rng_.below(16);
  if (other < 2) plan_.kind = other == 0 ? Plan::Kind::spread : Plan::Kind::queue;
  hosts();
  plan_.configs.push_back(config());
  Duration spread = Duration::from_ms(one_of<int64_t>(rng_, {1, 1000, 60'000}));
  calls(spread);
  if (rng_.below(4) == 0)
    for (size_t i = 1; i <= 3; i++) {
      plan_.configs.push_back(config());
      plan_.reloads.push_back({within(rng_, spread), i});
    }
  plan_.calm_at = spread + Duration::from_s(30);
  if (!plan_.promised && rng_.below(10) == 0) plan_.drain_at = within(rng_, spread);
  if (plan_.kind != Plan::Kind::wild) calm();
  return std::move(plan_);
}

// Swarm: each seed leaves most faults out and draws wild odds for the rest, so that runs differ from one another.
void Draw::hosts() {
  uint32_t count = 1 + static_cast<uint32_t>(rng_.below(5));
  std::vector<double> odds(kFaults);
  for (double& value : odds)
    if (rng_.below(3) == 0) value = rng_.unit() * rng_.unit();
  odds[static_cast<size_t>(Fault::throttled)] = 0;
  // A caller's own mistake is final wherever it is found: no promise covers it.
  if (plan_.promised) odds[static_cast<size_t>(Fault::status_400)] = 0;
  for (uint32_t i = 0; i < count; i++) {
    HostPlan& host = plan_.hosts.emplace_back();
    host.name = "h" + std::to_string(i);
    host.odds = odds;
    bool perfect = plan_.promised && i == 0;
    host.fault_rate = one_of<double>(rng_, {0.0, 0.1, 0.5, 1.0});
    if (rng_.below(4) == 0) host.socket_bytes = 500 + static_cast<size_t>(rng_.below(3000));
    if (rng_.below(3) == 0) spells(host);
    if (rng_.below(6) == 0) {
      host.throttle = 1 + static_cast<uint32_t>(rng_.below(10));
      host.throttle_window = Duration::from_ms(one_of<int64_t>(rng_, {1000, 10'000, 60'000}));
    }
    apis_.push_back(plan_.mixed ? one_of(dialects_, {Api::openai, Api::anthropic, Api::gemini}) : Api::openai);
    if (!perfect) continue;
    host.fault_rate = 0;
    host.spells.clear();
    host.throttle = 0;
  }
}

void Draw::spells(HostPlan& host) {
  for (uint64_t n = 1 + rng_.below(3); n > 0; n--) {
    Spell& spell = host.spells.emplace_back();
    spell.kind = static_cast<Spell::Kind>(rng_.below(static_cast<uint64_t>(Spell::Kind::moves) + 1));
    spell.from = within(rng_, Duration::from_ms(one_of<int64_t>(rng_, {50, 2000, 60'000})));
    spell.to = spell.from + within(rng_, Duration::from_ms(one_of<int64_t>(rng_, {20, 2000, 30'000})));
  }
}

Deployment Draw::deployment(uint32_t index) {
  bool perfect = plan_.promised && index == 0;
  Deployment to;
  to.name = plan_.hosts[index].name;
  to.url.host = to.name + ".sim";
  to.url.port = 443;
  to.url.tls = plan_.urls_change ? rng_.below(2) == 0 : index % 2 == 0;
  to.url.path = "/v1";
  to.key = "key-of-" + to.name;
  to.api = apis_[index];
  for (const char* name : {"small", "large"}) {
    ModelConfig model;
    model.name = name;
    model.as = rng_.below(2) ? name : std::string(name) + "-at-" + to.name;
    if (!perfect && rng_.below(4) == 0)
      model.limits.quotas.push_back(policy::per_minute(policy::Metric::requests, 1 + rng_.below(30)));
    if (!perfect && rng_.below(6) == 0)
      model.limits.quotas.push_back(policy::per_minute(policy::Metric::tokens, 1 + rng_.below(20'000)));
    if (!perfect && rng_.below(4) == 0) model.limits.concurrency = 1 + static_cast<uint32_t>(rng_.below(3));
    to.models.push_back(std::move(model));
  }
  if (!perfect && rng_.below(8) == 0)
    to.limits.quotas.push_back(policy::per_minute(policy::Metric::requests, 1 + rng_.below(30)));
  to.weight = 1 + static_cast<double>(rng_.below(4));
  to.timeouts = {Duration::from_s(1), Duration::from_s(2), Duration::from_s(2), Duration::from_s(2)};
  to.connections_max = perfect ? 1024 : one_of<uint32_t>(rng_, {1, 2, 1024});
  to.keep_alive = Duration::from_ms(one_of<int64_t>(rng_, {50, 5000}));
  if (rng_.below(4) == 0) to.probe = Duration::from_ms(one_of<int64_t>(rng_, {20, 1000}));
  to.probe_path = "/models";
  return to;
}

// Every way to balance, to wait and to try again; whatever they are, all that callers are promised holds.
void Draw::policies(Route& route) {
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
  if (plan_.promised) return;
  plan.spill = rng_.below(3) == 0 ? policy::Spill::strict : policy::Spill::spill;
  plan.when_none = static_cast<policy::WhenNone>(rng_.below(3));
  plan.panic_share = one_of<double>(rng_, {0.0, 0.0, 0.5, 1.0});
  if (!plan_.again) return;
  route.retry.policy = rng_.below(2) ? policy::RetryPolicy::again : policy::RetryPolicy::forever;
  route.retry.backoff = Duration::from_ms(one_of<int64_t>(rng_, {50, 500}));
  route.retry.backoff_max = Duration::from_s(3);
}

void Draw::settings(policy::Settings& settings) {
  settings.bindings = one_of<uint32_t>(rng_, {0, 2, 1000});
  settings.refund_failed = rng_.below(2) == 0;
  policy::BreakerSpec& breaker = settings.health.breaker;
  breaker.errors = one_of<uint32_t>(rng_, {0, 1, 3});
  breaker.slow_start = Duration::from_ms(one_of<int64_t>(rng_, {0, 2000}));
  breaker.open = Duration::from_ms(one_of<int64_t>(rng_, {10, 5000}));
  if (rng_.below(4) == 0) breaker.slow = Duration::from_ms(200);
  if (plan_.promised) {
    // When most of many calls meet a black hole, the budget lets some fail, and so it should.
    settings.budget = {-1, 0};
    return;
  }
  for (policy::Mark& mark : settings.health.marks)
    if (rng_.below(6) == 0) mark = static_cast<policy::Mark>(rng_.below(6));
  if (rng_.below(4) == 0) settings.budget = {0.05, 0.1};
}

void Draw::limits(Limits& limits) {
  limits.head_bytes = 65536;
  limits.body_bytes = 1u << 20;
  limits.replay_bytes_total = plan_.promised ? 1u << 30 : one_of<uint64_t>(rng_, {20'000, 1u << 30});
  limits.waiting = one_of<uint32_t>(rng_, {2, 1000});
  limits.connections = one_of<uint32_t>(rng_, {2, 1000, 1000});
  limits.dns_ttl = Duration::from_ms(one_of<int64_t>(rng_, {1, 30'000}));
  limits.head_timeout = limits.body_timeout = Duration::from_s(one_of<int64_t>(rng_, {2, 30}));
  limits.idle_timeout = Duration::from_s(one_of<int64_t>(rng_, {1, 60}));
}

Config Draw::config() {
  Config config;
  for (uint32_t i = 0; i < plan_.hosts.size(); i++) config.deployments.push_back(deployment(i));
  for (const char* name : {"small", "large"}) {
    Route& route = config.routes.emplace_back();
    route.model = name;
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < plan_.hosts.size(); i++)
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(rng_.below(i + 1)), i);
    for (uint32_t i : order) {
      if (route.tiers.empty() || rng_.below(3) == 0) route.tiers.emplace_back();
      route.tiers.back().push_back(i);
    }
    route.retry.retries = plan_.promised ? 9 : static_cast<uint32_t>(rng_.below(6));
    route.deadline = plan_.deadline;
    route.wait = plan_.promised ? Duration::zero() : Duration::from_ms(one_of<int64_t>(rng_, {0, 0, 500, 20'000}));
    route.window_bytes = one_of<uint32_t>(rng_, {1, 700, 65536});
    route.hold_bytes = plan_.promised ? 1u << 20 : one_of<uint32_t>(rng_, {64, 2000, 65536});
    route.replay_bytes = plan_.promised ? 1u << 20 : one_of<uint32_t>(rng_, {1000, 1u << 20});
    if (!plan_.promised && rng_.below(6) == 0) route.commit_on = CommitOn::head;
    policies(route);
  }
  settings(config.policies);
  limits(config.limits);
  config.listen.push_back({"default", "127.0.0.1:8080"});
  return config;
}

RequestPlan Draw::request(bool short_one) {
  RequestPlan out;
  out.number = ++numbers_;
  out.model = rng_.below(2) ? "small" : "large";
  out.stream = rng_.below(2) == 0;
  uint64_t most = short_one ? 600 : one_of<uint64_t>(rng_, {600, 600, 600, 60'000, 600'000});
  std::string text(static_cast<size_t>(rng_.below(most)), 'p');
  if (plan_.mixed) out.dialect = one_of(dialects_, {Dialect::openai, Dialect::anthropic, Dialect::gemini});
  std::string messages = question(out.dialect, std::string(kPrompt) + text);
  std::string more = out.stream && out.dialect != Dialect::gemini ? ",\"stream\":true" : "";
  more += "," + output_max(out.dialect, 10 + rng_.below(90));
  bool last = rng_.below(3) == 0 && text.size() < 900;
  if (out.dialect == Dialect::gemini) {
    out.before = "{" + messages + more + (last ? "\n}" : "}");
    return out;
  }
  out.before = last ? "{" + messages + more + ", \"model\" : " : "{\"model\":";
  out.after = last ? "\n}" : "," + messages + more + "}";
  return out;
}

CallPlan Draw::call() {
  CallPlan plan;
  plan.request = request(false);
  plan.in_pieces = rng_.below(3) == 0;
  plan.length_known = rng_.below(2) == 0;
  plan.delivery = one_of(rng_, {Delivery::bytes, Delivery::bytes, Delivery::events, Delivery::whole});
  if (!plan_.promised && rng_.below(5) == 0)
    plan.deadline = Duration::from_ms(1 + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(plan_.deadline.ms()))));
  if (rng_.below(4) == 0) plan.window = one_of<uint32_t>(rng_, {1, 100, 10'000});
  plan.taking = one_of(rng_, {Taking::at_once, Taking::at_once, Taking::soon, Taking::drip, Taking::late});
  if (plan.window == 1 && plan.taking == Taking::late) plan.taking = Taking::soon;
  if (rng_.below(5) == 0) plan.cancel_after = Duration::from_us(1 + static_cast<int64_t>(rng_.below(3'000'000)));
  return plan;
}

// How it sends and takes: mostly as clients do, at times a byte after the other, at times too slowly for lb.
void Draw::visit_pace(VisitorPlan& visitor) {
  switch (rng_.below(6)) {
    case 0:
      visitor.send_most = 1;
      visitor.send_gap = Duration::from_us(100);
      break;
    case 1:
      visitor.send_most = 1 + rng_.below(400);
      visitor.send_gap = Duration::from_ms(2);
      break;
    case 2:
      visitor.lags = true;
      visitor.send_most = 30;
      visitor.send_gap = Duration::from_ms(one_of<int64_t>(rng_, {100, 1500, 5000}));
      break;
    default:
      break;
  }
  // Heads are longer in other dialects, and the time for them is the same.
  if (plan_.mixed) visitor.send_most = std::max<size_t>(visitor.send_most, 2);
  switch (rng_.below(6)) {
    case 0:
      visitor.take_most = 300 + rng_.below(4000);
      visitor.take_gap = Duration::from_ms(5);
      break;
    case 1:
      visitor.lags = true;
      visitor.take_most = 500 + rng_.below(20'000);
      visitor.take_gap = Duration::from_ms(one_of<int64_t>(rng_, {100, 2500, 40'000}));
      break;
    default:
      break;
  }
  visitor.buffer = one_of<size_t>(rng_, {300, 2000, 1 << 16, 1 << 16});
}

VisitorPlan Draw::visitor() {
  VisitorPlan plan;
  bool several = rng_.below(2) == 0;
  plan.pipelines = several && rng_.below(2) == 0;
  plan.old = rng_.below(12) == 0;
  plan.lingers = rng_.below(3) == 0;
  visit_pace(plan);
  for (uint64_t n = several ? 1 + rng_.below(5) : 1; n > 0; n--) {
    VisitPlan& visit = plan.visits.emplace_back();
    visit.kind = rng_.below(6) ? VisitPlan::Kind::chat : static_cast<VisitPlan::Kind>(1 + rng_.below(3));
    bool slow = plan.send_most < 1000;
    if (visit.kind == VisitPlan::Kind::chat) visit.request = request(slow);
    visit.chunked = !plan.old && rng_.below(3) == 0;
    visit.expects = !plan.old && rng_.below(6) == 0;
    visit.pause = Duration::from_ms(1 + static_cast<int64_t>(rng_.below(one_of<uint64_t>(rng_, {20, 3000}))));
  }
  if (rng_.below(4) == 0) {
    plan.leaves = rng_.below(2) ? VisitorPlan::Leaves::ends : VisitorPlan::Leaves::resets;
    plan.leaves_after = within(rng_, Duration::from_ms(one_of<int64_t>(rng_, {5, 300, 5000})));
  }
  return plan;
}

void Draw::calls(Duration spread) {
  bool direct = rng_.below(4) != 0, over_http = !direct || rng_.below(2) == 0;
  // What is learnt from calls, such as when to hedge one, shows only after many.
  uint64_t many = rng_.below(8) == 0 ? 200 : 0;
  if (direct)
    for (uint64_t n = 1 + many + rng_.below(over_http ? 30 : 60); n > 0; n--) plan_.calls.push_back(call());
  if (over_http)
    for (uint64_t n = 1 + rng_.below(direct ? 10 : 25); n > 0; n--) plan_.visitors.push_back(visitor());
  for (CallPlan& plan : plan_.calls) plan.at = within(rng_, spread);
  for (VisitorPlan& plan : plan_.visitors) plan.at = within(rng_, spread);
}

// Nothing goes wrong, so that it can be seen who gets how much.
void Draw::calm() {
  bool queue = plan_.kind == Plan::Kind::queue;
  plan_.promised = plan_.again = false;
  plan_.deadline = Duration::from_s(3600);
  plan_.reloads.clear();
  plan_.configs.resize(1);
  plan_.visitors.clear();
  plan_.drain_at = Duration::zero();
  if (queue) plan_.hosts.resize(1);
  for (HostPlan& host : plan_.hosts) host = HostPlan{.name = host.name, .odds = host.odds};
  Config& config = plan_.configs[0];
  config.deployments.resize(plan_.hosts.size());
  for (Deployment& to : config.deployments) {
    to.connections_max = 1024;
    to.limits = {};
    for (ModelConfig& model : to.models) {
      model.limits = {};
      if (queue) model.limits.concurrency = 1;
    }
  }
  config.limits.waiting = 1000;
  config.policies = {};
  config.limits.replay_bytes_total = 1u << 30;
  for (Route& route : config.routes) {
    route.deadline = plan_.deadline;
    route.wait = queue ? Duration::from_s(3600) : Duration::zero();
    route.replay_bytes = 1u << 20;
    route.plan = {};
    route.retry = {};
    route.plan.balance = policy::Balance::round_robin;
    route.tiers.assign(1, {});
    for (uint32_t i = 0; i < plan_.hosts.size(); i++) route.tiers[0].push_back(i);
  }
  while (plan_.calls.size() < 30) plan_.calls.push_back(call());
  // All of one size: of a thousand tokens, which is what the queue gives in one visit.
  for (CallPlan& call : plan_.calls) {
    call.caller = rng_.below(3) ? "often" : "seldom";
    if (queue) call.request.model = "small";  // Shares are of all models together.
    call.in_pieces = false;
    call.deadline = call.cancel_after = Duration::zero();
    call.taking = Taking::at_once;
    call.at = within(rng_, Duration::from_us(50));
    size_t text = call.request.before.find("no\\\" ") != std::string::npos ? 1 : 0;
    std::string& part = text ? call.request.before : call.request.after;
    size_t from = part.find("no\\\" ") + 5;
    part.replace(from, part.find("\"}]") - from, std::string(3988, 'p'));
  }
}

}  // namespace

size_t Plan::requests() const {
  size_t n = calls.size();
  for (const VisitorPlan& visitor : visitors) n += visitor.visits.size();
  return n;
}

Plan draw_plan(uint64_t seed) { return Draw(seed).plan(); }

bool independent(const Plan& plan) {
  for (const Config& config : plan.configs) {
    if (config.limits.replay_bytes_total < 1u << 30) return false;
    if (config.limits.connections < plan.visitors.size()) return false;
    for (const Route& route : config.routes)
      if (route.wait > Duration::zero()) return false;
  }
  for (const VisitorPlan& visitor : plan.visitors)
    if (visitor.visits.size() > 1) return false;
  return true;
}

}  // namespace lb::sim
