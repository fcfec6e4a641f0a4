#include "fetch.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "terminal.h"

namespace cli {

namespace {

constexpr time_t kTimeoutSeconds = 5;        // A gateway that needs longer for its own counters is not well.
constexpr size_t kAnswerBytesMax = 16 << 20;  // 1,024 deployments with dozens of models each stay far below.

void set_timeouts(int fd) {
  timeval limit{kTimeoutSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

int connect_unix(const std::string& path, std::string& why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    why = "the path of the socket is too long";
    return -1;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  set_timeouts(fd);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  why = path + ": " + std::strerror(errno);
  if (fd >= 0) close(fd);
  return -1;
}

int connect_tcp(const Place& place, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int code = getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found); code != 0) {
    why = place.host + ": " + gai_strerror(code);
    return -1;
  }
  int fd = -1;
  for (addrinfo* at = found; at && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd < 0) continue;
    set_timeouts(fd);
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) break;
    why = place.host + ":" + place.port + ": " + std::strerror(errno);
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

bool read_all(int fd, std::string& out, std::string& why) {
  char buffer[65'536];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n == 0) return true;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      why = errno == EAGAIN ? "no answer within 5 s" : std::strerror(errno);
      return false;
    }
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > kAnswerBytesMax) {
      why = "the answer is longer than 16 MiB";
      return false;
    }
  }
}

}  // namespace

bool parse_place(std::string_view url, Place& out, std::string& why) {
  if (url.starts_with("unix:")) {
    out.socket = url.substr(5);
    out.host = "localhost";
    if (!out.socket.empty()) return true;
    why = "the path is missing; write unix:/run/lb.sock";
    return false;
  }
  if (url.starts_with("https://")) {
    why = "only http:// can be asked; lb itself listens without TLS";
    return false;
  }
  if (url.starts_with("http://")) url.remove_prefix(7);
  size_t slash = url.find('/');
  if (slash != url.npos) out.path = url.substr(slash);
  std::string_view authority = url.substr(0, slash);
  size_t colon = authority.rfind(':');
  bool bracketed = authority.starts_with("[");
  size_t bracket = authority.find(']');
  if (bracketed && (bracket == authority.npos || (colon != authority.npos && colon < bracket))) colon = authority.npos;
  out.host = bracketed ? authority.substr(1, bracket - 1) : authority.substr(0, colon);
  out.port = colon == authority.npos ? "80" : authority.substr(colon + 1);
  if (!out.host.empty() && !out.port.empty()) return true;
  why = "not an address; write http://host:port";
  return false;
}

bool fetch(const Place& place, std::string_view path, std::string& body, std::string& why) {
  int fd = place.socket.empty() ? connect_tcp(place, why) : connect_unix(place.socket, why);
  if (fd < 0) return false;
  // HTTP/1.0, so that the end of the connection is the end of the answer and nothing is chunked.
  std::string request = "GET ";
  request.append(path).append(" HTTP/1.0\r\nhost: ").append(place.host).append("\r\naccept: application/json\r\n\r\n");
  std::string answer;
  bool read = write_all(fd, request) && read_all(fd, answer, why);
  close(fd);
  if (!read) {
    if (why.empty()) why = "the connection was closed";
    return false;
  }
  size_t end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || end == answer.npos || answer.size() < 12) {
    why = "the answer is not HTTP";
    return false;
  }
  if (answer.compare(9, 3, "200") != 0) {
    why = "answered " + answer.substr(9, answer.find("\r\n") - 9) + " to GET " + std::string(path);
    return false;
  }
  body = answer.substr(end + 4);
  return true;
}

}  // namespace cli
