#include "sim/answers.h"

#include "wire/http1.h"

namespace lb::sim {

namespace {

enum class Framing : uint8_t { length, chunked, close };

struct Parts {
  uint16_t status = 200;
  std::string type;
  std::string extra;              // Field lines.
  std::vector<std::string> body;  // In pieces, as they leave.
  Framing framing = Framing::length;
};

std::string status_line(uint16_t status) { return "HTTP/1.1 " + std::to_string(status) + " Said So\r\n"; }

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

std::string delta(uint64_t id, uint64_t n, std::string_view text) {
  return "{\"id\":\"r" + std::to_string(id) + "\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" +
         std::to_string(n) + std::string(text) + "\"},\"finish_reason\":null}]}";
}

std::string error_json(const std::string& message) {
  return "{\"error\":{\"message\":\"" + message + "\",\"type\":\"server_error\",\"code\":null}}";
}

size_t total(const std::vector<std::string>& body) {
  size_t n = 0;
  for (const std::string& piece : body) n += piece.size();
  return n;
}

Duration gap(Rng& rng) { return Duration::from_us(static_cast<int64_t>(rng.below(40'000))); }

// A stream as it should be: a role, contents, a finish reason, usage, [DONE].
void good_stream(Fault fault, uint64_t id, Rng& rng, Parts& parts, Truth& truth) {
  auto say = [&](const std::string& data) {
    parts.body.push_back(event(data));
    if (data != "[DONE]") truth.events.push_back(data);
  };
  say("{\"id\":\"r" + std::to_string(id) +
      "\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}");
  uint64_t count = 1 + rng.below(12);
  std::string text(rng.below(8) == 0 ? 3000 : rng.below(60), 'x');
  for (uint64_t i = 0; i < count; i++) {
    if (fault == Fault::pings && rng.below(2)) parts.body.push_back(": ping\n\n");
    if (fault == Fault::malformed_event && i == count / 2) say("{\"broken\":");
    say(delta(id, i, text));
  }
  say("{\"id\":\"r" + std::to_string(id) + "\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
  say("{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":" + std::to_string(count) +
      ",\"total_tokens\":" + std::to_string(7 + count) + "}}");
  if (fault != Fault::no_done_marker) say("[DONE]");
}

void good_json(uint64_t id, Rng& rng, Parts& parts) {
  std::string text(rng.below(6) == 0 ? 200'000 : rng.below(3000), 'y');
  std::string body = "{\"id\":\"r" + std::to_string(id) +
                     "\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{"
                     "\"role\":\"assistant\",\"content\":\"" +
                     text +
                     "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
                     "\"completion_tokens\":9,\"total_tokens\":16}}";
  size_t cut = static_cast<size_t>(rng.below(body.size()));
  parts.body = {body.substr(0, cut), body.substr(cut)};
}

uint16_t error_status(Fault fault) {
  switch (fault) {
    case Fault::html_error:
    case Fault::status_502:
      return 502;
    case Fault::status_400:
      return 400;
    case Fault::status_401:
      return 401;
    case Fault::status_404:
      return 404;
    case Fault::limited:
    case Fault::limited_seconds:
    case Fault::limited_ms:
      return 429;
    case Fault::status_503:
      return 503;
    case Fault::status_529:
      return 529;
    case Fault::status_500:
    case Fault::early_error:
    case Fault::error_without_end:
      return 500;
    default:
      return 200;
  }
}

// The head, and the body framed, piece by piece.
std::vector<std::string> frame(const Parts& parts) {
  std::string head = status_line(parts.status) + "content-type: " + parts.type + "\r\n" + parts.extra;
  std::vector<std::string> out;
  switch (parts.framing) {
    case Framing::length:
      head += "content-length: " + std::to_string(total(parts.body)) + "\r\n\r\n";
      break;
    case Framing::chunked:
      head += "transfer-encoding: chunked\r\n\r\n";
      break;
    case Framing::close:
      head += "\r\n";
      break;
  }
  out.push_back(head);
  for (const std::string& piece : parts.body) {
    if (piece.empty()) continue;
    out.push_back(parts.framing == Framing::chunked ? chunk_line(piece.size()) + piece + "\r\n" : piece);
  }
  if (parts.framing == Framing::chunked) out.push_back(std::string(kLastChunk));
  return out;
}

// Index, among the framed pieces of a stream (the head is 0), behind which there has been content.
constexpr size_t kWithContent = 4;

// Cuts, stalls and spoils what was framed.
void spoil(Fault fault, Rng& rng, std::vector<std::string>& pieces, Script& script) {
  auto keep = [&](size_t n) { pieces.resize(std::min(n, pieces.size())); };
  size_t late = std::min(kWithContent, pieces.size() - 2);
  switch (fault) {
    case Fault::no_head:
      keep(0);
      script.end = End::stall;
      break;
    case Fault::cut_before_head:
      keep(0);
      script.end = rng.below(2) ? End::fin : End::reset;
      break;
    case Fault::cut_in_head:
      keep(1);
      pieces[0].resize(1 + static_cast<size_t>(rng.below(pieces[0].size() - 2)));
      script.end = rng.below(2) ? End::fin : End::reset;
      break;
    case Fault::not_http:
      pieces = {"SSH-2.0-OpenSSH_9.2\r\n"};
      break;
    case Fault::error_without_end:
    case Fault::stall_before_content:
      keep(1);
      script.end = End::stall;
      break;
    case Fault::cut_before_content:
      keep(1 + static_cast<size_t>(rng.below(2)));
      script.end = rng.below(2) ? End::fin : End::reset;
      break;
    case Fault::cut_after_content:
    case Fault::short_of_length:
      keep(late);
      script.end = End::fin;
      break;
    case Fault::reset_after_content:
      keep(late);
      script.end = End::reset;
      break;
    case Fault::stall_after_content:
      keep(late);
      script.end = End::stall;
      break;
    case Fault::bad_chunk:
      keep(late);
      pieces.push_back("zz\r\nnot a chunk\r\n");
      break;
    case Fault::trailing_garbage:
      pieces.push_back("and then some");
      break;
    case Fault::second_response:
      pieces.push_back("HTTP/1.1 200 Again\r\ncontent-length: 2\r\n\r\nno");
      break;
    case Fault::informational:
      pieces.insert(pieces.begin(), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n");
      break;
    case Fault::closes_after:
    case Fault::close_delimited:
      script.end = End::fin;
      break;
    case Fault::closes_while_idle:
      script.end = rng.below(2) ? End::fin : End::reset;
      script.end_gap = gap(rng) * 10;
      break;
    default:
      break;
  }
}

// The body of an answer, good or bad, before framing.
void fill(Fault fault, bool stream, uint64_t id, Rng& rng, Parts& parts, Truth& truth) {
  parts.type = stream ? "text/event-stream" : "application/json";
  parts.status = error_status(fault);
  if (parts.status != 200) {
    if (fault == Fault::html_error) {
      parts.type = "text/html";
      parts.body = {"<html><h1>502 Bad Gateway</h1></html>"};
    } else {
      parts.type = "application/json";
      parts.body = {error_json("status " + std::to_string(parts.status))};
    }
    if (fault == Fault::limited_seconds) parts.extra += "retry-after: 2\r\n";
    if (fault == Fault::limited_ms) parts.extra += "retry-after-ms: 700\r\n";
    return;
  }
  switch (fault) {
    case Fault::wrong_type:
      parts.type = "text/html; charset=utf-8";
      parts.body = {"<p>hello</p>"};
      return;
    case Fault::empty_success:
      return;
    case Fault::error_in_success:
      parts.body = {stream ? event(error_json("overloaded")) : error_json("overloaded")};
      return;
    case Fault::pings_then_end:
    case Fault::pings_then_stall:
      if (stream) parts.body = {": ping\n\n", ": ping\n\n"};
      return;
    default:
      break;
  }
  if (!stream) return good_json(id, rng, parts);
  good_stream(fault, id, rng, parts, truth);
  if (fault == Fault::ends_without_terminal) parts.body.resize(std::min<size_t>(3, parts.body.size() - 3));
  if (fault == Fault::error_event_late) {
    parts.body.resize(std::min<size_t>(3, parts.body.size() - 3));
    parts.body.push_back(event(error_json("went wrong")));
  }
}

}  // namespace

const char* fault_name(Fault fault) {
  static constexpr const char* kNames[] = {
#define LB_SIM_X(name) #name,
      LB_SIM_FAULTS(LB_SIM_X)
#undef LB_SIM_X
          "none",
  };
  return kNames[static_cast<size_t>(fault)];
}

Script make_answer(Fault fault, bool stream, uint64_t id, Rng& rng) {
  Script script;
  Truth& truth = script.truth;
  Parts parts;
  fill(fault, stream, id, rng, parts, truth);
  if (!stream && (fault == Fault::ends_without_terminal || fault == Fault::error_event_late)) parts.body.pop_back();
  parts.extra += "x-sim-response: " + std::to_string(id) + "\r\n";
  parts.framing = stream || rng.below(3) == 0 ? Framing::chunked : Framing::length;
  if (fault == Fault::short_of_length) parts.framing = Framing::length;
  if (fault == Fault::bad_chunk || fault == Fault::pings_then_stall) parts.framing = Framing::chunked;
  if (fault == Fault::close_delimited) parts.framing = Framing::close;
  if (fault == Fault::closes_after) parts.extra += "connection: close\r\n";
  truth.fault = fault;
  truth.status = parts.status;
  truth.stream = stream && parts.status == 200;
  for (const std::string& piece : parts.body) truth.body += piece;
  truth.good = fault == Fault::none || harmless(fault);
  std::vector<std::string> pieces = frame(parts);
  if (fault == Fault::pings_then_stall) {
    if (stream)
      pieces.pop_back();
    else
      pieces.resize(1);
    script.end = End::stall;
  }
  spoil(fault, rng, pieces, script);
  Duration slow = fault == Fault::slow_drip ? Duration::from_ms(150) : Duration::zero();
  for (std::string& piece : pieces) {
    bool joined = !script.steps.empty() && slow == Duration::zero() && rng.below(2);
    if (joined)
      script.steps.back().bytes += piece;
    else
      script.steps.push_back({gap(rng) + slow, std::move(piece)});
  }
  return script;
}

}  // namespace lb::sim
