// lb mock: a scripted upstream in the foreground, so that a configuration can be tried without a provider or a key.
#include <cerrno>
#include <charconv>
#include <cjson/cJSON.h>
#include <csignal>
#include <memory>
#include <poll.h>
#include <string>
#include <unistd.h>

#include "command.h"
#include "lb_mock.h"
#include "signals.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kName = "lb mock";
constexpr double kMsMax = 86'400'000;  // A day, as the mock's own bound.

constexpr Option kOptions[] = {
    {"port", 'p', Option::Kind::integer, "PORT", "0, the default, takes any that is free.", 0, 65'535},
    {"address", 0, Option::Kind::text, "IP", "127.0.0.1 by default.", 0, 0},
    {"name", 'n', Option::Kind::text, "NAME", "What its answers begin with; mock by default.", 0, 0},
    {"models", 'm', Option::Kind::text, "A,B", "What GET /v1/models lists; it answers for every model.", 0, 0},
    {"key", 0, Option::Kind::text, "KEY", "Answer 401 to calls without this key.", 0, 0},
    {"latency-ms", 0, Option::Kind::number, "MS", "Before the head of an answer.", 0, kMsMax},
    {"jitter-ms", 0, Option::Kind::number, "MS", "Up to so much more, at random.", 0, kMsMax},
    {"tokens", 0, Option::Kind::integer, "N", "Length of an answer; 16 by default.", 0, 1e6},
    {"tps", 0, Option::Kind::number, "N", "Tokens a second of a stream.", 0.001, 1e6},
    {"limit", 0, Option::Kind::text, "EVERY:FOR",
     "Windows of 429 with Retry-After: --limit 3000:800 refuses the last 800 ms of each 3000.", 0, 0},
    {"rpm", 0, Option::Kind::integer, "N", "429 after so many calls in a minute.", 1, 1e9},
    {"errors", 0, Option::Kind::text, "RATE[:STATUS]",
     "That share of calls fails: --errors 0.1:503. 500 by default.", 0, 0},
    {"cut", 0, Option::Kind::text, "EVENTS[:RATE]",
     "Close the connection after so many events, in that share of calls.", 0, 0},
    {"stall", 0, Option::Kind::text, "EVENTS[:RATE]",
     "Fall silent after so many events, in that share of calls.", 0, 0},
    {"die-after", 0, Option::Kind::integer, "N", "End, with every connection reset, when call N + 1 comes.", 0, 1e9},
    {"options", 'o', Option::Kind::text, "JSON",
     "Anything the mock can do; see below. Single options win over it.", 0, 0},
    {"journal", 0, Option::Kind::flag, "", "At the end print, as JSON, what it saw.", 0, 0},
};

using Tree = std::unique_ptr<cJSON, decltype(&cJSON_Delete)>;

struct FreeMock {
  void operator()(lb_mock* mock) const { lb_mock_free(mock); }
};

// "A" or "A:B", both numbers.
bool pair_of(std::string_view text, double& first, double& second, bool& has_second) {
  size_t colon = text.find(':');
  std::string_view parts[] = {text.substr(0, colon), colon == text.npos ? "" : text.substr(colon + 1)};
  has_second = colon != text.npos;
  double* out[] = {&first, &second};
  for (int i = 0; i < (has_second ? 2 : 1); i++) {
    const char* end = parts[i].data() + parts[i].size();
    auto parsed = std::from_chars(parts[i].data(), end, *out[i]);
    if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  }
  return true;
}

class Script {
 public:
  explicit Script(const Arguments& arguments) : arguments_(arguments), tree_(cJSON_CreateObject(), cJSON_Delete) {}
  // False when a value made no sense; that has been printed.
  bool build();
  std::string text() const;

 private:
  void set(const char* key, cJSON* value) {
    cJSON_DeleteItemFromObjectCaseSensitive(tree_.get(), key);
    cJSON_AddItemToObject(tree_.get(), key, value);
  }
  cJSON* object(const char* key) {
    cJSON* value = cJSON_CreateObject();
    set(key, value);
    return value;
  }
  void copy_number(const char* option, const char* key) {
    if (arguments_.has(option)) set(key, cJSON_CreateNumber(arguments_.number(option, 0)));
  }
  void copy_text(const char* option, const char* key) {
    if (arguments_.has(option)) set(key, cJSON_CreateString(std::string(arguments_.text(option, "")).c_str()));
  }
  void add_models();
  bool add_limit();
  bool add_errors();
  bool add_fault(const char* option);
  bool wrong(const char* option, const char* remedy) const;

  const Arguments& arguments_;
  Tree tree_;
};

bool Script::build() {
  if (arguments_.has("options")) {
    std::string_view text = arguments_.text("options", "");
    tree_.reset(cJSON_ParseWithLength(text.data(), text.size()));
    if (!cJSON_IsObject(tree_.get())) return wrong("options", "a JSON object, such as '{\"tokens\": 5}'");
  }
  copy_number("port", "port");
  copy_text("address", "address");
  copy_text("name", "name");
  copy_text("key", "key");
  copy_number("latency-ms", "latency_ms");
  copy_number("jitter-ms", "jitter_ms");
  copy_number("tokens", "tokens");
  copy_number("tps", "tokens_per_second");
  copy_number("die-after", "die_after_calls");
  add_models();
  return add_limit() && add_errors() && add_fault("cut") && add_fault("stall");
}

void Script::add_models() {
  if (!arguments_.has("models")) return;
  cJSON* list = cJSON_CreateArray();
  set("models", list);
  std::string_view rest = arguments_.text("models", "");
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    cJSON_AddItemToArray(list, cJSON_CreateString(std::string(rest.substr(0, comma)).c_str()));
    rest = comma == rest.npos ? "" : rest.substr(comma + 1);
  }
}

bool Script::add_limit() {
  if (!arguments_.has("limit") && !arguments_.has("rpm")) return true;
  cJSON* limit = object("limit");
  if (arguments_.has("rpm")) cJSON_AddNumberToObject(limit, "rpm", arguments_.number("rpm", 0));
  if (!arguments_.has("limit")) return true;
  double every = 0, length = 0;
  bool both = false;
  if (!pair_of(arguments_.text("limit", ""), every, length, both) || !both)
    return wrong("limit", "EVERY:FOR in milliseconds, such as 3000:800");
  cJSON_AddNumberToObject(limit, "every_ms", every);
  cJSON_AddNumberToObject(limit, "for_ms", length);
  return true;
}

bool Script::add_errors() {
  if (!arguments_.has("errors")) return true;
  double rate = 0, status = 500;
  bool both = false;
  if (!pair_of(arguments_.text("errors", ""), rate, status, both))
    return wrong("errors", "a share and perhaps a status, such as 0.1:503");
  cJSON* error = object("error");
  cJSON_AddNumberToObject(error, "rate", rate);
  cJSON_AddNumberToObject(error, "status", status);
  return true;
}

bool Script::add_fault(const char* option) {
  if (!arguments_.has(option)) return true;
  double events = 0, rate = 1;
  bool both = false;
  if (!pair_of(arguments_.text(option, ""), events, rate, both))
    return wrong(option, "a number of events and perhaps a share, such as 4:0.1");
  cJSON* fault = object(option);
  cJSON_AddNumberToObject(fault, "after_events", events);
  cJSON_AddNumberToObject(fault, "rate", rate);
  return true;
}

bool Script::wrong(const char* option, const char* remedy) const {
  print_error(kName, "--" + std::string(option) + ": \"" + std::string(arguments_.text(option, "")) +
                         "\" cannot be read; write " + remedy);
  return false;
}

std::string Script::text() const {
  char* printed = cJSON_PrintUnformatted(tree_.get());
  std::string out = printed ? printed : "{}";
  cJSON_free(printed);
  return out;
}

int mock(const Arguments& arguments) {
  Script script(arguments);
  if (!script.build()) return kUsage;
  Signals signals{SIGINT, SIGTERM};
  std::string options = script.text();
  char error[512] = "";
  lb_mock* started = nullptr;
  if (lb_mock_start(options.data(), options.size(), &started, error, sizeof(error)) != 0) {
    print_error(kName, error);
    return kFailure;
  }
  std::unique_ptr<lb_mock, FreeMock> mock(started);
  std::string address(arguments.text("address", "127.0.0.1"));
  if (address.find(':') != address.npos) address = "[" + address + "]";
  write_all(STDOUT_FILENO,
            "mock listening on http://" + address + ":" + std::to_string(lb_mock_port(started)) + "/v1\n");
  pollfd watched{signals.fd(), POLLIN, 0};
  // A mock that was told to die says so only when asked: five times a second is soon enough for people.
  while (lb_mock_alive(started) && (poll(&watched, 1, 200) >= 0 || errno == EINTR))
    if (signals.next()) break;
  if (!lb_mock_alive(started)) write_all(STDERR_FILENO, "lb mock: died as it was told\n");
  if (arguments.has("journal")) {
    char* journal = lb_mock_journal(started, nullptr);
    write_all(STDOUT_FILENO, std::string(journal ? journal : "{}") + "\n");
    lb_mock_free_text(journal);
  }
  return kOk;
}

}  // namespace

constinit const Command kMock = {
    "mock",
    "mock [OPTIONS]",
    "Run a scripted upstream that speaks every dialect.",
    "Prints \"mock listening on http://127.0.0.1:PORT/v1\" and answers conversations,\n"
    "embeddings, counts of tokens and lists of models, in the dialect of the path,\n"
    "until SIGINT or SIGTERM. It can think, call tools, be slow, limit, fail, cut and\n"
    "stall, as told. While it runs, GET /mock/journal says what it saw, and POST\n"
    "/mock/control takes new options.\n",
    kOptions,
    0,
    0,
    "",
    mock,
    lb_mock_help,
};

}  // namespace cli
