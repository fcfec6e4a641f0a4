// Client connections of the gateway over virtual time: what a listener accepts, and the two buffers of each socket. The
// gateway's side is called through FakeNet; the client's side through `dial` and what follows it.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "sim/bytes.h"
#include "sim/schedule.h"

namespace lb::sim {

// The client's end of a connection is told that there is something to read: bytes, or the end.
struct Peer {
  virtual ~Peer() = default;
  virtual void on_readable(ConnId conn) = 0;
};

class Inbound {
 public:
  Inbound(Schedule& schedule, std::vector<Completion>& completions, ConnId& ids)
      : schedule_(schedule), completions_(completions), ids_(ids) {}

  // --- The gateway's side ---
  ListenerId listen(uint64_t tag, const Address& address);
  Address bound(ListenerId listener) const;
  void unlisten(ListenerId listener);
  void accept(ListenerId listener, bool on);
  void adopt(ConnId conn, uint64_t tag);
  bool owns(ConnId conn) const { return sockets_.contains(conn); }
  size_t write(ConnId conn, Chain&& bytes);
  void read(ConnId conn, bool on);
  void close(ConnId conn, bool flush);
  size_t open() const;

  // --- The client's side ---
  // 0: nothing listens. `buffer`: what the sockets hold of an answer before `write` leaves bytes pending.
  ConnId dial(Peer& peer, size_t buffer);
  void send(ConnId conn, std::string_view bytes);
  void end(ConnId conn);
  void reset(ConnId conn);
  // Up to `most` bytes of what has come.
  std::string take(ConnId conn, size_t most);
  bool readable(ConnId conn) const;
  // Nothing more will come; `reset`: not in order.
  bool at_end(ConnId conn) const;
  bool was_reset(ConnId conn) const;
  void forget(ConnId conn) { sockets_.erase(conn); }

  // For oracles: most bytes that the gateway had pending on one connection, and connections whose end was handed over
  // since this was last cleared.
  size_t pending_peak() const { return pending_peak_; }
  std::vector<ConnId>& ended() { return ended_; }
  // The connection goes as if the client had reset it, at once.
  void fail(ConnId conn);

 private:
  struct Listening {
    uint64_t tag = 0;
    Address address;
    bool on = true;
    std::deque<ConnId> backlog;
  };
  struct Arrival {
    Completion::Kind kind;
    std::string bytes;
  };
  struct Socket {
    Peer* peer = nullptr;
    uint64_t tag = 0;
    ListenerId listener = 0;
    bool accepted = false, adopted = false, reading = false;
    bool closed = false;      // By the gateway, or lost: nothing is reported for it any more.
    bool flushing = false;    // Closed, once what is pending has gone.
    bool cut = false;         // It ends by a reset.
    bool client_left = false; // The client takes and sends nothing any more.
    std::deque<Arrival> inbox;
    size_t buffer = 0;
    Bytes pipe;               // On its way to the client, or there and not read.
    Bytes pending;            // Written, and not in the pipe.
  };
  Socket* find(ConnId conn);
  const Socket* find(ConnId conn) const { return const_cast<Inbound*>(this)->find(conn); }
  void hand_over(ConnId conn);
  void hand_over_later(ConnId conn);
  void accept_backlog(ListenerId listener);
  void lose(ConnId conn, Socket& socket);
  void tell(ConnId conn, Socket& socket);
  Completion& complete(ConnId conn, const Socket& socket, Completion::Kind kind);

  Schedule& schedule_;
  std::vector<Completion>& completions_;
  ConnId& ids_;
  std::map<ListenerId, Listening> listeners_;
  ListenerId listener_ids_ = 0;
  std::map<ConnId, Socket> sockets_;
  size_t pending_peak_ = 0;
  std::vector<ConnId> ended_;
};

}  // namespace lb::sim
