#include <algorithm>

#include "sim/plan.h"

namespace lb::sim {

namespace {

std::string ms(Duration duration) {
  std::string us = std::to_string(duration.ns / 1000 % 1000);
  return std::to_string(duration.ms()) + "." + std::string(3 - us.size(), '0') + us + " ms";
}

std::string request_text(const RequestPlan& request) {
  bool other = request.dialect != Dialect::openai;
  return "call " + std::to_string(request.number) + ": " + request.model + (request.stream ? ", streamed" : "") +
         (other ? std::string(", in the words of ") + dialect_name(request.dialect) : "") + ", " +
         std::to_string(request.body().size()) + " bytes";
}

std::string host_text(const HostPlan& host) {
  std::string out = host.name + ": ";
  if (host.fault_rate > 0) {
    out += std::to_string(static_cast<int>(host.fault_rate * 100)) + " % of requests meet one of";
    for (size_t i = 0; i < host.odds.size(); i++)
      if (host.odds[i] > 0) out += " " + std::string(fault_name(static_cast<Fault>(i)));
    out += "; ";
  }
  static constexpr const char* kKinds[] = {"fails", "refuses", "is silent", "restarts", "moves"};
  for (const Spell& spell : host.spells)
    out += std::string(kKinds[static_cast<size_t>(spell.kind)]) + " from " + ms(spell.from) + " to " + ms(spell.to) +
           "; ";
  if (host.throttle > 0)
    out += "takes " + std::to_string(host.throttle) + " in " + ms(host.throttle_window) + "; ";
  if (host.socket_bytes < 1 << 20) out += "its socket takes " + std::to_string(host.socket_bytes) + " bytes; ";
  return out.ends_with("; ") ? out.substr(0, out.size() - 2) : out + "in good health";
}

std::string model_text(const Deployment& to) {
  std::string out;
  if (to.api != Api::openai) out += std::string(", speaks ") + dialect_name(dialect_of(to.api));
  for (const ModelConfig& model : to.models) {
    if (model.limits.concurrency)
      out += ", " + std::to_string(model.limits.concurrency) + " " + model.name + " at a time";
    for (const policy::QuotaSpec& quota : model.limits.quotas)
      out += ", " + std::to_string(quota.limit) + (quota.metric == policy::Metric::requests ? " requests" : " tokens") +
             " of " + model.name + " a minute";
  }
  if (to.connections_max < 1024) out += ", connections " + std::to_string(to.connections_max);
  if (to.probe > Duration::zero()) out += ", probed every " + ms(to.probe);
  return out;
}

std::string config_text(const Config& config) {
  std::string out;
  for (const Route& route : config.routes) {
    out += "  route " + route.model + ":";
    for (const auto& tier : route.tiers) {
      out += " [";
      for (uint32_t i : tier) out += (out.ends_with("[") ? "" : " ") + config.deployments[i].name;
      out += "]";
    }
    static constexpr const char* kBalances[] = {"p2c",        "p2c_tokens",  "peak_ewma", "least_active", "random",
                                                "round_robin", "top_k",       "max_headroom", "host"};
    out += ", " + std::string(kBalances[static_cast<size_t>(route.plan.balance)]) + ", retries " +
           std::to_string(route.retry.retries) + ", wait " + ms(route.wait) + ", window " +
           std::to_string(route.window_bytes) + ", hold " + std::to_string(route.hold_bytes) + ", replay " +
           std::to_string(route.replay_bytes);
    out += route.commit_on == CommitOn::head ? ", commits on the head\n" : "\n";
  }
  for (const Deployment& to : config.deployments)
    if (std::string text = model_text(to); !text.empty())
      out += "  deployment " + to.name + ": " + text.substr(2) + "\n";
  return out;
}

std::string call_text(const CallPlan& call) {
  std::string out = "  at " + ms(call.at) + " " + request_text(call.request);
  static constexpr const char* kDeliveries[] = {"", ", by events", ", whole"};
  static constexpr const char* kTakings[] = {"", ", takes soon", ", takes in drips", ", takes late"};
  out += kDeliveries[static_cast<size_t>(call.delivery)];
  out += kTakings[static_cast<size_t>(call.taking)];
  if (!call.caller.empty()) out += ", of caller " + call.caller;
  if (call.in_pieces) out += ", in pieces";
  if (call.window) out += ", window " + std::to_string(call.window);
  if (call.deadline > Duration::zero()) out += ", deadline " + ms(call.deadline);
  if (call.cancel_after > Duration::zero()) out += ", cancelled after " + ms(call.cancel_after);
  return out + "\n";
}

std::string visitor_text(const VisitorPlan& visitor) {
  std::string out = "  at " + ms(visitor.at) + " a client of HTTP/1." + (visitor.old ? "0" : "1");
  if (visitor.pipelines) out += ", pipelines";
  if (visitor.lingers) out += ", does not close";
  if (visitor.send_most < SIZE_MAX)
    out += ", sends " + std::to_string(visitor.send_most) + " bytes every " + ms(visitor.send_gap);
  if (visitor.take_most < SIZE_MAX)
    out += ", takes " + std::to_string(visitor.take_most) + " bytes at a time";
  if (visitor.take_gap > Duration::zero()) out += ", takes what there is after " + ms(visitor.take_gap);
  if (visitor.buffer < 1 << 16) out += ", sockets of " + std::to_string(visitor.buffer) + " bytes";
  if (visitor.leaves != VisitorPlan::Leaves::never)
    out += (visitor.leaves == VisitorPlan::Leaves::resets ? ", resets after " : ", ends after ") +
           ms(visitor.leaves_after);
  out += "\n";
  static constexpr const char* kKinds[] = {"", "GET /v1/models", "HEAD /healthz", "POST /v1/nowhere"};
  for (const VisitPlan& visit : visitor.visits)
    out += "    " + (visit.kind == VisitPlan::Kind::chat ? request_text(visit.request)
                                                         : std::string(kKinds[static_cast<size_t>(visit.kind)])) +
           (visit.chunked ? ", chunked" : "") + (visit.expects ? ", expects 100" : "") + "\n";
  return out;
}

}  // namespace

std::string print_plan(const Plan& plan) {
  std::string out = "hosts:\n";
  for (const HostPlan& host : plan.hosts) out += "  " + host_text(host) + "\n";
  out += "configuration:\n" + config_text(plan.configs[0]);
  for (const Reload& reload : plan.reloads)
    out += "reload at " + ms(reload.at) + ":\n" + config_text(plan.configs[reload.config]);
  if (!plan.calls.empty()) out += "calls:\n";
  for (const CallPlan& call : plan.calls) out += call_text(call);
  if (!plan.visitors.empty()) out += "clients:\n";
  for (const VisitorPlan& visitor : plan.visitors) out += visitor_text(visitor);
  if (plan.grain > Duration::zero()) out += "things happen every " + ms(plan.grain) + "\n";
  if (plan.drain_at > Duration::zero()) out += "the engine closes at " + ms(plan.drain_at) + "\n";
  return out;
}

}  // namespace lb::sim
