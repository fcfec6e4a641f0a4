#include "engine/trace.h"

#include <cmath>

#include "wire/json.h"

namespace lb {

namespace {

using policy::Considered;

std::string_view by_name(policy::Decision::By by) {
  switch (by) {
    case policy::Decision::By::balance: return "balance";
    case policy::Decision::By::affinity: return "affinity";
    case policy::Decision::By::sticky: return "sticky";
    case policy::Decision::By::panic: return "panic";
    case policy::Decision::By::best_effort: return "best_effort";
    case policy::Decision::By::caller: return "caller";
    case policy::Decision::By::hedge: return "hedge";
  }
  return "";
}

std::string_view outage_name(policy::Outage outage) {
  switch (outage) {
    case policy::Outage::none: return "out";
    case policy::Outage::fault: return "fault";
    case policy::Outage::told: return "cooling";
    case policy::Outage::key: return "key";
    case policy::Outage::manual: return "manual";
  }
  return "";
}

double rounded(double value) { return std::round(value * 1000) / 1000; }

void write_candidate(JsonWriter& json, const Fleet& fleet, const Considered& c, Instant now) {
  const Target& target = fleet.target(c.target);
  json.begin_object().key("deployment").value(fleet.upstream(target.upstream).deployment->name);
  json.key("tier").value(uint64_t{c.tier});
  Instant until = now;
  switch (c.obstacle) {
    case Considered::Obstacle::none: json.key("load").value(rounded(c.load)); break;
    case Considered::Obstacle::tried: json.key("not").value("tried"); break;
    case Considered::Obstacle::out:
      json.key("not").value(outage_name(c.facts.outage));
      until = c.facts.open_at;
      break;
    case Considered::Obstacle::probing: json.key("not").value("probing"); break;
    case Considered::Obstacle::full: json.key("not").value("full"); break;
    case Considered::Obstacle::limited:
      json.key("not").value("limited");
      until = c.frees_at;
      break;
  }
  if (until > now && until < Instant::never()) json.key("for_ms").value((until - now).ms_ceil());
  json.end_object();
}

}  // namespace

std::string print_decision(const Fleet& fleet, const World& world, size_t route, const policy::Ask& ask,
                           const policy::Decision& decision, Instant now) {
  using Kind = policy::Decision::Kind;
  JsonWriter json;
  json.begin_object().key("route").value(world.config->routes[route].model);
  if (decision.kind == Kind::send)
    json.key("to").value(fleet.upstream(fleet.target(decision.target).upstream).deployment->name);
  else if (decision.kind == Kind::reject)
    json.key("to").value(decision.why == Status::LIMITED ? "none: it is larger than the limits"
                                                         : "none: all have been tried");
  else if (decision.wait_until < Instant::never())
    json.key("wait_ms").value((decision.wait_until - now).ms_ceil());
  else
    json.key("wait_ms").value("until a call ends");
  json.key("by").value(by_name(decision.by));
  json.key("candidates").begin_array();
  for (const Considered& c : fleet.balancer().explain(world.plans[route], ask, now, kTraceCandidates))
    write_candidate(json, fleet, c, now);
  json.end_array();
  size_t all = 0;
  for (const policy::Tier& tier : world.plans[route].tiers) all += tier.targets.size();
  if (all > kTraceCandidates) json.key("more").value(uint64_t{all - kTraceCandidates});
  return json.end_object().take();
}

}  // namespace lb
