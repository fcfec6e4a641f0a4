#include "engine/trace.h"

#include <algorithm>
#include <cmath>

#include "engine/judgement.h"
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

// An error message has room for so many.
constexpr size_t kObstacles = 4;

std::string_view obstacle_words(const Considered& c, const Target& target) {
  switch (c.obstacle) {
    case Considered::Obstacle::none: return "could not be used";
    case Considered::Obstacle::tried: return "tried";
    case Considered::Obstacle::probing: return "being probed";
    case Considered::Obstacle::full: return "full";
    case Considered::Obstacle::limited: return "at its limits";
    case Considered::Obstacle::out: break;
  }
  if (c.facts.outage == policy::Outage::key) return "key refused";
  if (c.facts.outage == policy::Outage::manual) return "taken out by hand";
  // What it shares with others can be out for what those have seen.
  return target.cooled_by == ErrorClass::none ? "out" : error_class_name(target.cooled_by);
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

std::string print_obstacles(const Fleet& fleet, const World& world, size_t route, const policy::Ask& ask, Instant now) {
  std::string out;
  std::vector<Considered> all = fleet.balancer().explain(world.plans[route], ask, now, kObstacles + 1);
  for (size_t i = 0; i < std::min(all.size(), kObstacles); i++) {
    const Considered& c = all[i];
    const Target& target = fleet.target(c.target);
    out.append(out.empty() ? "" : ", ").append(fleet.upstream(target.upstream).deployment->name).append(" (");
    out.append(obstacle_words(c, target));
    Instant until = c.obstacle == Considered::Obstacle::out ? c.facts.open_at : c.frees_at;
    if (until > now && until < Instant::never()) out.append(", " + std::to_string((until - now).ms_ceil()) + " ms");
    out.append(")");
  }
  return all.size() > kObstacles ? out + ", ..." : out;
}

}  // namespace lb
