// The configuration: one JSON or YAML document in, one immutable value out, or an error that names
// the place and the remedy. The table in schema.def yields the checks, the defaults, the
// documentation and the JSON Schema. No I/O: secrets are read through `Secrets`, which the host
// passes in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "config/vendor.h"
#include "policy/facts.h"
#include "policy/settings.h"
#include "wire/bpe.h"
#include "wire/error_class.h"
#include "wire/operation.h"
#include "wire/pattern.h"

namespace lb {

struct Url {
  bool tls = false;
  std::string host;  // Without brackets for IPv6.
  uint16_t port = 0;
  std::string path;  // "" or "/openai/v1": no trailing slash.
  std::string authority() const;  // "host" or "host:port": what the Host field says.
  std::string text() const;       // The whole of it.
};

enum class DeploymentKind : uint8_t { http, echo };

struct HeaderPair {
  std::string name;
  std::string value;
};

struct TlsConfig {
  std::string ca_pem;       // "" the system's bundle.
  std::string cert_pem;     // Client certificate.
  std::string key_pem;
  std::string server_name;  // "" the host of the URL.
  bool verify = true;
};

struct ProxyConfig {
  std::string host;  // "" none.
  uint16_t port = 0;
  std::string authorization;  // "Basic ..." from user:password in its URL.
};

// Phase deadlines of an attempt; zero is never allowed, the schema has a range.
struct Timeouts {
  Duration connect;   // DNS, TCP, proxy and TLS together.
  Duration head;      // From the last byte of the request to the response head.
  Duration content;   // From the head to the first content.
  Duration idle;      // Between two reads of a response body.
};

struct ModelConfig {
  std::string name;       // As callers ask for it; or a pattern, see is_model_pattern.
  std::string as;         // As the upstream knows it; equal to `name` by default. "" of a pattern: as asked for.
  policy::ScopeSpec limits;
  policy::Price price;
};

struct Deployment {
  std::string name;
  DeploymentKind kind = DeploymentKind::http;
  const Vendor* vendor = &vendor_other();
  Api api = Api::openai;            // Key `dialect`.
  Operations lacks = vendor_other().lacks;  // What of its API it does not have.
  std::string api_version;          // Azure's classic API; "" it has none.
  Url url;
  std::string key;                  // The secret itself; "" none. Never printed.
  std::vector<HeaderPair> headers;  // Added to each request.
  std::vector<ModelConfig> models;  // Empty: takes every model, by the name it was asked for.
  double weight = 1;
  bool enabled = true;              // false: takes no calls; those in flight go on.
  bool caches = true;               // Its provider caches prompts.
  policy::ScopeSpec limits;         // Of all its models together.
  std::string account;              // Deployments of one account share its limits and its key's health; "" none.
  Duration probe;                   // Pause between two looks at it while it is out; zero: none.
  std::string probe_path;           // What is asked for then, below `url`.
  TlsConfig tls;
  ProxyConfig proxy;
  Timeouts timeouts;
  uint32_t connections_max = 0;     // Of this deployment; more calls wait.
  Duration keep_alive;              // An idle connection is closed after this.
  // echo: what it answers.
  uint32_t echo_events = 0;         // Content events of a stream.
  Duration echo_delay;              // Before each of them.

  // The entry for `model`, its own or else the first pattern that fits it, or null. With no entries every model fits:
  // see `models`.
  const ModelConfig* find_model(std::string_view model) const;
  bool serves(std::string_view model) const { return models.empty() || find_model(model); }
};

// "gpt-4*": the names that it fits, where each "*" stands for any text. Patterns name models as others do; what they
// fit is asked for upstream by the caller's name.
bool is_model_pattern(std::string_view name);
bool fits_pattern(std::string_view pattern, std::string_view model);

// Where the bytes before the first content are released to the caller: design.md §0.
enum class CommitOn : uint8_t { content, head };

// Whose calls stay with one deployment, for its prompt cache or its state.
enum class Affinity : uint8_t {
  prompt,   // Those of a session, and those with a long prompt that begins alike.
  session,  // Those that name a session.
  off,
};

struct Route {
  std::string model;                         // Or a pattern; "*" takes what no other route names.
  std::vector<std::vector<uint32_t>> tiers;  // Indices of deployments.
  policy::PlanSpec plan;
  policy::RetryPlan retry;
  std::string larger;        // Model to go on with when the context is too long for this one; "" none.
  Affinity affinity = Affinity::prompt;
  uint32_t affinity_tokens = 0;  // The shortest prompt that is worth staying for.
  Duration affinity_wait;        // How long a call waits for its own deployment, for each token of its prompt.
  Duration deadline;         // Of the whole call.
  Duration wait;             // For a target; zero: the call fails at once with the true wait.
  uint32_t window_bytes = 0;  // Delivered to the caller and not yet consumed.
  uint32_t replay_bytes = 0;  // Request body kept for another attempt; a longer one is sent once.
  uint32_t hold_bytes = 0;   // Response held before the first content; when full, it commits.
  CommitOn commit_on = CommitOn::content;
};

struct Listen {
  std::string name;     // For lb_engine_address; "default" for the first without a name.
  std::string address;  // "127.0.0.1:8080", "[::1]:0", "unix:/run/lb.sock".
};

// Limits of the gateway and of the engine, all named in the schema.
struct Limits {
  uint32_t head_bytes = 0;           // Of a request or response head.
  uint32_t head_fields = 200;        // Of one; as schema.def, for those who make theirs by hand.
  uint32_t target_bytes = 8192;      // Of a request's target; the same.
  uint64_t body_bytes = 0;           // Of a request body; more is 413.
  uint64_t replay_bytes_total = 0;   // All bodies kept for replay; beyond it one is sent once.
  uint32_t connections = 0;          // Inbound, all listeners together; accepting pauses there.
  uint32_t waiting = 0;              // Calls that wait for a target.
  uint32_t callers = 0;              // Under "*", counted at a time.
  Duration head_timeout;             // For a client to send a request head.
  Duration body_timeout;             // Between two reads of a request body.
  Duration request_timeout = Duration::from_s(300);  // For all of a request; as schema.def.
  Duration idle_timeout;             // Of an inbound connection between requests.
  Duration dns_ttl;                  // How long an answer of the resolver is used.
};

// A limit that several share by its name: an account of deployments, or a caller.
struct Party {
  std::string name;  // Of a caller: "*" stands for every other, each by itself.
  policy::ScopeSpec limits;
  double share = 1;  // Of a caller: how much it gets beside others when calls wait.
};

// What an upstream's error is taken for, where the built-in table is not right: the first rule that fits.
struct ErrorRule {
  uint16_t status = 0;     // 0: any.
  std::string contains;    // In the body; "" any.
  std::shared_ptr<const Pattern> pattern;  // Null: any body.
  std::optional<ErrorClass> as;
  std::optional<bool> fail_over;
  std::optional<policy::Mark> mark;
  std::optional<Duration> cool;
};

struct Config {
  std::vector<Party> accounts;
  std::vector<Party> callers;
  std::vector<ErrorRule> errors;
  policy::Settings policies;
  std::vector<Listen> listen;
  std::vector<Deployment> deployments;
  std::vector<Route> routes;  // Also one for each model that deployments name and no route does.
  Limits limits;
  std::shared_ptr<const Bpe> tokenizer;  // Null: tokens are estimated.

  // The route for a model: its own, else that of the first pattern that fits it, else "*", else null.
  const Route* find_route(std::string_view model) const;
  // The caller's own entry, else "*", else null.
  const Party* find_caller(std::string_view name) const;
};

// Reads secrets for the host. Absent: {env} and {file} are refused with a clear error.
struct Secrets {
  virtual ~Secrets() = default;
  virtual Result<std::string> env(std::string_view name) = 0;
  virtual Result<std::string> file(std::string_view path) = 0;  // Without a trailing newline.
};

// How to treat {env: NAME} and {file: PATH}: read them, or only check their shape
// (lb_config_check).
enum class SecretUse : uint8_t { read, check };

// Longer documents are refused. A thousand deployments with a hundred models each fit several times.
inline constexpr size_t kDocumentMax = size_t{16} << 20;

// JSON when the first byte that is not white space is '{', else YAML. `where` of an error is a JSON pointer; an
// error of syntax has none, but a line in its message.
Result<std::shared_ptr<const Config>> parse_config(std::string_view text, Secrets* secrets,
                                                   SecretUse use);

// From the same table: the JSON Schema, with defaults, units and documentation.
std::string config_schema();

// The same for people: Markdown, a table of keys for each object. lib/config/reference.md is this text.
std::string config_reference();

// Parses "https://host:port/path". `where` of the error is left empty.
Result<Url> parse_url(std::string_view text);

}  // namespace lb
