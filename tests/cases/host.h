// A host that sends its requests itself and asks lb where to: picks, sends, reports, waits where it is told to. What it
// asks is a Chooser: the policies by themselves, or the balancer of the C ABI.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "cases/driver.h"
#include "config/config.h"
#include "policy/admit.h"
#include "sim/schedule.h"

namespace lb::cases {

struct Pick {
  enum class Kind : uint8_t {
    send,
    wait,   // Until `until`, or, if that is never(), until a call ends.
    again,  // All have been tried: from the start, at `until`.
    none,   // All have been tried, and that was it.
  } kind = Kind::none;
  std::string deployment;  // send
  Instant until;
  bool limited = false;    // wait, none: it is limits that hold it back.
};

// What came of the last pick of a call.
struct Outcome {
  enum class Kind : uint8_t {
    answer,     // A whole answer, good or bad.
    broken,     // It broke after content, which has been delivered.
    refused,    // There was no connection: nothing was sent.
    timeout,
    cut,        // It broke before content.
    cancelled,  // By the caller, before an answer.
  } kind = Kind::answer;
  const Answer* answer = nullptr;  // answer, broken
  bool stream = false;
  Duration took;
};

// A call as a host sees it: what it can say of the prompt.
struct Question {
  CallText text;
  policy::Prompt prompt;
  std::string affinity;  // Its session, or else what a cache would know it by; "" if that is not worth it.
  Instant deadline;
};

class Chooser {
 public:
  virtual ~Chooser() = default;
  // Returns what is wrong, or "".
  virtual std::string configure(std::shared_ptr<const Config> config, const std::string& document, Instant now) = 0;
  // A call begins, and ends. In between it is known by its number; it starts in the configuration of that moment.
  virtual void begin(const Question& question, Instant now) = 0;
  virtual void end(uint64_t call) = 0;
  virtual Pick pick(uint64_t call, Instant now) = 0;
  // Says whether another pick may follow.
  virtual bool report(uint64_t call, const Outcome& outcome, Instant now) = 0;
  // When the call makes sense again; nothing if it does now.
  virtual std::optional<Duration> shortest_wait(uint64_t call, Instant now) = 0;
  virtual void mark(const std::string& deployment, Duration length, Instant now) = 0;
  virtual uint32_t in_flight() const = 0;
};

class Host final : public Driver {
 public:
  Host(std::unique_ptr<Chooser> chooser, Upstreams& upstreams)
      : chooser_(std::move(chooser)), upstreams_(upstreams) {}
  std::string configure(const std::string& document) override;
  void start(const CallText& text, Record& record) override;
  void finish(uint64_t call, const Answer* answer) override;
  void cancel(uint64_t call) override;
  void mark(const std::string& deployment, Duration length) override;
  Instant now() const override { return schedule_.now(); }
  Instant next() const override { return schedule_.next(); }
  void run_to(Instant when) override;
  std::string unrest() const override;

 private:
  struct Call {
    CallText text;
    Record* record = nullptr;
    std::shared_ptr<const Config> config;
    const Route* route = nullptr;
    uint64_t caller_key = 0;
    double share = 1;
    uint64_t tokens = 0;       // As far as it says.
    int32_t priority = 0;
    std::string at;            // Deployment that has the request.
    Instant asked;
    uint32_t serial = 0;       // Of the attempt.
    Instant deadline, waiting_since;
    bool listed = false;       // In waiting_.
    std::string end;           // What it ends with if nothing better comes.
  };

  void go(Call& call);
  Question question_of(const Call& call) const;
  void ask(Call& call, const Pick& pick);
  void wait(Call& call, const Pick& pick);
  void answered(Call& call, const Answer& answer);
  void came(Call& call, const Outcome& outcome, std::string end);
  void give_up(Call& call, bool limited);
  void finish(Call& call, std::string end, bool wait);
  void later(Instant when, uint64_t call, uint32_t serial, void (Host::*what)(Call&));
  void timed_out(Call& call);
  void deadline_passed(Call& call);
  void serve();

  std::unique_ptr<Chooser> chooser_;
  Upstreams& upstreams_;
  sim::Schedule schedule_;
  std::shared_ptr<const Config> config_;
  std::map<uint64_t, Call> calls_;
  policy::WaitQueue waiting_;
  bool freed_ = false;
};

}  // namespace lb::cases
