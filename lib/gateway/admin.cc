#include "gateway/admin.h"

#include "gateway/models.h"
#include "wire/json.h"

namespace lb {

namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kText = "text/plain; charset=utf-8";
// The type that Prometheus asks for its text format by.
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

void counter(std::string& out, std::string_view name, std::string_view help, uint64_t value) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name);
  out.append(name.ends_with("_total") ? " counter\n" : " gauge\n");
  out.append(name).append(" ").append(std::to_string(value)).append("\n");
}

}  // namespace

std::optional<Document> find_document(const GatewayContext& context, const RouteMatch& route) {
  switch (route.endpoint) {
    case Endpoint::models:
      return Document{200, kJson, print_models(context.engine.config(), api_of(route.operation))};
    case Endpoint::model: {
      std::optional<std::string> model = print_model(context.engine.config(), api_of(route.operation), route.model);
      if (!model) return std::nullopt;
      return Document{200, kJson, std::move(*model)};
    }
    case Endpoint::health:
      return Document{200, kText, "ok\n"};
    case Endpoint::ready:
      if (context.draining) return Document{503, kText, "draining\n"};
      if (!context.engine.ready()) return Document{503, kText, "no deployment may take a call now\n"};
      return Document{200, kText, "ready\n"};
    case Endpoint::metrics:
      return Document{200, kPrometheus, print_gateway_prometheus(context)};
    case Endpoint::stats:
      return Document{200, kJson, print_gateway_json(context)};
    case Endpoint::none:
    case Endpoint::call:
      break;
  }
  return std::nullopt;
}

std::string print_gateway_json(const GatewayContext& context) {
  const GatewayMeter& meter = context.meter;
  JsonWriter json;
  json.begin_object();
  json.key("listeners").begin_array();
  for (const Listener& listener : context.listeners) {
    json.begin_object().key("name").value(listener.name);
    json.key("address").value(to_string(context.net.bound(listener.id))).end_object();
  }
  json.end_array();
  json.key("clients").begin_object();
  json.key("open").value(uint64_t{context.open});
  json.key("busy").value(uint64_t{context.busy});
  json.key("accepted").value(meter.accepted).key("requests").value(meter.requests);
  json.key("gone").value(meter.gone).key("draining").value(context.draining);
  json.key("answers").begin_object();
  for (size_t i = 1; i < meter.answers.size(); i++)
    if (meter.answers[i]) json.key(std::to_string(i) + "xx").value(meter.answers[i]);
  json.end_object().end_object().end_object();
  // The engine's object, with ours inside it.
  std::string whole = context.engine.stats_json();
  whole.back() = ',';
  whole.append(json.take(), 1);
  return whole;
}

std::string print_gateway_prometheus(const GatewayContext& context) {
  const GatewayMeter& meter = context.meter;
  std::string out = context.engine.stats_prometheus();
  counter(out, "lb_clients", "Client connections that are open.", context.open);
  counter(out, "lb_clients_busy", "Client connections with a request in flight.", context.busy);
  counter(out, "lb_clients_accepted_total", "Client connections taken.", meter.accepted);
  counter(out, "lb_clients_gone_total", "Clients that went away before their answer was complete.", meter.gone);
  counter(out, "lb_requests_total", "Requests that clients have sent.", meter.requests);
  out += "# HELP lb_answers_total Answers to clients, by the first digit of their status.\n"
         "# TYPE lb_answers_total counter\n";
  for (size_t i = 1; i < meter.answers.size(); i++)
    if (meter.answers[i])
      out += "lb_answers_total{class=\"" + std::to_string(i) + "xx\"} " + std::to_string(meter.answers[i]) + "\n";
  return out;
}

}  // namespace lb
