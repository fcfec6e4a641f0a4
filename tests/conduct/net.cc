#include "conduct/net.h"

#include <algorithm>

#include "conduct/steps.h"

namespace lb::conduct {

namespace {

// Between two pieces of an answer, so that the engine sees the one before the other comes.
constexpr Duration kBetweenPieces = Duration{1000};

// An upstream whose process is up listens at the first of its addresses.
constexpr uint8_t kHere = 1, kElsewhere = 2;

}  // namespace

void ScenarioNet::resolve(uint64_t tag, std::string_view, uint16_t port) {
  auto at = std::find_if(upstreams_.begin(), upstreams_.end(), [&](const Upstream& u) { return u.port == port; });
  LB_CHECK(at != upstreams_.end());
  size_t which = std::min<size_t>(at->look_ups++, at->dns.size() - 1);
  const std::string& found = at->dns[which];
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::resolved;
  out.tag = tag;
  if (found == "fail") {
    out.status = Status::CONNECT;
    out.message = "cannot resolve the name";
    return;
  }
  Address& address = out.addresses.emplace_back();
  address.ip = {10, 0, 0, found == "elsewhere" ? kElsewhere : kHere};
  address.port = port;
}

ConnId ScenarioNet::connect(uint64_t tag, const ConnectSpec& spec) {
  ConnId id = ++ids_;
  Conn& conn = conns_[id];
  conn.tag = tag;
  for (Upstream& upstream : upstreams_)
    if (upstream.port == spec.address.port) conn.upstream = &upstream;
  LB_CHECK(conn.upstream);
  bool nobody = conn.upstream->down || spec.address.ip[3] == kElsewhere;
  std::string meets = nobody ? "refused" : conn.upstream->meets;
  if (meets == "black-hole" || meets == "tls:stall") return id;
  schedule_.after(Duration::zero(), [this, id, meets] {
    if (meets == "refused") return lose(id, Status::CONNECT, "connection refused");
    if (meets.starts_with("tls:") && meets != "tls:good")
      return lose(id, Status::TLS, "the certificate is not good: " + meets.substr(4));
    connected(id);
    if (meets == "reset") lose(id, Status::BROKEN, "connection reset by peer");
  });
  return id;
}

void ScenarioNet::connected(ConnId id) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return;
  at->second.up = true;
  printf("opened %s %llu %lld\n", at->second.upstream->name.c_str(), static_cast<unsigned long long>(id),
         static_cast<long long>(now_us()));
  complete(id, Completion::Kind::connected);
}

void ScenarioNet::complete(ConnId id, Completion::Kind kind, std::string_view bytes) {
  Completion& out = completions_.emplace_back();
  out.kind = kind;
  out.tag = conns_[id].tag;
  out.conn = id;
  if (kind == Completion::Kind::read) out.data = Chunk::copy(bytes);
}

size_t ScenarioNet::write(ConnId id, Chain&& bytes) {
  auto at = conns_.find(id);
  if (at == conns_.end() || at->second.ended) return 0;
  Conn& conn = at->second;
  std::string text = bytes.to_string();
  std::string_view rest = text;
  std::vector<Http1Parser::Piece> pieces;
  while (!rest.empty()) {
    pieces.clear();
    size_t used = conn.parser.feed(rest, pieces);
    LB_CHECK(conn.parser.fault() == Http1Parser::Fault::none);
    rest.remove_prefix(used);
    for (const Http1Parser::Piece& piece : pieces) {
      if (piece.kind == Http1Parser::Piece::Kind::head) write_request_head(conn.parser.head(), conn.request);
      if (piece.kind == Http1Parser::Piece::Kind::body) conn.request += piece.bytes;
      if (piece.kind == Http1Parser::Piece::Kind::end) requested(id, conn);
    }
  }
  return 0;
}

void ScenarioNet::requested(ConnId id, Conn& conn) {
  Upstream& upstream = *conn.upstream;
  printf("request %s %llu %lld", upstream.name.c_str(), static_cast<unsigned long long>(id),
         static_cast<long long>(now_us()));
  write_bytes(conn.request.data(), conn.request.size());
  conn.request.clear();
  conn.parser.next();
  uint64_t number = ++upstream.requests;
  for (const Script& script : upstream.scripts) {
    if (number < script.first || (script.last != 0 && number > script.last)) continue;
    conn.acts.insert(conn.acts.end(), script.acts.begin(), script.acts.end());
    break;
  }
  schedule_.after(Duration::zero(), [this, id] { play(id); });
}

// Goes on with the script, as far as it need not wait and the engine reads: its socket holds one piece and no more.
void ScenarioNet::play(ConnId id) {
  for (;;) {
    auto at = conns_.find(id);
    if (at == conns_.end() || at->second.waiting || at->second.ended || at->second.acts.empty()) return;
    Conn& conn = at->second;
    if (conn.acts.front().kind == Act::Kind::stall || (!conn.reading && conn.acts.front().kind != Act::Kind::wait))
      return;
    Act act = std::move(conn.acts.front());
    conn.acts.pop_front();
    if (act.kind == Act::Kind::send) {
      conn.sent += act.bytes.size();
      complete(id, Completion::Kind::read, act.bytes);
      pause(id, conn, kBetweenPieces);
    } else if (act.kind == Act::Kind::wait) {
      pause(id, conn, act.length);
    } else if (act.kind == Act::Kind::reset) {
      return lose(id, Status::BROKEN, "connection reset by peer");
    } else {
      conn.ended = true;
      complete(id, Completion::Kind::ended);
    }
  }
}

void ScenarioNet::pause(ConnId id, Conn& conn, Duration length) {
  conn.waiting = true;
  schedule_.after(length, [this, id] {
    if (auto found = conns_.find(id); found != conns_.end()) found->second.waiting = false;
    play(id);
  });
}

void ScenarioNet::read(ConnId id, bool on) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return;
  at->second.reading = on;
  if (on) schedule_.after(Duration::zero(), [this, id] { play(id); });
}

void ScenarioNet::tell_sent() const {
  for (const auto& [id, conn] : conns_) tell_sent(id, conn);
}

void ScenarioNet::tell_sent(ConnId id, const Conn& conn) {
  printf("sent %s %llu %llu\n", conn.upstream->name.c_str(), static_cast<unsigned long long>(id),
         static_cast<unsigned long long>(conn.sent));
}

void ScenarioNet::gone(ConnId id, const Conn& conn) const {
  if (!conn.up) return;
  printf("closed %s %llu %lld\n", conn.upstream->name.c_str(), static_cast<unsigned long long>(id),
         static_cast<long long>(now_us()));
}

void ScenarioNet::lose(ConnId id, Status status, std::string_view why) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return;
  complete(id, Completion::Kind::closed);
  completions_.back().status = status;
  completions_.back().message = why;
  gone(id, at->second);
  conns_.erase(at);
}

void ScenarioNet::close(ConnId id, bool) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return;
  gone(id, at->second);
  conns_.erase(at);
}

void ScenarioNet::stop(Upstream& upstream) {
  upstream.down = true;
  std::vector<ConnId> lost;
  for (const auto& [id, conn] : conns_)
    if (conn.upstream == &upstream) lost.push_back(id);
  for (ConnId id : lost) lose(id, conns_[id].up ? Status::BROKEN : Status::CONNECT, "connection reset by peer");
}

}  // namespace lb::conduct
