// soak CONFIG...: a host of lb under mixed traffic of its own, while others come through its gateway. Every call must
// end, and a success must be whole. Orders: go SLOTS SEED, stop, reload FILE, stats, address, count.
#include <poll.h>
#include <time.h>

#include <map>

#include "crowd.h"
#include "lb.h"

namespace {

using namespace load;

constexpr uint32_t kTokens = 16;  // Of every answer of the mocks: their default.
constexpr size_t kStatuses = 64;

enum class Kind : uint8_t { plain, whole, events, bytes, large, cancelled, slow, hurried, mistaken, big, kinds };

struct Call {
  lb_call id = 0;
  Kind kind = Kind::plain;
  bool streamed = false;
  bool head = false;
  uint32_t code = 0;
  uint32_t pieces = 0;       // DATA events.
  uint32_t cancel_at = 0;    // DATA events before it is cancelled.
  uint64_t owed = 0;         // Taken and not credited.
  int64_t due_ms = 0;        // When the next call starts, or a slow one gives credit; 0: neither.
  std::string text;          // Of the answer; of a big one, its end.
};

int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint32_t count_of(std::string_view text, std::string_view part) {
  uint32_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) count++;
  return count;
}

class Host {
 public:
  bool open(const char* path) {
    lb_error error = {sizeof error, 0, "", ""};
    lb_engine_options options = {sizeof options, 0, 1, 0, 0, 0, 0};
    std::string config = read(path);
    if (lb_engine_open(&options, config.data(), config.size(), &engine_, &error) == LB_OK &&
        lb_queue_open(engine_, nullptr, &queue_, &error) == LB_OK)
      return true;
    std::fprintf(stderr, "%s: %s\n", error.where, error.message);
    return false;
  }

  void run() {
    say("{}");
    for (bool orders = true; orders;) {
      // The queue wakes; slots that are due are looked at ten times in 100 ms.
      pollfd watched[] = {{STDIN_FILENO, POLLIN, 0}, {static_cast<int>(lb_queue_fd(queue_)), POLLIN, 0}};
      ::poll(watched, 2, busy_ || going_ ? 10 : -1);
      if (watched[0].revents) orders = read_orders();
      take_events();
      int64_t now = now_ms();
      for (size_t i = 0; i < slots_.size(); i++)
        if (slots_[i].due_ms != 0 && slots_[i].due_ms <= now) on_due(i);
    }
    lb_queue_close(queue_);
    lb_engine_free(engine_);
  }

 private:
  static std::string read(const char* path) {
    FILE* file = std::fopen(path, "r");
    if (!file) die(path);
    std::string text(256 * 1024, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
  }

  uint64_t below(uint64_t n) { return (chance_ = mix(chance_)) % n; }

  bool read_orders() {
    return orders_.read([this](const std::string& word, const std::string& rest, uint64_t first, uint64_t second) {
      if (word == "go") go(first, second);
      if (word == "stop") going_ = false;
      if (word == "reload") return reload(rest.c_str());
      if (word == "address") return address();
      if (word == "stats") return stats();
      count();
    });
  }

  void go(uint64_t slots, uint64_t seed) {
    going_ = true;
    chance_ = seed;
    slots_.resize(slots);
    for (Call& slot : slots_)
      if (slot.id == 0) slot.due_ms = now_ms() + 1;
  }

  void reload(const char* path) {
    lb_error error = {sizeof error, 0, "", ""};
    std::string config = read(path);
    lb_status status = lb_engine_configure(engine_, config.data(), config.size(), &error);
    say("{\"status\":\"%s\",\"where\":\"%s\"}", lb_status_name(status), error.where);
  }
  void address() {
    char text[128] = "";
    lb_engine_address(engine_, "", 0, text, sizeof text);
    say("{\"address\":\"%s\"}", text);
  }
  void stats() {
    size_t size = 0;
    char* text = lb_engine_stats(engine_, 0, &size);
    say("%s", text);
    lb_free(text);
  }
  void count() {
    std::string ends;
    for (const auto& [status, times] : ends_)
      ends += (ends.empty() ? "\"" : ",\"") + std::string(lb_status_name(status)) + "\":" + std::to_string(times);
    say("{\"busy\":%zu,\"started\":%llu,\"wrong\":%llu,\"ends\":{%s}}", busy_,
        static_cast<unsigned long long>(started_), static_cast<unsigned long long>(wrong_), ends.c_str());
  }

  void on_due(size_t i) {
    Call& slot = slots_[i];
    slot.due_ms = 0;
    if (slot.id == 0) {
      if (going_) start(i);
      return;
    }
    lb_call_credit(engine_, slot.id, slot.owed);  // A slow reader, which takes what it has been given.
    slot.owed = 0;
  }

  // A request of the slot's kind; a prompt of `size` bytes.
  static std::string body_of(std::string_view model, bool streamed, size_t size) {
    std::string body = "{\"model\":\"" + std::string(model) + "\",\"stream\":" + (streamed ? "true" : "false");
    body += ",\"messages\":[{\"role\":\"user\",\"content\":\"";
    for (size_t i = 0; i < size; i++) body += static_cast<char>(i % 9 == 8 ? ' ' : 'a' + i % 26);
    return body + "\"}]}";
  }

  void start(size_t i) {
    Call& slot = slots_[i];
    slot = Call();
    slot.kind = static_cast<Kind>(below(static_cast<uint64_t>(Kind::kinds)));
    slot.streamed = slot.kind == Kind::events || slot.kind == Kind::bytes || slot.kind == Kind::slow ||
                    ((slot.kind == Kind::cancelled || slot.kind == Kind::hurried) && below(2) == 0);
    slot.cancel_at = static_cast<uint32_t>(below(8));
    lb_call_options options = {sizeof options, LB_DELIVER_BYTES, i, 0, 0, 0, 0};
    if (slot.kind == Kind::events) options.delivery = LB_DELIVER_EVENTS;
    if (slot.kind == Kind::whole) options.delivery = LB_DELIVER_WHOLE;
    if (slot.kind == Kind::slow) options.window_bytes = 1024;
    if (slot.kind == Kind::big && below(2) == 0) options.window_bytes = 16 * 1024;
    if (slot.kind == Kind::hurried) options.deadline_ms = static_cast<uint32_t>(1 + below(60));
    if (below(4) == 0) options.flags = LB_CALL_ATTEMPTS;
    options.priority = static_cast<int32_t>(below(3));
    std::string head = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\nx-lb-caller: c" +
                       std::to_string(below(20)) + "\r\n";
    if (below(4) == 0) head += "x-lb-affinity: s" + std::to_string(below(50)) + "\r\n";
    if (below(10) == 0) head += "x-lb-trace: 1\r\n";
    std::string body = slot.kind == Kind::large ? body_of("m", false, 100'000 + below(2'000'000))
                       : slot.kind == Kind::big ? body_of("big", false, 100)
                                                : body_of("m", slot.streamed, 20 + below(4000));
    if (slot.kind == Kind::mistaken) body = below(2) == 0 ? body_of("no-such-model", false, 9) : "{\"model\":";
    started_++;
    busy_++;
    lb_status status = lb_call_start(engine_, queue_, &options, head.data(), head.size(), body.data(), body.size(),
                                     &slot.id, nullptr);
    if (status != LB_OK) complain(slot, "lb_call_start", lb_status_text(status));
    if (slot.kind == Kind::cancelled && slot.cancel_at == 0) lb_call_cancel(engine_, slot.id);
  }

  void take_events() {
    lb_event events[64];
    for (int32_t count; (count = lb_queue_poll(queue_, events, 64, 0)) > 0;)
      for (int32_t i = 0; i < count; i++) take(events[i]);
  }

  void take(const lb_event& event) {
    Call& slot = slots_[event.user_data];
    if (slot.id != event.call) return complain(slot, "an event of a call that has ended", "");
    if (event.kind == LB_EVENT_HEAD) {
      if (slot.head) complain(slot, "a second head", "");
      slot.head = true;
      slot.code = event.code;
    } else if (event.kind == LB_EVENT_DATA) {
      take_data(slot, event);
    } else if (event.kind == LB_EVENT_DONE) {
      on_done(slot, event);
    }
  }

  void take_data(Call& slot, const lb_event& event) {
    slot.text.append(static_cast<const char*>(event.data), event.size);
    slot.pieces++;
    if (slot.kind == Kind::cancelled && slot.pieces >= slot.cancel_at) lb_call_cancel(engine_, slot.id);
    slot.owed += event.size;
    if (slot.kind == Kind::slow || slot.kind == Kind::big) {
      if (slot.due_ms == 0) slot.due_ms = now_ms() + 5 + static_cast<int64_t>(below(60));
      return;
    }
    lb_call_credit(engine_, slot.id, slot.owed);
    slot.owed = 0;
  }

  void on_done(Call& slot, const lb_event& event) {
    ends_[event.status]++;
    check(slot, event.status);
    busy_--;
    std::string().swap(slot.text);  // An assignment would keep its room.
    slot = Call();
    slot.due_ms = now_ms() + 1 + static_cast<int64_t>(below(20));
  }

  // A success is whole and right; nothing is lb's own fault.
  void check(const Call& slot, lb_status status) {
    if (status > LB_CANCELLED && status != LB_OK && slot.kind != Kind::mistaken)
      return complain(slot, "an end of", lb_status_name(status));
    if (slot.kind == Kind::mistaken && status == LB_OK) return complain(slot, "a mistake that was served", "");
    if (status != LB_OK || slot.code != 200) return;
    const char* mark = slot.streamed ? "\"delta\":{\"content\":\"" : "\"message\":{";
    uint32_t marks = count_of(slot.text, mark);
    if (marks != (slot.streamed ? kTokens : 1)) return complain(slot, "an answer with a part too few or too many", "");
    if (slot.text.find("\"finish_reason\":\"stop\"") == slot.text.npos)
      return complain(slot, "a success without a finish reason", "");
    if (slot.streamed && slot.kind != Kind::events && slot.text.find("data: [DONE]\n\n") == slot.text.npos)
      return complain(slot, "a success without [DONE]", "");
    if (!slot.streamed && slot.text.back() != '}' && slot.text.back() != '\n')
      return complain(slot, "a success that is not whole", "");
    if (slot.kind == Kind::big && slot.text.size() < 1'000'000) complain(slot, "a success that is too short", "");
  }

  void complain(const Call& slot, const char* what, const char* more) {
    if (++wrong_ > 5) return;
    std::fprintf(stderr, "a call of kind %d, status %u: %s %s; it ends with: %.200s\n", static_cast<int>(slot.kind),
                 slot.code, what, more, slot.text.c_str() + (slot.text.size() > 200 ? slot.text.size() - 200 : 0));
  }

  Orders orders_;
  lb_engine* engine_ = nullptr;
  lb_queue* queue_ = nullptr;
  std::vector<Call> slots_;
  std::map<lb_status, uint64_t> ends_;
  bool going_ = false;
  size_t busy_ = 0;
  uint64_t chance_ = 0;
  uint64_t started_ = 0;
  uint64_t wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: soak CONFIG\n"), 2;
  Host host;
  if (!host.open(argv[1])) return 1;
  host.run();
}
