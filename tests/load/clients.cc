// clients PORT STREAMS EVENTS: HTTP clients of a gateway on 127.0.0.1, one connection each. Orders: start FIRST COUNT,
// count.
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "crowd.h"

namespace {

using namespace load;

// Takes a chunked answer apart, however it is split.
class Answer {
 public:
  enum class Took : uint8_t { more, end, wrong };

  // Calls `body(view)` for what is in the chunks.
  template <typename Body>
  Took take(std::string_view bytes, Body body) {
    while (!bytes.empty()) {
      if (part_ == Part::data) {
        std::string_view piece = bytes.substr(0, left_);
        body(piece);
        bytes.remove_prefix(piece.size());
        left_ -= piece.size();
        if (left_ == 0) part_ = Part::after;
        continue;
      }
      size_t end = bytes.find('\n');
      line_.append(bytes.substr(0, end == bytes.npos ? end : end + 1));
      if (end == bytes.npos) return Took::more;
      bytes.remove_prefix(end + 1);
      if (!on_line()) return Took::wrong;
      std::string().swap(line_);
      if (part_ == Part::done) return bytes.empty() ? Took::end : Took::wrong;
    }
    return Took::more;
  }

 private:
  enum class Part : uint8_t { status, fields, size, data, after, last, done };

  bool on_line() {
    bool blank = line_ == "\r\n";
    switch (part_) {
      case Part::status:
        part_ = Part::fields;
        return line_.rfind("HTTP/1.1 200 ", 0) == 0;
      case Part::fields:
        if (line_.rfind("transfer-encoding: chunked", 0) == 0) chunked_ = true;
        if (blank) part_ = Part::size;
        return !blank || chunked_;
      case Part::size:
        left_ = std::strtoull(line_.c_str(), nullptr, 16);
        part_ = left_ > 0 ? Part::data : Part::last;
        return true;
      case Part::after:
        part_ = Part::size;
        return blank;
      case Part::last:
        part_ = Part::done;
        return blank;
      case Part::data:
      case Part::done:
        return false;
    }
    return false;
  }

  Part part_ = Part::status;
  bool chunked_ = false;
  uint64_t left_ = 0;  // Of the chunk.
  std::string line_;   // That is not whole yet.
};

struct Client {
  int fd = -1;
  bool sent = false;
  Answer answer;
};

class Clients {
 public:
  Clients(uint16_t port, size_t streams_max, uint32_t events)
      : events_(events), crowd_(streams_max, events), clients_(streams_max + 1) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    watch(0, STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
  }

  void run() {
    say("{}");
    epoll_event ready[256];
    for (bool orders = true; orders;) {
      int count = epoll_wait(epoll_, ready, 256, -1);
      for (int i = 0; i < count; i++) {
        if (ready[i].data.u64 != 0)
          on_ready(ready[i].data.u64, ready[i].events);
        else
          orders = orders_.read([this](const std::string& word, const std::string&, uint64_t first, uint64_t many) {
            if (word == "start") crowd_.plan(first, many);
            crowd_.report();
          });
      }
      while (uint64_t id = crowd_.take_next()) start(id);
    }
  }

 private:
  void watch(uint64_t id, int fd, uint32_t what, int how) {
    epoll_event event = {};
    event.events = what;
    event.data.u64 = id;
    if (epoll_ctl(epoll_, how, fd, &event) != 0) die("epoll_ctl");
  }

  void start(uint64_t id) {
    Client& client = clients_[id];
    client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client.fd < 0) die("socket: RLIMIT_NOFILE");
    if (connect(client.fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0 && errno != EINPROGRESS)
      return end(id, false, std::strerror(errno));
    watch(id, client.fd, EPOLLOUT, EPOLL_CTL_ADD);
  }

  void on_ready(uint64_t id, uint32_t what) {
    Client& client = clients_[id];
    if (!client.sent && (what & EPOLLOUT)) return send_request(id);
    char bytes[16 * 1024];
    while (client.fd >= 0) {
      ssize_t n = recv(client.fd, bytes, sizeof bytes, 0);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return end(id, false, n == 0 ? "the gateway closed the connection" : std::strerror(errno));
      take(id, {bytes, static_cast<size_t>(n)});
    }
  }

  void send_request(uint64_t id) {
    Client& client = clients_[id];
    std::string body = request_body(id);
    std::string request = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
                          "accept: application/json\r\nuser-agent: load/1\r\ncontent-length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body;
    // A new socket takes a request of a kilobyte whole, or has failed.
    ssize_t n = send(client.fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(request.size())) return end(id, false, n < 0 ? std::strerror(errno) : "sent in part");
    client.sent = true;
    watch(id, client.fd, EPOLLIN, EPOLL_CTL_MOD);
  }

  void take(uint64_t id, std::string_view bytes) {
    Answer::Took took =
        clients_[id].answer.take(bytes, [this, id](std::string_view body) { crowd_.take_bytes(id, body); });
    if (took == Answer::Took::wrong) return end(id, false, "the answer is not a chunked 200");
    if (took == Answer::Took::end || crowd_.over(id)) end(id, true, "the answer is not the whole stream");
  }

  void end(uint64_t id, bool well, const char* why) {
    crowd_.end(id, well, events_ + 2, why);
    close(clients_[id].fd);
    clients_[id].fd = -1;
  }

  const uint32_t events_;
  Crowd crowd_;
  Orders orders_;
  std::vector<Client> clients_;  // By id.
  sockaddr_in address_ = {};
  int epoll_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: clients PORT STREAMS EVENTS\n"), 2;
  Clients(static_cast<uint16_t>(std::atoi(argv[1])), static_cast<size_t>(std::atoll(argv[2])),
          static_cast<uint32_t>(std::atoi(argv[3])))
      .run();
}
