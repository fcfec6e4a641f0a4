#include "engine/probe.h"

#include "engine/context.h"
#include "engine/head_text.h"
#include "wire/escape.h"

namespace lb {

Prober::~Prober() {
  for (const std::unique_ptr<Watch>& watch : watches_)
    if (watch) context_.timers.disarm(watch->timer);
}

// Some target of it is out by a fault, or half-open after one.
bool Prober::wanted(UpstreamIndex upstream) const {
  const Fleet& fleet = context_.fleet;
  if (!fleet.upstream(upstream).live || fleet.upstream(upstream).deployment->probe == Duration::zero()) return false;
  for (policy::TargetIndex i = 0; i < fleet.target_count(); i++)
    if (fleet.target(i).live && fleet.target(i).upstream == upstream && fleet.balancer().faulted(i, context_.now))
      return true;
  return false;
}

void Prober::watch(UpstreamIndex upstream) {
  if (!wanted(upstream)) return;
  if (watches_.size() <= upstream) watches_.resize(upstream + 1);
  std::unique_ptr<Watch>& watch = watches_[upstream];
  if (!watch) watch = std::make_unique<Watch>();
  if (watch->timer.armed() || watch->link) return;
  watch->timer.owner = upstream;
  watch->timer.kind = static_cast<uint32_t>(TimerKind::probe);
  context_.timers.arm(watch->timer, context_.now + context_.fleet.upstream(upstream).deployment->probe);
}

void Prober::on_timer(UpstreamIndex upstream) {
  Link* link = context_.pool.find(watches_[upstream]->link);
  if (link) return end(*link, false);  // It took longer than a connection and a head may.
  if (wanted(upstream)) ask(upstream);
}

void Prober::ask(UpstreamIndex upstream) {
  const Deployment& to = *context_.fleet.upstream(upstream).deployment;
  Link* link = context_.pool.open(upstream, {context_.limits().head_bytes, context_.limits().head_fields});
  link->probe = true;
  watches_[upstream]->link = link->id;
  context_.timers.arm(watches_[upstream]->timer, context_.now + to.timeouts.connect + to.timeouts.head);
  bool proxy = !to.proxy.host.empty();
  if (const auto* addresses = context_.names.look_up(proxy ? to.proxy.host : to.url.host,
                                                     proxy ? to.proxy.port : to.url.port, context_.now, link->id)) {
    link->addresses = *addresses;
    connect(*link);
  }
}

void Prober::on_addresses(Link& link, const Names::Answer& answer) {
  if (!answer.addresses) return end(link, false);
  link.addresses = *answer.addresses;
  connect(link);
}

void Prober::connect(Link& link) {
  if (link.next_address == link.addresses.size()) return end(link, false);
  const Upstream& upstream = context_.fleet.upstream(link.upstream);
  link.conn = context_.net.connect(make_tag(Owner::link, link.id),
                                   connect_spec(upstream, link.addresses[link.next_address++]));
}

void Prober::send(Link& link) {
  const Deployment& to = *context_.fleet.upstream(link.upstream).deployment;
  std::string head = "GET " + to.url.path + to.probe_path + " HTTP/1.1\r\nhost: " + to.url.authority() + "\r\n";
  write_own_fields(to, head);
  head += "connection: close\r\n\r\n";
  context_.pool.read(link, true);
  Chain bytes;
  bytes.push(Chunk::copy(head));
  context_.pool.write(link, std::move(bytes));
}

void Prober::on_link(Link& link, const Completion& completion) {
  switch (completion.kind) {
    case Completion::Kind::connected:
      link.up = true;
      return send(link);
    case Completion::Kind::read: {
      std::vector<Http1Parser::Piece> pieces;
      link.parser.feed(completion.data.view(), pieces);
      bool head = !pieces.empty() && pieces.front().kind == Http1Parser::Piece::Kind::head;
      if (head) return end(link, link.parser.head().status < 500);
      if (link.parser.fault() != Http1Parser::Fault::none) end(link, false);
      return;
    }
    case Completion::Kind::closed:
      link.conn = 0;
      if (!link.up) return connect(link);
      return end(link, false);
    case Completion::Kind::ended: return end(link, false);
    case Completion::Kind::written:
    case Completion::Kind::resolved:
    case Completion::Kind::accepted: return;
  }
}

void Prober::end(Link& link, bool alive) {
  UpstreamIndex upstream = link.upstream;
  watches_[upstream]->link = 0;
  context_.timers.disarm(watches_[upstream]->timer);
  context_.pool.drop(link);
  if (alive) {
    for (policy::TargetIndex i = 0; i < context_.fleet.target_count(); i++)
      if (context_.fleet.target(i).live && context_.fleet.target(i).upstream == upstream)
        context_.fleet.balancer().revive(i, context_.now);
    context_.capacity_freed = true;
    context_.log(LogLevel::info, "deployment is back",
                 "\"deployment\":" + json_quote(context_.fleet.upstream(upstream).deployment->name));
  }
  watch(upstream);
}

}  // namespace lb
