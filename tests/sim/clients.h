// Callers of the engine in the simulator, and the oracle that checks everything they are told.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/net.h"

namespace lb::sim {

// What is wrong, in words; the first one ends a run.
class Verdict {
 public:
  void broken(const std::string& what) {
    if (text_.empty()) text_ = what;
  }
  bool fine() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// How a caller takes what is delivered.
enum class Taking : uint8_t { at_once, soon, drip, late };

struct CallPlan {
  uint64_t number = 0;
  std::string model;
  std::string before, after;  // The body, around the value of `model`.
  bool stream = false;
  bool in_pieces = false;  // The body comes by append_body.
  Delivery delivery = Delivery::bytes;
  Duration deadline;  // Zero: the route's.
  uint32_t window = 0;
  Taking taking = Taking::at_once;
  Duration cancel_after;  // Zero: never.
};

// What a scenario promises to all its calls.
struct Promise {
  bool no_failure =
      false;  // One target is in perfect health and may always be asked: nothing but a cut after content fails.
  Duration deadline_max;  // The longest that any call may take.
  bool again = false;     // Targets may be tried again once all have been.
};

class Clients : public EventSink, public Watcher {
 public:
  Clients(Schedule& schedule, Rng rng, Promise promise, Verdict& verdict)
      : schedule_(schedule), rng_(rng), promise_(promise), verdict_(verdict) {}

  void attach(Engine* engine, FakeNet* net, bool log) { engine_ = engine, net_ = net, log_ = log; }
  void start(CallPlan plan);
  void deliver(std::vector<Event>& events) override;
  void on_request_head(uint64_t call, uint32_t host, uint64_t conn) override;
  void on_request(const Seen& seen) override;
  // At the end of each turn.
  void check_turn();
  // When everything has come to rest.
  void check_end();

  size_t open() const { return open_; }
  uint64_t hash() const { return hash_; }
  uint64_t ok() const { return ok_; }
  uint64_t failed() const { return failed_; }
  // What a target calls the model: filled in from the configurations in use.
  std::map<std::pair<uint32_t, std::string>, std::vector<std::string>> names;

 private:
  struct Live {
    CallPlan plan;
    CallId id = 0;
    Instant started;
    uint32_t window = 0;
    bool head = false, done = false, cancelled = false;
    uint16_t status = 0;
    uint64_t response = 0;
    std::string body;
    std::vector<std::string> pieces;
    uint64_t delivered = 0, credited = 0;
    bool credit_due = false;
    std::map<uint32_t, uint32_t> asked;  // By host: how often.
  };

  void print(const Live& call, const std::string& what) const;
  void feed(Live& call, size_t from);
  void on_event(Live& call, Event& event);
  void on_head(Live& call, const Event& event);
  void on_data(Live& call, const Event& event);
  void on_done(Live& call, const Event& event);
  void check_success(const Live& call, const Truth& truth);
  void check_break(const Live& call, const Truth& truth, Status status);
  void credit(uint64_t number);
  void cancel(uint64_t number);
  void wrong(const Live& call, const std::string& what);
  void mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }  // FNV-1a.

  Schedule& schedule_;
  Rng rng_;
  Promise promise_;
  Verdict& verdict_;
  Engine* engine_ = nullptr;
  FakeNet* net_ = nullptr;
  std::map<uint64_t, Live> calls_;
  std::vector<uint64_t> cancelled_now_;
  bool log_ = false;
  size_t open_ = 0;
  uint64_t ok_ = 0, failed_ = 0;
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace lb::sim
