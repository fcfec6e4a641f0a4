// HTTP clients of the gateway in the simulator: they send requests in pieces cut anywhere, one behind the other or at
// once, at any pace, leave when they like, and hold what they are answered against the truth.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/asked.h"
#include "sim/clients.h"
#include "sim/net.h"
#include "sim/plan.h"
#include "sim/reader.h"
#include "sim/verdict.h"

namespace lb::sim {

class Visitors : public Peer {
 public:
  Visitors(const Plan& plan, Schedule& schedule, Asked& asked, const Excuses& excuses, Verdict& verdict)
      : plan_(plan), schedule_(schedule), asked_(asked), excuses_(excuses), verdict_(verdict) {}

  void attach(FakeNet* net, bool log) { net_ = net, log_ = log; }
  void arrive(const VisitorPlan& plan);
  void on_readable(ConnId conn) override;
  // At the end of each turn: who has left is asked for no more.
  void check_turn();
  // When everything has come to rest.
  void check_end();

  uint64_t hash() const { return hash_.value(); }
  uint64_t ok() const { return ok_; }
  uint64_t failed() const { return failed_; }
  // What each request was answered, as far as the answer came whole.
  std::map<uint64_t, std::string> told() const;

 private:
  struct Live {
    const VisitorPlan* plan = nullptr;
    ConnId conn = 0;
    size_t begun = 0;      // Requests of which something may have been sent.
    size_t checked = 0;    // Answers that were looked at.
    std::vector<Instant> begun_at;
    Bytes out;             // Still to be sent.
    std::string held;      // The body behind "expect", until it is called for.
    size_t expecting = 0;  // Interim answers that may come: one for each such request.
    bool sending = false, taking = false;
    bool ended = false;    // It has said that it sends no more.
    bool left = false;     // It does not care any more.
    bool over = false;     // The connection is gone.
    bool unclean = false;
    AnswerReader reader;
  };

  void print(const Live& visitor, const std::string& what) const;
  void wrong(const Live& visitor, const std::string& what);
  void later(Duration delay, size_t index, void (Visitors::*what)(size_t));
  void begin(size_t index);
  void compose(Live& visitor, const VisitPlan& visit);
  void push(size_t index);
  void pull(size_t index);
  void call_held(size_t index);
  void leave(size_t index);
  void look(size_t index);
  void after_answer(size_t index);
  void on_end(Live& visitor);
  void check_answer(Live& visitor, size_t number);
  void check_whole_answer(Live& visitor, size_t number, const Truth* truth);
  void check_cut(Live& visitor, size_t number, const Truth* truth);
  void check_own(Live& visitor, size_t number);
  bool patient(const Live& visitor) const;
  const Truth* truth_of(const AnswerReader::Answer& answer) const;

  const Plan& plan_;
  Schedule& schedule_;
  Asked& asked_;
  const Excuses& excuses_;
  Verdict& verdict_;
  FakeNet* net_ = nullptr;
  bool log_ = false;
  std::vector<Live> visitors_;
  std::map<ConnId, size_t> by_conn_;
  uint64_t ok_ = 0, failed_ = 0;
  Hash hash_;
};

}  // namespace lb::sim
