#include "mock/journal.h"

#include <algorithm>

#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr const char* kEnds[] = {"open", "answered", "client_closed", "cut", "reset", "stopped", "bad_request"};

void add_headers(std::string* out, std::string_view lines) {
  *out += '{';
  for (bool first = true; !lines.empty(); first = false) {
    const size_t end = lines.find("\r\n"), colon = lines.find(": ");
    if (end == lines.npos || colon > end) break;
    if (!first) *out += ',';
    add_quoted(out, lines.substr(0, colon));
    *out += ':';
    add_quoted(out, lines.substr(colon + 2, end - colon - 2));
    lines.remove_prefix(end + 2);
  }
  *out += '}';
}

void add_call(std::string* out, const Call& call) {
  add(out, "{\"number\":", call.number, ",\"connection\":", call.connection, ",\"method\":\"", call.method,
      "\",\"path\":");
  add_quoted(out, call.path);
  add(out, ",\"model\":\"", call.model, "\",\"stream\":", call.stream ? "true" : "false", ",\"headers\":");
  add_headers(out, call.headers);
  add(out, ",\"body_bytes\":", call.body_bytes);
  if (!call.body.empty()) {
    *out += ",\"body\":";
    add_quoted(out, call.body);
  }
  add(out, ",\"behaviour\":");
  add_quoted(out, call.behaviour);
  add(out, ",\"status\":", call.status, ",\"events\":", call.events, ",\"sent_bytes\":", call.sent_bytes,
      ",\"start_ms\":", call.start_ms, ",\"received_ms\":", call.received_ms, ",\"last_write_ms\":",
      call.last_write_ms, ",\"end\":\"", kEnds[static_cast<size_t>(call.end)], "\",\"end_ms\":", call.end_ms);
  if (call.end == End::client_closed)
    add(out, ",\"closed_after_ms\":", call.end_ms - std::max(call.last_write_ms, call.start_ms));
  *out += '}';
}

void add_close(std::string* out, const Close& close) {
  add(out, "{\"connection\":", close.connection, ",\"calls\":", close.calls, ",\"open_ms\":", close.open_ms,
      ",\"close_ms\":", close.close_ms, ",\"by\":\"", close.by_client ? "client" : "mock",
      "\",\"reset\":", close.by_reset ? "true" : "false", "}");
}

}  // namespace

Call& Journal::begin() {
  last_++;
  counts_.requests++;
  Call& call = calls_.empty() ? spare_ : calls_[last_ % calls_.size()];
  for (std::string* text : {&call.method, &call.path, &call.model, &call.headers, &call.body, &call.behaviour})
    text->clear();  // Keeps its room.
  call.number = last_;
  call.connection = call.body_bytes = call.sent_bytes = call.events = 0;
  call.start_ms = call.received_ms = call.last_write_ms = call.end_ms = 0;
  call.status = 0;
  call.stream = false;
  call.end = End::open;
  return call;
}

Call* Journal::find(uint64_t number) {
  if (calls_.empty()) return nullptr;
  Call& call = calls_[number % calls_.size()];
  return number != 0 && call.number == number ? &call : nullptr;
}

void Journal::end(Call& call, End how, double now_ms) {
  call.end = how;
  call.end_ms = now_ms;
}

void Journal::closed(const Close& close) {
  closed_++;
  if (!closes_.empty()) closes_[closed_ % closes_.size()] = close;
}

void Journal::clear() {
  first_ = last_ + 1;
  first_closed_ = closed_ + 1;
  const Counts old = counts_;
  counts_ = Counts();
  counts_.connections_open = counts_.connections_open_max = counts_.connections = old.connections_open;
}

void Journal::keep_body(Call& call, std::string_view data) const {
  if (call.body.size() < body_max_) call.body += data.substr(0, body_max_ - call.body.size());
}

std::string Journal::json(std::string_view name, double now_ms) const {
  std::string out;
  const Counts& n = counts_;
  add(&out, "{\"name\":\"", name, "\",\"now_ms\":", now_ms, ",\"counts\":{\"requests\":", n.requests,
      ",\"answered\":", n.answered, ",\"client_closed\":", n.client_closed, ",\"cut\":", n.cut, ",\"limited\":",
      n.limited, ",\"errors\":", n.errors, ",\"connections\":", n.connections, ",\"connections_open\":",
      n.connections_open, ",\"connections_open_max\":", n.connections_open_max, "},\"calls\":[");
  const uint64_t calls = calls_.size(), closes = closes_.size();
  for (uint64_t i = std::max(first_, last_ >= calls ? last_ - calls + 1 : 1); calls != 0 && i <= last_; i++) {
    if (out.back() != '[') out += ",\n";
    add_call(&out, calls_[i % calls]);
  }
  out += "],\"closes\":[";
  for (uint64_t i = std::max(first_closed_, closed_ >= closes ? closed_ - closes + 1 : 1); closes != 0 && i <= closed_;
       i++) {
    if (out.back() != '[') out += ",\n";
    add_close(&out, closes_[i % closes]);
  }
  out += "]}\n";
  return out;
}

}  // namespace lb::mock
