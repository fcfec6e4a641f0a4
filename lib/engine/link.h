// Connections to upstreams. A Link serves one attempt at a time and rests in its upstream's idle list between them.
// The Pool owns the links; it decides nothing about calls.
#pragma once

#include <string>
#include <vector>

#include "base/heap.h"
#include "base/slab.h"
#include "engine/fleet.h"
#include "engine/ports.h"
#include "wire/http1.h"

namespace lb {

struct Link {
  Link(uint64_t id_, UpstreamIndex upstream_, Http1Parser::Limits limits)
      : id(id_), upstream(upstream_), parser(Http1Parser::Kind::response, limits) {}

  uint64_t id;
  UpstreamIndex upstream;
  ConnId conn = 0;       // 0 until an address is known, and after it is gone.
  uint64_t call = 0;     // Whose attempt it serves; 0 while idle.
  bool probe = false;    // It serves a probe, and is closed behind it.
  bool up = false;       // Connected: it can be written to.
  bool reading = false;  // What the port was last told.
  uint32_t served = 0;   // Attempts before this one.
  size_t pending = 0;    // Bytes that the port has not sent yet.
  std::vector<Address> addresses;  // To try, in order.
  size_t next_address = 0;
  Instant idle_until;
  Timer timer;           // While connecting: patience with one address. While idle: its end.
  Http1Parser parser;
};

class Pool {
 public:
  Pool(Net& net, Fleet& fleet, TimerHeap& timers) : net_(net), fleet_(fleet), timers_(timers) {}

  Link* find(uint64_t id) const { return links_.find(id); }
  // The warmest idle link of the upstream, or null.
  Link* take_idle(UpstreamIndex upstream);
  Link* open(UpstreamIndex upstream, Http1Parser::Limits limits);
  // Closes the connection and forgets the link.
  void drop(Link& link);
  // Back to the idle list, ready for the next attempt.
  void rest(Link& link, Instant now);
  void drop_idle(UpstreamIndex upstream);
  // An idle link's timer fired: closes it, or sets the timer anew if it was used meanwhile.
  void idle_timer(Link& link, Instant now);

  void read(Link& link, bool on);
  void write(Link& link, Chain&& bytes) { link.pending += net_.write(link.conn, std::move(bytes)); }

  size_t size() const { return links_.size(); }
  std::vector<uint64_t> ids() const { return links_.ids(); }
  size_t idle() const;

 private:
  Net& net_;
  Fleet& fleet_;
  TimerHeap& timers_;
  Slab<Link> links_;
};

}  // namespace lb
