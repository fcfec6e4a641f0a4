// The third door: inbound HTTP/1.1 turned into calls of the engine, and their events into answers. It stands beside
// net/ on the same ports and owns listeners and client connections; engine and net outlive it. It decides nothing
// about upstreams, reads no clock and opens no socket by itself. One thread: whoever runs the turns.
//
// Its part of a turn (engine/engine.h), by the host:
//   begin(now)            after engine.begin: client timers
//   complete(completion)  each completion whose tag is `ours`
//   deliver(events)       called by engine.settle()
//   flush()               after engine.settle(): what is left to write, at most one write a connection
//   next_wake()           to be joined with the engine's
//
// A client that ends its side of the connection while a call is in flight is taken to have gone away, as nginx does
// (499): half-closed HTTP clients are not served.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "engine/engine.h"
#include "engine/event.h"
#include "engine/ports.h"

namespace lb {

class Gateway final : public EventSink {
 public:
  Gateway(Engine& engine, Net& net);
  ~Gateway() override;  // As `close`.
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Takes `listen` and `limits`. Listeners whose address stays are kept, new ones are opened, others are closed; their
  // connections go on. An address that cannot be bound is an error that names it, and then nothing has changed: so
  // call it before engine.configure. Models are read from the engine's configuration.
  Status configure(const Config& config, Instant now, Error* why);

  // --- The turn ---
  void begin(Instant now);
  static bool ours(uint64_t tag) { return tag_owner(tag) == Owner::gateway || tag_owner(tag) == Owner::listener; }
  void complete(Completion& completion);
  void deliver(std::vector<Event>& events) override;
  void flush();
  Instant next_wake() const;

  // --- The end ---
  // Closes the listeners and every connection that is at rest; each other one ends with the answer it is at.
  void drain(Instant now);
  // Closes everything at once and cancels its calls.
  void close();
  // No request is in flight and no answer is unsent.
  bool idle() const;

  // --- What there is to know ---
  // "127.0.0.1:34567": where the listener of that name is bound ("": the first). GONE when there is none.
  Result<std::string> address(std::string_view name) const;
  // The engine's stats with "listeners" and "clients" added: what /stats answers.
  std::string stats_json() const;
  // The engine's with the gateway's own counters added: what /metrics answers.
  std::string stats_prometheus() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lb
