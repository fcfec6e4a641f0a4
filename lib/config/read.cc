#include "config/read.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/url.h"

namespace lb {

namespace {

using schema::Key;

JsonView member(JsonView object, Key key) { return object[schema::row(key).segment()]; }
Place place_of(const Place& object, Key key) { return object.at(schema::row(key).segment()); }

// What lb sets itself, or what must not be set by hand.
constexpr std::string_view kOwnFields[] = {
    "host",    "content-length",  "transfer-encoding", "connection", "proxy-connection",    "keep-alive", "te",
    "trailer", "accept-encoding", "upgrade",           "expect",     "proxy-authorization", "cookie",
};

bool is_token(std::string_view text) {
  auto fits = [](char c) {
    bool letter = ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
    bool digit = c >= '0' && c <= '9';
    return letter || digit || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

// RFC 9110, section 5.5: no control characters but the tab, and no NUL.
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 32 && c != 127); });
}

struct Reader {
  Secrets* secrets;
  SecretUse use;
  Preset preset;
  Config& config;

  Problem listeners(JsonView root);
  Problem deployment(const Place& place, JsonView view, Deployment& out);
  Problem vendor(const Place& place, JsonView view, Deployment& out);
  Problem endpoint(const Place& place, JsonView view, Deployment& out);
  Problem headers(const Place& place, JsonView deployment, Deployment& out);
  Problem models(const Place& place, JsonView view, Deployment& out);
  Problem tls(const Place& place, JsonView view, Deployment& out);
  Problem proxy(const Place& place, JsonView view, Deployment& out);
  Problem secret(const Place& place, JsonView view, Key key, std::string& out);
  Problem pem(const Place& place, JsonView view, Key key, std::string& out);
  Problem fetch(const Place& place, JsonView view, Key key, std::string& out);
  Problem accounts(const Place& place);
  Problem tokenizer(const Place& place, JsonView view);
  void limits(JsonView view);
};

// What {env: NAME} or {file: PATH} names, or a path as it stands. Nothing of a secret goes into a message.
Problem Reader::fetch(const Place& place, JsonView view, Key key, std::string& out) {
  if (!secrets)
    return place.error("secrets and files are not read here; open the engine with LB_ENGINE_SECRETS, or write the text "
                       "itself");
  JsonView source = view.is_object() ? view.first() : view;
  bool env = source.key() == "env" && view.is_object();
  Result<std::string> value = env ? secrets->env(source.string()) : secrets->file(source.string());
  if (!value.ok()) return place.error(value.error().message);
  out = std::move(value.value());
  if (out.empty()) return place.error("what " + view.print() + " names is empty; set it");
  double most = schema::row(key).high;
  if (static_cast<double>(out.size()) > most)
    return place.error("what " + view.print() + " names has more than " +
                       std::to_string(static_cast<uint64_t>(most)) + " bytes; is it the right one?");
  return std::nullopt;
}

// A text, or what {env} and {file} name.
Problem Reader::secret(const Place& place, JsonView view, Key key, std::string& out) {
  if (!view.present()) return std::nullopt;
  if (view.is_string()) {
    out = view.string();
  } else {
    if (use == SecretUse::check) return std::nullopt;
    if (Problem problem = fetch(place, view, key, out)) return problem;
  }
  if (!is_field_value(out)) return place.error("holds a line break or a control character; leave it out");
  return std::nullopt;
}

// PEM text as it stands, or the file that a path or {file} names, or what {env} holds.
Problem Reader::pem(const Place& place, JsonView view, Key key, std::string& out) {
  constexpr std::string_view kBegin = "-----BEGIN";
  if (!view.present()) return std::nullopt;
  if (view.string().find(kBegin) != std::string_view::npos) {
    out = view.string();
    return std::nullopt;
  }
  if (use == SecretUse::check) return std::nullopt;
  if (Problem problem = fetch(place, view, key, out)) return problem;
  if (out.find(kBegin) != std::string::npos) return std::nullopt;
  return place.error("there is no PEM text in what it names; it begins with -----BEGIN");
}

Problem Reader::listeners(JsonView root) {
  JsonView list = member(root, Key::listen);
  Place whole;
  Place place = place_of(whole, Key::listen);
  size_t index = 0, nameless = 0;
  for (JsonView view = list.first(); view.present(); view = view.next(), index++) {
    Listen out{read_string(view, Key::listen_name), read_string(view, Key::listen_address)};
    if (out.name.empty()) out.name = ++nameless == 1 ? "default" : "default" + std::to_string(nameless);
    for (const Listen& other : config.listen)
      if (other.name == out.name)
        return place.at(index).at("name").error("another listener has the name \"" + out.name +
                                                "\"; write a different one");
    config.listen.push_back(std::move(out));
  }
  return std::nullopt;
}

Problem Reader::headers(const Place& place, JsonView deployment, Deployment& out) {
  JsonView view = member(deployment, Key::headers);
  bool keyed = member(deployment, Key::deployment_key).present();
  for (JsonView header = view.first(); header.present(); header = header.next()) {
    Place here = place.at(header.key());
    if (!is_token(header.key())) return here.error("is no name of a header field; write letters, digits and dashes");
    bool own = istarts_with(header.key(), "x-lb-") ||
               std::any_of(std::begin(kOwnFields), std::end(kOwnFields),
                           [&](std::string_view name) { return iequals(name, header.key()); });
    if (own) return here.error("is set by lb itself; leave it out");
    if (iequals(header.key(), "authorization") && keyed)
      return here.error("`key` sets it already; leave out one of the two");
    for (const HeaderPair& other : out.headers)
      if (iequals(other.name, header.key())) return here.error("is there twice, in another case; leave one");
    HeaderPair pair{std::string(header.key()), ""};
    if (Problem problem = secret(here, header, Key::header, pair.value)) return problem;
    out.headers.push_back(std::move(pair));
  }
  return std::nullopt;
}

Problem Reader::models(const Place& place, JsonView view, Deployment& out) {
  std::set<std::string_view> names;
  size_t index = 0;
  for (JsonView entry = view.first(); entry.present(); entry = entry.next(), index++) {
    ModelConfig model;
    model.name = view.is_array() ? entry.string() : entry.key();
    Place here = view.is_array() ? place.at(index) : place.at(entry.key());
    if (model.name == "*") return here.error("stands for every model; leave out `models` instead");
    if (!names.insert(view.is_array() ? entry.string() : entry.key()).second)
      return here.error("is there twice; leave out one");
    model.as = read_string(entry, Key::model_as);
    if (model.as.empty() && !is_model_pattern(model.name)) model.as = model.name;
    model.limits = read_limits(entry, Key::model_rpm, preset);
    model.price = read_price(member(entry, Key::price));
    out.models.push_back(std::move(model));
  }
  return std::nullopt;
}

Problem Reader::tls(const Place& place, JsonView view, Deployment& out) {
  if (!view.present()) return std::nullopt;
  if (!out.url.tls) return place.error("the URL is not https; write https://host/path, or leave this out");
  auto read_pem = [&](Key key, std::string& text) {
    return pem(place_of(place, key), member(view, key), key, text);
  };
  if (Problem problem = read_pem(Key::tls_ca, out.tls.ca_pem)) return problem;
  if (member(view, Key::tls_cert).present() != member(view, Key::tls_key).present())
    return place.error("has one of `cert` and `key`; write both, or neither");
  if (Problem problem = read_pem(Key::tls_cert, out.tls.cert_pem)) return problem;
  if (Problem problem = read_pem(Key::tls_key, out.tls.key_pem)) return problem;
  out.tls.server_name = read_string(view, Key::tls_server_name);
  out.tls.verify = read_boolean(view, Key::tls_verify);
  return std::nullopt;
}

Problem Reader::proxy(const Place& place, JsonView view, Deployment& out) {
  std::string text;
  if (Problem problem = secret(place, view, Key::proxy, text)) return problem;
  if (text.empty()) return std::nullopt;
  Result<ProxyConfig> proxy = parse_proxy(text);
  if (!proxy.ok()) return place.error(proxy.error().message);
  out.proxy = std::move(proxy.value());
  return std::nullopt;
}

// Whose API it is, and what of it is there.
Problem Reader::vendor(const Place& place, JsonView view, Deployment& out) {
  out.vendor = &vendors()[read_choice(view, Key::deployment_vendor)];
  bool written = member(view, Key::deployment_dialect).present();
  out.api = written ? static_cast<Api>(read_choice(view, Key::deployment_dialect)) : out.vendor->api;
  // In another dialect than its own, what is said of a vendor says nothing.
  if (out.api != out.vendor->api) out.vendor = &vendor_other();
  out.lacks = out.vendor->lacks;
  constexpr Operation kNamed[][3] = {
      {Operation::completions, Operation::completions, Operation::completions},
      {Operation::embeddings, Operation::embed, Operation::batch_embed},
      {Operation::responses, Operation::responses, Operation::responses},
      {Operation::count_responses, Operation::count_messages, Operation::count_generate},
  };
  const schema::Row& names = schema::row(Key::deployment_without_item);
  JsonView list = member(view, Key::deployment_without);
  for (JsonView entry = list.first(); entry.present(); entry = entry.next())
    for (Operation operation : kNamed[schema::choice_index(names, entry.string()).value_or(0)])
      out.lacks.add(operation);
  out.api_version = read_string(view, Key::api_version);
  if (out.api_version.empty()) return std::nullopt;
  if (out.vendor->name != "azure")
    return place_of(place, Key::api_version).error("is for the vendor azure only; leave it out");
  // They have no place among the paths that name a deployment.
  out.lacks.add(Operation::responses);
  return std::nullopt;
}

// What belongs to one kind of deployment only.
Problem Reader::endpoint(const Place& place, JsonView view, Deployment& out) {
  if (out.kind == DeploymentKind::echo) {
    for (Key key : {Key::deployment_url, Key::deployment_vendor, Key::deployment_without, Key::tls, Key::proxy,
                    Key::deployment_key, Key::headers})
      if (member(view, key).present()) return place_of(place, key).error("is not used by kind echo; leave it out");
    return std::nullopt;
  }
  for (Key key : {Key::echo_events, Key::echo_delay_ms})
    if (member(view, key).present()) return place_of(place, key).error("is for kind echo only; leave it out");
  JsonView url = member(view, Key::deployment_url);
  if (!url.present() && out.vendor->url.empty()) return place.at("url").error("missing; write https://host/path");
  Result<Url> parsed = parse_url(url.present() ? url.string() : out.vendor->url);
  if (!parsed.ok()) return place.at("url").error(parsed.error().message);
  out.url = std::move(parsed.value());
  if (Problem problem = secret(place_of(place, Key::deployment_key), member(view, Key::deployment_key),
                               Key::deployment_key, out.key))
    return problem;
  if (Problem problem = headers(place_of(place, Key::headers), view, out)) return problem;
  if (Problem problem = tls(place_of(place, Key::tls), member(view, Key::tls), out)) return problem;
  return proxy(place_of(place, Key::proxy), member(view, Key::proxy), out);
}

Problem Reader::deployment(const Place& place, JsonView view, Deployment& out) {
  out.name = read_string(view, Key::deployment_name);
  for (const Deployment& other : config.deployments)
    if (&other != &out && other.name == out.name)
      return place.at("name").error("another deployment has the name \"" + out.name +
                                    "\"; write a different one");
  out.kind = static_cast<DeploymentKind>(read_choice(view, Key::deployment_kind));
  if (Problem problem = vendor(place, view, out)) return problem;
  if (out.kind == DeploymentKind::echo && out.api != Api::openai)
    return place_of(place, Key::deployment_dialect).error("kind echo answers as OpenAI does; leave it out");
  if (Problem problem = endpoint(place, view, out)) return problem;
  if (Problem problem = models(place_of(place, Key::models), member(view, Key::models), out)) return problem;
  out.weight = read_number(view, Key::weight);
  out.enabled = read_boolean(view, Key::enabled);
  out.caches = read_boolean(view, Key::caches) && out.kind == DeploymentKind::http;
  out.limits = read_limits(view, Key::deployment_rpm, preset);
  out.account = read_string(view, Key::deployment_account);
  out.probe = read_ms(view, Key::probe_ms);
  out.probe_path = read_string(view, Key::probe_path);
  out.timeouts = {read_ms(view, Key::connect_ms), read_ms(view, Key::head_ms), read_ms(view, Key::content_ms),
                  read_ms(view, Key::idle_ms)};
  out.connections_max = static_cast<uint32_t>(read_integer(view, Key::connections_max));
  out.keep_alive = read_ms(view, Key::keep_alive_ms);
  out.echo_events = static_cast<uint32_t>(read_integer(view, Key::echo_events));
  out.echo_delay = read_ms(view, Key::echo_delay_ms);
  return std::nullopt;
}

// Every account that a deployment names is there; one that none names is a slip of the pen.
Problem Reader::accounts(const Place& place) {
  std::set<std::string_view> named;
  for (size_t i = 0; i < config.deployments.size(); i++) {
    const std::string& account = config.deployments[i].account;
    auto same = [&](const Party& party) { return party.name == account; };
    named.insert(account);
    if (!account.empty() && std::none_of(config.accounts.begin(), config.accounts.end(), same))
      return place.at(i).at("account").error("there is no account \"" + account + "\"; write it under `accounts`");
  }
  for (const Party& party : config.accounts)
    if (!named.contains(party.name))
      return Place()
          .at("accounts")
          .at(party.name)
          .error("no deployment has this account; write it at one, or leave this out");
  return std::nullopt;
}

Problem Reader::tokenizer(const Place& place, JsonView view) {
  if (!view.present() || use == SecretUse::check) return std::nullopt;
  Place here = place_of(place, Key::tokenizer_file);
  std::string path = read_string(view, Key::tokenizer_file);
  if (!secrets) return here.error("files are not read here; open the engine with LB_ENGINE_SECRETS, or leave this out");
  Result<std::string> ranks = secrets->file(path);
  if (!ranks.ok()) return here.error(ranks.error().message);
  auto encoding = static_cast<Encoding>(read_choice(view, Key::tokenizer_encoding));
  Result<std::shared_ptr<const Bpe>> loaded = Bpe::load(ranks.value(), encoding);
  if (!loaded.ok()) return here.error("the file " + path + ": " + loaded.error().message);
  config.tokenizer = std::move(loaded.value());
  return std::nullopt;
}

void Reader::limits(JsonView view) {
  Limits& out = config.limits;
  out.head_bytes = static_cast<uint32_t>(read_integer(view, Key::head_bytes));
  out.head_fields = static_cast<uint32_t>(read_integer(view, Key::head_fields));
  out.target_bytes = static_cast<uint32_t>(read_integer(view, Key::target_bytes));
  out.body_bytes = read_integer(view, Key::body_bytes);
  out.replay_bytes_total = read_integer(view, Key::replay_bytes_total);
  out.connections = static_cast<uint32_t>(read_integer(view, Key::connections));
  out.waiting = static_cast<uint32_t>(read_integer(view, Key::waiting));
  out.callers = static_cast<uint32_t>(read_integer(view, Key::callers_max));
  out.head_timeout = read_ms(view, Key::head_timeout_ms);
  out.body_timeout = read_ms(view, Key::body_timeout_ms);
  out.request_timeout = read_ms(view, Key::request_timeout_ms);
  out.idle_timeout = read_ms(view, Key::idle_timeout_ms);
  out.dns_ttl = read_ms(view, Key::dns_ttl_ms);
}

}  // namespace

uint64_t read_integer(JsonView object, schema::Key key, Preset preset) {
  return static_cast<uint64_t>(read_number(object, key, preset));
}

double read_number(JsonView object, schema::Key key, Preset preset) {
  JsonView view = member(object, key);
  return view.present() ? view.number() : parse_double(schema::fallback(key, preset)).value_or(0);
}

bool read_boolean(JsonView object, schema::Key key, Preset preset) {
  JsonView view = member(object, key);
  return view.present() ? view.boolean() : schema::fallback(key, preset) == "true";
}

Duration read_ms(JsonView object, schema::Key key, Preset preset) {
  return Duration::from_ms(static_cast<int64_t>(read_integer(object, key, preset)));
}

std::string read_string(JsonView object, schema::Key key) {
  JsonView view = member(object, key);
  std::string_view fallback = schema::row(key).fallback;
  if (view.present() || fallback.size() < 2) return std::string(view.string());
  return std::string(fallback.substr(1, fallback.size() - 2));  // In quotes.
}

uint32_t read_choice(JsonView object, schema::Key key, Preset preset) {
  const schema::Row& row = schema::row(key);
  std::string_view fallback = schema::fallback(key, preset);
  if (!fallback.empty()) fallback = fallback.substr(1, fallback.size() - 2);  // In quotes.
  JsonView view = member(object, key);
  return schema::choice_index(row, view.present() ? view.string() : fallback).value_or(0);
}

Problem read_config(JsonView root, Secrets* secrets, SecretUse use, Config& out) {
  auto preset = static_cast<Preset>(read_choice(root, Key::preset));
  Reader reader{secrets, use, preset, out};
  if (Problem problem = reader.listeners(root)) return problem;
  JsonView list = member(root, Key::deployments);
  Place whole;
  Place place = place_of(whole, Key::deployments);
  out.deployments.reserve(list.size());
  size_t index = 0;
  for (JsonView view = list.first(); view.present(); view = view.next()) {
    Deployment& deployment = out.deployments.emplace_back();
    if (Problem problem = reader.deployment(place.at(index++), view, deployment)) return problem;
  }
  if (Problem problem = reader.tokenizer(place_of(whole, Key::tokenizer), member(root, Key::tokenizer))) return problem;
  reader.limits(member(root, Key::limits));
  if (Problem problem = read_policies(root, preset, out)) return problem;
  if (Problem problem = reader.accounts(place)) return problem;
  return read_routes(root, preset, out);
}

}  // namespace lb
