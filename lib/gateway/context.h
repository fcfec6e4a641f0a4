// What the client connections of a gateway share during a turn. Belongs to the Gateway; one thread.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/heap.h"
#include "base/rng.h"
#include "config/config.h"
#include "engine/engine.h"
#include "engine/ports.h"
#include "wire/http1.h"

namespace lb {

struct Listener {
  std::string name;
  std::string address;  // As configured: what tells whether it stays the same over a reload.
  ListenerId id = 0;
};

struct GatewayMeter {
  uint64_t accepted = 0;
  uint64_t requests = 0;
  std::array<uint64_t, 6> answers{};  // By the first digit of their status.
  uint64_t gone = 0;                  // Clients that went away before their answer was theirs.
};

struct GatewayContext {
  GatewayContext(Engine& engine_, Net& net_, EventSink& sink_)
      : engine(engine_), net(net_), sink(sink_), now(engine_.now()), ids(static_cast<uint64_t>(now.ns)) {}

  Engine& engine;
  Net& net;
  EventSink& sink;
  Instant now;
  Rng ids;  // Of requests that never became a call.
  Limits limits;
  std::vector<Listener> listeners;
  bool draining = false;
  TimerHeap timers;
  size_t open = 0;              // Clients that are connected.
  size_t busy = 0;              // Clients with a request in flight or an unsent answer.
  std::vector<uint64_t> dirty;  // Clients with something to write, or to do after a write.
  std::vector<uint64_t> gone;   // To be removed once nothing of theirs is running.
  bool stirred = false;         // The engine has been told something since this was last cleared.
  std::vector<Http1Parser::Piece> pieces;  // Scratch of the request path.
  GatewayMeter meter;
};

}  // namespace lb
