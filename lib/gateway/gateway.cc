#include "gateway/gateway.h"

#include <algorithm>
#include <deque>

#include "base/slab.h"
#include "gateway/admin.h"
#include "gateway/client.h"
#include "gateway/listen.h"

namespace lb {

struct Gateway::State : GatewayContext {
  using GatewayContext::GatewayContext;

  Slab<Client> clients;
  std::vector<TimerHeap::Fired> fired;
  std::vector<uint64_t> round;
  // Accepted when `limits.connections` was already reached: not read, and not answered, until there is room. Accepting
  // has stopped by then, so they are few.
  std::deque<ConnId> parked;
  bool accepting = true;
  bool again = false;  // The last flush had something for the engine to settle.

  bool full() const { return open >= limits.connections || clients.full(); }

  void sweep() {
    for (uint64_t id : gone) clients.remove(id);
    gone.clear();
  }

  void take(ConnId conn) {
    uint64_t id = clients.next_id();
    clients.add(*this, id, conn);
    clients.find(id)->open();
  }

  void accepted(ConnId conn) {
    if (draining) return net.close(conn, false);
    if (full()) return parked.push_back(conn);
    take(conn);
  }

  // It went away while it was parked, or before it was adopted in this very turn.
  void lost_early(ConnId conn) {
    if (std::erase(parked, conn)) return;
    for (uint64_t id : clients.ids())
      if (Client* client = clients.find(id); client->conn() == conn) client->on_closed();
    sweep();
  }

  void accept_all(bool on) {
    if (accepting == on) return;
    accepting = on;
    for (const Listener& listener : listeners) net.accept(listener.id, on);
    if (!on)
      engine.log(LogLevel::warn, "limits.connections is reached; new clients wait",
                 "\"connections\":" + std::to_string(limits.connections));
  }

  // Room that clients have left, or a reload has made, goes to those that wait for it.
  void fill_room() {
    while (!parked.empty() && !full()) {
      take(parked.front());
      parked.pop_front();
    }
    accept_all(!full());
  }

  // A client that is resumed may have something to write once more.
  void write_out() {
    while (!dirty.empty()) {
      round.swap(dirty);
      for (uint64_t id : round)
        if (Client* client = clients.find(id)) client->flush();
      round.clear();
    }
    sweep();
  }
};

Gateway::Gateway(Engine& engine, Net& net) : state_(std::make_unique<State>(engine, net, *this)) {}

Gateway::~Gateway() {
  close();
  state_->engine.forget(*this);
}

Status Gateway::configure(const Config& config, Instant now, Error* why) {
  State& s = *state_;
  s.now = std::max(s.now, now);
  if (s.draining) return Status::OK;  // There is nothing to come any more.
  if (Status status = change_listeners(s, config.listen, why); status != Status::OK) return status;
  s.limits = config.limits;
  if (!s.accepting)
    for (const Listener& listener : s.listeners) s.net.accept(listener.id, false);
  return Status::OK;  // Room that is made is filled by the flush.
}

void Gateway::begin(Instant now) {
  State& s = *state_;
  s.now = std::max(s.now, now);
  s.timers.take_due(s.now, s.fired);
  for (const TimerHeap::Fired& timer : s.fired)
    if (Client* client = s.clients.find(timer.owner)) client->on_due();
  s.fired.clear();
  s.sweep();
}

void Gateway::complete(Completion& completion) {
  State& s = *state_;
  if (completion.kind == Completion::Kind::accepted) return s.accepted(completion.conn);
  if (tag_owner(completion.tag) == Owner::listener) return s.lost_early(completion.conn);
  Client* client = s.clients.find(tag_id(completion.tag));
  if (!client) return;  // Closed earlier in this turn.
  switch (completion.kind) {
    case Completion::Kind::read:
      client->on_read(completion.data);
      break;
    case Completion::Kind::written:
      client->on_written(completion.bytes);
      break;
    case Completion::Kind::ended:
      client->on_ended();
      break;
    case Completion::Kind::closed:
      client->on_closed();
      break;
    case Completion::Kind::accepted:
    case Completion::Kind::resolved:
    case Completion::Kind::connected:
      LB_CHECK(false);
  }
  if (!s.gone.empty()) s.sweep();
}

// Writes at the end of the batch, not of the turn: what is sent is credited, and may bring more in this very turn.
void Gateway::deliver(std::vector<Event>& events) {
  State& s = *state_;
  for (Event& event : events)
    if (Client* client = s.clients.find(event.user_data)) client->on_event(event);
  s.write_out();
}

void Gateway::flush() {
  State& s = *state_;
  s.stirred = false;
  s.write_out();
  s.again = s.stirred;
  if (!s.draining) s.fill_room();
}

// A client whose answer has been written may have had its next request in hand: that call wants another turn.
Instant Gateway::next_wake() const { return state_->again ? state_->now : state_->timers.next(); }

void Gateway::drain(Instant now) {
  State& s = *state_;
  s.now = std::max(s.now, now);
  if (s.draining) return;
  s.draining = true;
  for (const Listener& listener : s.listeners) s.net.unlisten(listener.id);
  s.listeners.clear();
  for (ConnId conn : s.parked) s.net.close(conn, false);
  s.parked.clear();
  for (uint64_t id : s.clients.ids()) s.clients.find(id)->drain();
  s.write_out();
}

void Gateway::close() {
  State& s = *state_;
  drain(s.now);
  for (uint64_t id : s.clients.ids()) s.clients.find(id)->abort();
  s.sweep();
}

bool Gateway::idle() const { return state_->busy == 0; }

Result<std::string> Gateway::address(std::string_view name) const {
  for (const Listener& listener : state_->listeners)
    if (name.empty() || listener.name == name) return to_string(state_->net.bound(listener.id));
  return Error{Status::GONE, "", "there is no listener \"" + std::string(name.substr(0, 100)) + "\""};
}

std::string Gateway::stats_json() const { return print_gateway_json(*state_); }
std::string Gateway::stats_prometheus() const { return print_gateway_prometheus(*state_); }

}  // namespace lb
