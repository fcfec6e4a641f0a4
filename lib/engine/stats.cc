// The two printed forms of everything that is counted: JSON for people and `lb stats`, Prometheus for scrapers.
#include <algorithm>

#include "engine/context.h"
#include "engine/judgement.h"
#include "engine/stats.h"
#include "lb.h"

namespace lb {

namespace {

std::string version() {
  return std::to_string(LB_VERSION_NUMBER >> 16) + "." +
         std::to_string(LB_VERSION_NUMBER >> 8 & 255) + "." + std::to_string(LB_VERSION_NUMBER & 255);
}

double as_ms(Duration value) { return static_cast<double>(value.ns) / 1e6; }

void write_percentiles(JsonWriter& json, std::string_view name, const Histogram& histogram) {
  if (histogram.count() == 0) return;  // Absent is absent, never zero.
  json.key(name).begin_object();
  json.key("p50").value(as_ms(histogram.percentile(0.5)));
  json.key("p90").value(as_ms(histogram.percentile(0.9)));
  json.key("p99").value(as_ms(histogram.percentile(0.99)));
  json.end_object();
}

void write_target(JsonWriter& json, const Fleet& fleet, policy::TargetIndex index, Instant now) {
  const Target& target = fleet.target(index);
  const TargetMeter& meter = target.meter;
  policy::Facts facts = fleet.look(index, now);
  bool cooling = facts.open_at > now;
  json.begin_object();
  json.key("model").value(target.model);
  if (!target.as.empty()) json.key("as").value(target.as);
  json.key("state").value(cooling ? "cooling" : facts.probed ? "probing" : facts.warmth < 1 ? "warming" : "up");
  if (cooling) {
    json.key("open_in_ms").value((facts.open_at - now).ms_ceil());
    json.key("cooled_by").value(facts.outage == policy::Outage::manual ? "hand" : cause_name(target.cooled_by));
  }
  json.key("in_flight").value(uint64_t{facts.in_flight});
  if (facts.utilisation > 0) json.key("utilisation").value(facts.utilisation);
  json.key("attempts").value(meter.attempts).key("ok").value(meter.ok);
  json.key("cancelled").value(meter.cancelled).key("failed").begin_object();
  for (size_t i = 1; i < kErrorClasses; i++)
    if (meter.failed[i])
      json.key(error_class_name(static_cast<ErrorClass>(i))).value(meter.failed[i]);
  json.end_object();
  json.key("tokens_in").value(meter.tokens_in).key("tokens_out").value(meter.tokens_out);
  if (meter.malformed_events) json.key("malformed_events").value(meter.malformed_events);
  write_percentiles(json, "latency_ms", meter.latency);
  write_percentiles(json, "ttft_ms", meter.first_byte);
  json.end_object();
}

// The live targets of an upstream, as stats list them.
std::vector<policy::TargetIndex> targets_of(const Fleet& fleet, UpstreamIndex upstream) {
  std::vector<policy::TargetIndex> out;
  for (policy::TargetIndex i = 0; i < fleet.target_count(); i++) {
    const Target& target = fleet.target(i);
    if (target.live && target.upstream == upstream) out.push_back(i);
  }
  std::sort(out.begin(), out.end(),
            [&](policy::TargetIndex a, policy::TargetIndex b) {
              return fleet.target(a).model < fleet.target(b).model;
            });
  return out;
}

std::string label_text(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
    out_.append(name).append(" ").append(type).append("\n");
  }
  void sample(std::string_view labels, std::string_view value) { line("", labels, value); }
  void sample(std::string_view labels, uint64_t value) { line("", labels, std::to_string(value)); }
  void histogram(const std::string& labels, const Histogram& histogram) {
    // Edges from a quick plain answer to a long stream; source: the latencies in reference/peers.md.
    static constexpr int64_t kEdgesMs[] = {5, 25, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 120000};
    for (int64_t edge : kEdgesMs) {
      std::string le = std::to_string(edge / 1000) + "." + std::to_string(1000 + edge % 1000).substr(1);
      line("_bucket", labels + ",le=\"" + le + "\"",
           std::to_string(histogram.at_most(Duration::from_ms(edge))));
    }
    line("_bucket", labels + ",le=\"+Inf\"", std::to_string(histogram.count()));
    JsonWriter sum;  // Prints without a locale.
    sum.value(histogram.sum_s());
    line("_sum", labels, sum.take());
    line("_count", labels, std::to_string(histogram.count()));
  }
  std::string take() { return std::move(out_); }

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view value) {
    out_.append(name_).append(suffix);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(value).append("\n");
  }
  std::string out_;
  std::string name_;
};

struct Labelled {
  const Target* target;
  policy::Facts facts;
  std::string labels;
};

void print_targets(Exposition& out, const std::vector<Labelled>& all, Instant now) {
  out.family("lb_attempts_total", "counter", "Attempts sent to a deployment.");
  for (const Labelled& l : all) out.sample(l.labels, l.target->meter.attempts);
  out.family("lb_attempts_ok_total", "counter", "Attempts whose answer was passed on whole.");
  for (const Labelled& l : all) out.sample(l.labels, l.target->meter.ok);
  out.family("lb_attempts_failed_total", "counter", "Attempts that failed, by class.");
  for (const Labelled& l : all)
    for (size_t i = 1; i < kErrorClasses; i++)
      if (uint64_t n = l.target->meter.failed[i])
        out.sample(l.labels + ",class=\"" + error_class_name(static_cast<ErrorClass>(i)) + "\"", n);
  out.family("lb_tokens_total", "counter", "Tokens that upstreams reported.");
  for (const Labelled& l : all) {
    out.sample(l.labels + ",direction=\"in\"", l.target->meter.tokens_in);
    out.sample(l.labels + ",direction=\"out\"", l.target->meter.tokens_out);
  }
  out.family("lb_target_in_flight", "gauge", "Attempts in flight.");
  for (const Labelled& l : all) out.sample(l.labels, l.facts.in_flight);
  out.family("lb_target_up", "gauge", "1 while in rotation, 0 while cooling down.");
  for (const Labelled& l : all)
    out.sample(l.labels, uint64_t{l.facts.healthy(now) ? 1u : 0u});
  out.family("lb_attempt_seconds", "histogram", "From dispatch to the end, attempts that ended well.");
  for (const Labelled& l : all) out.histogram(l.labels, l.target->meter.latency);
  out.family("lb_first_content_seconds", "histogram", "From dispatch to the first content.");
  for (const Labelled& l : all) out.histogram(l.labels, l.target->meter.first_byte);
}

}  // namespace

void write_deployments(JsonWriter& json, const Fleet& fleet, Instant now) {
  json.key("deployments").begin_array();
  for (UpstreamIndex i : fleet.world()->upstreams) {
    const Upstream& upstream = fleet.upstream(i);
    const Deployment& deployment = *upstream.deployment;
    json.begin_object().key("name").value(deployment.name);
    if (deployment.kind == DeploymentKind::echo)
      json.key("kind").value("echo");
    else
      json.key("kind").value("http").key("url").value(deployment.url.text());
    uint64_t in_flight = 0;
    for (policy::TargetIndex t : targets_of(fleet, i)) in_flight += fleet.balancer().in_flight(t);
    json.key("in_flight").value(in_flight);
    json.key("targets").begin_array();
    for (policy::TargetIndex t : targets_of(fleet, i)) write_target(json, fleet, t, now);
    json.end_array().end_object();
  }
  json.end_array();
}

std::string print_stats_json(const Context& context, size_t calls_in_flight) {
  const CallMeter& meter = context.meter;
  JsonWriter json;
  json.begin_object();
  json.key("version").value(version());
  json.key("uptime_ms").value((context.now - context.opened).ms());
  json.key("calls").begin_object();
  json.key("in_flight").value(uint64_t{calls_in_flight});
  json.key("waiting").value(uint64_t{context.waiting.size()});
  json.key("started").value(meter.started).key("ok").value(meter.ok);
  json.key("failed").value(meter.failed).key("cancelled").value(meter.cancelled);
  json.key("retries").value(meter.retries).key("retries_denied").value(meter.retries_denied);
  json.key("hedges").value(meter.hedges).key("hedges_won").value(meter.hedges_won);
  json.key("hedges_denied").value(meter.hedges_denied);
  json.key("invalid_answers").value(meter.invalid_answers).end_object();
  json.key("links").begin_object();
  json.key("open").value(uint64_t{context.pool.size()});
  json.key("idle").value(uint64_t{context.pool.idle()}).end_object();
  json.key("replay_bytes").value(context.replay_bytes);
  json.key("clock_regressions").value(meter.clock_regressions);
  write_deployments(json, context.fleet, context.now);
  return json.end_object().take();
}

std::string print_stats_prometheus(const Context& context, size_t calls_in_flight) {
  const CallMeter& meter = context.meter;
  Exposition out;
  out.family("lb_calls_started_total", "counter", "Calls taken.");
  out.sample("", meter.started);
  out.family("lb_calls_total", "counter", "Calls that ended, by result.");
  out.sample("result=\"ok\"", meter.ok);
  out.sample("result=\"failed\"", meter.failed);
  out.sample("result=\"cancelled\"", meter.cancelled);
  out.family("lb_calls_in_flight", "gauge", "Calls that have not ended.");
  out.sample("", uint64_t{calls_in_flight});
  out.family("lb_calls_waiting", "gauge", "Calls that wait for a deployment.");
  out.sample("", uint64_t{context.waiting.size()});
  out.family("lb_retries_total", "counter", "Attempts after the first of a call.");
  out.sample("", meter.retries);
  out.family("lb_invalid_answers_total", "counter", "Answers that broke the rules of their route.");
  out.sample("", meter.invalid_answers);
  out.family("lb_retries_denied_total", "counter", "Attempts that the retry budget did not allow.");
  out.sample("", meter.retries_denied);
  out.family("lb_hedges_total", "counter", "Attempts sent beside another that was slow.");
  out.sample("", meter.hedges);
  out.family("lb_hedges_won_total", "counter", "Those of them that were passed on.");
  out.sample("", meter.hedges_won);
  out.family("lb_hedges_denied_total", "counter", "Those that the share of calls did not allow.");
  out.sample("", meter.hedges_denied);
  out.family("lb_connections", "gauge", "Connections to upstreams.");
  out.sample("", uint64_t{context.pool.size()});
  out.family("lb_replay_bytes", "gauge", "Request bytes kept for another attempt.");
  out.sample("", context.replay_bytes);
  std::vector<Labelled> all;
  for (UpstreamIndex i : context.fleet.world()->upstreams)
    for (policy::TargetIndex t : targets_of(context.fleet, i))
      all.push_back({&context.fleet.target(t), context.fleet.look(t, context.now),
                     "deployment=\"" + label_text(context.fleet.upstream(i).deployment->name) + "\",model=\"" +
                         label_text(context.fleet.target(t).model) + "\""});
  print_targets(out, all, context.now);
  return out.take();
}

}  // namespace lb
