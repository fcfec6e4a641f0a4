// What a case needs of the thing under test: calls go in, time passes, and what became of them is noted. There are
// three: pure.cc (the policies by themselves), door.cc (lb_balancer_* of lb.h) and sim.cc (whole calls through the
// engine).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "cases/answer.h"

namespace lb::cases {

// Time begins a second after that of the machine, so that "long ago" lies before it; by the wall clock it is
// 2023-11-14 22:13:20 UTC.
inline constexpr Instant kBegin{1'000'000'000};
inline constexpr int64_t kUnixBegin = 1'700'000'000;

// What became of a call.
struct Record {
  std::vector<std::string> attempts;  // Deployments that it asked, in order.
  bool asking = false;                // One of them has the request.
  bool done = false;
  std::string end;                    // "ok", an HTTP status, "broken" or "cancelled".
  std::optional<Duration> wait;       // How long to wait before the same call makes sense again.
  Instant started, ended;
};

class Driver {
 public:
  virtual ~Driver() = default;
  // The first opens it, each other is a reload. Returns what is wrong with the document, or "".
  virtual std::string configure(const std::string& document) = 0;
  // `record` lives until the end of the case.
  virtual void start(const CallText& call, Record& record) = 0;
  // The upstream that holds the call's request answers: with this, or as it does to others.
  virtual void finish(uint64_t call, const Answer* answer) = 0;
  virtual void cancel(uint64_t call) = 0;
  // By hand: out for so long; zero: back.
  virtual void mark(const std::string& deployment, Duration length) = 0;

  virtual Instant now() const = 0;
  virtual Instant next() const = 0;  // When something is due; never() if nothing is.
  virtual void run_to(Instant when) = 0;
  // "" if all that was taken has been given back; else what has not.
  virtual std::string unrest() const = 0;
};

std::unique_ptr<Driver> make_pure_driver(uint64_t seed, Upstreams& upstreams);
std::unique_ptr<Driver> make_door_driver(uint64_t seed, Upstreams& upstreams);
std::unique_ptr<Driver> make_sim_driver(uint64_t seed, Upstreams& upstreams);

}  // namespace lb::cases
