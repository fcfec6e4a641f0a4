// Callers of the engine in the simulator, and the oracle that checks everything they are told.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sim/asked.h"
#include "sim/net.h"
#include "sim/plan.h"
#include "sim/verdict.h"

namespace lb::sim {

// Things that other threads would ask of the engine: done behind the completions of a turn, as in abi/machine.cc.
using Commands = std::vector<std::function<void()>>;

// What a run cannot hold against lb, because it was made so.
struct Excuses {
  bool failures = false;  // A port call was made to fail: no promise that nothing fails.
  bool closing = false;   // The engine has been told to close.
};

class Clients : public EventSink {
 public:
  Clients(const Plan& plan, Schedule& schedule, Commands& commands, Asked& asked, const Excuses& excuses,
          Verdict& verdict)
      : plan_(plan), schedule_(schedule), commands_(commands), asked_(asked), excuses_(excuses), verdict_(verdict) {}

  void attach(Engine* engine, FakeNet* net, bool log) { engine_ = engine, net_ = net, log_ = log; }
  void start(const CallPlan& plan);
  void deliver(std::vector<Event>& events) override;
  // At the end of each turn.
  void check_turn();
  // When everything has come to rest.
  void check_end();

  size_t open() const { return open_; }
  uint64_t hash() const { return hash_.value(); }
  // What each call was told, in words that do not depend on how the answer was cut.
  std::map<uint64_t, std::string> told() const;
  uint64_t ok() const { return ok_; }
  uint64_t failed() const { return failed_; }

 private:
  struct Live {
    const CallPlan* plan = nullptr;
    Rng rng{0};
    CallId id = 0;
    Instant started;
    uint32_t window = 0;
    bool head = false, done = false, cancelled = false;
    uint16_t status = 0;
    uint64_t response = 0;
    std::string body;
    std::vector<std::string> pieces;
    uint64_t delivered = 0, credited = 0;
    uint64_t before = 0;  // Delivered before the instant of the last delivery, `latest`.
    Instant latest;
    bool credit_due = false;
    uint64_t taken_in(Instant now) const { return latest == now ? before : delivered; }
    std::string told;
    const RequestPlan& request() const { return plan->request; }
  };

  void print(const Live& call, const std::string& what) const;
  void command_after(Duration delay, uint64_t number, void (Clients::*what)(Live&));
  void feed(Live& call, size_t from);
  void on_event(Live& call, Event& event);
  void on_head(Live& call, const Event& event);
  void on_data(Live& call, const Event& event);
  void on_done(Live& call, const Event& event);
  void check_promise(const Live& call, const Event& event, const Truth* truth);
  void check_truth(const Live& call, const Truth& truth, Status status);
  void expect_credit(Live& call);
  void credit(Live& call);
  void cancel(Live& call);
  void wrong(const Live& call, const std::string& what);

  const Plan& plan_;
  Schedule& schedule_;
  Commands& commands_;
  Asked& asked_;
  const Excuses& excuses_;
  Verdict& verdict_;
  Engine* engine_ = nullptr;
  FakeNet* net_ = nullptr;
  std::map<uint64_t, Live> calls_;
  std::vector<uint64_t> cancelled_now_;
  bool log_ = false;
  size_t open_ = 0;
  uint64_t ok_ = 0, failed_ = 0;
  Hash hash_;
};

}  // namespace lb::sim
