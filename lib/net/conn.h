// A connection of a Loop, of either direction, from its first syscall until libuv has let go of its handle. Private to
// net/; the Loop's thread.
#pragma once

#include "net/loop.h"
#include "net/tls.h"

namespace lb {

// What is needed only until a connection is open.
struct Loop::Setup {
  ConnectSpec spec;
  std::string reply;  // Of the proxy, so far.
};

struct Loop::Conn {
  enum class State : uint8_t {
    connecting,
    tunnelling,  // CONNECT went to the proxy.
    securing,    // TLS shakes hands.
    open,
    flushing,   // Closed by its owner; what is pending goes out.
    lingering,  // Shut down; reads and drops until the peer is done.
    gone,       // uv_close was called.
  };

  Conn(Loop* loop_, ConnId id_, uint64_t tag_) : loop(loop_), id(id_), tag(tag_) {}

  Loop* loop;
  ConnId id;
  uint64_t tag;
  int fd = -1;
  State state = State::connecting;
  bool wanted = false;   // The owner's switch for reading.
  bool polling = false;  // libuv reads. It goes on for a while after `wanted` is off, until something comes.
  bool ended = false;    // The peer has sent its FIN.
  bool deaf = false;     // The peer takes no more bytes; what it sent before is still to be read.
  uint64_t read_turn = 0;  // The turn that `read_bytes` is of.
  size_t read_bytes = 0;
  size_t dropped = 0;    // While flushing and lingering.
  Chain early;           // Came before the owner read.
  Chain out;             // For the wire, not taken by the system yet.
  size_t flight = 0;     // How many of these a uv_write has in hand: the front ones.
  size_t unowned = 0;    // How many of these are not the owner's: a CONNECT.
  Chain plain;           // TLS: not encrypted yet, because `out` is not empty.
  size_t plain_flight = 0;  // TLS: how many bytes of the owner's are in `out`.
  bool notified = false;    // TLS: close_notify is in `out`, or gone.
  std::string peer;         // For messages.
  std::unique_ptr<Setup> setup;     // Until it is open.
  std::unique_ptr<TlsSession> tls;  // From `securing` on.
  Timer timer;
  uv_write_t write_req;
  uv_connect_t connect_req;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
};

// A socket that listens. libuv only watches it: the Loop accepts by itself, to be able to pause.
struct Loop::Listener {
  Listener(Loop* loop_, ListenerId id_, uint64_t tag_) : loop(loop_), id(id_), tag(tag_) {}

  Loop* loop;
  ListenerId id;
  uint64_t tag;
  int fd = -1;
  bool gone = false;
  bool wanted = true;   // The owner's switch for accepting.
  Address address;
  uint64_t device = 0;  // Of a unix socket's file: only our own is removed.
  uint64_t inode = 0;
  Timer timer;          // Armed: accepting pauses.
  uv_poll_t poll;
};

}  // namespace lb
