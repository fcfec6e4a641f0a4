#include "cases/net.h"

#include <algorithm>

#include "base/text.h"

namespace lb::cases {

// A host is known by its address, which is the number of its name.
void CaseNet::resolve(uint64_t tag, std::string_view host, uint16_t port) {
  Completion& out = completions_.emplace_back();
  out.kind = Completion::Kind::resolved;
  out.tag = tag;
  Address& address = out.addresses.emplace_back();
  auto at = std::find(hosts_.begin(), hosts_.end(), host);
  auto number = static_cast<size_t>(at - hosts_.begin());
  if (at == hosts_.end()) hosts_.emplace_back(host);
  address.ip = {10, 0, static_cast<uint8_t>(number / 256), static_cast<uint8_t>(number % 256)};
  address.port = port;
}

ConnId CaseNet::connect(uint64_t tag, const ConnectSpec& spec) {
  ConnId id = ++ids_;
  const std::string& host = hosts_[size_t{spec.address.ip[2]} * 256 + spec.address.ip[3]];
  auto at = std::find_if(config_->deployments.begin(), config_->deployments.end(),
                         [&](const Deployment& d) { return d.url.host == host; });
  LB_CHECK(at != config_->deployments.end());
  const std::string& deployment = at->name;
  conns_[id].tag = tag;
  if (upstreams_.peek(deployment).kind != Answer::Kind::refused) {
    complete(id, Completion::Kind::connected);
    return id;
  }
  Answer answer = upstreams_.take(deployment);
  schedule_.after(answer.after, [this, id] {
    complete(id, Completion::Kind::closed, Status::CONNECT);
    conns_.erase(id);
  });
  return id;
}

void CaseNet::complete(ConnId id, Completion::Kind kind, Status status, std::string_view bytes) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return;
  Completion& out = completions_.emplace_back();
  out.kind = kind;
  out.tag = at->second.tag;
  out.conn = id;
  out.status = status;
  if (kind == Completion::Kind::closed) out.message = "the case says so";
  if (kind == Completion::Kind::read) out.data = Chunk::copy(bytes);
}

size_t CaseNet::write(ConnId id, Chain&& bytes) {
  auto at = conns_.find(id);
  if (at == conns_.end()) return 0;
  Conn& conn = at->second;
  std::string text = bytes.to_string();
  std::vector<Http1Parser::Piece> pieces;
  conn.parser.feed(text, pieces);
  for (const Http1Parser::Piece& piece : pieces) {
    if (piece.kind == Http1Parser::Piece::Kind::head) conn.head = conn.parser.head();
    if (piece.kind == Http1Parser::Piece::Kind::body) conn.body += piece.bytes;
    if (piece.kind == Http1Parser::Piece::Kind::end) requested(id, conn);
  }
  return 0;
}

// Deployments of one host differ by their path or their key.
const Deployment* CaseNet::find(const Head& head) const {
  const Deployment* best = nullptr;
  for (const Deployment& to : config_->deployments) {
    std::string key = to.key.empty() ? "" : "Bearer " + to.key;
    bool fits = head.get("host") == to.url.authority() && head.target.starts_with(to.url.path + "/") &&
                head.get("authorization") == key;
    if (fits && (!best || to.url.path.size() > best->url.path.size())) best = &to;
  }
  return best;
}

void CaseNet::requested(ConnId id, Conn& conn) {
  const Deployment* to = find(conn.head);
  LB_CHECK(to);
  conn.deployment = to->name;
  conn.call = parse_u64(conn.head.get("x-case-call")).value_or(0);
  if (!asked_(conn.call, conn.deployment)) play(id, upstreams_.take(conn.deployment));
}

void CaseNet::play(ConnId id, const Answer& answer) {
  if (answer.kind == Answer::Kind::timeout) return;
  bool stream = conns_[id].body.find("\"stream\":true") != std::string::npos;
  schedule_.after(answer.after, [this, id, answer, stream] {
    if (answer.kind != Answer::Kind::cut) complete(id, Completion::Kind::read, Status::OK, answer.http(stream));
    complete(id, Completion::Kind::ended);
  });
}

void CaseNet::answer(uint64_t call, const Answer* answer) {
  for (auto& [id, conn] : conns_)
    if (conn.call == call) return play(id, answer ? *answer : upstreams_.take(conn.deployment));
}

}  // namespace lb::cases
