#include <algorithm>
#include <array>

#include "net/conn.h"
#include "net/fault.h"

namespace lb {

namespace {

// The most plaintext that a record holds (RFC 8446 §5.1): smaller chunks are put together up to it.
constexpr size_t kRecord = 16 * 1024;
// Encrypted ahead of the socket: as much as libuv is given at once.
constexpr size_t kAhead = 64 * 1024;

}  // namespace

void Loop::start_tls(Conn& conn) {
  conn.state = Conn::State::securing;
  auto context = tls_.find(conn.setup->spec.tls);
  if (!context) return lose(conn, Status::TLS, "TLS with " + conn.peer + ": " + context.error().message);
  std::string address = to_string(conn.setup->spec.address);
  conn.tls = TlsSession::start(std::move(context.value()), conn.peer, conn.setup->spec.tunnel + address);
  shake_hands(conn);
  if (conn.state != Conn::State::gone) start_polling(conn);
}

void Loop::shake_hands(Conn& conn) {
  TlsSession::Progress progress = conn.tls->handshake();
  if (progress == TlsSession::Progress::failed || progress == TlsSession::Progress::ended) {
    send_some(conn.fd, conn.tls->output());  // The alert that tells the peer why; if it goes at once.
    return lose(conn, Status::TLS, conn.tls->fault());
  }
  if (!conn.tls->output().empty() && !conn.deaf && !send_unowned(conn, std::move(conn.tls->output()))) return;
  if (progress == TlsSession::Progress::more) return;
  conn.tls->keep_rest();
  opened(conn);
}

void Loop::take_ciphertext(Conn& conn, std::string_view bytes) {
  conn.tls->feed(bytes);
  if (conn.state == Conn::State::securing)
    shake_hands(conn);
  else
    read_plaintext(conn);
}

void Loop::read_plaintext(Conn& conn) {
  while (!conn.ended) {
    ReadBuffer::Room room = plain_buffer_.room();
    size_t filled = 0;
    auto progress = TlsSession::Progress::done;
    while (filled < room.size && progress == TlsSession::Progress::done) {
      size_t n = 0;
      progress = conn.tls->read(room.at + filled, room.size - filled, n);
      filled += n;
    }
    if (filled > 0) deliver(conn, plain_buffer_.take(filled));
    switch (progress) {
      case TlsSession::Progress::done:
        break;
      case TlsSession::Progress::more:
        return;
      case TlsSession::Progress::ended:
        conn.ended = true;
        conn.polling = false;
        uv_read_stop(&conn.stream);
        if (conn.deaf) return broke(conn, UV_ECONNRESET);
        arrive(Completion::Kind::ended, conn);
        return;
      case TlsSession::Progress::failed:
        return lose(conn, Status::TLS, conn.tls->fault());
    }
  }
}

size_t Loop::write_plaintext(Conn& conn, Chain&& bytes) {
  size_t added = bytes.bytes();
  bool idle = conn.out.empty();
  conn.plain.push(std::move(bytes));
  if (!idle) return added;
  size_t sent = 0;
  if (!encrypt_some(conn, sent) || conn.deaf) return 0;
  if (!conn.out.empty()) queue_write(conn);
  return conn.state == Conn::State::open ? added - sent : 0;
}

// Encrypts and sends what waits, as long as the socket takes everything. Adds to `sent` the plaintext that is out, and
// returns false when the connection is lost.
bool Loop::encrypt_some(Conn& conn, size_t& sent) {
  std::array<char, kRecord> record;
  while (conn.out.empty()) {
    sent += std::exchange(conn.plain_flight, 0);
    if (conn.plain.empty()) return true;
    while (!conn.plain.empty() && conn.plain_flight < kAhead) {
      std::string_view piece = conn.plain[0].view().substr(0, kRecord);
      size_t n = piece.size();
      if (n < kRecord && conn.plain.count() > 1) {
        n = 0;
        for (size_t i = 0; i < conn.plain.count() && n < kRecord; i++) {
          std::string_view next = conn.plain[i].view().substr(0, kRecord - n);
          std::copy(next.begin(), next.end(), record.data() + n);
          n += next.size();
        }
        piece = {record.data(), n};
      }
      if (!conn.tls->write(piece)) {
        lose(conn, Status::TLS, conn.tls->fault());
        return false;
      }
      conn.plain.consume(n);
      conn.plain_flight += n;
    }
    conn.out.push(std::move(conn.tls->output()));
    if (!send_now(conn, conn.out)) return false;
    if (conn.deaf) return true;
  }
  return true;
}

}  // namespace lb
