// The oracle on the upstreams' side: what arrives at hosts, beside what callers asked for. Bodies and credentials, that
// no target is asked again or too late, and all that is counted: limits, places, retries, and who gets how much.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/net.h"
#include "sim/plan.h"
#include "sim/verdict.h"
#include "sim/window.h"

namespace lb::sim {

class Asked : public Watcher {
 public:
  Asked(const Plan& plan, const Schedule& schedule, Verdict& verdict)
      : plan_(plan), schedule_(schedule), started_(schedule.now()), verdict_(verdict) {}
  void attach(const FakeNet* net) { net_ = net; }
  // A caller begins to ask for it; has been told its head; has been told that it is over.
  // `at_once`: all of its body is there, so that what it will take can be known beforehand.
  void begin(const RequestPlan& request, const std::string& caller, bool at_once);
  void head(uint64_t call);
  void done(uint64_t call);

  void on_request_head(uint64_t call, const Seen& seen) override;
  void on_request(const Seen& seen) override;
  void on_answered(uint64_t call, uint32_t host, uint64_t tokens) override;
  // When everything has come to rest. `calm`: nothing was made to fail.
  void check_end(bool calm);

 private:
  struct Request {
    const RequestPlan* plan = nullptr;
    std::string caller;
    bool at_once = false, head = false, done = false;
    std::map<uint32_t, uint32_t> asked;  // By host: how often.
  };
  using Place = std::pair<uint32_t, std::string>;  // Host and model.
  void wrong(uint64_t call, const std::string& what);
  void check_fields(uint64_t call, const RequestPlan& plan, const Seen& seen);
  void check_places(const Seen& seen, const std::string& model);
  void check_retries();
  void check_limits();
  void check_turns();
  void check_spread();
  bool best_effort(const std::string& model) const;

  const Plan& plan_;
  const Schedule& schedule_;
  const Instant started_;
  Verdict& verdict_;
  const FakeNet* net_ = nullptr;
  std::map<uint64_t, Request> requests_;
  std::map<Place, std::deque<Came>> came_;
  std::vector<uint64_t> order_;  // Of first arrivals.
  uint64_t retries_ = 0;  // Also hedges that went out when the first attempt had failed just then.
  uint64_t hedges_ = 0;   // Requests of calls that have another one open.
};

}  // namespace lb::sim
