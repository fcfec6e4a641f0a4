// The real Net: sockets, TLS, name look-ups and time by libuv. It runs the turns of its host, either on a thread that
// calls `run` (the engine thread) or driven by a host's own loop: wait until `fd` is readable, at most `timeout_ms`,
// then `turn_once`. What happens between two turns is handed over in one batch, in the order of arrival.
//
// One thread at a time, except for `stop` and `poke`. The host of the turns outlives the Loop. A socket that dies
// raises no SIGPIPE where a write is sent at once; libuv's own queued writes may, so the thread of `run` must mask
// SIGPIPE, and `turn_once` and the destructor do it for their own length.
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/heap.h"
#include "base/slab.h"
#include "engine/ports.h"
#include "net/read_buffer.h"
#include "net/tls.h"

namespace lb {

struct TurnHost {
  // Runs when there are completions, the time of `wake_at` has come, or after a poke. May take the completions apart.
  // A connection that the host closes in a turn may still be named later in the batch at hand, and never again.
  virtual void turn(std::vector<Completion>& completions, Instant now) = 0;

 protected:
  ~TurnHost() = default;
};

class Loop final : public Net {
 public:
  // A client gets the last bytes of its answer even if it is slow, but not for ever.
  static constexpr Duration kFlushMax = Duration::from_s(5);
  // After shutdown(SHUT_WR), what the peer still sends is read and dropped, or a RST could overtake the answer.
  static constexpr Duration kLingerMax = Duration::from_s(2);
  static constexpr size_t kLingerBytesMax = 1024 * 1024;
  // Out of descriptors: as long as nginx's shortest pause would be too long for a test, and 10 a second are no spin.
  static constexpr Duration kAcceptPause = Duration::from_ms(100);
  // A burst of clients does not keep the others waiting.
  static constexpr int kAcceptsPerTurn = 64;
  // Linux's default of net.core.somaxconn; the system clamps it.
  static constexpr int kBacklog = 4096;
  // What one connection may bring into a turn: one buffer full. Back-pressure acts between turns.
  static constexpr size_t kReadPerTurn = ReadBuffer::kBuffer;
  // The head of a proxy's answer to CONNECT; as most servers bound a head.
  static constexpr size_t kTunnelHeadMax = 8 * 1024;
  // How long the destructor waits for flushes, and for look-ups that the system cannot cancel.
  static constexpr Duration kCloseMax = Duration::from_s(1);

  static Result<std::unique_ptr<Loop>> open(TurnHost& host);
  // Not inside a turn. Closes everything; lets connections that were closed with `flush` finish, for kCloseMax.
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Turns until `stop`. May be called again.
  void run();
  void stop();  // [any thread] `run` returns after the turn it is in.
  void poke();  // [any thread] There will be a turn soon; pokes before it are one.

  // Driven: instead of `run`.
  int fd() const;
  int timeout_ms();  // -1: no limit.
  void turn_once();  // Never waits. Not inside a turn.

  static Instant now();          // CLOCK_MONOTONIC.
  static int64_t unix_time_s();  // Wall clock.
  static uint64_t random_seed();
  static const char* library_version();  // Of the libuv that is called.

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId conn, bool on) override;
  void close(ConnId conn, bool flush) override;
  Result<ListenerId> listen(uint64_t tag, const Address& address) override;
  Address bound(ListenerId listener) override;
  void unlisten(ListenerId listener) override;
  void accept(ListenerId listener, bool on) override;
  void adopt(ConnId conn, uint64_t tag) override;
  void wake_at(Instant when) override;

 private:
  struct Setup;
  struct Conn;
  struct Listener;
  struct Lookup;
  enum TimerOf : uint32_t { conn_timer, listener_timer };

  explicit Loop(TurnHost& host);
  int open_handles();  // libuv's error, or 0.

  // --- loop.cc ---
  void step(bool wait);
  void arm_timer();
  void expire(Instant now);
  bool work_waits() const;
  Completion& arrive(Completion::Kind kind, const Conn& conn);
  void run_until_quiet();

  // --- resolve.cc ---
  void resolved(uint64_t tag, const std::string& host, uint16_t port, int error, const addrinfo* found);

  // --- conn.cc ---
  Conn* find(ConnId id) const;       // Null for one that its owner has closed, too.
  Conn& add_conn(uint64_t tag);
  void destroy(Conn& conn);          // Closes the socket; says nothing.
  void lose(Conn& conn, Status status, std::string message);
  void broke(Conn& conn, int error);  // As `lose`, in the words of the state it was in.
  void start_polling(Conn& conn);
  void opened(Conn& conn);            // Reports `connected`.
  bool may_read(const Conn& conn) const;
  void take_bytes(Conn& conn, size_t n);
  void take_end(Conn& conn);
  void deliver(Conn& conn, Chunk bytes);
  void pump_stirred();
  static int send_some(int fd, Chain& bytes);
  bool send_now(Conn& conn, Chain& bytes);
  bool send_unowned(Conn& conn, Chain&& bytes);
  void write_failed(Conn& conn, int error);
  void queue_write(Conn& conn);
  void written(Conn& conn, int status);
  void report_written(Conn& conn, size_t n);
  void begin_flush(Conn& conn);
  void flush_on(Conn& conn);
  static void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer);
  static void on_room(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer);

  // --- connect.cc ---
  void connected(Conn& conn, int status);
  void start_tunnel(Conn& conn);
  void take_reply(Conn& conn, std::string_view bytes);

  // --- secure.cc ---
  void start_tls(Conn& conn);
  void shake_hands(Conn& conn);
  void take_ciphertext(Conn& conn, std::string_view bytes);
  void read_plaintext(Conn& conn);
  size_t write_plaintext(Conn& conn, Chain&& bytes);
  bool encrypt_some(Conn& conn, size_t& sent);

  // --- listen.cc ---
  void accept_some(Listener& listener);
  void watch(Listener& listener);
  void shut(Listener& listener);

  TurnHost& host_;
  std::unique_ptr<uv_loop_t> uv_;  // Apart from the Loop: it outlives it if the system sits on a look-up.
  uv_async_t async_;
  uv_timer_t timer_;
  uv_idle_t idle_;                 // Active: libuv does not wait.
  bool async_open_ = false;
  bool rang_ = false;              // timer_ went off.
  bool poked_ = false;
  std::atomic<bool> stopping_{false};
  uint64_t armed_ms_ = UINT64_MAX;  // When timer_ goes off, on libuv's clock; UINT64_MAX: it does not.
  Instant wake_ = Instant::never();
  Instant turned_;                  // Time of the last step.
  uint64_t turns_ = 1;

  std::vector<Completion> arrived_;  // Since the last turn.
  std::vector<Completion> handed_;   // In the host's hands; here to be used again.
  std::vector<ConnId> stirred_;      // Held bytes may go to the owner of these now.
  std::vector<TimerHeap::Fired> fired_;
  TimerHeap timers_;
  Slab<Conn> conns_;                 // An entry lives until libuv has let go of its handle.
  Slab<Listener> listeners_;
  size_t closing_ = 0;               // Connections that are flushing or lingering.
  size_t lookups_ = 0;
  ReadBuffer buffer_;
  ReadBuffer plain_buffer_;  // TLS.
  TlsContexts tls_;
};

}  // namespace lb
