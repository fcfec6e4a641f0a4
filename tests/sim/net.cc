#include "sim/net.h"

#include <algorithm>

#include "base/text.h"

namespace lb::sim {

namespace {

Duration latency(Rng& rng) { return Duration::from_us(50 + static_cast<int64_t>(rng.below(20'000))); }

// Hosts are known by their address: 10.0.0.N; a second one, 10.1.0.N, never answers.
Address address_of(uint32_t host, bool dead) {
  Address address;
  address.ip = {10, static_cast<uint8_t>(dead), 0, static_cast<uint8_t>(host)};
  address.port = 443;
  return address;
}

}  // namespace

FakeNet::FakeNet(Schedule& schedule, Rng rng, std::vector<Host>& hosts, Watcher& watcher)
    : schedule_(schedule), rng_(rng), hosts_(hosts), watcher_(watcher), met_(kFaults + 1) {}

FakeNet::~FakeNet() = default;

Fault FakeNet::draw(Host& host) {
  if (calm_ || rng_.unit() >= host.fault_rate) return Fault::none;
  double sum = 0;
  for (double odds : host.odds) sum += odds;
  double at = rng_.unit() * sum;
  for (size_t i = 0; i < kFaults; i++)
    if ((at -= host.odds[i]) < 0) {
      met_[i]++;
      return static_cast<Fault>(i);
    }
  return Fault::none;
}

void FakeNet::resolve(uint64_t tag, std::string_view host, uint16_t) {
  port_calls_++;
  auto index = static_cast<uint32_t>(parse_u64(host.substr(1, host.find('.') - 1)).value_or(hosts_.size()));
  LB_CHECK(index < hosts_.size());
  Fault fault = draw(hosts_[index]);
  bool fails = fault == Fault::dns_fails;
  bool two = fault == Fault::slow_connect;  // The first of two addresses is a black hole.
  schedule_.after(latency(rng_), [this, tag, index, fails, two] {
    Completion& out = completions_.emplace_back();
    out.kind = Completion::Kind::resolved;
    out.tag = tag;
    if (fails) {
      out.status = Status::CONNECT;
      out.message = "no such host";
      return;
    }
    if (two) out.addresses.push_back(address_of(index, true));
    out.addresses.push_back(address_of(index, false));
  });
}

ConnId FakeNet::connect(uint64_t tag, const ConnectSpec& spec) {
  port_calls_++;
  ConnId id = ++ids_;
  Conn& conn = conns_[id];
  conn.tag = tag;
  conn.host = spec.address.ip[3];
  Host& host = hosts_[conn.host];
  host.connections_peak = std::max(host.connections_peak, ++host.connections);
  conn.fault = draw(host);
  if (spec.address.ip[1] != 0 || conn.fault == Fault::black_hole) return id;
  Duration delay = latency(rng_);
  if (conn.fault == Fault::slow_connect) delay = Duration::from_ms(static_cast<int64_t>(rng_.below(1500)));
  later(id, delay, &FakeNet::connected);
  return id;
}

void FakeNet::later(ConnId id, Duration delay, void (FakeNet::*what)(ConnId, Conn&)) {
  schedule_.after(delay, [this, id, what] {
    if (auto place = conns_.find(id); place != conns_.end()) (this->*what)(id, place->second);
  });
}

void FakeNet::connected(ConnId id, Conn& conn) {
  if (conn.fault == Fault::refused) return lose(id, Status::CONNECT, "connection refused");
  if (conn.fault == Fault::tls_fails) return lose(id, Status::TLS, "the certificate has expired");
  conn.up = true;
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::connected;
  out.tag = conn.tag;
  out.conn = id;
}

size_t FakeNet::write(ConnId id, Chain&& bytes) {
  port_calls_++;
  auto place = conns_.find(id);
  if (place == conns_.end()) return 0;
  Conn& conn = place->second;
  LB_CHECK(conn.up);
  size_t before = conn.unsent.size();
  std::string all = bytes.to_string();
  size_t room = hosts_[conn.host].socket_bytes;
  size_t at_once = before > 0 ? 0 : std::min(room, all.size());
  conn.unsent.append(all, at_once, std::string::npos);
  if (!conn.unsent.empty() && !conn.draining) {
    conn.draining = true;
    later(id, latency(rng_), &FakeNet::drain);
  }
  take(id, conn, std::string_view(all).substr(0, at_once));
  return all.size() - at_once;
}

void FakeNet::drain(ConnId id, Conn& conn) {
  size_t most = std::max<size_t>(1, hosts_[conn.host].socket_bytes);
  size_t n = std::min(conn.unsent.size(), 1 + static_cast<size_t>(rng_.below(most)));
  std::string part = conn.unsent.substr(0, n);
  conn.unsent.erase(0, n);
  conn.draining = !conn.unsent.empty();
  if (conn.draining) later(id, latency(rng_), &FakeNet::drain);
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::written;
  out.tag = conn.tag;
  out.conn = id;
  out.bytes = n;
  take(id, conn, part);
}

// Bytes of a request have reached the host.
void FakeNet::take(ConnId id, Conn& conn, std::string_view bytes) {
  while (!bytes.empty() && !conn.deaf) {
    std::vector<Http1Parser::Piece> pieces;
    size_t used = conn.parser.feed(bytes, pieces);
    LB_CHECK(conn.parser.fault() == Http1Parser::Fault::none);
    for (const Http1Parser::Piece& piece : pieces) {
      switch (piece.kind) {
        case Http1Parser::Piece::Kind::head: {
          conn.seen = {conn.host, conn.parser.head(), "", false};
          conn.call = parse_u64(conn.seen.head.get("x-sim-call")).value_or(0);
          Host& host = hosts_[conn.host];
          host.requests++;
          // A fault drawn for the connection itself has been played; each request draws anew.
          conn.fault = draw(host);
          if (on_the_way(conn.fault) && conn.fault != Fault::dies_on_request) conn.fault = Fault::none;
          if (conn.seen.head.method == "POST") watcher_.on_request_head(conn.call, conn.host, id);  // Else a probe.
          if (conn.fault == Fault::early_error) answer(id, conn);
          break;
        }
        case Http1Parser::Piece::Kind::body:
          conn.seen.body += piece.bytes;
          break;
        case Http1Parser::Piece::Kind::end:
          conn.seen.whole = true;
          if (conn.seen.head.method == "POST") watcher_.on_request(conn.seen);
          conn.parser.next();
          if (conn.fault != Fault::early_error) answer(id, conn);
          break;
      }
    }
    bytes.remove_prefix(used);
  }
}

void FakeNet::answer(ConnId id, Conn& conn) {
  if (conn.fault == Fault::dies_on_request) {
    schedule_.after(latency(rng_), [this, id] { lose(id, Status::BROKEN, "connection reset"); });
    return;
  }
  bool stream = conn.seen.body.find("\"stream\":true") != std::string::npos;
  uint64_t response = ++responses_;
  auto script = std::make_shared<Script>(make_answer(conn.fault, stream, response, rng_));
  script->truth.host = conn.host;
  script->truth.call = conn.call;
  truths_[response] = script->truth;
  conn.scripts.push_back(std::move(script));
  if (!std::exchange(conn.answering, true)) play(id, conn.scripts.front(), 0);
}

// Plays one step of an answer after its gap, then the next; then the end.
void FakeNet::play(ConnId id, std::shared_ptr<Script> script, size_t step) {
  if (step == script->steps.size()) {
    End end = script->end;
    if (end == End::stall) return;
    auto place = conns_.find(id);
    if (place == conns_.end()) return;
    Conn& conn = place->second;
    conn.scripts.pop_front();
    conn.answering = end == End::keep && !conn.scripts.empty();
    if (conn.answering) play(id, conn.scripts.front(), 0);
    if (end == End::keep) return;
    schedule_.after(script->end_gap, [this, id, end] {
      auto place = conns_.find(id);
      if (place == conns_.end()) return;
      if (place->second.answering) return;  // It is not idle any more: a new request was quicker.
      place->second.deaf = true;
      arrive(id, place->second, end == End::reset ? Completion::Kind::closed : Completion::Kind::ended, "");
    });
    return;
  }
  Duration gap = script->steps[step].gap;
  schedule_.after(gap, [this, id, script = std::move(script), step] {
    auto place = conns_.find(id);
    if (place == conns_.end()) return;
    arrive(id, place->second, Completion::Kind::read, script->steps[step].bytes);
    play(id, script, step + 1);
  });
}

// Bytes, or an end, reach the engine's side, cut anywhere.
void FakeNet::arrive(ConnId id, Conn& conn, Completion::Kind kind, std::string_view bytes) {
  if (kind != Completion::Kind::read) conn.inbox.push_back({kind, ""});
  while (!bytes.empty()) {
    size_t n = rng_.below(3) == 0 ? 1 + static_cast<size_t>(rng_.below(bytes.size())) : bytes.size();
    conn.inbox.push_back({kind, std::string(bytes.substr(0, n))});
    bytes.remove_prefix(n);
  }
  hand_over(id, conn);
}

void FakeNet::hand_over(ConnId id, Conn& conn) {
  while (conn.reading && !conn.inbox.empty()) {
    // As in the kernel, what was received before a reset can still be read.
    if (conn.inbox.front().kind == Completion::Kind::closed) return lose(id, Status::BROKEN, "connection reset");
    Completion& out = completions_.emplace_back();
    out.kind = conn.inbox.front().kind;
    out.tag = conn.tag;
    out.conn = id;
    if (out.kind == Completion::Kind::read) {
      out.data = Chunk::copy(conn.inbox.front().bytes);
      heard_.emplace(conn.call, conn.host);
    }
    conn.inbox.pop_front();
  }
}

void FakeNet::read(ConnId id, bool on) {
  port_calls_++;
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  place->second.reading = on;
  // What has come meanwhile is for the next turn.
  if (on && !place->second.inbox.empty()) later(id, Duration::zero(), &FakeNet::hand_over);
}

void FakeNet::close(ConnId id, bool) {
  port_calls_++;
  erase(id);
}

void FakeNet::lose(ConnId id, Status status, const char* why) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::closed;
  out.tag = place->second.tag;
  out.conn = id;
  out.status = status;
  out.message = why;
  erase(id);
}

void FakeNet::erase(ConnId id) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  hosts_[place->second.host].connections--;
  conns_.erase(place);
}

Result<ListenerId> FakeNet::listen(uint64_t, const Address&) {
  return Error{Status::UNSUPPORTED, "", "the simulator has no listeners"};
}

bool FakeNet::serving(uint64_t call) const {
  return std::any_of(conns_.begin(), conns_.end(), [&](const auto& entry) {
    const Conn& conn = entry.second;
    // What these say behind their answer is nobody's.
    bool chatter = conn.fault == Fault::trailing_garbage || conn.fault == Fault::second_response;
    return conn.call == call && !chatter && (conn.answering || !conn.seen.whole);
  });
}

const Truth* FakeNet::truth(uint64_t response) const {
  auto place = truths_.find(response);
  return place == truths_.end() ? nullptr : &place->second;
}

}  // namespace lb::sim
