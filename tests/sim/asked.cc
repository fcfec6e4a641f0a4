#include "sim/asked.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace lb::sim {

namespace {

constexpr Duration kMinute = Duration::from_s(60);
// A limit counts what is dispatched; it arrives when its connection is up (connect_ms is 1 s in every scenario) and the
// head has gone through a small socket.
constexpr Duration kUnderWay = Duration::from_s(2);
// Deficit round robin lets a caller be ahead by a visit and a call (policy/admit.h); the calls are as large as a visit.
constexpr int kAhead = 3;

const ModelConfig* find(const Config& config, uint32_t host, const std::string& model) {
  return host < config.deployments.size() ? config.deployments[host].find_model(model) : nullptr;
}

// In other words the same: the model, a stream or none, the text, and the limit.
bool asks_same(Dialect dialect, const std::string& body, const std::string& model, const RequestPlan& plan) {
  bool named = body.find("\"model\":\"" + model + "\"") != std::string::npos;
  bool streams = body.find("\"stream\":true") != std::string::npos;
  bool in_path = dialect == Dialect::gemini;
  if (named == in_path || streams != (plan.stream && !in_path)) return false;
  std::string asked = plan.body();
  return asked_size(body, kPrompt) == asked_size(asked, kPrompt) && asked_max(body) == asked_max(asked);
}

}  // namespace

void Asked::wrong(uint64_t call, const std::string& what) {
  verdict_.broken("call " + std::to_string(call) + " (" + requests_[call].plan->model + "): " + what);
}

void Asked::begin(const RequestPlan& request, const std::string& caller, bool at_once) {
  Request& out = requests_[request.number];
  out.plan = &request;
  out.caller = caller;
  out.at_once = at_once;
}

void Asked::head(uint64_t call) { requests_[call].head = true; }
void Asked::done(uint64_t call) { requests_[call].done = true; }

void Asked::on_request_head(uint64_t call, const Seen& seen) {
  auto place = requests_.find(call);
  if (place == requests_.end()) return verdict_.broken("a request of an unknown call");
  Request& request = place->second;
  if (request.head) wrong(call, "a request went upstream after the head was delivered");
  if (request.done) wrong(call, "a request went upstream after done");
  if (request.asked.empty()) order_.push_back(call);
  if (!request.asked.empty() && !request.asked.contains(seen.host)) {
    bool beside = net_->serving_many(call) > 1;
    (beside ? hedges_ : retries_)++;
    check_retries();
  }
  // A second time is right only after a kept-alive connection died before it said anything, and only once.
  uint32_t times = ++request.asked[seen.host];
  if (!plan_.again && (times > 2 || (times == 2 && net_->heard(call, seen.host))))
    wrong(call, "host " + std::to_string(seen.host) + " was tried again");
  check_places(seen, request.plan->model);
  came_[{seen.host, request.plan->model}].push_back({schedule_.now(), call, 0});
}

// Never more calls at a time than there are places.
void Asked::check_places(const Seen& seen, const std::string& model) {
  if (plan_.urls_change && !plan_.reloads.empty()) return;
  uint32_t places = 0;
  for (const Config& config : plan_.configs) {
    const ModelConfig* found = find(config, seen.host, model);
    if (!found || found->limits.concurrency == 0) return;
    places = std::max(places, found->limits.concurrency);
  }
  if (best_effort(model)) return;
  uint32_t open = 0;  // With this one.
  net_->each_serving(seen.host, [&](uint64_t call) {
    auto found = requests_.find(call);
    open += found != requests_.end() && found->second.plan->model == model;
  });
  if (open > places)
    verdict_.broken("host " + std::to_string(seen.host) + " has " + std::to_string(open) + " calls of \"" + model +
                    "\" at a time, with " + std::to_string(places) + " places");
}

bool Asked::best_effort(const std::string& model) const {
  return std::any_of(plan_.configs.begin(), plan_.configs.end(), [&](const Config& config) {
    const Route* route = config.find_route(model);
    return route && route->plan.when_none == policy::WhenNone::best_effort;
  });
}

// What calls have earned and what time has given, with all that could ever be saved up. Hedges have a share of their
// own.
void Asked::check_retries() {
  double ratio = 0, floor = 0, share = 0;
  bool bounded = true;
  for (const Config& config : plan_.configs) {
    bounded = bounded && config.policies.budget.ratio >= 0;
    ratio = std::max(ratio, config.policies.budget.ratio);
    floor = std::max(floor, config.policies.budget.floor_per_s);
    for (const Route& route : config.routes)
      if (route.plan.hedge.on()) share = std::max(share, route.plan.hedge.share);
  }
  auto calls = static_cast<double>(requests_.size());
  if (static_cast<double>(hedges_) > share * calls)
    verdict_.broken(std::to_string(hedges_) + " hedges of " + std::to_string(requests_.size()) + " calls");
  if (!bounded) return;
  double passed_s = static_cast<double>((schedule_.now() - started_ + policy::RetryBudget::kMemory).ns) * 1e-9;
  double most = (ratio + share) * calls + floor * passed_s + 1;
  if (static_cast<double>(retries_) > most)
    verdict_.broken(std::to_string(retries_) + " retries, with a budget of " + std::to_string(most));
}

void Asked::on_request(const Seen& seen) {
  uint64_t call = parse_u64(seen.head.get("x-sim-call")).value_or(0);
  auto place = requests_.find(call);
  if (place == requests_.end()) return;
  const RequestPlan& plan = *place->second.plan;
  check_fields(call, plan, seen);
  Dialect to = dialect_of(plan_.configs[0].deployments[seen.host].api);
  for (const Config& config : plan_.configs) {
    const ModelConfig* model = find(config, seen.host, plan.model);
    if (!model || seen.head.target != upstream_target(to, model->as, plan.stream)) continue;
    if (to == plan.dialect && seen.body == plan.body_for(model->as)) return;
    if (to != plan.dialect && asks_same(to, seen.body, model->as, plan)) return;
  }
  wrong(call, "host " + std::to_string(seen.host) + " got another body than the caller sent");
}

// Credentials stay where they belong, and what only one provider knows.
void Asked::check_fields(uint64_t call, const RequestPlan& plan, const Seen& seen) {
  for (const char* name : {"x-lb-route", "x-lb-caller", "expect"})
    if (seen.head.find(name)) wrong(call, std::string(name) + " went upstream");
  Dialect to = dialect_of(plan_.configs[0].deployments[seen.host].api);
  Field key = key_field(to, "key-of-h" + std::to_string(seen.host));
  if (seen.head.get(key.name) != key.value)
    wrong(call, "host " + std::to_string(seen.host) + " got the " + key.name + " \"" +
                    std::string(seen.head.get(key.name)) + "\"");
  for (const Field& field : caller_fields(plan.dialect)) {
    if (field.name == key.name) continue;
    bool secret = field.value.find("of-the-caller") != std::string::npos;
    bool wanted = !secret && to == plan.dialect;
    if ((seen.head.find(field.name) != nullptr) != wanted)
      wrong(call, "the caller's " + field.name + (wanted ? " did not go to " : " went to ") + dialect_name(to));
  }
}

void Asked::on_answered(uint64_t call, uint32_t host, uint64_t tokens) {
  auto place = requests_.find(call);
  if (place == requests_.end() || !place->second.at_once) return;
  std::deque<Came>& all = came_[{host, place->second.plan->model}];
  auto found = std::find_if(all.rbegin(), all.rend(), [&](const Came& came) { return came.call == call; });
  if (found != all.rend()) found->tokens = tokens;
}

// In no minute more requests, and more tokens where they are known beforehand, than the largest limit in force.
void Asked::check_limits() {
  if (plan_.urls_change && !plan_.reloads.empty()) return;
  for (const auto& [place, all] : came_) {
    const auto& [host, name] = place;
    if (best_effort(name)) continue;
    uint64_t requests = 0, tokens = 0;
    for (const Config& config : plan_.configs) {
      const ModelConfig* model = find(config, host, name);
      uint64_t these[2] = {UINT64_MAX, UINT64_MAX};
      for (const policy::QuotaSpec& quota : model ? model->limits.quotas : std::vector<policy::QuotaSpec>())
        these[quota.metric != policy::Metric::requests] = quota.limit;
      if (config.find_route(name)->plan.estimate != policy::Estimate::allowed) these[1] = UINT64_MAX;
      requests = std::max(requests, these[0]);
      tokens = std::max(tokens, these[1]);
    }
    Fullest most = fullest(all, kMinute - kUnderWay);
    if (most.requests <= requests && most.tokens <= tokens) continue;
    verdict_.broken("host " + std::to_string(host) + " got " + std::to_string(most.requests) + " requests and " +
                    std::to_string(most.tokens) + " tokens of \"" + name + "\" in a minute, with limits of " +
                    std::to_string(requests) + " and " + std::to_string(tokens));
  }
}

// One place, and calls of two callers that are all there from the start: each caller's in their order, and none of the
// two far ahead while both have calls waiting.
void Asked::check_turns() {
  std::map<std::string, Duration> before;  // When the last one that was served had started.
  std::map<std::string, int> all, served;
  for (const CallPlan& call : plan_.calls) all[call.caller]++;
  for (uint64_t number : order_) {
    const std::string& caller = requests_[number].caller;
    auto call = std::find_if(plan_.calls.begin(), plan_.calls.end(),
                             [&](const CallPlan& plan) { return plan.request.number == number; });
    if (call->at < before[caller] && plan_.grain == Duration::zero())
      wrong(number, "it came before one that went first");
    before[caller] = call->at;
    served[caller]++;
    int ahead = std::abs(served["often"] - served["seldom"]);
    if (served["often"] < all["often"] && served["seldom"] < all["seldom"] && ahead > kAhead)
      verdict_.broken("one of two callers is " + std::to_string(ahead) + " calls ahead");
  }
}

// Smooth round robin by weight: at any time no target is further from its share than there are targets.
void Asked::check_spread() {
  const Config& config = plan_.configs[0];
  double weights = 0;
  for (const Deployment& to : config.deployments) weights += to.weight;
  for (const char* model : {"small", "large"}) {
    std::map<uint32_t, double> sent;
    double all = 0;
    for (uint64_t number : order_) {
      const Request& request = requests_[number];
      if (request.plan->model != model) continue;
      sent[request.asked.begin()->first]++;
      all++;
    }
    for (uint32_t host = 0; host < config.deployments.size(); host++) {
      double share = all * config.deployments[host].weight / weights;
      if (std::abs(sent[host] - share) > static_cast<double>(config.deployments.size()))
        verdict_.broken("host " + std::to_string(host) + " got " + std::to_string(sent[host]) + " calls of \"" + model +
                        "\"; its share is " + std::to_string(share));
    }
  }
}

void Asked::check_end(bool calm) {
  check_limits();
  if (!calm) return;
  if (plan_.kind == Plan::Kind::queue) check_turns();
  if (plan_.kind == Plan::Kind::spread) check_spread();
}

}  // namespace lb::sim
