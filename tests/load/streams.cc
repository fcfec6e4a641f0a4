// streams CONFIG STREAMS EVENTS: a host of lb with STREAMS calls on one engine, by the C ABI alone. Streams with even
// numbers are delivered as events, the others as bytes. Orders: start FIRST COUNT, count, stats.
#include <poll.h>

#include "crowd.h"
#include "lb.h"

namespace {

using namespace load;

constexpr char kHead[] = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n"
                         "accept: application/json\r\nuser-agent: load/1\r\n\r\n";

class Host {
 public:
  Host(size_t streams_max, uint32_t events) : events_(events), crowd_(streams_max, events) {}

  bool open(const std::string& config) {
    lb_error error = {sizeof error, 0, "", ""};
    lb_engine_options options = {sizeof options, LB_ENGINE_NO_LISTEN, 1, 0, 0, 0, 0};
    if (lb_engine_open(&options, config.data(), config.size(), &engine_, &error) == LB_OK &&
        lb_queue_open(engine_, nullptr, &queue_, &error) == LB_OK)
      return true;
    std::fprintf(stderr, "%s: %s\n", error.where, error.message);
    return false;
  }

  void run() {
    say("{}");
    for (bool orders = true; orders;) {
      pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {static_cast<int>(lb_queue_fd(queue_)), POLLIN, 0}};
      ::poll(watched, 2, -1);
      if (watched[0].revents)
        orders = orders_.read([this](const std::string& word, const std::string&, uint64_t first, uint64_t count) {
          obey(word, first, count);
        });
      take_events();
      while (uint64_t id = crowd_.take_next()) start(id);
    }
    lb_queue_close(queue_);
    lb_engine_free(engine_);
  }

 private:
  static bool by_event(uint64_t id) { return id % 2 == 0; }

  void obey(std::string_view word, uint64_t first, uint64_t count) {
    if (word == "start") crowd_.plan(first, count);
    if (word != "stats") return crowd_.report();
    size_t size = 0;
    char* text = lb_engine_stats(engine_, 0, &size);
    say("%s", text);
    lb_free(text);
  }

  void start(uint64_t id) {
    lb_call_options options = {sizeof options, by_event(id) ? LB_DELIVER_EVENTS : LB_DELIVER_BYTES, id, 0, 0, 0, 0};
    lb_call call = 0;
    std::string body = request_body(id);
    lb_status status =
        lb_call_start(engine_, queue_, &options, kHead, sizeof kHead - 1, body.data(), body.size(), &call, nullptr);
    if (status != LB_OK) crowd_.end(id, false, 0, lb_status_text(status));
  }

  void take_events() {
    lb_event events[256];
    for (int32_t count; (count = lb_queue_poll(queue_, events, 256, 0)) > 0;)
      for (int32_t i = 0; i < count; i++) take(events[i]);
  }

  void take(const lb_event& event) {
    uint64_t id = event.user_data;
    std::string_view data(static_cast<const char*>(event.data), event.size);
    if (event.kind == LB_EVENT_DATA) {
      by_event(id) ? crowd_.take_data(id, data) : crowd_.take_bytes(id, data);
      lb_call_credit(engine_, event.call, event.size);
      if (crowd_.over(id)) lb_call_cancel(engine_, event.call);
    } else if (event.kind == LB_EVENT_DONE) {
      const char* why = lb_status_text(event.status);
      size_t size = 0;
      lb_event_text(&event, LB_FIELD_MESSAGE, &why, &size);
      crowd_.end(id, event.status == LB_OK, by_event(id) ? events_ + 1 : events_ + 2, why);
    }
  }

  const uint32_t events_;
  Crowd crowd_;
  Orders orders_;
  lb_engine* engine_ = nullptr;
  lb_queue* queue_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: streams CONFIG STREAMS EVENTS\n"), 2;
  FILE* file = std::fopen(argv[1], "r");
  if (!file) die(argv[1]);
  std::string config(64 * 1024, '\0');
  config.resize(std::fread(config.data(), 1, config.size(), file));
  std::fclose(file);
  Host host(static_cast<size_t>(std::atoll(argv[2])), static_cast<uint32_t>(std::atoi(argv[3])));
  if (!host.open(config)) return 1;
  host.run();
}
