#include "sim/net.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace lb::sim {

namespace {

Duration latency(Rng& rng) { return Duration::from_us(50 + static_cast<int64_t>(rng.below(20'000))); }

// Hosts are known by their address: 10.G.D.N is host N after it has moved G times; with D = 1 one that never answers.
Address address_of(uint32_t host, uint8_t generation, bool dead) {
  Address address;
  address.ip = {10, generation, static_cast<uint8_t>(dead), static_cast<uint8_t>(host)};
  address.port = 443;
  return address;
}

// A few of the bytes of a body of that size: reads of all sizes, but not hundreds of thousands of them.
size_t few(Rng& rng, size_t size) { return 1 + static_cast<size_t>(rng.below(1 + size / 300)); }

}  // namespace

FakeNet::FakeNet(Schedule& schedule, uint64_t seed, const std::vector<HostPlan>& hosts, Watcher& watcher)
    : schedule_(schedule),
      seed_(seed),
      start_(schedule.now()),
      hosts_(hosts),
      watcher_(watcher),
      states_(hosts.size()),
      inbound_(schedule, completions_, ids_),
      met_(kFaults + 1) {
  for (uint32_t host = 0; host < hosts.size(); host++)
    for (const Spell& spell : hosts[host].spells)
      if (spell.kind == Spell::Kind::restarts) schedule_.after(spell.from, [this, host] { restart(host); });
}

FakeNet::~FakeNet() = default;

void FakeNet::say(uint32_t host, const std::string& what) const {
  if (log_)
    std::printf("%12.6f host %u: %s\n", static_cast<double>(schedule_.now().ns) / 1e9, host, what.c_str());
}

// This port call is the one that is to fail.
bool FakeNet::fails(const char* what) {
  if (++port_calls_ != fail_at_) return false;
  failed_ = what;
  if (log_) std::printf("%12.6f port call %llu fails: %s\n", static_cast<double>(schedule_.now().ns) / 1e9,
                        static_cast<unsigned long long>(fail_at_), what);
  return true;
}

bool FakeNet::in(Spell::Kind kind, uint32_t host) const {
  if (calm_) return false;
  Duration passed = schedule_.now() - start_;
  return std::any_of(hosts_[host].spells.begin(), hosts_[host].spells.end(), [&](const Spell& spell) {
    return spell.kind == kind && spell.from <= passed && passed < spell.to;
  });
}

// How often it has moved by now.
uint8_t FakeNet::generation(uint32_t host) const {
  const std::vector<Spell>& spells = hosts_[host].spells;
  return static_cast<uint8_t>(std::count_if(spells.begin(), spells.end(), [&](const Spell& spell) {
    return spell.kind == Spell::Kind::moves && spell.from <= schedule_.now() - start_;
  }));
}

void FakeNet::restart(uint32_t host) {
  if (calm_) return;
  say(host, "restarts");
  std::vector<ConnId> lost;
  for (const auto& [id, conn] : conns_)
    if (conn.host == host) lost.push_back(id);
  for (ConnId id : lost) lose(id, conns_.at(id).up ? Status::BROKEN : Status::CONNECT, "connection reset");
}

Fault FakeNet::draw(uint32_t host, Rng& rng) {
  const HostPlan& plan = hosts_[host];
  if (calm_ || rng.unit() >= plan.fault_rate) return Fault::none;
  double sum = 0;
  for (double odds : plan.odds) sum += odds;
  double at = rng.unit() * sum;
  for (size_t i = 0; i < kFaults; i++)
    if ((at -= plan.odds[i]) < 0) return static_cast<Fault>(i);
  return Fault::none;
}

void FakeNet::resolve(uint64_t tag, std::string_view name, uint16_t) {
  auto host = static_cast<uint32_t>(parse_u64(name.substr(1, name.find('.') - 1)).value_or(hosts_.size()));
  LB_CHECK(host < hosts_.size());
  Rng rng = dice(seed_, "resolve", host, states_[host].resolved++);
  Fault fault = draw(host, rng);
  bool fault_met = fails("resolve") || fault == Fault::dns_fails;
  bool two = fault == Fault::slow_connect;  // The first of two addresses is a black hole.
  if (fault_met) met_[static_cast<size_t>(Fault::dns_fails)]++;
  schedule_.after(latency(rng), [this, tag, host, fault_met, two] {
    Completion& out = completions_.emplace_back();
    out.kind = Completion::Kind::resolved;
    out.tag = tag;
    if (fault_met) {
      say(host, "does not resolve");
      out.status = Status::CONNECT;
      out.message = "no such host";
      return;
    }
    if (two) out.addresses.push_back(address_of(host, generation(host), true));
    out.addresses.push_back(address_of(host, generation(host), false));
  });
}

ConnId FakeNet::connect(uint64_t tag, const ConnectSpec& spec) {
  ConnId id = ++ids_;
  uint32_t host = spec.address.ip[3];
  HostState& state = states_[host];
  Conn& conn = conns_.try_emplace(id, dice(seed_, "connect", host, state.connected++)).first->second;
  conn.tag = tag;
  conn.host = host;
  conn.asked = schedule_.now();
  state.connections_peak = std::max(state.connections_peak, ++state.connections);
  conn.fault = draw(host, conn.rng);
  bool elsewhere = spec.address.ip[1] != generation(host);
  if (fails("connect") || in(Spell::Kind::refuses, host) || in(Spell::Kind::restarts, host) || elsewhere)
    conn.fault = Fault::refused;
  if (in(Spell::Kind::silent, host) || spec.address.ip[2] != 0) conn.fault = Fault::black_hole;
  if (!on_the_way(conn.fault)) conn.fault = Fault::none;
  if (conn.fault == Fault::black_hole) {
    met_[static_cast<size_t>(conn.fault)]++;
    say(host, "black hole");
    return id;
  }
  Duration delay = latency(conn.rng);
  if (conn.fault == Fault::slow_connect) delay = Duration::from_ms(static_cast<int64_t>(conn.rng.below(1500)));
  later(id, delay, &FakeNet::connected);
  return id;
}

void FakeNet::later(ConnId id, Duration delay, void (FakeNet::*what)(ConnId, Conn&)) {
  schedule_.after(delay, [this, id, what] {
    if (auto place = conns_.find(id); place != conns_.end()) (this->*what)(id, place->second);
  });
}

void FakeNet::connected(ConnId id, Conn& conn) {
  met_[static_cast<size_t>(conn.fault)]++;
  if (conn.fault == Fault::refused || conn.fault == Fault::tls_fails) say(conn.host, fault_name(conn.fault));
  if (conn.fault == Fault::refused) return lose(id, Status::CONNECT, "connection refused");
  if (conn.fault == Fault::tls_fails) return lose(id, Status::TLS, "the certificate has expired");
  conn.up = true;
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::connected;
  out.tag = conn.tag;
  out.conn = id;
}

size_t FakeNet::write(ConnId id, Chain&& bytes) {
  bool broken = fails("write");
  if (inbound_.owns(id)) {
    size_t pending = inbound_.write(id, std::move(bytes));
    if (broken) schedule_.after(Duration::zero(), [this, id] { inbound_.fail(id); });
    return pending;
  }
  auto place = conns_.find(id);
  if (place == conns_.end()) return 0;
  Conn& conn = place->second;
  LB_CHECK(conn.up);
  if (broken) {
    conn.deaf = true;
    lose_later(id, Status::BROKEN, "broken pipe");
    return bytes.bytes();
  }
  std::string all = bytes.to_string();
  size_t room = hosts_[conn.host].socket_bytes;
  size_t at_once = conn.unsent.empty() ? std::min(room, all.size()) : 0;
  conn.unsent.append(std::string_view(all).substr(at_once));
  if (!conn.unsent.empty() && !conn.draining) {
    conn.draining = true;
    later(id, latency(conn.rng), &FakeNet::drain);
  }
  take(id, conn, std::string_view(all).substr(0, at_once));
  return all.size() - at_once;
}

void FakeNet::drain(ConnId id, Conn& conn) {
  size_t most = std::max<size_t>(1, hosts_[conn.host].socket_bytes);
  size_t n = std::min(conn.unsent.size(), 1 + static_cast<size_t>(conn.rng.below(most)));
  std::string part = conn.unsent.take(n);
  conn.draining = !conn.unsent.empty();
  if (conn.draining) later(id, latency(conn.rng), &FakeNet::drain);
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
        case Http1Parser::Piece::Kind::head:
          take_head(id, conn);
          if (conn.deaf) return;
          break;
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

void FakeNet::take_head(ConnId id, Conn& conn) {
  if (conn.lies) {
    say(conn.host, "closes a connection that it had said to keep");
    conn.deaf = true;
    return lose_later(id, Status::BROKEN, "connection reset");
  }
  conn.seen = {conn.host, conn.parser.head(), "", false, conn.asked};
  conn.call = parse_u64(conn.seen.head.get("x-sim-call")).value_or(0);
  HostState& state = states_[conn.host];
  conn.rng = dice(seed_, "request", conn.host, conn.call, state.asked[conn.call]++);
  // A fault drawn for the connection itself has been played; each request draws anew.
  conn.fault = draw(conn.host, conn.rng);
  if (on_the_way(conn.fault) && conn.fault != Fault::dies_on_request) conn.fault = Fault::none;
  if (in(Spell::Kind::fails, conn.host)) conn.fault = Fault::status_500;
  if (in(Spell::Kind::silent, conn.host)) conn.fault = Fault::no_head;
  bool probe = conn.seen.head.method != "POST";
  if (!probe && throttled(conn.host) > Duration::zero()) conn.fault = Fault::throttled;
  met_[static_cast<size_t>(conn.fault)]++;
  if (!probe) watcher_.on_request_head(conn.call, conn.seen);
  say(conn.host, (probe ? std::string("a probe") : "call " + std::to_string(conn.call)) + " meets " +
                     fault_name(conn.fault));
  if (conn.fault == Fault::early_error) answer(id, conn);
}

// For how long it takes no more, by what has arrived; zero: it takes this one.
Duration FakeNet::throttled(uint32_t host) {
  const HostPlan& plan = hosts_[host];
  if (plan.throttle == 0) return Duration::zero();
  std::deque<Instant>& taken = states_[host].taken;
  while (!taken.empty() && taken.front() + plan.throttle_window <= schedule_.now()) taken.pop_front();
  if (taken.size() >= plan.throttle) return taken.front() + plan.throttle_window - schedule_.now();
  taken.push_back(schedule_.now());
  return Duration::zero();
}

void FakeNet::answer(ConnId id, Conn& conn) {
  if (conn.fault == Fault::dies_on_request) return lose_later(id, Status::BROKEN, "connection reset");
  Asking asking;
  const std::string& path = conn.seen.head.target;
  asking.dialect = dialect_at(path);
  asking.stream = conn.seen.body.find("\"stream\":true") != std::string::npos || path.find(":stream") != path.npos;
  asking.id = ++responses_;
  if (size_t size = asked_size(conn.seen.body, kPrompt)) asking.prompt = size / 5;
  asking.allowed = asked_max(conn.seen.body);
  if (conn.fault == Fault::throttled) {
    const std::deque<Instant>& taken = states_[conn.host].taken;
    if (!taken.empty()) asking.wait = taken.front() + hosts_[conn.host].throttle_window - schedule_.now();
  }
  auto script = std::make_shared<Script>(make_answer(conn.fault, asking, conn.rng));
  script->truth.host = conn.host;
  script->truth.call = conn.call;
  truths_[asking.id] = script->truth;
  conn.scripts.push_back(std::move(script));
  if (!std::exchange(conn.answering, true)) play(id, conn.scripts.front(), 0);
}

// Plays one step of an answer after its gap, then the next; then the end.
void FakeNet::play(ConnId id, std::shared_ptr<Script> script, size_t step) {
  if (step == script->steps.size()) {
    auto place = conns_.find(id);
    if (script->end != End::stall && place != conns_.end()) end(id, place->second, *script);
    return;
  }
  Duration gap = script->steps[step].gap;
  schedule_.after(gap, [this, id, script = std::move(script), step] {
    auto place = conns_.find(id);
    if (place == conns_.end()) return;
    bool last = step + 1 == script->steps.size();
    if (last && script->truth.good) watcher_.on_answered(script->truth.call, script->truth.host, script->truth.tokens);
    arrive(id, place->second, Completion::Kind::read, script->steps[step].bytes);
    play(id, script, step + 1);
  });
}

void FakeNet::end(ConnId id, Conn& conn, const Script& script) {
  conn.lies = script.truth.fault == Fault::lies_alive;
  conn.scripts.pop_front();
  conn.answering = script.end == End::keep && !conn.scripts.empty();
  if (conn.answering) return play(id, conn.scripts.front(), 0);
  if (script.end == End::keep) return;
  schedule_.after(script.end_gap, [this, id, end = script.end] {
    auto place = conns_.find(id);
    if (place == conns_.end()) return;
    if (place->second.answering) return;  // It is not idle any more: a new request was quicker.
    place->second.deaf = true;
    arrive(id, place->second, end == End::reset ? Completion::Kind::closed : Completion::Kind::ended, "");
  });
}

// Bytes, or an end, reach the engine's side, cut anywhere.
void FakeNet::arrive(ConnId id, Conn& conn, Completion::Kind kind, std::string_view bytes) {
  if (kind != Completion::Kind::read) conn.inbox.push_back({kind, ""});
  bool by_bytes = !conn.scripts.empty() && conn.scripts.front()->by_bytes;
  size_t all = bytes.size();
  while (!bytes.empty()) {
    size_t n = conn.rng.below(3) == 0 ? 1 + static_cast<size_t>(conn.rng.below(bytes.size())) : bytes.size();
    n = std::min(by_bytes ? few(conn.rng, all) : kReadMax, n);
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
  bool broken = on && fails("read");
  if (inbound_.owns(id)) {
    inbound_.read(id, on);
    if (broken) schedule_.after(Duration::zero(), [this, id] { inbound_.fail(id); });
    return;
  }
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  place->second.reading = on;
  if (broken) return lose_later(id, Status::BROKEN, "connection reset");
  // What has come meanwhile is for the next turn.
  if (on && !place->second.inbox.empty()) later(id, Duration::zero(), &FakeNet::hand_over);
}

void FakeNet::close(ConnId id, bool flush) {
  if (inbound_.owns(id)) return inbound_.close(id, flush);
  erase(id);
}

void FakeNet::lose_later(ConnId id, Status status, const char* why) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  schedule_.after(latency(place->second.rng), [this, id, status, why] { lose(id, status, why); });
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
  states_[place->second.host].connections--;
  conns_.erase(place);
}

Result<ListenerId> FakeNet::listen(uint64_t tag, const Address& address) {
  if (fails("listen")) return Error{Status::CONFIG, "", "cannot listen: the address is in use"};
  return inbound_.listen(tag, address);
}

void FakeNet::accept(ListenerId listener, bool on) { inbound_.accept(listener, on); }

bool FakeNet::serving(const Conn& conn) const {
  // What these say behind their answer is nobody's.
  bool chatter = conn.fault == Fault::trailing_garbage || conn.fault == Fault::second_response;
  return !chatter && (conn.answering || !conn.seen.whole);
}

size_t FakeNet::serving_many(uint64_t call) const {
  return static_cast<size_t>(std::count_if(conns_.begin(), conns_.end(), [&](const auto& entry) {
    return entry.second.call == call && serving(entry.second);
  }));
}

const Truth* FakeNet::truth(uint64_t response) const {
  auto place = truths_.find(response);
  return place == truths_.end() ? nullptr : &place->second;
}

}  // namespace lb::sim
