#include "gateway/listen.h"

#include <algorithm>

#include "wire/escape.h"
#include "wire/json.h"

namespace lb {

namespace {

Listener* find_same(std::vector<Listener>& listeners, const Listen& wanted, bool named) {
  auto found = std::find_if(listeners.begin(), listeners.end(), [&](const Listener& listener) {
    return listener.id && listener.address == wanted.address && (!named || listener.name == wanted.name);
  });
  return found == listeners.end() ? nullptr : &*found;
}

void log_listener(GatewayContext& context, std::string_view message, const Listener& listener) {
  context.engine.log(LogLevel::info, message,
                     "\"name\":" + json_quote(listener.name) +
                         ",\"address\":" + json_quote(to_string(context.net.bound(listener.id))));
}

Result<ListenerId> open_listener(GatewayContext& context, const Listen& wanted, size_t index) {
  std::string where = "/listen/" + std::to_string(index) + "/address";
  Address address;
  if (!parse_listen(wanted.address, address))
    return Error{Status::CONFIG, where, "is not an address; write 127.0.0.1:8080, [::1]:8080 or unix:/path"};
  Result<ListenerId> id = context.net.listen(make_tag(Owner::listener, index), address);
  if (id.ok()) return id;
  Error error = id.error();
  error.where = where;
  return error;
}

}  // namespace

Status change_listeners(GatewayContext& context, const std::vector<Listen>& wanted, Error* why) {
  std::vector<Listener> old = context.listeners;
  std::vector<Listener> kept(wanted.size());
  // One of the same name first: two listeners may both be written 127.0.0.1:0.
  for (bool named : {true, false}) {
    for (size_t i = 0; i < wanted.size(); i++) {
      if (kept[i].id) continue;
      kept[i].name = wanted[i].name;
      kept[i].address = wanted[i].address;
      if (Listener* same = find_same(old, wanted[i], named)) kept[i].id = std::exchange(same->id, 0);
    }
  }
  std::vector<size_t> opened;
  for (size_t i = 0; i < wanted.size(); i++) {
    if (kept[i].id) continue;
    Result<ListenerId> id = open_listener(context, wanted[i], i);
    if (!id.ok()) {
      for (size_t undo : opened) context.net.unlisten(kept[undo].id);
      if (why) *why = id.error();
      return id.error().status;
    }
    kept[i].id = id.value();
    opened.push_back(i);
  }
  for (const Listener& listener : old) {
    if (!listener.id) continue;
    log_listener(context, "listener closed", listener);
    context.net.unlisten(listener.id);
  }
  context.listeners = std::move(kept);
  for (size_t i : opened) log_listener(context, "listening", context.listeners[i]);
  return Status::OK;
}

}  // namespace lb
