#include "net/conn.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/fault.h"

namespace lb {

namespace {

// A request or a piece of an answer is a few chunks; the system takes up to 1,024 (IOV_MAX).
constexpr size_t kVectors = 64;
// What is handed to uv_write is little, to be told soon; the rest follows by send_now. Four vectors are what a
// uv_write_t holds without allocating.
constexpr size_t kQueuedVectors = 4;
constexpr size_t kQueuedBytes = 64 * 1024;
// A head and a short body: the system takes longer to gather them than it takes to copy them here.
constexpr size_t kGathered = 2 * 1024;

// One system call; `offered` is what it was given.
ssize_t send_front(int fd, const Chain& bytes, std::array<iovec, kVectors>& vectors, size_t& offered) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  if (bytes.count() == 1) {
    offered = bytes[0].size();
    return ::send(fd, bytes[0].data(), offered, kFlags);
  }
  if (bytes.bytes() <= kGathered) {
    std::array<char, kGathered> all;
    for (size_t i = 0; i < bytes.count(); offered += bytes[i++].size())
      std::memcpy(all.data() + offered, bytes[i].data(), bytes[i].size());
    return ::send(fd, all.data(), offered, kFlags);
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  for (; message.msg_iovlen < std::min(bytes.count(), vectors.size()); message.msg_iovlen++) {
    const Chunk& chunk = bytes[message.msg_iovlen];
    vectors[message.msg_iovlen] = {const_cast<char*>(chunk.data()), chunk.size()};
    offered += chunk.size();
  }
  return ::sendmsg(fd, &message, kFlags);
}

}  // namespace

// --- Life ---

Loop::Conn* Loop::find(ConnId id) const {
  Conn* conn = conns_.find(id);
  return conn && conn->state <= Conn::State::open ? conn : nullptr;
}

// Descriptors run out before the slab does: Linux allows as many of them to a process (fs.nr_open).
Loop::Conn& Loop::add_conn(uint64_t tag) {
  ConnId id = conns_.next_id();
  conns_.add(this, id, tag);
  Conn& conn = *conns_.find(id);
  conn.timer.owner = id;
  conn.timer.kind = conn_timer;
  return conn;
}

void Loop::destroy(Conn& conn) {
  if (conn.state == Conn::State::gone) return;
  if (conn.state == Conn::State::flushing || conn.state == Conn::State::lingering) closing_--;
  conn.state = Conn::State::gone;
  timers_.disarm(conn.timer);
  uv_close(&conn.handle, [](uv_handle_t* handle) {
    Conn& closed = *static_cast<Conn*>(handle->data);
    closed.loop->conns_.remove(closed.id);
  });
}

void Loop::lose(Conn& conn, Status status, std::string message) {
  if (conn.state <= Conn::State::open) {
    Completion& completion = arrive(Completion::Kind::closed, conn);
    completion.status = status;
    completion.message = std::move(message);
  }
  destroy(conn);
}

void Loop::adopt(ConnId id, uint64_t tag) {
  if (Conn* conn = find(id)) conn->tag = tag;
}

void Loop::close(ConnId id, bool flush) {
  // What a connection did in this very turn (a write that failed) is not news any more.
  if (!arrived_.empty()) std::erase_if(arrived_, [id](const Completion& completion) { return completion.conn == id; });
  Conn* conn = find(id);
  if (!conn) return;
  if (flush && conn->state == Conn::State::open && !conn->deaf)
    begin_flush(*conn);
  else
    destroy(*conn);
}

void Loop::begin_flush(Conn& conn) {
  conn.state = Conn::State::flushing;
  closing_++;
  timers_.arm(conn.timer, now() + kFlushMax);
  // A peer that is still sending may not read before it has sent everything.
  if (!conn.ended) start_polling(conn);
  if (conn.state == Conn::State::flushing) flush_on(conn);
}

// Once everything is out: close_notify, FIN, and a last look at what the peer still sends.
void Loop::flush_on(Conn& conn) {
  if (!conn.out.empty() || !conn.plain.empty()) return;
  if (conn.tls && !conn.notified) {
    conn.notified = true;
    conn.tls->close_notify();
    if (!send_unowned(conn, std::move(conn.tls->output())) || !conn.out.empty()) return;
  }
  if (::shutdown(conn.fd, SHUT_WR) != 0 || conn.ended) return destroy(conn);
  conn.state = Conn::State::lingering;
  timers_.arm(conn.timer, now() + kLingerMax);
}

void Loop::opened(Conn& conn) {
  conn.state = Conn::State::open;
  conn.setup.reset();
  arrive(Completion::Kind::connected, conn);
  if (conn.wanted) read(conn.id, true);  // Asked for too early.
}

void Loop::broke(Conn& conn, int error) {
  switch (conn.state) {
    case Conn::State::connecting:
    case Conn::State::tunnelling:
      return lose(conn, is_shortage(error) ? Status::FULL : Status::CONNECT, connect_fault(error, conn.peer));
    case Conn::State::securing:
      return lose(conn, Status::TLS, conn.tls->cut_short());
    case Conn::State::open:
    case Conn::State::flushing:
    case Conn::State::lingering:
    case Conn::State::gone:
      return lose(conn, Status::BROKEN, broken_fault(error, conn.peer));
  }
}

// --- Reading ---

void Loop::read(ConnId id, bool on) {
  Conn* conn = find(id);
  if (!conn) return;
  conn->wanted = on;
  // Switching off waits for the next bytes to come: most often it is on again by then, and the system need not know.
  if (!on || conn->state != Conn::State::open) return;
  if (!conn->early.empty() || (conn->tls && conn->tls->has_rest()))
    stirred_.push_back(id);
  else if (!conn->ended)
    start_polling(*conn);
}

void Loop::pump_stirred() {
  for (ConnId id : stirred_) {
    Conn* conn = find(id);
    if (!conn || !conn->wanted) continue;
    while (!conn->early.empty()) deliver(*conn, conn->early.pop());
    if (conn->tls) read_plaintext(*conn);
    if (conn->state == Conn::State::open && !conn->ended) start_polling(*conn);
  }
  stirred_.clear();
}

void Loop::deliver(Conn& conn, Chunk bytes) {
  if (conn.read_turn != turns_) {
    conn.read_turn = turns_;
    conn.read_bytes = 0;
  }
  conn.read_bytes += bytes.size();
  arrive(Completion::Kind::read, conn).data = std::move(bytes);
}

void Loop::start_polling(Conn& conn) {
  if (conn.polling) return;
  conn.polling = true;
  int error = uv_read_start(&conn.stream, on_room, on_read);
  if (error != 0) broke(conn, error);
}

bool Loop::may_read(const Conn& conn) const {
  if (conn.state != Conn::State::open) return true;
  if (!conn.early.empty() || (conn.tls && conn.tls->has_rest())) return false;  // That comes first.
  return conn.wanted && (conn.read_turn != turns_ || conn.read_bytes < kReadPerTurn);
}

void Loop::on_room(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  Conn& conn = *static_cast<Conn*>(handle->data);
  *buffer = {nullptr, 0};
  if (!conn.loop->may_read(conn)) return;
  ReadBuffer::Room room = conn.loop->buffer_.room();
  *buffer = {room.at, room.size};
}

void Loop::on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
  Conn& conn = *static_cast<Conn*>(stream->data);
  Loop& loop = *conn.loop;
  if (n > 0) return loop.take_bytes(conn, static_cast<size_t>(n));
  if (n == UV_EOF) return loop.take_end(conn);
  if (n == UV_ENOBUFS) {  // on_room gave none. If the owner still reads, this turn has had its share.
    if (conn.wanted) return;
    conn.polling = false;
    uv_read_stop(stream);
    return;
  }
  if (n < 0) loop.broke(conn, static_cast<int>(n));
}

void Loop::take_bytes(Conn& conn, size_t n) {
  switch (conn.state) {
    case Conn::State::open:
      if (conn.tls) return take_ciphertext(conn, {buffer_.room().at, n});
      return deliver(conn, buffer_.take(n));
    case Conn::State::securing:
      return take_ciphertext(conn, {buffer_.room().at, n});
    case Conn::State::tunnelling:
      return take_reply(conn, {buffer_.room().at, n});
    case Conn::State::flushing:
    case Conn::State::lingering:
      conn.dropped += n;
      if (conn.dropped > kLingerBytesMax) destroy(conn);
      return;
    case Conn::State::connecting:
    case Conn::State::gone:
      return;
  }
}

void Loop::take_end(Conn& conn) {
  conn.polling = false;
  switch (conn.state) {
    case Conn::State::open:
      conn.ended = true;
      if (conn.deaf) return broke(conn, UV_ECONNRESET);
      // HTTP cannot tell a cut from an end where a body goes on until the connection closes; TLS can.
      if (conn.tls)
        return lose(conn, Status::BROKEN, conn.peer + " closed the connection without TLS's close_notify: what it "
                                          "sent may be cut short");
      arrive(Completion::Kind::ended, conn);
      return;
    case Conn::State::tunnelling:
      return lose(conn, Status::CONNECT, conn.peer + " closed the connection before it answered CONNECT");
    case Conn::State::securing:
      return lose(conn, Status::TLS, conn.tls->cut_short());
    case Conn::State::lingering:
      return destroy(conn);
    case Conn::State::flushing:
      conn.ended = true;
      return;
    case Conn::State::connecting:
    case Conn::State::gone:
      return;
  }
}

// --- Writing ---

size_t Loop::write(ConnId id, Chain&& bytes) {
  Conn* conn = find(id);
  if (!conn || conn->deaf || bytes.empty()) return 0;
  LB_CHECK(conn->state == Conn::State::open);
  if (conn->tls) return write_plaintext(*conn, std::move(bytes));
  bool idle = conn->out.empty();
  if (idle && (!send_now(*conn, bytes) || bytes.empty())) return 0;
  size_t pending = bytes.bytes();
  conn->out.push(std::move(bytes));
  if (idle) queue_write(*conn);
  return pending;
}

// Sends what the socket takes, by no more calls than it needs. 0, or an errno.
int Loop::send_some(int fd, Chain& bytes) {
  while (!bytes.empty()) {
    std::array<iovec, kVectors> vectors;
    size_t offered = 0;
    ssize_t sent = send_front(fd, bytes, vectors, offered);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno;
    bytes.consume(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return 0;
  }
  return 0;
}

// False: the connection failed, and this was dealt with.
bool Loop::send_now(Conn& conn, Chain& bytes) {
  int error = send_some(conn.fd, bytes);
  if (error == 0) return true;
  write_failed(conn, uv_translate_sys_error(error));
  return false;
}

// Bytes that the owner does not know of: not to be reported.
bool Loop::send_unowned(Conn& conn, Chain&& bytes) {
  bool idle = conn.out.empty();
  if (idle && !send_now(conn, bytes)) return false;
  conn.unowned += bytes.bytes();
  conn.out.push(std::move(bytes));
  if (idle && !conn.out.empty()) queue_write(conn);
  return conn.state != Conn::State::gone;
}

// A server may answer and close before it has read the whole request. What it sent is still to be read, and its end
// is then sure to come; so while the owner reads, the read side tells.
void Loop::write_failed(Conn& conn, int error) {
  bool end_comes = error == UV_EPIPE || error == UV_ECONNRESET;
  bool reads = conn.state < Conn::State::open || (conn.state == Conn::State::open && conn.wanted && !conn.ended);
  if (end_comes && reads) {
    conn.deaf = true;
    conn.flight = 0;
    conn.out.clear();
    conn.plain.clear();
    return;
  }
  broke(conn, error);
}

// The socket is full: libuv waits for room with the first of what is left.
void Loop::queue_write(Conn& conn) {
  std::array<uv_buf_t, kQueuedVectors> buffers;
  size_t n = 0;
  conn.flight = 0;
  for (; n < std::min(conn.out.count(), buffers.size()) && conn.flight < kQueuedBytes; n++) {
    const Chunk& chunk = conn.out[n];
    size_t size = std::min(chunk.size(), kQueuedBytes - conn.flight);
    buffers[n] = {const_cast<char*>(chunk.data()), size};
    conn.flight += size;
  }
  conn.write_req.data = &conn;
  int error = uv_write(&conn.write_req, &conn.stream, buffers.data(), static_cast<unsigned>(n),
                       [](uv_write_t* request, int status) {
                         Conn& written = *static_cast<Conn*>(request->data);
                         written.loop->written(written, status);
                       });
  if (error != 0) write_failed(conn, error);
}

void Loop::written(Conn& conn, int status) {
  if (conn.state == Conn::State::gone) return;
  if (status != 0) return write_failed(conn, status);
  size_t before = conn.out.bytes();
  conn.out.consume(conn.flight);
  conn.flight = 0;
  if (!send_now(conn, conn.out)) return;
  size_t sent = before - conn.out.bytes();
  size_t unowned = std::min(conn.unowned, sent);
  conn.unowned -= unowned;
  sent -= unowned;
  if (conn.tls) {  // Of ciphertext: what counts is whose plaintext has gone.
    sent = 0;
    if (!encrypt_some(conn, sent)) return;
  }
  report_written(conn, sent);
  if (!conn.out.empty() && conn.flight == 0) queue_write(conn);
  if (conn.state == Conn::State::flushing) flush_on(conn);
}

void Loop::report_written(Conn& conn, size_t n) {
  if (conn.state == Conn::State::open && n > 0) arrive(Completion::Kind::written, conn).bytes = n;
}

}  // namespace lb
