#include "sim/shrink.h"

#include <algorithm>

namespace lb::sim {

namespace {

// What kind of thing broke: its words, without numbers and what stands in parentheses.
std::string kind_of(const std::string& broken) {
  std::string out;
  int depth = 0;
  for (char c : broken.substr(0, broken.find('\n'))) {
    depth += c == '(';
    if (depth == 0 && !(c >= '0' && c <= '9')) out += c;
    depth -= c == ')';
  }
  // Which door it was, and how many requests a client has, is not what broke.
  if (size_t end = out.find(": "); out.starts_with("client") && end != out.npos) out.erase(0, end + 2);
  return out;
}

class Shrinker {
 public:
  Shrinker(const Plan& plan, const Breaks& breaks, int runs_max)
      : best_{plan, breaks(plan), 1}, breaks_(breaks), runs_max_(runs_max), kind_(kind_of(best_.broken)) {}
  Shrunk run();

 private:
  // Keeps what `change` makes of the best plan so far if the same thing still breaks.
  template <typename F>
  bool attempt(F change);
  template <typename T>
  void fewer(std::vector<T> Plan::*list);
  void fewer_visits();
  void fewer_faults();
  void fewer_hosts();
  void simpler_calls();
  void simpler_visitors();
  void simpler_settings();
  void simpler_route(size_t index);

  Shrunk best_;
  const Breaks& breaks_;
  const int runs_max_;
  const std::string kind_;
  bool progress_ = false;
};

template <typename F>
bool Shrinker::attempt(F change) {
  if (best_.runs >= runs_max_) return false;
  Plan plan = best_.plan;
  if (!change(plan)) return false;
  best_.runs++;
  std::string broken = breaks_(plan);
  if (broken.empty() || kind_of(broken) != kind_) return false;
  best_.plan = std::move(plan);
  best_.broken = std::move(broken);
  progress_ = true;
  return true;
}

// Delta debugging (Zeller): halves, then quarters, and so on, down to single ones.
template <typename T>
void Shrinker::fewer(std::vector<T> Plan::*list) {
  for (size_t part = (best_.plan.*list).size(); part > 0; part /= 2) {
    for (size_t from = 0; from < (best_.plan.*list).size();) {
      bool gone = attempt([&](Plan& plan) {
        auto begin = (plan.*list).begin() + static_cast<std::ptrdiff_t>(from);
        size_t n = std::min(part, (plan.*list).size() - from);
        (plan.*list).erase(begin, begin + static_cast<std::ptrdiff_t>(n));
        return true;
      });
      if (!gone) from += part;
    }
  }
}

void Shrinker::fewer_visits() {
  for (size_t i = 0; i < best_.plan.visitors.size(); i++)
    for (size_t j = best_.plan.visitors[i].visits.size(); j-- > 0;)
      attempt([&](Plan& plan) {
        std::vector<VisitPlan>& visits = plan.visitors[i].visits;
        if (visits.size() < 2) return false;
        visits.erase(visits.begin() + static_cast<std::ptrdiff_t>(j));
        return true;
      });
}

void Shrinker::fewer_faults() {
  for (size_t fault = 0; fault < kFaults; fault++)
    attempt([&](Plan& plan) {
      bool any = false;
      for (HostPlan& host : plan.hosts) any |= host.fault_rate > 0 && std::exchange(host.odds[fault], 0) > 0;
      return any;
    });
  for (size_t i = 0; i < best_.plan.hosts.size(); i++) {
    attempt([&](Plan& plan) { return std::exchange(plan.hosts[i].fault_rate, 0) > 0; });
    attempt([&](Plan& plan) { return std::exchange(plan.hosts[i].throttle, 0) > 0; });
    attempt([&](Plan& plan) { return std::exchange(plan.hosts[i].socket_bytes, 1 << 20) != 1 << 20; });
    for (size_t j = best_.plan.hosts[i].spells.size(); j-- > 0;)
      attempt([&](Plan& plan) {
        std::vector<Spell>& spells = plan.hosts[i].spells;
        spells.erase(spells.begin() + static_cast<std::ptrdiff_t>(j));
        return true;
      });
  }
}

// A host is taken out of all routes; the last ones, once they are in none, go altogether.
void Shrinker::fewer_hosts() {
  for (auto host = static_cast<uint32_t>(best_.plan.hosts.size()); host-- > 0;)
    attempt([&](Plan& plan) {
      bool any = false;
      for (Config& config : plan.configs)
        for (Route& route : config.routes) {
          for (auto& tier : route.tiers) any |= std::erase(tier, host) > 0;
          std::erase_if(route.tiers, [](const auto& tier) { return tier.empty(); });
          if (route.tiers.empty()) return false;
        }
      if (host == 0) plan.promised = false;
      if (host + 1 == plan.hosts.size()) {
        plan.hosts.pop_back();
        for (Config& config : plan.configs) config.deployments.pop_back();
        any = true;
      }
      return any;
    });
}

void Shrinker::simpler_calls() {
  for (size_t i = 0; i < best_.plan.calls.size(); i++) {
    auto set = [&](auto CallPlan::*member, auto value) {
      attempt([&](Plan& plan) { return std::exchange(plan.calls[i].*member, value) != value; });
    };
    set(&CallPlan::cancel_after, Duration::zero());
    set(&CallPlan::deadline, Duration::zero());
    set(&CallPlan::taking, Taking::at_once);
    set(&CallPlan::delivery, Delivery::bytes);
    set(&CallPlan::in_pieces, false);
    set(&CallPlan::window, 0u);
    set(&CallPlan::at, Duration::zero());
  }
}

void Shrinker::simpler_visitors() {
  for (size_t i = 0; i < best_.plan.visitors.size(); i++) {
    auto set = [&](auto VisitorPlan::*member, auto value) {
      attempt([&](Plan& plan) { return std::exchange(plan.visitors[i].*member, value) != value; });
    };
    set(&VisitorPlan::leaves, VisitorPlan::Leaves::never);
    set(&VisitorPlan::send_most, SIZE_MAX);
    set(&VisitorPlan::take_most, SIZE_MAX);
    set(&VisitorPlan::take_gap, Duration::zero());
    set(&VisitorPlan::buffer, size_t{1} << 16);
    set(&VisitorPlan::pipelines, false);
    set(&VisitorPlan::lingers, false);
    set(&VisitorPlan::old, false);
    set(&VisitorPlan::at, Duration::zero());
    for (size_t j = 0; j < best_.plan.visitors[i].visits.size(); j++) {
      attempt([&](Plan& plan) { return std::exchange(plan.visitors[i].visits[j].chunked, false); });
      attempt([&](Plan& plan) { return std::exchange(plan.visitors[i].visits[j].expects, false); });
    }
  }
}

void Shrinker::simpler_route(size_t index) {
  auto each = [&](auto change) {
    attempt([&](Plan& plan) {
      bool any = false;
      for (Config& config : plan.configs) any |= change(config.routes[index]);
      return any;
    });
  };
  each([](Route& r) { return std::exchange(r.plan.balance, policy::Balance::p2c) != policy::Balance::p2c; });
  each([](Route& r) { return std::exchange(r.plan.affinity, Duration()) > Duration(); });
  each([](Route& r) { return std::exchange(r.plan.sticky, Duration()) > Duration(); });
  each([](Route& r) { return std::exchange(r.wait, Duration()) > Duration(); });
  each([](Route& r) { return std::exchange(r.window_bytes, 65536) != 65536; });
  each([](Route& r) { return std::exchange(r.hold_bytes, 65536) != 65536; });
  each([](Route& r) { return std::exchange(r.replay_bytes, 1 << 20) != 1 << 20; });
  each([](Route& r) { return std::exchange(r.commit_on, CommitOn::content) != CommitOn::content; });
  each([](Route& r) { return std::exchange(r.retry.retries, 0) != 0; });
}

void Shrinker::simpler_settings() {
  attempt([](Plan& plan) { return std::exchange(plan.drain_at, Duration()) > Duration(); });
  attempt([](Plan& plan) { return std::exchange(plan.grain, Duration()) > Duration(); });
  auto each = [&](auto change) {
    attempt([&](Plan& plan) {
      bool any = false;
      for (Config& config : plan.configs)
        for (Deployment& to : config.deployments) any |= change(to);
      return any;
    });
  };
  each([](Deployment& to) { return std::exchange(to.probe, Duration()) > Duration(); });
  each([](Deployment& to) { return std::exchange(to.connections_max, 1024) != 1024; });
  each([](Deployment& to) { return !std::exchange(to.limits.quotas, {}).empty(); });
  for (size_t model : {0, 1}) {
    each([&](Deployment& to) { return !std::exchange(to.models[model].limits.quotas, {}).empty(); });
    each([&](Deployment& to) { return std::exchange(to.models[model].limits.concurrency, 0) != 0; });
    simpler_route(model);
  }
}

Shrunk Shrinker::run() {
  if (best_.broken.empty()) return std::move(best_);
  do {
    progress_ = false;
    fewer(&Plan::calls);
    fewer(&Plan::visitors);
    fewer(&Plan::reloads);
    fewer_visits();
    fewer_hosts();
    fewer_faults();
    simpler_settings();
    simpler_calls();
    simpler_visitors();
  } while (progress_ && best_.runs < runs_max_);
  return std::move(best_);
}

}  // namespace

Shrunk shrink(const Plan& plan, const Breaks& breaks, int runs_max) { return Shrinker(plan, breaks, runs_max).run(); }

}  // namespace lb::sim
