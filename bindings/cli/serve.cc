// lb serve: the engine behind its listeners, until a signal ends it.
#include <cerrno>
#include <cjson/cJSON.h>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "command.h"
#include "document.h"
#include "log_line.h"
#include "signals.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kName = "lb serve";
constexpr int kWithoutBellMs = 100;  // As often as a listener without descriptors tries again (Loop::kAcceptPause).

constexpr Option kOptions[] = {
    {"log-level", 'l', Option::Kind::text, "LEVEL", "error, warn, info or debug; info by default.", 0, 0},
    {"log-format", 0, Option::Kind::text, "FORMAT",
     "text or json; by default text when stderr is a terminal, json otherwise.", 0, 0},
    // A long answer streams for about this long: half of nginx's proxy_read_timeout.
    {"drain-ms", 0, Option::Kind::integer, "MS",
     "How long calls in flight may go on after SIGTERM; 30000 by default.", 0, 86'400'000},
    {"calls-max", 0, Option::Kind::integer, "N", "Calls in flight at most; 65536 by default.", 1, 1'048'576},
};

// Connections need descriptors, and the soft limit of a shell is 1024 for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Service {
 public:
  Service(const Arguments& arguments, Log& log)
      : path_(arguments.words()[0]),
        drain_ms_(static_cast<uint32_t>(arguments.integer("drain-ms", 30'000))),
        calls_max_(static_cast<uint32_t>(arguments.integer("calls-max", 0))),
        log_(log),
        signals_{SIGHUP, SIGTERM, SIGINT} {}

  int run();

 private:
  bool on_events();  // False when the engine has closed.
  bool on_signal(int number);  // False for the end at once.
  void reload();
  void print_addresses();
  bool print_address(std::string_view name);

  std::string path_;
  uint32_t drain_ms_;
  uint32_t calls_max_;
  Log& log_;
  Signals signals_;
  Engine engine_;
  Queue queue_;
  std::vector<std::string> printed_;
  bool draining_ = false;
};

int Service::run() {
  if (signals_.fd() < 0) {
    print_error(kName, std::string("no pipe for signals: ") + std::strerror(errno));
    return kFailure;
  }
  lb_engine_options options{};
  options.struct_size = sizeof(options);
  options.flags = LB_ENGINE_SECRETS;
  options.calls_max = calls_max_;
  options.log_level = static_cast<uint32_t>(log_.level());
  if (int status = open_engine(kName, path_, options, engine_, queue_); status != kOk) return status;
  print_addresses();
  if (printed_.empty())
    log_.write(Level::warn, "nothing to listen on: the configuration has no \"listen\"");
  pollfd watched[] = {{signals_.fd(), POLLIN, 0}, {-1, POLLIN, 0}};
  while (on_events()) {
    // Clients may have taken the last descriptor before the queue got its own: then it is asked for again, and until
    // then the queue is looked at now and then.
    if (watched[1].fd < 0) watched[1].fd = static_cast<int>(lb_queue_fd(queue_.get()));
    if (poll(watched, 2, watched[1].fd < 0 ? kWithoutBellMs : -1) < 0 && errno != EINTR) {
      print_error(kName, std::string("poll: ") + std::strerror(errno));
      return kFailure;
    }
    while (int number = signals_.next())
      if (!on_signal(number)) return kFailure;
  }
  return kOk;
}

bool Service::on_events() {
  lb_event events[64];
  for (;;) {
    int32_t count = lb_queue_poll(queue_.get(), events, 64, 0);
    for (int32_t i = 0; i < count; i++) {
      if (events[i].kind == LB_EVENT_CLOSED) {
        log_.write(Level::info, "closed");
        return false;
      }
      if (events[i].kind == LB_EVENT_LOG)
        log_.line(static_cast<Level>(events[i].code), {static_cast<const char*>(events[i].data), events[i].size});
    }
    if (count == LB_CLOSED) return false;
    if (count <= 0) return true;
  }
}

bool Service::on_signal(int number) {
  if (number == SIGHUP) {
    reload();
    return true;
  }
  if (draining_) {
    log_.write(Level::warn, "a second signal: calls in flight are cut");
    return false;  // Freeing the engine ends them.
  }
  draining_ = true;
  log_.write(Level::info, "draining; a second signal ends it at once", "\"drain_ms\":" + std::to_string(drain_ms_));
  lb_engine_close(engine_.get(), drain_ms_);
  return true;
}

void Service::reload() {
  std::string text;
  std::string file = "\"file\":" + json_quote(document_name(path_));
  if (draining_) return;
  if (path_ == "-") return log_.write(Level::warn, "stdin cannot be read again: the configuration stays", file);
  lb_error error = no_error();
  if (!read_document(path_, text))
    return log_.write(Level::error, "not reloaded: the file " + text, file);
  if (lb_engine_configure(engine_.get(), text.data(), text.size(), &error) != LB_OK)
    return log_.write(Level::error, "not reloaded: the old configuration stays",
                      file + ",\"where\":" + json_quote(error.where) + ",\"error\":" + json_quote(error.message));
  log_.write(Level::info, "reloaded", file);
  print_addresses();
}

// Names come from the snapshot of the engine, which knows the document in either syntax.
void Service::print_addresses() {
  size_t size = 0;
  char* text = lb_engine_stats(engine_.get(), 0, &size);
  cJSON* tree = text ? cJSON_ParseWithLength(text, size) : nullptr;
  lb_free(text);
  const cJSON* item = nullptr;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(tree, "listeners"))
    if (const char* name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"))) print_address(name);
  cJSON_Delete(tree);
}

bool Service::print_address(std::string_view name) {
  char address[512];
  int32_t size = lb_engine_address(engine_.get(), name.data(), name.size(), address, sizeof(address));
  if (size <= 0) return false;
  std::string where(address, static_cast<size_t>(size) < sizeof(address) ? static_cast<size_t>(size) : sizeof(address));
  for (const std::string& before : printed_)
    if (before == where) return true;
  printed_.push_back(where);
  write_all(STDOUT_FILENO, "listening on " + (where.starts_with("unix:") ? where : "http://" + where) + "\n");
  return true;
}

int serve(const Arguments& arguments) {
  Level level = level_of(arguments.text("log-level", "info"));
  std::string_view format = arguments.text("log-format", is_terminal(STDERR_FILENO) ? "text" : "json");
  if (level == Level::none || (format != "text" && format != "json")) {
    print_error(kName, level == Level::none ? "--log-level: write error, warn, info or debug"
                                            : "--log-format: write text or json");
    return kUsage;
  }
  Log log(STDERR_FILENO, format == "text", wants_colour(STDERR_FILENO), level);
  raise_descriptor_limit();
  Service service(arguments, log);
  return service.run();
}

}  // namespace

constinit const Command kServe = {
    "serve",
    "serve FILE [OPTIONS]",
    "Run the gateway of a configuration.",
    "Listens where `listen` of the configuration (JSON or YAML; - is stdin) says, and\n"
    "spreads the calls that come in over its deployments. Prints one line on stdout\n"
    "for each listener, \"listening on http://127.0.0.1:8080\"; the log goes to stderr.\n"
    "Secrets given as {env: NAME} or {file: PATH} are read here.\n"
    "\n"
    "  SIGHUP           reads the file again; a faulty one is refused, and calls in\n"
    "                   flight keep the configuration they began with\n"
    "  SIGTERM, SIGINT  takes no new calls, lets those in flight end, then exits with\n"
    "                   0; a second signal cuts them and exits with 1\n",
    kOptions,
    1,
    1,
    "which configuration? Name a file, or - for stdin",
    serve,
};

}  // namespace cli
