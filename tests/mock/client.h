// What the tests of the mock talk to it with: a mock that frees itself, and blocking sockets that give up after
// ten seconds, so that a defect is a failed test and not a hang.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "lb_mock.h"

namespace lb::mock::test {

class Mock {
 public:
  explicit Mock(std::string_view options) {
    char error[256];
    if (lb_mock_start(options.data(), options.size(), &mock_, error, sizeof error) != 0) {
      write(2, error, std::strlen(error));
      std::abort();
    }
  }
  ~Mock() { lb_mock_free(mock_); }
  Mock(const Mock&) = delete;
  Mock& operator=(const Mock&) = delete;

  lb_mock* get() { return mock_; }
  uint16_t port() const { return lb_mock_port(mock_); }
  std::string journal() {
    size_t size = 0;
    char* text = lb_mock_journal(mock_, &size);
    std::string out(text, size);
    lb_mock_free_text(text);
    return out;
  }
  // The journal, once it has `part`; or after ten seconds as it is.
  std::string journal_with(std::string_view part) {
    std::string text = journal();
    for (int i = 0; i < 1000 && text.find(part) == text.npos; i++) {
      usleep(10'000);
      text = journal();
    }
    return text;
  }

 private:
  lb_mock* mock_ = nullptr;
};

struct Answer {
  int status = 0;         // 0: no head came.
  std::string head, body;  // The body without chunks.
  bool whole = false;     // The framing was kept to its end.
  bool closed = false, reset = false;  // The connection was, in the course of it.
  bool has(std::string_view text) const { return head.find(text) != head.npos || body.find(text) != body.npos; }
  size_t count(std::string_view text) const {
    size_t n = 0;
    for (size_t at = body.find(text); at != body.npos; at = body.find(text, at + text.size())) n++;
    return n;
  }
  // The value of a header field, with its name in lower case.
  std::string field(std::string_view name) const {
    const size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == head.npos) return {};
    const size_t from = at + 4 + name.size();
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  bool post(std::string_view path, std::string_view body, std::string_view headers = "") {
    return send("POST " + std::string(path) + " HTTP/1.1\r\nHost: mock\r\nContent-Type: application/json\r\n" +
                std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                std::string(body));
  }
  // Reads until the answer is whole or the connection ends; what follows stays for the next one.
  Answer read();
  // Reads until `text` has come, without taking anything; false when the connection ended first.
  bool read_until(std::string_view text) {
    while (in_.find(text) == in_.npos)
      if (!more()) return false;
    return true;
  }
  // True when the other side has closed, and nothing was left.
  bool at_end() {
    while (more()) {
    }
    return in_.empty();
  }
  const std::string& left() const { return in_; }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) {
      ended_ = true;
      reset_ = n < 0 && errno == ECONNRESET;
      return false;
    }
    in_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  bool need(size_t size) {
    while (in_.size() < size)
      if (!more()) return false;
    return true;
  }
  bool chunks(std::string* body);

  int fd_;
  bool connected_ = false, ended_ = false, reset_ = false;
  std::string in_;
};

inline bool Client::chunks(std::string* body) {
  for (;;) {
    if (!read_until("\r\n")) return false;
    const size_t line = in_.find("\r\n");
    const size_t size = std::strtoul(in_.c_str(), nullptr, 16);
    in_.erase(0, line + 2);
    const bool all = need(size + 2);
    body->append(in_, 0, size);
    if (!all) return false;
    in_.erase(0, size + 2);
    if (size == 0) return true;
  }
}

inline Answer Client::read() {
  Answer answer;
  if (read_until("\r\n\r\n")) {
    const size_t end = in_.find("\r\n\r\n") + 4;
    answer.head = in_.substr(0, end);
    answer.status = std::atoi(answer.head.c_str() + 9);
    in_.erase(0, end);
    const std::string length = answer.field("content-length");
    if (answer.status < 200) {
      answer.whole = true;
    } else if (!length.empty()) {
      const size_t size = std::strtoul(length.c_str(), nullptr, 10);
      answer.whole = need(size);
      answer.body = in_.substr(0, size);
      in_.erase(0, size);
    } else if (answer.field("transfer-encoding") == "chunked") {
      answer.whole = chunks(&answer.body);
    } else {
      while (more()) {
      }
      answer.body.swap(in_);
      answer.whole = !reset_;
    }
  }
  answer.closed = ended_;
  answer.reset = reset_;
  return answer;
}

constexpr std::string_view kChat = "/v1/chat/completions";
constexpr std::string_view kPlain = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
constexpr std::string_view kStream = R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true})";

// One call on a connection of its own.
inline Answer call(Mock& mock, std::string_view body = kPlain, std::string_view path = kChat,
                   std::string_view headers = "") {
  Client client(mock.port());
  client.post(path, body, headers);
  return client.read();
}

inline Answer get(Mock& mock, std::string_view path) {
  Client client(mock.port());
  client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: mock\r\n\r\n");
  return client.read();
}

}  // namespace lb::mock::test
