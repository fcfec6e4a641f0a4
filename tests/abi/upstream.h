// A scripted upstream on a plain socket: takes one connection after the other, reads a request head, sends what the
// test gave it, and then holds the connection until the other side closes it or the test ends.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

namespace host {

class Upstream {
 public:
  explicit Upstream(std::string answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, generic, &size) != 0)
      abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Upstream() {
    ending_ = true;
    thread_.join();
    close(listener_);
  }
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  int requests() const { return requests_; }
  // Connections that the other side has closed.
  int closed() const { return closed_; }

 private:
  bool readable(int fd) const {
    while (!ending_) {
      pollfd watched = {fd, POLLIN, 0};
      if (::poll(&watched, 1, 10) > 0) return true;
    }
    return false;
  }
  void serve() {
    while (readable(listener_)) {
      int conn = accept(listener_, nullptr, nullptr);
      if (conn < 0) continue;
      talk(conn);
      close(conn);
    }
  }
  void talk(int conn) {
    std::string request;
    char bytes[4096];
    bool answered = false;
    while (readable(conn)) {
      ssize_t got = recv(conn, bytes, sizeof bytes, 0);
      if (got <= 0) {
        closed_++;
        return;
      }
      request.append(bytes, static_cast<size_t>(got));
      if (answered || request.find("\r\n\r\n") == std::string::npos) continue;
      answered = true;
      requests_++;
      (void)!send(conn, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> requests_{0};
  std::atomic<int> closed_{0};
  std::thread thread_;
};

inline std::string upstream_config(const Upstream& upstream, const std::string& more = "") {
  return "{\"deployments\":[{\"name\":\"up\",\"url\":\"" + upstream.url() + "\",\"models\":[\"m\"]" + more + "}]}";
}

}  // namespace host
