#include "sim/answers.h"

#include <algorithm>

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
  bool odd = false;               // Chunks of any size.
};

std::string status_line(uint16_t status) { return "HTTP/1.1 " + std::to_string(status) + " Said So\r\n"; }

constexpr const char* kMalformed = "{\"broken\":";

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

size_t total(const std::vector<std::string>& body) {
  size_t n = 0;
  for (const std::string& piece : body) n += piece.size();
  return n;
}

Duration gap(Rng& rng) { return Duration::from_us(static_cast<int64_t>(rng.below(40'000))); }

// A stream as it should be: a beginning, contents, an end.
void good_stream(Fault fault, const Asking& asking, Rng& rng, Parts& parts, Truth& truth) {
  uint64_t count = 1 + rng.below(12);
  std::string text(rng.below(8) == 0 ? 3000 : rng.below(60), 'x');
  Answering answer{asking.dialect, asking.id, asking.prompt, std::min(count, asking.allowed)};
  truth.tokens = answer.input + answer.output;
  auto say = [&](const SaidEvent& said) {
    parts.body.push_back(said.bytes());
    if (said.data != "[DONE]") truth.events.push_back(said.data);
  };
  for (const SaidEvent& said : stream_begin(answer)) say(said);
  for (uint64_t i = 0; i < count; i++) {
    if (fault == Fault::pings && rng.below(2)) parts.body.push_back(": ping\n\n");
    if (fault == Fault::malformed_event && i == count / 2) parts.body.push_back(event(kMalformed));
    std::string piece = std::to_string(i) + text;
    truth.text += piece;
    say(stream_text(answer, piece));
  }
  for (const SaidEvent& said : stream_end(answer, fault != Fault::no_done_marker)) say(said);
}

void good_json(const Asking& asking, Rng& rng, Parts& parts, Truth& truth) {
  Answering answer{asking.dialect, asking.id, asking.prompt, std::min<uint64_t>(9, asking.allowed)};
  truth.tokens = answer.input + answer.output;
  truth.text = std::string(rng.below(6) == 0 ? 200'000 : rng.below(3000), 'y');
  std::string body = whole_answer(answer, truth.text);
  size_t cut = 1 + static_cast<size_t>(rng.below(body.size() - 1));  // Neither part is empty.
  parts.body = {body.substr(0, cut), body.substr(cut)};
}

uint16_t error_status(Fault fault) {
  if (fault >= Fault::limited && fault <= Fault::throttled) return 429;
  switch (fault) {
    case Fault::html_error:
    case Fault::status_502:
      return 502;
    case Fault::status_400:
      return 400;
    case Fault::status_401:
      return 401;
    case Fault::status_403:
      return 403;
    case Fault::status_404:
      return 404;
    case Fault::status_503:
      return 503;
    case Fault::status_504:
      return 504;
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

// Two digits.
std::string two(int64_t n) { return std::string(n < 10 ? "0" : "") + std::to_string(n); }

// A time on the day of kUnixTime, 2026-11-18: some seconds after it.
std::string clock_of(int64_t wait_s) {
  int64_t of_day = kUnixTime % 86'400 + wait_s;
  return two(of_day / 3600) + ":" + two(of_day / 60 % 60) + ":" + two(of_day % 60);
}

// What a 429 says of how long to stay away, in each of the forms there are.
std::string wait_fields(Fault fault, const Asking& asking, Rng& rng) {
  auto seconds = static_cast<int64_t>(1 + rng.below(4));
  std::string n = std::to_string(seconds);
  switch (fault) {
    case Fault::limited_seconds:
      return "retry-after: " + n + "\r\n";
    case Fault::limited_ms:
      return "retry-after-ms: " + n + "70\r\n";
    case Fault::limited_date:
      return "Retry-After: Wed, 18 Nov 2026 " + clock_of(seconds) + " GMT\r\n";
    case Fault::limited_span:
      return "retry-after: " + n + "s\r\n";
    case Fault::limited_zero:
      return "retry-after: 0\r\n";
    case Fault::limited_negative:
      return "retry-after: -" + n + "\r\n";
    case Fault::limited_nonsense:
      return "retry-after: soon\r\nretry-after-ms: 1e999\r\n";
    case Fault::limited_day:
      return "retry-after: 9999999\r\n";
    case Fault::limited_reset:
      return "x-ratelimit-limit-requests: 9\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: " + n +
             "s\r\n";
    case Fault::limited_reset_date:
      return "anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: 2026-11-18T" +
             clock_of(seconds) + "Z\r\n";
    case Fault::throttled:
      return "retry-after-ms: " + std::to_string(asking.wait.ms_ceil()) + "\r\n";
    default:
      return "";
  }
}

std::string limit_message(Fault fault) {
  if (fault == Fault::limited_in_body) return "Rate limit reached. Please try again in 1.2s.";
  return "status 429";
}

char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// The bytes of one piece in chunks of any size, written in every way that is allowed.
void odd_chunks(const std::string& piece, Rng& rng, std::vector<std::string>& out) {
  for (size_t at = 0; at < piece.size();) {
    size_t n = std::min(piece.size() - at, 1 + static_cast<size_t>(rng.below(rng.below(2) ? 7 : 5000)));
    std::string line = chunk_line(n);
    if (rng.below(3) == 0) line.insert(0, "000");
    if (rng.below(3) == 0) std::transform(line.begin(), line.end(), line.begin(), ascii_upper);
    if (rng.below(3) == 0) line.insert(line.size() - 2, ";name=value");
    out.push_back(line + piece.substr(at, n) + "\r\n");
    at += n;
  }
}

// The head, and the body framed, piece by piece.
std::vector<std::string> frame(const Parts& parts, Rng& rng) {
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
    if (parts.odd) {
      odd_chunks(piece, rng, out);
      continue;
    }
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
      keep(1 + std::min(static_cast<size_t>(rng.below(2)), stream_begin({.dialect = script.truth.dialect}).size()));
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
void fill(Fault fault, const Asking& asking, Rng& rng, Parts& parts, Truth& truth) {
  bool stream = asking.stream;
  parts.type = stream ? "text/event-stream" : "application/json";
  parts.status = error_status(fault);
  if (parts.status != 200) {
    if (fault == Fault::html_error) {
      parts.type = "text/html";
      parts.body = {"<html><h1>502 Bad Gateway</h1></html>"};
    } else {
      parts.type = "application/json";
      std::string message = parts.status == 429 ? limit_message(fault) : "status " + std::to_string(parts.status);
      parts.body = {error_answer(asking.dialect, parts.status, message)};
    }
    if (fault == Fault::out_of_quota && asking.dialect == Dialect::openai)
      parts.body = {R"({"error":{"message":"You exceeded your quota","type":"insufficient_quota",)"
                    R"("code":"insufficient_quota"}})"};
    parts.extra += wait_fields(fault, asking, rng);
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
      parts.body = {stream ? error_event(asking.dialect, "overloaded").bytes()
                           : error_answer(asking.dialect, 500, "overloaded")};
      return;
    case Fault::pings_then_end:
    case Fault::pings_then_stall:
      if (stream) parts.body = {": ping\n\n", ": ping\n\n"};
      return;
    default:
      break;
  }
  if (!stream) return good_json(asking, rng, parts, truth);
  good_stream(fault, asking, rng, parts, truth);
  if (fault != Fault::ends_without_terminal && fault != Fault::error_event_late) return;
  size_t tail = stream_end({.dialect = asking.dialect}, true).size();
  parts.body.resize(std::min<size_t>(3, parts.body.size() - tail));
  if (fault == Fault::error_event_late) parts.body.push_back(error_event(asking.dialect, "went wrong").bytes());
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

Script make_answer(Fault fault, const Asking& asking, Rng& rng) {
  Script script;
  Truth& truth = script.truth;
  Parts parts;
  bool stream = asking.stream;
  fill(fault, asking, rng, parts, truth);
  if (!stream && (fault == Fault::ends_without_terminal || fault == Fault::error_event_late)) parts.body.pop_back();
  parts.extra += "x-sim-response: " + std::to_string(asking.id) + "\r\n";
  parts.framing = stream || rng.below(3) == 0 ? Framing::chunked : Framing::length;
  if (fault == Fault::short_of_length) parts.framing = Framing::length;
  if (fault == Fault::bad_chunk || fault == Fault::pings_then_stall) parts.framing = Framing::chunked;
  if (fault == Fault::close_delimited) parts.framing = Framing::close;
  if (fault == Fault::closes_after || fault == Fault::lies_close) parts.extra += "connection: close\r\n";
  if (fault == Fault::lies_alive) parts.extra += "connection: keep-alive\r\nkeep-alive: timeout=600\r\n";
  parts.odd = fault == Fault::odd_chunks;
  if (parts.odd) parts.framing = Framing::chunked;
  truth.fault = fault;
  truth.dialect = asking.dialect;
  truth.status = parts.status;
  truth.stream = stream && parts.status == 200;
  // What is not JSON is left out.
  for (const std::string& piece : parts.body)
    if (piece != event(kMalformed)) truth.body += piece;
  truth.good = fault == Fault::none || harmless(fault);
  std::vector<std::string> pieces = frame(parts, rng);
  if (fault == Fault::pings_then_stall) {
    if (stream)
      pieces.pop_back();
    else
      pieces.resize(1);
    script.end = End::stall;
  }
  spoil(fault, rng, pieces, script);
  script.by_bytes = fault == Fault::byte_by_byte || fault == Fault::odd_chunks;
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
