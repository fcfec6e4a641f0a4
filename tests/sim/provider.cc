#include "sim/provider.h"

#include <algorithm>

#include "base/text.h"

namespace lb::sim {

void ProviderNet::resolve(uint64_t tag, std::string_view host, uint16_t port) {
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::resolved;
  out.tag = tag;
  Address& address = out.addresses.emplace_back();
  uint64_t number = parse_u64(host.substr(1, host.find('.') - 1)).value_or(0);
  address.ip = {10, 0, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
  address.port = port;
}

void ProviderNet::complete(ConnId id, Completion::Kind kind, Status status, std::string_view bytes) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  Completion& out = completions_.emplace_back();
  out.kind = kind;
  out.status = status;
  out.tag = place->second.tag;
  out.conn = id;
  if (!bytes.empty()) out.data = Chunk::copy(bytes);
  if (status != Status::OK) out.message = status == Status::CONNECT ? "connection refused" : "connection reset";
  if (kind == Completion::Kind::closed) conns_.erase(place);
}

ConnId ProviderNet::connect(uint64_t tag, const ConnectSpec& spec) {
  ConnId id = ++ids_;
  Conn& conn = conns_[id];
  conn.tag = tag;
  conn.host = static_cast<uint32_t>(spec.address.ip[2]) << 8 | spec.address.ip[3];
  bool refused = provider_.refuses(conn.host, schedule_.now());
  schedule_.after(Duration::zero(), [this, id, refused] {
    complete(id, refused ? Completion::Kind::closed : Completion::Kind::connected,
             refused ? Status::CONNECT : Status::OK, "");
  });
  return id;
}

size_t ProviderNet::write(ConnId id, Chain&& bytes) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return 0;
  Conn& conn = place->second;
  std::string all = bytes.to_string();
  std::string_view rest = all;
  while (!rest.empty()) {
    std::vector<Http1Parser::Piece> pieces;
    rest.remove_prefix(conn.parser.feed(rest, pieces));
    for (const Http1Parser::Piece& piece : pieces) {
      if (piece.kind == Http1Parser::Piece::Kind::head)
        conn.call = parse_u64(conn.parser.head().get("x-sim-call")).value_or(0);
      if (piece.kind == Http1Parser::Piece::Kind::body) conn.body += piece.bytes;
      if (piece.kind == Http1Parser::Piece::Kind::end) answer(id, conn);
    }
  }
  return 0;
}

void ProviderNet::answer(ConnId id, Conn& conn) {
  Served served = provider_.serve({conn.host, conn.call, schedule_.now(), std::move(conn.body)});
  conn.body.clear();
  conn.parser.next();
  conn.waiting = true;
  if (served.status == 1) return;
  schedule_.after(served.after, [this, id, served] {
    auto place = conns_.find(id);
    if (place == conns_.end()) return;
    place->second.waiting = false;
    if (served.status == 0) return complete(id, Completion::Kind::closed, Status::BROKEN, "");
    std::string body = R"({"error":{"message":"status","type":"error","code":null}})";
    if (served.status == 200)
      body = R"({"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{)"
             R"("prompt_tokens":)" +
             std::to_string(served.input) + R"(,"completion_tokens":)" + std::to_string(served.output) + "}}";
    complete(id, Completion::Kind::read, Status::OK,
             "HTTP/1.1 " + std::to_string(served.status) + " X\r\ncontent-type: application/json\r\ncontent-length: " +
                 std::to_string(body.size()) + "\r\n" + served.fields + "\r\n" + body);
  });
}

void ProviderNet::close(ConnId id, bool) {
  auto place = conns_.find(id);
  if (place == conns_.end()) return;
  if (place->second.waiting) provider_.abandoned(place->second.host, place->second.call);
  conns_.erase(place);
}

Result<ListenerId> ProviderNet::listen(uint64_t, const Address&) {
  return Error{Status::UNSUPPORTED, "", "the simulator has no listeners"};
}

Site::Site(Schedule& schedule, Provider& provider, uint64_t seed, std::shared_ptr<const Config> config)
    : schedule_(schedule), net_(schedule, provider) {
  EngineOptions options;
  options.seed = seed;
  engine_ = std::make_unique<Engine>(net_, options, std::move(config), schedule.now());
}

void Site::turn() {
  std::vector<Completion> completions;
  completions.swap(net_.completions());
  for (Completion& completion : completions) engine_->complete(completion);
  engine_->settle();
  net_.wake_at(engine_->next_wake());
  // What the engine asked for in this turn may have been done at once.
  if (!net_.completions().empty()) net_.wake_at(schedule_.now());
}

void run(Schedule& schedule, std::vector<std::unique_ptr<Site>>& sites, Instant end) {
  while (true) {
    Instant when = schedule.next();
    for (const auto& site : sites) when = std::min(when, site->next());
    if (when == Instant::never() || when > end) return;
    // In the order of a real turn: timers, then I/O and commands, which are what the schedule runs.
    schedule.move_to(when);
    for (const auto& site : sites) site->engine().begin(schedule.now());
    schedule.run_to(when);
    for (const auto& site : sites) site->turn();
  }
}

}  // namespace lb::sim
