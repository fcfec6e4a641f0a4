// A Loop under test, driven in the test's own thread, and a record of what it reported. Peers are other connections of
// the same Loop, or plain sockets. Every wait is bounded.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/sockaddr.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::test {

using Kind = Completion::Kind;

// What is known of one connection.
struct Seen {
  uint64_t tag = 0;
  std::string data;
  size_t bytes = 0;      // Of `data`, or of what was counted instead.
  size_t reads = 0;
  size_t written = 0;
  bool connected = false;
  bool ended = false;
  bool closed = false;
  Status status = Status::OK;
  std::string message;
};

class World final : public TurnHost {
 public:
  World() {
    auto opened = Loop::open(*this);
    assert_true(opened.ok());
    loop_ = std::move(opened.value());
  }
  virtual ~World() = default;

  Loop& net() { return *loop_; }
  void drop_loop() { loop_.reset(); }
  Seen& operator[](ConnId conn) { return seen[conn]; }

  // Turns until `done`; fails the test after half a minute.
  template <typename Done>
  void until(Done done) {
    Instant end = Loop::now() + Duration::from_s(30);
    while (!done()) {
      if (Loop::now() > end) fail_msg("%s", "waited half a minute in vain");
      turn(100);
    }
  }
  void turn(int wait_max_ms) {
    int timeout = loop_->timeout_ms();
    if (timeout < 0 || timeout > wait_max_ms) timeout = wait_max_ms;
    pollfd poll_fd{loop_->fd(), POLLIN, 0};
    poll(&poll_fd, 1, timeout);
    loop_->turn_once();
  }
  // Turns for a while: to see that something does not happen.
  void settle(int ms = 30) {
    Instant end = Loop::now() + Duration::from_ms(ms);
    while (Loop::now() < end) turn(1);
  }

  ListenerId listen(uint64_t tag = 7) {
    Address any;
    any.ip = {127, 0, 0, 1};
    auto listener = net().listen(tag, any);
    assert_true(listener.ok());
    return listener.value();
  }
  ConnId connect(const Address& address, uint64_t tag = 1) {
    ConnectSpec spec;
    spec.address = address;
    return net().connect(tag, spec);
  }
  // Until it is up, or has failed.
  ConnId settle_connect(const ConnectSpec& spec, uint64_t tag = 1) {
    ConnId conn = net().connect(tag, spec);
    until([&] { return seen[conn].connected || seen[conn].closed; });
    return conn;
  }
  struct Pair {
    ConnId client, server;
  };
  // Both ends of a connection, reading off.
  Pair pair(ListenerId listener) {
    size_t before = accepted.size();
    ConnId client = connect(net().bound(listener));
    until([&] { return seen[client].connected && accepted.size() > before; });
    return {client, accepted.back()};
  }
  size_t write(ConnId conn, std::string_view bytes) {
    Chain chain;
    chain.push(Chunk::copy(bytes));
    return net().write(conn, std::move(chain));
  }

  void turn(std::vector<Completion>& completions, Instant now) override {
    turns++;
    assert_true(now.ns >= turned.ns);
    turned = now;
    for (Completion& c : completions) note(c);
    if (on_turn) on_turn(*this);
  }

  std::map<ConnId, Seen> seen;
  std::vector<ConnId> accepted;
  std::vector<Completion> resolved;
  std::vector<std::string> order;  // Of what came: "read 3", "closed 4".
  bool keep = true;                // The data, or only its size.
  size_t turns = 0;
  size_t read_turn_max = 0;
  Instant turned;
  void (*on_turn)(World&) = nullptr;

 private:
  void note(Completion& c) {
    if (c.kind == Kind::resolved) {
      resolved.push_back(std::move(c));
      return;
    }
    assert_true(c.conn != 0);
    Seen& s = seen[c.conn];
    assert_false(s.closed);  // Nothing follows.
    s.tag = c.tag;
    switch (c.kind) {
      case Kind::resolved:
        break;
      case Kind::connected:
        assert_true(c.status == Status::OK && !s.connected);
        s.connected = true;
        break;
      case Kind::accepted:
        accepted.push_back(c.conn);
        break;
      case Kind::read:
        assert_false(s.ended);
        assert_true(!c.data.empty());
        if (keep) s.data += c.data.view();
        s.bytes += c.data.size();
        s.reads++;
        break;
      case Kind::ended:
        assert_false(s.ended);
        s.ended = true;
        break;
      case Kind::written:
        assert_true(c.bytes > 0);
        s.written += c.bytes;
        break;
      case Kind::closed:
        assert_true(c.status != Status::OK && !c.message.empty());
        s.closed = true;
        s.status = c.status;
        s.message = c.message;
        break;
    }
  }

  std::unique_ptr<Loop> loop_;
};

inline void assert_contains(const std::string& text, std::string_view part) {
  if (text.find(part) == std::string::npos)
    fail_msg("\"%s\" lacks \"%.*s\"", text.c_str(), static_cast<int>(part.size()), part.data());
}

// A plain socket.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Connected to `address`.
  static int dial(const Address& address, int receive_buffer = 0) {
    sockaddr_storage name;
    socklen_t size = to_sockaddr(address, name);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(::connect(fd, reinterpret_cast<sockaddr*>(&name), size), 0);
    return fd;
  }
  int fd() const { return fd_; }
  void send(std::string_view bytes) {
    assert_int_equal(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), bytes.size());
  }
  // What is there; waits for something, but not for ever. Empty: the end. "!": an error.
  std::string receive(size_t most = 65536) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, 30'000) != 1) return "?";
    std::string bytes(most, '\0');
    ssize_t n = recv(fd_, bytes.data(), most, 0);
    if (n < 0) return "!";
    bytes.resize(static_cast<size_t>(n));
    return bytes;
  }
  bool readable() const {
    pollfd ready{fd_, POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
  }
  void reset() {
    linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// A listening plain socket on the loopback.
class PeerListener {
 public:
  PeerListener() {
    Address any;
    any.ip = {127, 0, 0, 1};
    sockaddr_storage name;
    socklen_t size = to_sockaddr(any, name);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd_, reinterpret_cast<sockaddr*>(&name), size), 0);
    assert_int_equal(::listen(fd_, 128), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size);
    address = from_sockaddr(reinterpret_cast<sockaddr*>(&name));
  }
  ~PeerListener() { close(); }
  PeerListener(const PeerListener&) = delete;
  PeerListener& operator=(const PeerListener&) = delete;
  int take() { return ::accept(fd_, nullptr, nullptr); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  Address address;

 private:
  int fd_;
};

// Bytes that differ by place, so that a swap or a loss is seen.
inline std::string pattern(size_t n, uint32_t seed = 1) {
  std::string bytes(n, '\0');
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525 + 1013904223;
    bytes[i] = static_cast<char>(seed >> 24);
  }
  return bytes;
}

}  // namespace lb::test
