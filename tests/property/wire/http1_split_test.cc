// Laws of HTTP/1.1: what a generator wrote is what the parser reads, message after message; no way of cutting the
// bytes changes what it reads, or how it refuses what is broken; what the writer writes comes back.
#include "wire/http1.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "base/text.h"
#include "property/wire/split.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Cuts;
using lb::Head;
using lb::Http1Parser;
using lb::Rng;
using Kind = Http1Parser::Kind;
using Fault = Http1Parser::Fault;
using Limits = Http1Parser::Limits;
using Piece = Http1Parser::Piece;

uint64_t seed = 1;

// A message as it was made, or as it was read.
struct Message {
  Head head;
  bool has_length = false;
  uint64_t length = 0;
  bool chunked = false;
  bool until_close = false;
  bool keep_alive = true;
  bool expects_continue = false;
};

struct Stream {
  Kind kind = Kind::request;
  bool no_bodies = false;  // Responses to HEAD.
  std::string bytes;
  std::string log;  // What reading it must give.
};

void note_head(std::string& log, const Message& m) {
  log += m.head.method + " " + m.head.target + " " + std::to_string(m.head.status) + " " + m.head.reason;
  log += " 1." + std::to_string(m.head.minor) + (m.chunked ? " chunked" : "") + (m.until_close ? " until_close" : "");
  log += (m.has_length ? " length " + std::to_string(m.length) : "") + (m.keep_alive ? " keep_alive" : "");
  log += m.expects_continue ? " continue\n" : "\n";
  for (const Head::Field& field : m.head.fields)
    log += " [" + lb::shown(field.name) + ": " + lb::shown(field.value) + "]\n";
}

Message read_head(Http1Parser& parser) {
  return {parser.head(), parser.has_length(), parser.length(), parser.chunked(), parser.until_close(),
          parser.keep_alive(), parser.expects_continue()};
}

// Reads all messages of a stream, and tells what came; adjoining parts of a body are one.
std::string read(const Stream& stream, const Cuts& cuts, Limits limits = {}) {
  Http1Parser parser(stream.kind, limits);
  if (stream.no_bodies) parser.expect_no_body();
  std::string log, body;
  std::vector<Piece> pieces;
  auto note = [&] {
    for (const Piece& piece : pieces) {
      if (piece.kind == Piece::Kind::head) note_head(log, read_head(parser));
      if (piece.kind == Piece::Kind::body) body += piece.bytes;
      if (piece.kind == Piece::Kind::end) {
        log += "body " + lb::shown(body) + "\nend\n";
        body.clear();
      }
    }
    bool ended = !pieces.empty() && pieces.back().kind == Piece::Kind::end;
    pieces.clear();
    if (!ended) return;
    parser.next();
    if (stream.no_bodies) parser.expect_no_body();
  };
  lb::each_part(stream.bytes, cuts, [&](std::string_view part) {
    while (!part.empty() && parser.fault() == Fault::none) {
      size_t used = parser.feed(part, pieces);
      assert_true(used <= part.size());
      assert_true(used > 0 || parser.fault() != Fault::none);
      for (const Piece& piece : pieces)
        if (!piece.bytes.empty())
          assert_true(piece.bytes.data() >= part.data() && piece.bytes.end() <= part.end());
      note();
      part.remove_prefix(used);
    }
  });
  parser.finish(pieces);
  note();
  if (!body.empty()) log += "open " + lb::shown(body) + "\n";
  return log + "fault " + std::to_string(static_cast<int>(parser.fault())) + "\n";
}

template <size_t N>
std::string one_of(Rng& rng, const char* const (&list)[N]) {
  return list[rng.below(N)];
}

std::string random_text(Rng& rng, uint64_t size, std::string_view alphabet) {
  std::string out;
  for (; size > 0; size--) out += alphabet[rng.below(alphabet.size())];
  return out;
}

constexpr std::string_view kTokens = "abcXYZ019!#$%&'*+-.^_`|~";
constexpr std::string_view kValues = "ab,;=\"/ \t:09\xc3\xa9";

Head::Field random_field(Rng& rng) {
  // The name's beginning keeps clear of those that mean something.
  std::string value = random_text(rng, rng.below(rng.below(8) ? 12 : 400), kValues);
  return {"q" + random_text(rng, rng.below(20), kTokens), std::string(lb::trim(value))};
}

void add_connection(Rng& rng, Message& m) {
  static constexpr const char* kClose[] = {"close", "Close", "x-a,close", "close , keep-alive"};
  static constexpr const char* kKeep[] = {"keep-alive", "Keep-Alive", "x-a, keep-alive"};
  m.keep_alive = m.head.minor == 1 && !m.until_close;
  switch (rng.below(4)) {
    case 0:
      m.head.add("connection", one_of(rng, kClose));
      m.keep_alive = false;
      break;
    case 1:
      m.head.add("Connection", one_of(rng, kKeep));
      m.keep_alive = !m.until_close;
      break;
  }
}

std::string head_bytes(Rng& rng, Kind kind, const Head& head) {
  static constexpr const char* kSpace[] = {"", " ", " ", " ", "\t", "  \t "};
  std::string version = "HTTP/1." + std::to_string(head.minor);
  std::string out = kind == Kind::request ? head.method + " " + head.target + " " + version
                                          : version + " " + std::to_string(head.status) + " " + head.reason;
  out += "\r\n";
  for (const Head::Field& field : head.fields) {
    out += field.name + ":" + one_of(rng, kSpace) + field.value;
    // llhttp does not like tabs behind these; then they are refused.
    bool framing = lb::iequals(field.name, "transfer-encoding") || field.name == "content-length";
    out += (framing ? "" : one_of(rng, kSpace)) + "\r\n";
  }
  return out + "\r\n";
}

std::string chunked_bytes(Rng& rng, std::string_view body) {
  static constexpr const char* kExtensions[] = {"", "", "", ";a", ";a;b=c", ";a=\"b c\""};
  static constexpr const char* kTrailers[] = {"", "", "x: y\r\n", "empty:\r\nz: 1\r\n"};
  std::string out;
  while (!body.empty()) {
    size_t size = 1 + rng.below(rng.below(2) ? body.size() : std::min<size_t>(body.size(), 16));
    std::string line = lb::chunk_line(size);
    line.insert(line.size() - 2, one_of(rng, kExtensions));
    out += std::string(rng.below(3), '0') + line + std::string(body.substr(0, size)) + "\r\n";
    body.remove_prefix(size);
  }
  return out + "0" + one_of(rng, kExtensions) + "\r\n" + one_of(rng, kTrailers) + "\r\n";
}

// How the body is delimited, for a message that may have one. `last`: nothing follows it.
std::string add_body(Rng& rng, Kind kind, bool last, Message& m) {
  std::string body = random_text(rng, rng.below(rng.below(8) ? 40 : 5000), "ab{}\r\n0\" :");
  switch (rng.below(3)) {
    case 0:
      if (m.head.minor == 0) break;
      m.chunked = true;
      m.head.add("Transfer-Encoding", rng.below(2) ? "chunked" : "Chunked");
      return body;
    case 1:
      if (kind == Kind::request || !last) break;
      m.until_close = true;
      return body;
  }
  if (kind == Kind::request && rng.below(2)) return "";  // Neither: a request without a body.
  m.has_length = true;
  m.length = body.size();
  m.head.add("content-length", std::to_string(body.size()));
  return body;
}

void add_message(Rng& rng, Stream& stream, bool last) {
  static constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"};
  static constexpr const char* kTargets[] = {"/", "/v1/chat/completions", "http://a.b/c?d=e", "*", "/%20?#x"};
  static constexpr const char* kReasons[] = {"OK", "", "Too Many Requests", "caf\xc3\xa9"};
  static constexpr const char* kInterim[] = {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 100\r\n\r\n",
                                             "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\nconnection: close\r\n\r\n",
                                             "HTTP/1.1 102 P\r\ncontent-length: 7\r\n\r\n", "\r\n"};
  Message m;
  m.head.minor = rng.below(4) ? 1 : 0;
  bool bodiless = stream.no_bodies;
  if (stream.kind == Kind::request) {
    m.head.method = one_of(rng, kMethods);
    m.head.target = one_of(rng, kTargets);
    if (rng.below(6) == 0) stream.bytes += "\r\n";
  } else {
    m.head.status = static_cast<uint16_t>(200 + rng.below(400));
    if (rng.below(6) == 0) m.head.status = rng.below(2) ? 204 : 304;
    m.head.reason = one_of(rng, kReasons);
    bodiless = bodiless || m.head.status == 204 || m.head.status == 304;
    for (uint64_t n = rng.below(8) ? 0 : rng.below(4); n > 0; n--) stream.bytes += one_of(rng, kInterim);
  }
  for (uint64_t n = rng.below(6); n > 0; n--) m.head.fields.push_back(random_field(rng));
  std::string body = add_body(rng, stream.kind, last && !bodiless, m);
  if (bodiless) m.chunked = false;
  if (stream.kind == Kind::request && rng.below(8) == 0) {
    m.head.add("Expect", "100-continue");
    m.expects_continue = m.head.minor == 1;
  }
  add_connection(rng, m);
  stream.bytes += head_bytes(rng, stream.kind, m.head);
  if (bodiless) body.clear();
  stream.bytes += m.chunked ? chunked_bytes(rng, body) : body;
  note_head(stream.log, m);
  stream.log += "body " + lb::shown(body) + "\nend\n";
}

Stream random_stream(Rng& rng) {
  Stream stream;
  stream.kind = rng.below(2) ? Kind::request : Kind::response;
  stream.no_bodies = stream.kind == Kind::response && rng.below(6) == 0;
  for (uint64_t n = 1 + rng.below(4); n > 0; n--) add_message(rng, stream, n == 1);
  stream.log += "fault 0\n";
  return stream;
}

void assert_read(uint64_t run, const Stream& stream, const Cuts& cuts, Limits limits, const std::string& expected) {
  std::string log = read(stream, cuts, limits);
  if (log == expected) return;
  size_t at = 0;
  while (log[at] == expected[at]) at++;
  std::fprintf(stderr, "run %llu: %s\nread: %s\nbut:  %s\n", static_cast<unsigned long long>(run),
               lb::shown(stream.bytes).c_str(), log.c_str() + at, expected.c_str() + at);
  fail();
}

void small_messages_at_every_cut(void**) {
  const Stream streams[] = {
      {Kind::request, false, "POST /x HTTP/1.1\r\nA: b \r\ncontent-length: 2\r\n\r\nhiGET / HTTP/1.0\r\n\r\n", ""},
      {Kind::request, false, "PUT / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n2;x\r\nhi\r\n0\r\na: b\r\n\r\nG", ""},
      {Kind::request, false, "\r\nGET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nGET /", ""},
      {Kind::response, false, "HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\ncontent-length:2\r\n\r\nhiHTTP/1.1 204\r\n\r\n", ""},
      {Kind::response, false, "HTTP/1.0 200 OK\r\na:\r\nb:c\r\n\r\nhello", ""},
      {Kind::response, true, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""},
      {Kind::request, false, "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", ""},
      {Kind::request, false, "GET / HTTP/1.1\r\na: b\r\n\n", ""},
      {Kind::request, false, "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\nGE", ""},
      {Kind::response, false, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding:\r\n\r\nhello", ""},
      {Kind::response, false, "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw", ""},
  };
  for (const Stream& stream : streams) {
    std::string all = read(stream, {});
    size_t size = stream.bytes.size();
    assert_read(0, stream, lb::every_byte(size), {}, all);
    for (size_t a = 0; a <= size; a++)
      for (size_t b = a; b <= size; b++) assert_read(0, stream, {a, b}, {}, all);
  }
}

void what_was_made_is_read(void**) {
  for (uint64_t run = 0; run < 2000; run++) {
    Rng rng(seed * 1'000'000 + run);
    Stream stream = random_stream(rng);
    assert_read(run, stream, {}, {}, stream.log);
    assert_read(run, stream, lb::random_cuts(rng, stream.bytes.size()), {}, stream.log);
    if (run % 20 == 0) assert_read(run, stream, lb::every_byte(stream.bytes.size()), {}, stream.log);
  }
}

// Broken messages and tight bounds: cuts change neither what is read before the fault nor the fault.
void broken_messages_at_random_cuts(void**) {
  uint64_t faults = 0;
  for (uint64_t run = 0; run < 4000; run++) {
    Rng rng(seed * 1'000'000 + run);
    Stream stream = random_stream(rng);
    if (rng.below(8)) stream.bytes = lb::damaged(rng, stream.bytes, "\r\n: \t,;0a\"");
    Limits limits;
    if (rng.below(3) == 0) limits = {static_cast<uint32_t>(20 + rng.below(200)), static_cast<uint32_t>(rng.below(5))};
    std::string all = read(stream, {}, limits);
    faults += !all.ends_with("fault 0\n");
    for (int i = 0; i < 3; i++) assert_read(run, stream, lb::random_cuts(rng, stream.bytes.size()), limits, all);
    if (run % 20 == 0) assert_read(run, stream, lb::every_byte(stream.bytes.size()), limits, all);
  }
  assert_true(faults > 400 && faults < 3600);  // Both sides of the law are tried.
}

void what_is_written_is_read(void**) {
  for (uint64_t run = 0; run < 2000; run++) {
    Rng rng(seed * 1'000'000 + run);
    Stream stream;
    stream.kind = run % 2 ? Kind::request : Kind::response;
    Message m;
    for (uint64_t n = rng.below(30); n > 0; n--) m.head.fields.push_back(random_field(rng));
    m.head.add("content-length", "0");
    m.has_length = true;
    if (stream.kind == Kind::request) {
      m.head.method = "POST";
      m.head.target = "/" + random_text(rng, rng.below(200), "ab/?&=%:@");
      lb::write_request_head(m.head, stream.bytes);
    } else {
      m.head.status = static_cast<uint16_t>(200 + rng.below(800));
      m.head.reason = lb::trim(random_text(rng, rng.below(20), "ab c"));
      lb::write_response_head(m.head, stream.bytes);
      m.has_length = true;
    }
    note_head(stream.log, m);
    stream.log += "body \nend\nfault 0\n";
    assert_read(run, stream, lb::random_cuts(rng, stream.bytes.size()), {}, stream.log);
  }
}

void anything_is_survived(void**) {
  static constexpr const char* kWords[] = {
      "GET ", "/", " HTTP/1.1", "\r\n", "\r\n", "\r\n\r\n", "HTTP/1.1 200 OK", ":", " ", "content-length: 3",
      "transfer-encoding: chunked", "5\r\nhello", "0\r\n", "\n", "\r", "connection: ", "upgrade", "close",
      "expect: 100-continue", "HTTP/1.0 "};
  Rng rng = Rng(seed).split("noise");
  for (uint64_t run = 0; run < 5000; run++) {
    Stream stream;
    stream.kind = rng.below(2) ? Kind::request : Kind::response;
    if (rng.below(2)) stream.bytes = stream.kind == Kind::request ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n";
    for (uint64_t n = rng.below(40); n > 0; n--) {
      if (rng.below(3))
        stream.bytes += one_of(rng, kWords);
      else
        stream.bytes += static_cast<char>(rng.below(256));
    }
    std::string all = read(stream, {});
    assert_read(run, stream, lb::random_cuts(rng, stream.bytes.size()), {}, all);
  }
}

}  // namespace

int main(int argc, char** argv) {
  seed = lb::seed_of(argc, argv);
  const CMUnitTest tests[] = {
      cmocka_unit_test(small_messages_at_every_cut),
      cmocka_unit_test(what_was_made_is_read),
      cmocka_unit_test(broken_messages_at_random_cuts),
      cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(anything_is_survived),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
