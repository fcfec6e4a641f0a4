// The outside world as the engine and the gateway see it: the only way out of L2. net/ implements it over
// libuv, tests/sim over virtual time. TLS, and CONNECT through a proxy, lie below this port.
//
// Calls never call back. What happens comes as Completions, in the order of arrival, which the host of the
// port hands to the next turn. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/chunk.h"
#include "base/result.h"
#include "base/time.h"

namespace lb {

using ConnId = uint64_t;      // Never 0, never reused.
using ListenerId = uint64_t;  // Never 0, never reused.

// How to speak TLS to an upstream. Immutable; shared by all connections of a deployment.
struct TlsSpec {
  std::string server_name;       // For SNI and the host name check.
  std::string ca_pem;            // Trusted roots; empty: the system's bundle.
  std::string cert_pem;          // Client certificate and key; empty: none.
  std::string key_pem;
  bool verify = true;
};

struct ConnectSpec {
  Address address;                      // Of the upstream, or of its proxy.
  std::shared_ptr<const TlsSpec> tls;   // Null: plain text.
  std::string tunnel;                   // "host:port" to ask a proxy for by CONNECT; empty: no proxy.
  std::string tunnel_authorization;     // Value of Proxy-Authorization; empty: none.
};

struct Completion {
  enum class Kind : uint8_t {
    resolved,   // tag; status; addresses (at least one when OK) or message.
    connected,  // conn; status is always OK: the connection, its tunnel and its TLS are up.
    accepted,   // listener's tag; conn is new, reading is off.
    read,       // conn; data.
    ended,      // conn; the peer will send no more (FIN or close_notify). Writing still works.
    written,    // conn; bytes: so many of those that `write` left pending went out.
    closed,     // conn is gone by itself: status CONNECT, TLS or BROKEN, or FULL where this machine had no descriptor
                // or port for it; and message. Nothing follows.
  };
  Kind kind = Kind::read;
  Status status = Status::OK;
  uint64_t tag = 0;  // What the owner gave to resolve, connect, listen or adopt.
  ConnId conn = 0;
  uint64_t bytes = 0;
  Chunk data;
  std::vector<Address> addresses;
  std::string message;  // For people: "connection refused by 127.0.0.1:9".
};

struct Net {
  virtual ~Net() = default;

  // Looks `host` up (a name, or an address in text). Answers with one `resolved`.
  virtual void resolve(uint64_t tag, std::string_view host, uint16_t port) = 0;

  // Answers with `connected`, or with `closed` and a status. Reading is off until `read(conn, true)`.
  virtual ConnId connect(uint64_t tag, const ConnectSpec& spec) = 0;

  // Takes the bytes, in order, and sends what it can at once. Returns how many bytes are still pending: each of
  // them is reported by a `written`, or never if the connection goes. On an id that is gone: 0.
  virtual size_t write(ConnId conn, Chain&& bytes) = 0;

  // While off no `read` comes and TCP pushes back on the peer; a peer that resets is still noticed, at the
  // latest when reading is switched on or a write fails.
  virtual void read(ConnId conn, bool on) = 0;

  // Closes at once; nothing more is reported for `conn`. Pending writes are dropped unless `flush`, in which case
  // they are sent first, within a few seconds, and the socket is then shut down in order.
  virtual void close(ConnId conn, bool flush) = 0;

  // Listens; accepted connections carry `tag` until adopted. port 0 takes any; `bound` says which.
  virtual Result<ListenerId> listen(uint64_t tag, const Address& address) = 0;
  virtual Address bound(ListenerId listener) = 0;
  virtual void unlisten(ListenerId listener) = 0;
  // Pauses or goes on accepting.
  virtual void accept(ListenerId listener, bool on) = 0;
  virtual void adopt(ConnId conn, uint64_t tag) = 0;

  // One timer: there will be a turn at `when` or soon after. Replaces the last.
  virtual void wake_at(Instant when) = 0;
};

}  // namespace lb
