// upstream EVENTS EARLY GAP_MS: the provider of the load test. One process, one thread, a few hundred bytes a stream:
// `lb mock` keeps a script and a journal for each connection, which ten thousand of them do not need.
//
// Each stream says an event every GAP_MS. While streams are held they stop behind EARLY events; `release` lets them all
// go on to their ends. Orders: hold, release, count, drop (closes the connections that are at rest).
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "orders.h"
#include "script.h"

namespace {

using namespace load;

struct Conn {
  int fd = -1;
  uint64_t id = 0;      // Of the stream that it is at; 0: at rest.
  uint32_t next = 0;    // Event.
  bool full = false;    // The socket takes no more: `out` waits for EPOLLOUT.
  std::string in;
  std::string out;
};

int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

class Upstream {
 public:
  Upstream(uint32_t events, uint32_t early, int64_t gap_ms) : events_(events), early_(early), gap_ms_(gap_ms) {}

  void run() {
    open();
    epoll_event ready[256];
    for (bool orders = true; orders;) {
      int64_t wait = due_ - now_ms();
      int count = epoll_wait(epoll_, ready, 256, static_cast<int>(wait < 0 ? 0 : wait));
      for (int i = 0; i < count; i++) {
        int fd = ready[i].data.fd;
        if (fd == STDIN_FILENO)
          orders = orders_.read([this](const std::string& word, const std::string&, uint64_t, uint64_t) {
            obey(word);
          });
        else if (fd == listener_)
          take_new();
        else
          on_ready(*conns_[static_cast<size_t>(fd)], ready[i].events);
      }
      if (now_ms() >= due_) tick();
    }
  }

 private:
  void open() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (bind(listener_, generic, size) != 0 || listen(listener_, 4096) != 0 ||
        getsockname(listener_, generic, &size) != 0)
      die("listen");
    watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
    due_ = now_ms() + gap_ms_;
    say("{\"port\":%u}", ntohs(address.sin_port));
  }

  void watch(int fd, uint32_t what, int how) {
    epoll_event event = {};
    event.events = what;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, how, fd, &event) != 0) die("epoll_ctl");
  }

  void obey(std::string_view word) {
    if (word == "hold") held_ = true;
    if (word == "release") held_ = false;
    if (word == "drop")
      for (auto& conn : conns_)
        if (conn && conn->fd >= 0 && conn->id == 0) forget(*conn);
    size_t open = 0, streams = 0, waiting = 0;
    for (auto& conn : conns_) {
      if (!conn || conn->fd < 0) continue;
      open++;
      streams += conn->id != 0;
      waiting += conn->id != 0 && conn->next >= early_ && conn->out.empty();
    }
    say("{\"open\":%zu,\"streams\":%zu,\"held\":%zu,\"ended\":%llu,\"lost\":%llu,\"events\":%llu,\"bytes\":%llu,"
        "\"sum\":\"%llx\"}",
        open, streams, waiting, ull(ended_), ull(lost_), ull(tally_.events), ull(tally_.bytes), ull(tally_.sum));
  }
  static unsigned long long ull(uint64_t value) { return value; }

  void take_new() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto at = static_cast<size_t>(fd);
      if (conns_.size() <= at) conns_.resize(at + 1);
      if (!conns_[at]) conns_[at] = std::make_unique<Conn>();
      *conns_[at] = Conn();
      conns_[at]->fd = fd;
      watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
    if (errno == EMFILE || errno == ENFILE) die("accept: RLIMIT_NOFILE");
  }

  void on_ready(Conn& conn, uint32_t what) {
    if (what & EPOLLOUT) flush(conn);
    char bytes[16 * 1024];
    while (conn.fd >= 0 && (what & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
      ssize_t n = recv(conn.fd, bytes, sizeof bytes, 0);
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) return forget(conn);
      conn.in.append(bytes, static_cast<size_t>(n));
    }
    if (conn.fd >= 0 && conn.id == 0) begin(conn);
  }

  // Once the request is there.
  void begin(Conn& conn) {
    size_t head = conn.in.find("\r\n\r\n");
    if (head == conn.in.npos) return;
    size_t length = conn.in.find("content-length: ");
    size_t size = length < head ? static_cast<size_t>(std::atoll(conn.in.c_str() + length + 16)) : 0;
    if (conn.in.size() < head + 4 + size) return;
    conn.id = id_of(std::string_view(conn.in).substr(head + 4, size));
    if (conn.id == 0) return forget(conn);
    std::string().swap(conn.in);
    conn.next = 0;
    conn.out +=
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
        "x-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 17\r\ntransfer-encoding: chunked\r\n\r\n";
    speak(conn);
  }

  void speak(Conn& conn) {
    char line[24];
    std::string event = event_of(conn.id, conn.next, events_);
    std::snprintf(line, sizeof line, "%zx\r\n", event.size());
    tally_.add(std::string_view(event).substr(6, event.size() - 8));
    conn.out.append(line).append(event).append("\r\n");
    if (conn.next++ > events_) {
      conn.out += "0\r\n\r\n";
      conn.id = 0;
      ended_++;
    }
    flush(conn);
  }

  void flush(Conn& conn) {
    while (!conn.out.empty()) {
      ssize_t n = send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) return forget(conn);
      conn.out.erase(0, static_cast<size_t>(n));
    }
    bool full = !conn.out.empty();
    if (full != conn.full) watch(conn.fd, full ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    conn.full = full;
    if (!full) std::string().swap(conn.out);
  }

  void forget(Conn& conn) {
    if (conn.id != 0) lost_++;
    close(conn.fd);
    conn = Conn();
  }

  // The next event of each stream that may speak.
  void tick() {
    for (auto& conn : conns_)
      if (conn && conn->fd >= 0 && conn->id != 0 && !conn->full && (!held_ || conn->next < early_)) speak(*conn);
    due_ = now_ms() + gap_ms_;
  }

  const uint32_t events_;
  const uint32_t early_;
  const int64_t gap_ms_;
  bool held_ = false;
  int epoll_ = -1;
  int listener_ = -1;
  int64_t due_ = 0;
  Orders orders_;
  std::vector<std::unique_ptr<Conn>> conns_;  // By descriptor.
  uint64_t ended_ = 0;
  uint64_t lost_ = 0;  // Streams whose reader went away.
  Tally tally_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: upstream EVENTS EARLY GAP_MS\n"), 2;
  auto events = static_cast<uint32_t>(std::atoi(argv[1])), early = static_cast<uint32_t>(std::atoi(argv[2]));
  Upstream(events, early, std::atoi(argv[3])).run();
}
