// The machine: calls in, events out, through ports. It owns everything about calls and upstream connections, and is
// deterministic given its ports, its seed and the times of its turns. One thread: whoever runs the turns.
//
// A turn, in fixed order, by its host (abi/machine.cc, tests/sim):
//   begin(now)            due timers
//   complete(completion)  each completion whose tag is `ours`
//   start, credit, ...    commands from other threads
//   settle()              admissions, then delivery of events to their sinks, until nothing is left to do
//   next_wake()           when the next turn is due without any I/O
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "engine/event.h"
#include "engine/ports.h"
#include "wire/json.h"

namespace lb {

// The owner of a tag stands in its top four bits; the rest is an id of that owner.
enum class Owner : uint8_t { link = 1, name = 2, gateway = 3, listener = 4 };
constexpr uint64_t make_tag(Owner owner, uint64_t id) { return static_cast<uint64_t>(owner) << 60 | id; }
constexpr Owner tag_owner(uint64_t tag) { return static_cast<Owner>(tag >> 60); }
constexpr uint64_t tag_id(uint64_t tag) { return tag & ((uint64_t{1} << 60) - 1); }

enum class LogLevel : uint8_t { none, error, warn, info, debug };

class Fleet;

struct EngineOptions {
  uint64_t seed = 1;
  uint32_t calls_max = 65'536;  // In flight; as lb_engine_options says.
  LogLevel log_level = LogLevel::none;
  EventSink* log = nullptr;        // Takes `log` events.
  int64_t (*unix_time_s)() = nullptr;  // Wall clock, for HTTP dates in Retry-After only; null: none at hand.
};

class Engine {
 public:
  // Heads that wait to be filled in again: what a turn of a busy engine starts, 32 times 2 KiB.
  static constexpr size_t kBlankHeadsMax = 32;

  Engine(Net& net, const EngineOptions& options, std::shared_ptr<const Config> config, Instant now);
  ~Engine();  // Closes every connection; calls end without events.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- The turn ---
  void begin(Instant now);
  static bool ours(uint64_t tag) { return tag_owner(tag) == Owner::link || tag_owner(tag) == Owner::name; }
  void complete(Completion& completion);
  void settle();
  Instant next_wake() const;

  // --- Calls ---
  // INVALID (head), FULL (calls_max) or CLOSED at once; from OK on exactly one `done` comes.
  Result<CallId> start(CallSpec&& spec);
  // An empty head for another `start`, with the memory of one that came with an earlier call, if there is one: malloc
  // is slow at what is made on one thread and freed on another.
  Head take_blank_head();
  // More of a request body whose call started with body_complete = false. Harmless after the end.
  void append_body(CallId call, Chunk bytes, bool last);
  // May more be appended now? When not, a `room` event says when. True for a call that has ended.
  bool body_room(CallId call) const;
  // A `room` event comes as soon as more may be appended, now or later; none once the body is whole.
  void want_room(CallId call);
  void credit(CallId call, uint64_t bytes);
  // DONE(CANCELLED), unless the call ends otherwise in this very turn.
  void cancel(CallId call);
  // Cancels the calls of a sink that goes away; nothing more is delivered to it.
  void forget(EventSink& sink);

  // --- The whole ---
  // Calls in flight keep the configuration they started with. Health, limits and connections survive where a
  // deployment is the same (name, URL) before and after.
  void configure(std::shared_ptr<const Config> config);
  const Config& config() const;
  // No new calls; `cancel_rest` also ends those in flight.
  void close(bool cancel_rest);
  bool closing() const;
  size_t calls() const;
  Instant now() const;
  // Some target of some route may take a call now: what /readyz asks.
  bool ready() const;
  // By hand: see Fleet::mark.
  bool mark(std::string_view deployment, std::string_view model, Duration length);
  Fleet& fleet();
  // Writes one line to the log: `fields` is the inside of a JSON object after "msg", or "".
  void log(LogLevel level, std::string_view message, std::string_view fields);

  std::string stats_json() const;
  std::string stats_prometheus() const;

  // For oracles of tests: everything is back where it started.
  struct Census {
    size_t calls, links, idle_links, timers, waiting;
    int64_t in_flight;      // Sum over targets: every reservation is settled or released.
    uint64_t replay_bytes;  // Held for request bodies.
    size_t startable;       // Waiting calls that some target may take: 0 between turns.
  };
  Census census() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lb
