// What the parts of the engine share during a turn. Belongs to the Engine; one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/heap.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/event.h"
#include "engine/fleet.h"
#include "engine/link.h"
#include "engine/meter.h"
#include "engine/names.h"
#include "engine/pieces.h"
#include "engine/probe.h"
#include "policy/admit.h"

namespace lb {

enum class TimerKind : uint32_t {
  call_deadline,
  call_phase,
  call_wait,
  call_hedge,
  call_echo,
  link_connect,
  link_idle,
  probe,
};

// Events on their way to their sinks.
class Outbox {
 public:
  void push(EventSink& sink, Event&& event) {
    if (!sink.listed_) {
      sink.listed_ = true;
      sinks_.push_back(&sink);
    }
    sink.pending_.push_back(std::move(event));
  }
  bool empty() const { return sinks_.empty(); }
  // Hands each sink what has come for it so far; what they cause waits for the next call.
  void flush();
  void forget(EventSink& sink);

 private:
  std::vector<EventSink*> sinks_;
  std::vector<EventSink*> round_;
  std::vector<Event> batch_;
};

struct Context {
  Context(Net& net_, const EngineOptions& options_, Instant now_)
      : net(net_),
        options(options_),
        now(now_),
        id_rng(Rng(options_.seed).split("id")),
        fleet(options_.seed, true),
        pool(net_, fleet, timers),
        names(net_),
        probes(*this) {}

  Net& net;
  EngineOptions options;
  Instant now;
  Instant opened = now;
  Rng id_rng;
  TimerHeap timers;
  Fleet fleet;
  Pool pool;
  Names names;
  Prober probes;
  Outbox outbox;
  CallMeter meter;
  uint64_t replay_bytes = 0;       // Held for request bodies, all calls together.
  policy::WaitQueue waiting;       // Calls that wait for a target.
  bool capacity_freed = false;     // Something that a waiting call may wait for has happened.
  std::vector<CallId> ended;       // To be removed once nothing of theirs is running.
  std::vector<Http1Parser::Piece> pieces;  // Scratch of the response path.
  std::string text;                        // Scratch for heads, and for events that are rewritten.
  Packed packed;                           // Scratch for events that are delivered one by one.
  std::vector<Head> blank_heads;           // Emptied ones, with their memory: at most Engine::kBlankHeadsMax.

  Head take_blank();
  void keep_blank(Head&& head);

  // Unix time minus `now`; zero where there is no wall clock.
  Duration wall() const {
    return options.unix_time_s ? Duration::from_s(options.unix_time_s()) - (now - Instant()) : Duration::zero();
  }
  const Limits& limits() const { return fleet.world()->config->limits; }
  void log(LogLevel level, std::string_view message, std::string_view fields);
};

}  // namespace lb
