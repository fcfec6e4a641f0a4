// A scenario as a value: hosts with their faults, configurations over them, callers of both doors, and what happens
// when. A seed draws one; the shrinker takes parts of it away; scenario.h runs it.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "engine/event.h"
#include "sim/net.h"

namespace lb::sim {

// A conversation's next turn as a caller asks for it.
struct RequestPlan {
  uint64_t number = 0;         // Of x-sim-call; 0: it is to be no call.
  Dialect dialect = Dialect::openai;
  std::string model;
  std::string before, after;   // The body, around the value of `model`.
  bool stream = false;
  std::string body() const { return body_for(model); }
  // Gemini's has no model in it: its path does.
  std::string body_for(const std::string& name) const {
    return dialect == Dialect::gemini ? before + after : before + "\"" + name + "\"" + after;
  }
};

// How a caller takes what is delivered.
enum class Taking : uint8_t { at_once, soon, drip, late };

// A call of the engine.
struct CallPlan {
  RequestPlan request;
  Duration at;
  std::string caller;       // x-lb-caller; "": none.
  bool in_pieces = false;   // The body comes by append_body ...
  bool length_known = false;  // ... and how long it is has been said.
  Delivery delivery = Delivery::bytes;
  Duration deadline;        // Zero: the route's.
  uint32_t window = 0;
  Taking taking = Taking::at_once;
  Duration cancel_after;    // Zero: never.
};

// A request of an HTTP client of the gateway.
struct VisitPlan {
  enum class Kind : uint8_t { chat, models, health, nowhere } kind = Kind::chat;
  RequestPlan request;
  bool chunked = false;
  bool expects = false;  // 100-continue.
  Duration pause;        // Behind the answer before, unless it pipelines.
};

// A connection of such a client.
struct VisitorPlan {
  enum class Leaves : uint8_t { never, ends, resets };
  Duration at;
  std::vector<VisitPlan> visits;
  bool old = false;         // HTTP/1.0.
  bool pipelines = false;
  bool lingers = false;     // Does not close: the gateway has to.
  size_t send_most = SIZE_MAX, take_most = SIZE_MAX;  // Bytes at a time ...
  Duration send_gap, take_gap;                        // ... and the time between.
  size_t buffer = 1 << 16;  // What the sockets hold of an answer.
  Leaves leaves = Leaves::never;
  Duration leaves_after;
  bool lags = false;        // It may be slower than lb's time limits for clients.
};

struct Reload {
  Duration at;
  size_t config = 0;
};

struct Plan {
  // What is looked at besides what holds for every scenario.
  enum class Kind : uint8_t {
    wild,
    spread,  // Nothing goes wrong, and round robin spreads the calls: by weight.
    queue,   // Nothing goes wrong, and there is one place: calls wait their turn.
  };
  uint64_t seed = 0;
  Kind kind = Kind::wild;
  bool promised = false;    // Host 0 is in perfect health and may always be asked: nothing fails before content.
  bool again = false;       // Routes may try a target again.
  bool mixed = false;       // Hosts and callers speak different dialects.
  bool urls_change = false; // A reload may bring a deployment another URL: to lb it is another one then.
  Duration deadline;        // Of every route.
  Duration grain;           // See Schedule.
  std::vector<HostPlan> hosts;
  std::vector<Config> configs;  // The first is the one at the start.
  std::vector<Reload> reloads;
  std::vector<CallPlan> calls;
  std::vector<VisitorPlan> visitors;
  Duration calm_at;         // From then on nothing fails.
  Duration drain_at;        // The engine closes, and what is in flight ends; zero: never.

  size_t requests() const;
};

Plan draw_plan(uint64_t seed);
// No call waits for a target, shares a bound of memory, or is begun in answer to what another was told: then what each
// is told does not depend on how completions are divided into turns.
bool independent(const Plan& plan);
// For people: what there is, and what it does.
std::string print_plan(const Plan& plan);

}  // namespace lb::sim
