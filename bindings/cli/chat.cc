// lb chat: one question through the engine, in this process, the answer to the terminal as it comes.
#include <cerrno>
#include <cjson/cJSON.h>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <string>
#include <unistd.h>

#include "command.h"
#include "document.h"
#include "signals.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kName = "lb chat";

constexpr Option kOptions[] = {
    {"model", 'm', Option::Kind::text, "MODEL", "The model to ask for; needed.", 0, 0},
    {"system", 's', Option::Kind::text, "TEXT", "A system message before the question.", 0, 0},
    {"no-stream", 0, Option::Kind::flag, "", "Ask for the whole answer at once.", 0, 0},
    {"max-tokens", 0, Option::Kind::integer, "N", "Length of the answer at most.", 1, 1e9},
    {"temperature", 't', Option::Kind::number, "T", "As the provider understands it.", 0, 10},
    {"deadline-ms", 0, Option::Kind::integer, "MS", "For everything together; the route's by default.", 1, 86'400'000},
    {"verbose", 'v', Option::Kind::flag, "", "Tell each attempt that failed.", 0, 0},
    {"quiet", 'q', Option::Kind::flag, "", "Only the answer, and errors.", 0, 0},
};

using Tree = std::unique_ptr<cJSON, decltype(&cJSON_Delete)>;

Tree parse(const lb_event& event) {
  return {cJSON_ParseWithLength(static_cast<const char*>(event.data), event.size), cJSON_Delete};
}

void add_message(cJSON* list, const char* role, const std::string& text) {
  cJSON* message = cJSON_CreateObject();
  cJSON_AddStringToObject(message, "role", role);
  cJSON_AddStringToObject(message, "content", text.c_str());
  cJSON_AddItemToArray(list, message);
}

std::string request_body(const Arguments& arguments, const std::string& question) {
  Tree body(cJSON_CreateObject(), cJSON_Delete);
  cJSON_AddStringToObject(body.get(), "model", std::string(arguments.text("model", "")).c_str());
  cJSON* messages = cJSON_AddArrayToObject(body.get(), "messages");
  if (arguments.has("system")) add_message(messages, "system", std::string(arguments.text("system", "")));
  add_message(messages, "user", question);
  if (arguments.has("max-tokens"))
    cJSON_AddNumberToObject(body.get(), "max_tokens", static_cast<double>(arguments.integer("max-tokens", 0)));
  if (arguments.has("temperature"))
    cJSON_AddNumberToObject(body.get(), "temperature", arguments.number("temperature", 1));
  if (!arguments.has("no-stream")) {
    cJSON_AddTrueToObject(body.get(), "stream");
    // Without it a stream has no usage.
    cJSON_AddTrueToObject(cJSON_AddObjectToObject(body.get(), "stream_options"), "include_usage");
  }
  char* printed = cJSON_PrintUnformatted(body.get());
  std::string out = printed ? printed : "";
  cJSON_free(printed);
  return out;
}

// What the first choice says, in an answer or in one event of a stream.
std::string said(const cJSON* tree) {
  const cJSON* choice = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(tree, "choices"), 0);
  const cJSON* message = cJSON_GetObjectItemCaseSensitive(choice, "delta");
  if (!message) message = cJSON_GetObjectItemCaseSensitive(choice, "message");
  const char* text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
  return text ? text : "";
}

std::string error_message(const cJSON* tree) {
  const cJSON* error = cJSON_GetObjectItemCaseSensitive(tree, "error");
  const char* text = cJSON_GetStringValue(cJSON_IsString(error) ? error
                                                                : cJSON_GetObjectItemCaseSensitive(error, "message"));
  return text ? text : "";
}

std::string field(const lb_event& event, uint32_t id) {
  const char* text = nullptr;
  size_t size = 0;
  return lb_event_text(&event, id, &text, &size) ? std::string(text, size) : std::string();
}

std::string seconds(uint64_t ns) {
  uint64_t ms = (ns + 500'000) / 1'000'000;
  if (ms < 1000) return std::to_string(ms) + " ms";
  return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
}

class Chat {
 public:
  explicit Chat(const Arguments& arguments)
      : arguments_(arguments), colour_(wants_colour(STDERR_FILENO)), people_(is_terminal(STDOUT_FILENO)) {}
  int run();

 private:
  bool question(std::string& out) const;
  int start(const std::string& body);
  int wait(Signals& signals);
  void on_event(const lb_event& event);
  void on_data(const lb_event& event);
  void on_done(const lb_event& event);
  void print(std::string_view text);
  void print_summary(const lb_event& event);
  void note(std::string_view text);

  const Arguments& arguments_;
  bool colour_, people_;
  Engine engine_;
  Queue queue_;
  lb_call call_ = 0;
  uint32_t http_status_ = 0;
  bool line_open_ = false;  // Something was printed, and no newline after it.
  bool done_ = false, interrupted_ = false, reader_gone_ = false;
  std::string error_;
  int exit_ = kFailure;
};

bool Chat::question(std::string& out) const {
  const auto& words = arguments_.words();
  for (size_t i = 1; i < words.size(); i++) out.append(i > 1 ? " " : "").append(words[i]);
  if (words.size() > 1) return true;
  if (words[0] == "-") {
    print_error(kName, "stdin brings the configuration; the question then has to stand in the command");
    return false;
  }
  if (is_terminal(STDIN_FILENO)) write_all(STDERR_FILENO, "(your question; Ctrl-D ends it)\n");
  if (!read_document("-", out)) {
    print_error(kName, "stdin " + out);
    return false;
  }
  if (out.find_first_not_of(" \t\r\n") != out.npos) return true;
  print_error(kName, "no question: write it after the options, or give it on stdin");
  return false;
}

int Chat::run() {
  if (!arguments_.has("model")) {
    print_error(kName, "which model? Name it with -m MODEL");
    return kUsage;
  }
  std::string text;
  if (!question(text)) return kUsage;
  Signals signals{SIGINT, SIGTERM};
  lb_engine_options options{};
  options.struct_size = sizeof(options);
  options.flags = LB_ENGINE_SECRETS | LB_ENGINE_NO_LISTEN;
  if (int status = open_engine(kName, arguments_.words()[0], options, engine_, queue_); status != kOk) return status;
  if (int status = start(request_body(arguments_, text)); status != kOk) return status;
  return wait(signals);
}

int Chat::start(const std::string& body) {
  lb_call_options options{};
  options.struct_size = sizeof(options);
  options.delivery = arguments_.has("no-stream") ? LB_DELIVER_WHOLE : LB_DELIVER_EVENTS;
  options.deadline_ms = static_cast<uint32_t>(arguments_.integer("deadline-ms", 0));
  options.flags = LB_CALL_ATTEMPTS;
  constexpr std::string_view kHead = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\r\n";
  lb_error error = no_error();
  if (lb_call_start(engine_.get(), queue_.get(), &options, kHead.data(), kHead.size(), body.data(), body.size(), &call_,
                    &error) == LB_OK)
    return kOk;
  print_error(kName, error.message);
  return kFailure;
}

int Chat::wait(Signals& signals) {
  pollfd watched[] = {{signals.fd(), POLLIN, 0}, {static_cast<int>(lb_queue_fd(queue_.get())), POLLIN, 0}};
  while (!done_) {
    lb_event events[64];
    int32_t count = lb_queue_poll(queue_.get(), events, 64, 0);
    for (int32_t i = 0; i < count; i++) on_event(events[i]);
    if (count < 0) return kFailure;
    if (count > 0) continue;
    poll(watched, 2, -1);
    if (!signals.next()) continue;
    if (interrupted_) break;
    interrupted_ = true;
    lb_call_cancel(engine_.get(), call_);
  }
  return interrupted_ ? kInterrupted : exit_;
}

void Chat::on_event(const lb_event& event) {
  if (event.call != call_) return;
  switch (event.kind) {
    case LB_EVENT_ATTEMPT:
      if (arguments_.has("verbose"))
        note(field(event, LB_FIELD_UPSTREAM) + ": " + field(event, LB_FIELD_MESSAGE) + "; trying elsewhere");
      break;
    case LB_EVENT_HEAD:
      http_status_ = event.code;
      break;
    case LB_EVENT_DATA:
      on_data(event);
      lb_call_credit(engine_.get(), call_, event.size);
      break;
    case LB_EVENT_DONE:
      on_done(event);
      break;
  }
}

void Chat::on_data(const lb_event& event) {
  Tree tree = parse(event);
  if (std::string text = error_message(tree.get()); !text.empty()) error_ = text;
  if (http_status_ < 400) return print(said(tree.get()));
  if (error_.empty()) error_.append(static_cast<const char*>(event.data), event.size);
}

void Chat::print(std::string_view text) {
  if (text.empty() || reader_gone_) return;
  line_open_ = text.back() != '\n';
  if (write_all(STDOUT_FILENO, people_ ? harmless(text) : text)) return;
  reader_gone_ = true;
  error_ = "nobody reads the answer";
  lb_call_cancel(engine_.get(), call_);
}

void Chat::on_done(const lb_event& event) {
  done_ = true;
  if (line_open_ && !reader_gone_) write_all(STDOUT_FILENO, "\n");
  if (event.status == LB_OK && http_status_ < 400 && !reader_gone_) {
    exit_ = kOk;
  } else if (!interrupted_) {
    std::string text = event.status == LB_OK ? "HTTP " + std::to_string(http_status_) : lb_status_text(event.status);
    std::string why = event.status == LB_OK || reader_gone_ ? error_ : field(event, LB_FIELD_MESSAGE);
    print_error(kName, why.empty() ? text : text + ": " + harmless(why));
  }
  if (!arguments_.has("quiet")) print_summary(event);
}

void Chat::print_summary(const lb_event& event) {
  std::string out;
  auto add = [&out](const std::string& part) { out.append(out.empty() ? "" : " · ").append(part); };
  std::string upstream = field(event, LB_FIELD_UPSTREAM);
  uint64_t attempts = 0, value = 0;
  lb_event_u64(&event, LB_FIELD_ATTEMPTS, &attempts);
  if (!upstream.empty()) add("served by " + upstream);
  add(std::to_string(attempts) + (attempts == 1 ? " attempt" : " attempts"));
  if (lb_event_u64(&event, LB_FIELD_TOKENS_IN, &value)) add(std::to_string(value) + " tokens in");
  if (lb_event_u64(&event, LB_FIELD_TOKENS_OUT, &value)) add(std::to_string(value) + " out");
  if (lb_event_u64(&event, LB_FIELD_FIRST_BYTE_NS, &value)) add("first content " + seconds(value));
  if (lb_event_u64(&event, LB_FIELD_TOTAL_NS, &value)) add("total " + seconds(value));
  note(out);
}

void Chat::note(std::string_view text) {
  write_all(STDERR_FILENO, paint(colour_, Colour::dim, harmless(text)) + "\n");
}

int chat(const Arguments& arguments) { return Chat(arguments).run(); }

}  // namespace

constinit const Command kChat = {
    "chat",
    "chat FILE -m MODEL [OPTIONS] [QUESTION]",
    "Ask a model through a configuration, without a gateway.",
    "Opens the deployments of the configuration in this process, without listening,\n"
    "and prints the answer as it comes. Without QUESTION it reads stdin. What served\n"
    "it, attempts and tokens go to stderr. Ctrl-C cancels the call.\n",
    kOptions,
    1,
    size_t(-1),
    "which configuration? Name a file",
    chat,
};

}  // namespace cli
