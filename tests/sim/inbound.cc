#include "sim/inbound.h"

#include <algorithm>

#include "base/check.h"

namespace lb::sim {

Inbound::Socket* Inbound::find(ConnId conn) {
  auto place = sockets_.find(conn);
  return place == sockets_.end() ? nullptr : &place->second;
}

Completion& Inbound::complete(ConnId conn, const Socket& socket, Completion::Kind kind) {
  Completion& out = completions_.emplace_back();
  out.kind = kind;
  out.tag = socket.tag;
  out.conn = conn;
  return out;
}

// --- The gateway's side ---

ListenerId Inbound::listen(uint64_t tag, const Address& address) {
  Listening& listening = listeners_[++listener_ids_];
  listening.tag = tag;
  listening.address = address;
  if (address.port == 0) listening.address.port = static_cast<uint16_t>(40'000 + listener_ids_);
  return listener_ids_;
}

Address Inbound::bound(ListenerId listener) const {
  auto place = listeners_.find(listener);
  return place == listeners_.end() ? Address() : place->second.address;
}

// Those that nobody has accepted are reset, as in the kernel.
void Inbound::unlisten(ListenerId listener) {
  auto place = listeners_.find(listener);
  if (place == listeners_.end()) return;
  std::deque<ConnId> backlog = std::move(place->second.backlog);
  listeners_.erase(place);
  for (ConnId conn : backlog)
    if (Socket* socket = find(conn)) {
      socket->closed = socket->cut = true;
      tell(conn, *socket);
    }
}

void Inbound::accept(ListenerId listener, bool on) {
  auto place = listeners_.find(listener);
  if (place == listeners_.end() || std::exchange(place->second.on, on) == on || !on) return;
  schedule_.after(Duration::zero(), [this, listener] { accept_backlog(listener); });
}

void Inbound::accept_backlog(ListenerId listener) {
  auto place = listeners_.find(listener);
  if (place == listeners_.end() || !place->second.on) return;
  for (ConnId conn : std::exchange(place->second.backlog, {})) {
    Socket* socket = find(conn);
    if (!socket) continue;
    socket->accepted = true;
    complete(conn, *socket, Completion::Kind::accepted);
  }
}

void Inbound::adopt(ConnId conn, uint64_t tag) {
  Socket* socket = find(conn);
  LB_CHECK(socket && socket->accepted && !socket->adopted && !socket->closed);
  socket->tag = tag;
  socket->adopted = true;
}

size_t Inbound::write(ConnId conn, Chain&& bytes) {
  Socket* socket = find(conn);
  if (!socket || socket->closed) return 0;
  std::string all = bytes.to_string();
  if (socket->client_left) {
    hand_over_later(conn);  // A write to a client that is gone brings the reset out, if nothing else has.
    return all.size();
  }
  size_t room = socket->pending.empty() ? socket->buffer - std::min(socket->buffer, socket->pipe.size()) : 0;
  size_t at_once = std::min(room, all.size());
  socket->pipe.append(std::string_view(all).substr(0, at_once));
  socket->pending.append(std::string_view(all).substr(at_once));
  pending_peak_ = std::max(pending_peak_, socket->pending.size());
  tell(conn, *socket);
  return all.size() - at_once;
}

void Inbound::read(ConnId conn, bool on) {
  Socket* socket = find(conn);
  if (!socket || socket->closed) return;
  socket->reading = on;
  if (on && !socket->inbox.empty()) hand_over_later(conn);
}

void Inbound::close(ConnId conn, bool flush) {
  Socket* socket = find(conn);
  if (!socket || socket->closed) return;
  socket->closed = true;
  socket->flushing = flush;
  // What the client has sent and nobody has read makes a reset of the close; what is pending is lost without a flush.
  socket->cut = !flush && (!socket->pending.empty() || !socket->inbox.empty());
  if (!flush) socket->pending.clear();
  tell(conn, *socket);
}

size_t Inbound::open() const {
  return static_cast<size_t>(
      std::count_if(sockets_.begin(), sockets_.end(), [](const auto& entry) { return !entry.second.closed; }));
}

void Inbound::hand_over_later(ConnId conn) {
  schedule_.after(Duration::zero(), [this, conn] { hand_over(conn); });
}

void Inbound::hand_over(ConnId conn) {
  Socket* socket = find(conn);
  if (!socket || socket->closed || !socket->accepted) return;
  bool failed_write = socket->client_left && !socket->reading;
  if (failed_write) return lose(conn, *socket);
  while (socket->reading && !socket->inbox.empty()) {
    Arrival arrival = std::move(socket->inbox.front());
    socket->inbox.pop_front();
    if (arrival.kind == Completion::Kind::closed) return lose(conn, *socket);
    Completion& out = complete(conn, *socket, arrival.kind);
    if (arrival.kind == Completion::Kind::ended) ended_.push_back(conn);
    if (arrival.kind == Completion::Kind::read) out.data = Chunk::copy(arrival.bytes);
  }
}

void Inbound::lose(ConnId conn, Socket& socket) {
  Completion& out = complete(conn, socket, Completion::Kind::closed);
  out.status = Status::BROKEN;
  out.message = "connection reset by peer";
  socket.closed = socket.cut = true;
  socket.pending.clear();
  ended_.push_back(conn);
  tell(conn, socket);
}

void Inbound::fail(ConnId conn) {
  Socket* socket = find(conn);
  if (!socket || socket->closed) return;
  lose(conn, *socket);
}

void Inbound::tell(ConnId conn, Socket& socket) {
  if (socket.client_left) return;
  schedule_.after(Duration::zero(), [this, conn] {
    if (Socket* found = find(conn); found && !found->client_left) found->peer->on_readable(conn);
  });
}

// --- The client's side ---

ConnId Inbound::dial(Peer& peer, size_t buffer) {
  if (listeners_.empty()) return 0;
  auto& [id, listening] = *listeners_.begin();
  ConnId conn = ++ids_;
  Socket& socket = sockets_[conn];
  socket.peer = &peer;
  socket.tag = listening.tag;
  socket.listener = id;
  socket.buffer = buffer;
  listening.backlog.push_back(conn);
  accept_backlog(id);
  return conn;
}

void Inbound::send(ConnId conn, std::string_view bytes) {
  Socket* socket = find(conn);
  if (!socket || socket->closed || bytes.empty()) return;
  socket->inbox.push_back({Completion::Kind::read, std::string(bytes)});
  hand_over(conn);
}

void Inbound::end(ConnId conn) {
  Socket* socket = find(conn);
  if (!socket || socket->closed) return;
  socket->inbox.push_back({Completion::Kind::ended, ""});
  hand_over(conn);
}

void Inbound::reset(ConnId conn) {
  Socket* socket = find(conn);
  if (!socket) return;
  socket->client_left = true;
  socket->pipe.clear();
  if (socket->closed) return;
  socket->inbox.push_back({Completion::Kind::closed, ""});
  if (socket->reading) hand_over(conn);
}

std::string Inbound::take(ConnId conn, size_t most) {
  Socket* socket = find(conn);
  if (!socket) return "";
  std::string out = socket->pipe.take(most);
  size_t moved = std::min(socket->pending.size(), socket->buffer - std::min(socket->buffer, socket->pipe.size()));
  socket->pipe.append(socket->pending.take(moved));
  if (moved > 0 && !socket->closed) complete(conn, *socket, Completion::Kind::written).bytes = moved;
  return out;
}

bool Inbound::readable(ConnId conn) const {
  const Socket* socket = find(conn);
  return socket && !socket->pipe.empty();
}

bool Inbound::at_end(ConnId conn) const {
  const Socket* socket = find(conn);
  return !socket || (socket->closed && socket->pipe.empty() && socket->pending.empty());
}

bool Inbound::was_reset(ConnId conn) const {
  const Socket* socket = find(conn);
  return socket && socket->cut;
}

}  // namespace lb::sim
