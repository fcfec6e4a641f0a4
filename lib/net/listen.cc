#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "net/conn.h"
#include "net/fault.h"
#include "net/sockaddr.h"

namespace lb {

namespace {

// A file descriptor until somebody takes it over.
struct Fd {
  explicit Fd(int value_) : value(value_) {}
  ~Fd() {
    if (value >= 0) ::close(value);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int value;
};

int open_socket(int family) { return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

int bind_to(int fd, const sockaddr_storage& name, socklen_t size) {
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 ? 0 : errno;
}

// A server that died leaves its file behind, and connecting to it is refused. One that is merely busy is left alone.
bool remove_stale(const std::string& path, const sockaddr_storage& name, socklen_t size) {
  struct stat file;
  if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  Fd probe(open_socket(AF_UNIX));
  if (probe.value < 0) return false;
  int result = ::connect(probe.value, reinterpret_cast<const sockaddr*>(&name), size);
  return result != 0 && errno == ECONNREFUSED && ::unlink(path.c_str()) == 0;
}

// 0, or an errno.
int bind_and_listen(int fd, const Address& address, const sockaddr_storage& name, socklen_t size) {
  int on = 1;
  bool local = address.family == Address::Family::local;
  if (!local) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Accepted sockets inherit it.
  }
  int error = bind_to(fd, name, size);
  if (error == EADDRINUSE && local && remove_stale(address.path, name, size)) error = bind_to(fd, name, size);
  if (error != 0) return error;
  return ::listen(fd, Loop::kBacklog) == 0 ? 0 : errno;
}

}  // namespace

Result<ListenerId> Loop::listen(uint64_t tag, const Address& address) {
  auto refuse = [&](int error) { return Error{Status::CONFIG, "", listen_fault(error, to_string(address))}; };
  sockaddr_storage name;
  socklen_t size = to_sockaddr(address, name);
  if (size == 0) return refuse(UV_ENAMETOOLONG);
  Fd fd(open_socket(name.ss_family));
  if (fd.value < 0) return refuse(uv_translate_sys_error(errno));
  int error = bind_and_listen(fd.value, address, name, size);
  if (error != 0) return refuse(uv_translate_sys_error(error));

  ListenerId id = listeners_.next_id();
  listeners_.add(this, id, tag);
  Listener& listener = *listeners_.find(id);
  listener.address = address;
  listener.timer.owner = id;
  listener.timer.kind = listener_timer;
  if (address.family == Address::Family::local) {
    struct stat file;
    if (::lstat(address.path.c_str(), &file) == 0) {
      listener.device = file.st_dev;
      listener.inode = file.st_ino;
    }
  } else if (::getsockname(fd.value, reinterpret_cast<sockaddr*>(&name), &size) == 0) {
    listener.address = from_sockaddr(reinterpret_cast<sockaddr*>(&name));
  }
  error = uv_poll_init(uv_.get(), &listener.poll, fd.value);
  if (error != 0) {
    listeners_.remove(id);
    return refuse(error);
  }
  listener.poll.data = &listener;
  listener.fd = std::exchange(fd.value, -1);
  watch(listener);
  return id;
}

Address Loop::bound(ListenerId id) {
  Listener* listener = listeners_.find(id);
  return listener ? listener->address : Address{};
}

void Loop::unlisten(ListenerId id) {
  if (Listener* listener = listeners_.find(id)) shut(*listener);
}

void Loop::shut(Listener& listener) {
  if (listener.gone) return;
  listener.gone = true;
  timers_.disarm(listener.timer);
  uv_poll_stop(&listener.poll);
  if (listener.address.family == Address::Family::local) {
    struct stat file;
    const std::string& path = listener.address.path;
    if (::lstat(path.c_str(), &file) == 0 && file.st_dev == listener.device && file.st_ino == listener.inode)
      ::unlink(path.c_str());
  }
  ::close(std::exchange(listener.fd, -1));
  uv_close(reinterpret_cast<uv_handle_t*>(&listener.poll), [](uv_handle_t* handle) {
    Listener& closed = *static_cast<Listener*>(handle->data);
    closed.loop->listeners_.remove(closed.id);
  });
}

void Loop::accept(ListenerId id, bool on) {
  Listener* listener = listeners_.find(id);
  if (!listener || listener->gone || listener->wanted == on) return;
  listener->wanted = on;
  watch(*listener);
}

// Watches the socket, or not: as its owner wants, and while it does not pause.
void Loop::watch(Listener& listener) {
  if (!listener.wanted || listener.timer.armed()) {
    uv_poll_stop(&listener.poll);
    return;
  }
  uv_poll_start(&listener.poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    Listener& readable = *static_cast<Listener*>(poll->data);
    readable.loop->accept_some(readable);
  });
}

void Loop::accept_some(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; i++) {
    int fd = conns_.full() ? -1 : ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (!conns_.full() && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)) continue;
      if (!conns_.full() && errno == EAGAIN) return;
      // EMFILE, ENFILE, ENOBUFS, ENOMEM: the clients wait in the backlog until there may be room again.
      timers_.arm(listener.timer, now() + kAcceptPause);
      return watch(listener);
    }
    Conn& conn = add_conn(listener.tag);
    conn.fd = fd;
    conn.peer = "the client";
    int error = 0;
    if (listener.address.family == Address::Family::local) {
      uv_pipe_init(uv_.get(), &conn.pipe, 0);
      error = uv_pipe_open(&conn.pipe, fd);
    } else {
      uv_tcp_init(uv_.get(), &conn.tcp);
      error = uv_tcp_open(&conn.tcp, fd);
    }
    conn.handle.data = &conn;
    if (error != 0) {
      ::close(fd);
      destroy(conn);
      continue;
    }
    conn.state = Conn::State::open;
    arrive(Completion::Kind::accepted, conn);
  }
}

}  // namespace lb
