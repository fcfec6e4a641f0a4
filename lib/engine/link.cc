#include "engine/link.h"

#include <algorithm>

#include "engine/context.h"

namespace lb {

Link* Pool::take_idle(UpstreamIndex upstream) {
  std::vector<uint64_t>& idle = fleet_.upstream(upstream).idle;
  if (idle.empty()) return nullptr;
  Link* link = links_.find(idle.back());
  idle.pop_back();
  LB_CHECK(link && link->call == 0 && link->up);
  return link;
}

Link* Pool::open(UpstreamIndex upstream, Http1Parser::Limits limits) {
  uint64_t id = links_.add(links_.next_id(), upstream, limits);
  Link* link = links_.find(id);
  link->timer.owner = id;
  return link;
}

void Pool::drop(Link& link) {
  if (link.call == 0) std::erase(fleet_.upstream(link.upstream).idle, link.id);
  if (link.conn) net_.close(link.conn, false);
  timers_.disarm(link.timer);
  links_.remove(link.id);
}

void Pool::rest(Link& link, Instant now) {
  Upstream& upstream = fleet_.upstream(link.upstream);
  link.call = 0;
  if (!upstream.live) return drop(link);
  link.served++;
  link.parser.next();
  read(link, true);  // To notice when the upstream closes it.
  link.idle_until = now + upstream.deployment->keep_alive;
  link.timer.kind = static_cast<uint32_t>(TimerKind::link_idle);
  if (!link.timer.armed()) timers_.arm(link.timer, link.idle_until);
  upstream.idle.push_back(link.id);
}

void Pool::drop_idle(UpstreamIndex upstream) {
  std::vector<uint64_t> idle = fleet_.upstream(upstream).idle;
  for (uint64_t id : idle) drop(*links_.find(id));
}

void Pool::idle_timer(Link& link, Instant now) {
  if (link.call != 0) return;  // In use; `rest` arms it again.
  if (link.idle_until <= now)
    drop(link);
  else
    timers_.arm(link.timer, link.idle_until);
}

void Pool::read(Link& link, bool on) {
  if (link.reading == on || !link.conn) return;
  link.reading = on;
  net_.read(link.conn, on);
}

size_t Pool::idle() const {
  size_t n = 0;
  for (UpstreamIndex i = 0; i < fleet_.upstream_count(); i++) n += fleet_.upstream(i).idle.size();
  return n;
}

}  // namespace lb
