#include "gateway/route.h"

#include <algorithm>

#include "base/text.h"

namespace lb {

namespace {

// Gemini's clients ask for the other one.
constexpr std::string_view kModels = "/v1/models", kGeminiModels = "/v1beta/models";

// What follows the list of models in a path: "" the list itself, "/m" a model; nothing for other paths.
std::optional<std::string_view> behind_models(std::string_view path) {
  for (std::string_view list : {kModels, kGeminiModels}) {
    if (!path.starts_with(list)) continue;
    std::string_view rest = path.substr(list.size());
    if (rest.empty() || (rest.size() > 1 && rest[0] == '/')) return rest;
  }
  return std::nullopt;
}

// Of those that are no call.
Endpoint endpoint_of(std::string_view path) {
  if (std::optional<std::string_view> model = behind_models(path))
    return model->empty() ? Endpoint::models : Endpoint::model;
  if (path == "/healthz") return Endpoint::health;
  if (path == "/readyz") return Endpoint::ready;
  if (path == "/metrics") return Endpoint::metrics;
  if (path == "/stats") return Endpoint::stats;
  return Endpoint::none;
}

// "http://" or "https://" at the front of an absolute URI, whose authority comes next; else "".
std::string_view scheme_of(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"})
    if (istarts_with(target, scheme)) return scheme;
  return "";
}

}  // namespace

bool is_valid_host(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) {
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return word || std::string_view("-._~!$&'()*+,;=:%[]").find(c) != std::string_view::npos;
  });
}

bool is_valid_target(std::string_view method, std::string_view target) {
  if (method == "CONNECT") return false;
  if (target == "*") return method == "OPTIONS";
  if (std::string_view scheme = scheme_of(target); !scheme.empty()) {
    std::string_view host = target.substr(scheme.size());
    host = host.substr(0, host.find_first_of("/?"));
    return !host.empty() && host.front() != ':' && is_valid_host(host);  // No user: it only serves to deceive.
  }
  return target.starts_with('/');
}

std::string_view origin_form(std::string_view target) {
  std::string_view scheme = scheme_of(target);
  if (scheme.empty()) return target;
  size_t end = target.find_first_of("/?", scheme.size());
  return end == std::string_view::npos ? std::string_view("/") : target.substr(end);
}

RouteMatch match_route(std::string_view method, std::string_view target) {
  std::string_view path = origin_form(target);
  path = path.substr(0, path.find_first_of("?#"));
  RouteMatch match;
  if (std::optional<Asked> asked = asked_by(path)) {
    match.endpoint = Endpoint::call;
    match.operation = asked->operation;
  } else {
    match.endpoint = endpoint_of(path);
    if (path.starts_with(kGeminiModels)) match.operation = Operation::generate;
  }
  if (match.endpoint == Endpoint::none) return match;
  if (match.endpoint == Endpoint::call) {
    if (method != "POST") match.allow = "POST";
    return match;
  }
  if (method != "GET" && method != "HEAD") match.allow = "GET, HEAD";
  if (match.endpoint == Endpoint::model) match.model = percent_decode(behind_models(path)->substr(1));
  return match;
}

}  // namespace lb
