// HTTP/1.1: what the parser takes, refuses and reports, at each bound and one over; what the writer writes.
#include "wire/http1.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "unit/allocations.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

using lb::Head;
using lb::Http1Parser;
using Kind = Http1Parser::Kind;
using Fault = Http1Parser::Fault;
using Limits = Http1Parser::Limits;
using Piece = Http1Parser::Piece;

namespace {

#define assert_text(actual, expected) assert_string_equal(std::string(actual).c_str(), expected)

// Feeds everything, message after message, and tells what came: "head body(hello) end".
struct Reader {
  Http1Parser parser;
  std::string log;
  std::string body;
  size_t used = 0;

  explicit Reader(Kind kind, Limits limits = {}) : parser(kind, limits) {}

  Reader& feed(std::string_view bytes) {
    std::vector<Piece> pieces;
    size_t n = parser.feed(bytes, pieces);
    assert_true(n <= bytes.size());
    used += n;
    note(pieces);
    return *this;
  }
  Reader& finish() {
    std::vector<Piece> pieces;
    parser.finish(pieces);
    note(pieces);
    return *this;
  }
  void note(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
      if (!log.empty()) log += ' ';
      if (piece.kind == Piece::Kind::head) log += "head";
      if (piece.kind == Piece::Kind::body) log.append("body(").append(piece.bytes).append(")");
      if (piece.kind == Piece::Kind::end) log += "end";
      body += piece.bytes;
    }
  }
  const Head& head() { return parser.head(); }
};

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) {
    char hex[8];
    snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
    c >= ' ' && c <= '~' ? out.append(1, c) : out.append(hex);
  }
  return out;
}

void assert_fault(Kind kind, std::string_view text, Fault fault) {
  Reader reader(kind);
  reader.feed(text);
  if (reader.parser.fault() != fault)
    fail_msg("%s: fault %d (%s)", printable(text).c_str(), static_cast<int>(reader.parser.fault()),
             std::string(reader.parser.fault_text()).c_str());
}

constexpr std::string_view kPost = "POST /v1/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
constexpr std::string_view kPostChunked = "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";

void head_is_looked_up_without_case(void**) {
  Head head;
  head.add("X-A", "1");
  head.add("x-b", "2");
  head.add("x-a", "3");
  assert_text(*head.find("x-A"), "1");
  assert_text(head.get("X-B"), "2");
  assert_null(head.find("x"));
  assert_null(head.find("x-ab"));
  assert_text(head.get("x-c"), "");
  head.set("X-a", "4");
  assert_int_equal(head.fields.size(), 2);
  assert_text(head.get("x-a"), "4");
  head.remove("x-A");
  assert_null(head.find("x-a"));
  assert_int_equal(head.fields.size(), 1);
}

void hop_by_hop_fields_are_removed(void**) {
  Head head;
  for (const char* name : {"Connection", "Keep-Alive", "Proxy-Authorization", "proxy-authenticate", "Proxy-Connection",
                           "proxy-status", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "X-One", "x-two"})
    head.add(name, "v");
  head.add("connection", "close, x-ONE ,, keep-alive");
  head.add("connection", "x-two");
  head.add("teapot", "stays");
  head.add("content-length", "5");
  lb::remove_hop_by_hop(head);
  assert_int_equal(head.fields.size(), 2);
  assert_text(head.fields[0].name, "teapot");
  assert_text(head.fields[1].name, "content-length");
}

void request_heads_are_written(void**) {
  Head head;
  head.method = "POST";
  head.target = "/v1/x?y";
  head.add("Host", "a");
  head.add("empty", "");
  std::string out = "before ";
  lb::write_request_head(head, out);
  assert_text(out, "before POST /v1/x?y HTTP/1.1\r\nHost: a\r\nempty: \r\n\r\n");
}

void response_heads_are_written(void**) {
  Head head;
  head.status = 429;
  head.reason = "Too Many Requests";
  head.add("retry-after", "3");
  std::string out;
  lb::write_response_head(head, out);
  assert_text(out, "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\n\r\n");
  out.clear();
  lb::write_fields(head, out);
  assert_text(out, "retry-after: 3\r\n");
}

void fields_that_would_break_lines_are_left_out(void**) {
  Head head;
  head.add("a", "1\r\nb: 2");
  head.add("c\n", "1");
  head.add("d", "\r");
  head.fields.push_back({"e", std::string("x\0y", 3)});
  head.fields.push_back({std::string("f\0", 2), "x"});
  head.add("g", "tab\tand \xc3\xa9");
  std::string out;
  lb::write_fields(head, out);
  assert_text(out, "g: tab\tand \xc3\xa9\r\n");
}

void a_control_character_is_found_wherever_it_stands(void**) {
  for (size_t size = 1; size < 20; size++)
    for (size_t at = 0; at < size; at++)
      for (int c = 0; c < 256; c++) {
        std::string value(size, 'v');
        value[at] = static_cast<char>(c);
        Head head;
        head.add("name", value);
        std::string out;
        lb::write_fields(head, out);
        bool breaks = c == '\r' || c == '\n' || c == '\0';
        assert_true(out == (breaks ? "" : "name: " + value + "\r\n"));
      }
}

void writers_ask_for_memory_once(void**) {
  Head head;
  head.method = "POST";
  head.target = "/v1/chat/completions";
  head.status = 200;
  head.reason = "OK";
  for (int i = 0; i < 30; i++) head.add("x-some-field", "a value that is longer than a short string");
  std::string out;
  size_t before = allocations;
  lb::write_request_head(head, out);
  assert_int_equal(allocations - before, 1);
  std::string other;
  before = allocations;
  lb::write_response_head(head, other);
  assert_int_equal(allocations - before, 1);
}

void chunk_lines_are_hexadecimal(void**) {
  assert_text(lb::chunk_line(1), "1\r\n");
  assert_text(lb::chunk_line(31), "1f\r\n");
  assert_text(lb::chunk_line(SIZE_MAX), "ffffffffffffffff\r\n");
  assert_text(lb::kLastChunk, "0\r\n\r\n");
}

void request_is_read(void**) {
  Reader reader(Kind::request);
  assert_false(reader.parser.started());
  std::string text = std::string(kPost) + "hello";
  std::vector<Piece> pieces;
  assert_int_equal(reader.parser.feed(text, pieces), text.size());
  assert_true(reader.parser.started());
  assert_int_equal(pieces.size(), 3);
  assert_ptr_equal(pieces[1].bytes.data(), text.data() + kPost.size());  // A view, not a copy.
  reader.note(pieces);
  assert_text(reader.log, "head body(hello) end");
  const Head& head = reader.head();
  assert_text(head.method, "POST");
  assert_text(head.target, "/v1/x?y");
  assert_int_equal(head.minor, 1);
  assert_int_equal(head.fields.size(), 2);
  assert_text(head.fields[0].name, "Host");
  assert_text(head.fields[1].name, "Content-Length");
  assert_text(head.fields[1].value, "5");
  assert_true(reader.parser.has_length());
  assert_int_equal(reader.parser.length(), 5);
  assert_false(reader.parser.chunked());
  assert_false(reader.parser.until_close());
  assert_true(reader.parser.keep_alive());
  assert_true(reader.parser.fault() == Fault::none);
  assert_text(reader.parser.fault_text(), "");
}

void response_is_read(void**) {
  Reader reader(Kind::response);
  reader.feed("HTTP/1.1 429 Too Many Requests\r\nRetry-After:  3 \t\r\nX-Empty:\r\ncontent-length: 2\r\n\r\nhi");
  assert_text(reader.log, "head body(hi) end");
  assert_int_equal(reader.head().status, 429);
  assert_text(reader.head().reason, "Too Many Requests");
  assert_int_equal(reader.head().fields.size(), 3);
  assert_text(reader.head().get("retry-after"), "3");  // White space around a value is not part of it.
  assert_non_null(reader.head().find("x-empty"));
  assert_text(reader.head().get("x-empty"), "");
  for (const char* line : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"}) {
    Reader bare(Kind::response);
    bare.feed(line);
    assert_text(bare.log, "head");
    assert_text(bare.head().reason, "");
  }
}

void feeding_stops_at_the_end_of_a_message(void**) {
  Reader reader(Kind::request);
  std::string text = std::string(kPost) + "helloGET / HTTP/1.1\r\n\r\n";
  reader.feed(text);
  assert_int_equal(reader.used, kPost.size() + 5);
  reader.feed(std::string_view(text).substr(reader.used));
  assert_int_equal(reader.used, kPost.size() + 5);  // Nothing before `next`.
  reader.parser.next();
  assert_false(reader.parser.started());
  reader.feed(std::string_view(text).substr(reader.used));
  assert_int_equal(reader.used, text.size());
  assert_text(reader.log, "head body(hello) end head end");
  assert_text(reader.head().method, "GET");
  assert_text(reader.head().target, "/");
  assert_true(reader.head().fields.empty());
  assert_false(reader.parser.has_length());
}

void chunks_are_taken_apart(void**) {
  Reader reader(Kind::request);
  std::string text = std::string(kPostChunked) +
                     "5;name=value\r\nhello\r\n00A;x;y=\"a b\"\r\n, chunked!\r\n"
                     "0;last\r\nTrailer-One: 1\r\nx:\r\n\r\nGET";
  reader.feed(text);
  assert_text(reader.log, "head body(hello) body(, chunked!) end");
  assert_int_equal(reader.used, text.size() - 3);
  assert_true(reader.parser.chunked());
  assert_false(reader.parser.has_length());
  assert_int_equal(reader.head().fields.size(), 1);  // Trailers are dropped.
}

// The shortest limit that takes `head`, in one piece and byte by byte.
void assert_head_bound(Kind kind, const std::string& head, std::string_view after) {
  for (uint32_t spare : {0u, 1u}) {
    Limits limits{static_cast<uint32_t>(head.size()) - spare, 200};
    Reader whole(kind, limits);
    whole.feed(head + std::string(after));
    Reader split(kind, limits);
    for (char c : head) split.feed({&c, 1});
    Fault fault = spare ? Fault::head_too_large : Fault::none;
    assert_int_equal(static_cast<int>(whole.parser.fault()), static_cast<int>(fault));
    assert_int_equal(static_cast<int>(split.parser.fault()), static_cast<int>(fault));
    assert_int_equal(whole.log.empty(), spare);
    assert_int_equal(split.log.empty(), spare);
  }
}

void heads_have_a_bound(void**) {
  assert_head_bound(Kind::request, "GET /abc HTTP/1.1\r\nhost: a\r\n\r\n", "GET");
  assert_head_bound(Kind::request, "\r\n\r\nGET /abc HTTP/1.1\r\nhost:          a\r\n\r\n", "");
  assert_head_bound(Kind::request, std::string(kPost), "hello");
  assert_head_bound(Kind::response, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "hello");
  // What is skipped counts: a peer that says nothing else has a bound too.
  assert_head_bound(Kind::response, "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "hello");
}

void each_head_has_the_bound_for_itself(void**) {
  std::string head = "GET /abc HTTP/1.1\r\nhost: a\r\n\r\n";
  Reader reader(Kind::request, {static_cast<uint32_t>(head.size()), 1});
  for (int i = 0; i < 3; i++) {
    reader.feed(head);
    reader.parser.next();
  }
  assert_text(reader.log, "head end head end head end");
}

void heads_that_never_end_are_too_large(void**) {
  for (std::string_view start : {"GET /", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nx", "GET / HTTP/1.1\r\nx: y"}) {
    for (size_t step : {1u, 7u, 100'000u}) {
      Reader reader(Kind::request);
      reader.feed(start);
      std::string more(step, 'a');
      for (size_t fed = 0; fed < 70'000; fed += step) reader.feed(more);
      assert_true(reader.parser.fault() == Fault::head_too_large);
      assert_true(reader.used <= Limits().head_bytes);
    }
  }
  Reader blank(Kind::request);
  for (size_t fed = 0; fed < 40'000; fed++) blank.feed("\r\n");
  assert_true(blank.parser.fault() == Fault::head_too_large);
}

void fields_are_counted(void**) {
  for (uint32_t count : {3u, 4u}) {
    Reader reader(Kind::request, {1000, 3});
    std::string text = "GET / HTTP/1.1\r\n";
    for (uint32_t i = 0; i < count; i++) text += "a:\r\n";
    reader.feed(text + "\r\n");
    assert_true(reader.parser.fault() == (count > 3 ? Fault::head_too_large : Fault::none));
  }
}

void chunk_lines_and_trailers_have_a_bound(void**) {
  for (bool trailer : {false, true}) {
    for (size_t spare : {0u, 1u}) {
      for (size_t step : {1u, 1000u}) {
        Reader reader(Kind::request, {100, 200});
        reader.feed(kPostChunked).feed("2\r\nhi");
        // From the end of the data: 100 bytes with the CRLF behind the data, and, of a trailer, the blank line.
        std::string line = trailer ? "\r\n0\r\nx:" + std::string(89 + spare, 'y') + "\r\n\r\n"
                                   : "\r\n2;" + std::string(94 + spare, 'y') + "\r\nho";
        for (size_t at = 0; at < line.size(); at += step) reader.feed(std::string_view(line).substr(at, step));
        assert_true(reader.parser.fault() == (spare ? Fault::head_too_large : Fault::none));
        assert_int_equal(reader.log.ends_with(trailer ? " end" : "o)"), !spare);
      }
    }
  }
  // The bound is for what stands between data: it does not add up over a body.
  Reader reader(Kind::request, {100, 200});
  reader.feed(kPostChunked);
  for (int i = 0; i < 100; i++) reader.feed("2;name=value\r\nhi\r\n");
  assert_true(reader.parser.fault() == Fault::none);
  reader.feed("0\r\n\r\n");
  assert_int_equal(reader.body.size(), 200);
}

void interim_responses_are_skipped(void**) {
  for (const char* first : {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
                            "HTTP/1.1 100 C\r\ncontent-length: 3\r\n\r\n",
                            "HTTP/1.1 102 P\r\nconnection: close\r\n\r\n",
                            "HTTP/1.0 100 C\r\n\r\n", "HTTP/1.1 100 C\r\ntransfer-encoding: chunked\r\n\r\n",
                            "HTTP/1.1 199 x\r\n\r\nHTTP/1.1 100 y\r\n\r\n\r\n"}) {
    Reader reader(Kind::response);
    std::string text = std::string(first) + "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    reader.feed(text);
    assert_text(reader.log, "head body(hi) end");
    assert_int_equal(reader.used, text.size());
    assert_int_equal(reader.head().status, 200);
    assert_int_equal(reader.head().fields.size(), 1);
    assert_true(reader.parser.keep_alive());
  }
  Reader alone(Kind::response);
  alone.feed("HTTP/1.1 100 Continue\r\n\r\n").finish();
  assert_text(alone.log, "");
  assert_true(alone.parser.fault() == Fault::none);
}

void switching_protocols_is_a_fault(void**) {
  assert_fault(Kind::response, "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", Fault::malformed);
  assert_fault(Kind::response, "HTTP/1.1 101 S\r\n\r\n", Fault::malformed);
}

void some_responses_have_no_body(void**) {
  for (std::string_view line : {"204 No Content", "304 Not Modified", "200 OK", "404 Not Found"}) {
    for (std::string_view field : {"", "content-length: 5\r\n", "transfer-encoding: chunked\r\n"}) {
      Reader reader(Kind::response);
      if (line[0] != '3' && line != "204 No Content") reader.parser.expect_no_body();
      std::string text = "HTTP/1.1 " + std::string(line) + "\r\n" + std::string(field) + "\r\n";
      reader.feed(text + "HTTP/1.1");
      assert_text(reader.log, "head end");
      assert_int_equal(reader.used, text.size());
      assert_true(reader.parser.keep_alive());
      assert_false(reader.parser.until_close());
      assert_int_equal(reader.parser.has_length(), field.starts_with("content"));
      assert_int_equal(reader.parser.length(), field.starts_with("content") ? 5 : 0);
    }
  }
  Reader reader(Kind::response);  // It holds for one message.
  reader.parser.expect_no_body();
  reader.feed("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
  reader.parser.next();
  reader.feed("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
  assert_text(reader.log, "head end head body(hi) end");
}

void bodies_may_end_with_the_connection(void**) {
  Reader reader(Kind::response);
  reader.feed("HTTP/1.1 200 OK\r\n\r\nhel").feed("lo\r\n\r\n");
  assert_true(reader.parser.until_close());
  assert_false(reader.parser.keep_alive());
  assert_text(reader.log, "head body(hel) body(lo\r\n\r\n)");
  reader.finish().finish();
  assert_text(reader.log, "head body(hel) body(lo\r\n\r\n) end");
  assert_true(reader.parser.fault() == Fault::none);
  Reader request(Kind::request);  // A request without a length has no body.
  request.feed("POST / HTTP/1.1\r\n\r\n");
  assert_text(request.log, "head end");
  assert_false(request.parser.until_close());
}

void early_ends_are_faults(void**) {
  for (std::string_view text : {"H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
                                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh",
                                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
                                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"}) {
    Reader reader(Kind::response);
    reader.feed(text).finish();
    assert_true(reader.parser.fault() == Fault::ended_early);
    assert_true(reader.log.find("end") == std::string::npos);
    assert_true(!reader.parser.fault_text().empty());
  }
  Reader rest(Kind::response);
  rest.finish();
  assert_true(rest.parser.fault() == Fault::none);
  rest.feed("HTTP/1.1 204 No Content\r\n\r\n").finish();
  rest.parser.next();
  rest.finish();
  assert_true(rest.parser.fault() == Fault::none);
  Reader blank(Kind::request);
  blank.feed("\r\n").finish();
  assert_true(blank.parser.fault() == Fault::none);
}

void keep_alive_follows_version_and_connection(void**) {
  struct Case {
    const char* version;
    const char* field;
    bool keep_alive;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"1.1", "", true},
           {"1.1", "Connection: close\r\n", false},
           {"1.1", "Connection: Close \r\n", false},
           {"1.1", "connection: x,CLOSE\r\n", false},
           {"1.1", "connection:close \t\r\n", false},
           {"1.1", "connection: x\r\nconnection: close\r\n", false},
           {"1.1", "connection: closed\r\n", true},
           {"1.1", "connection: keep-alive\r\n", true},
           {"1.1", "connection: keep-alive, close\r\n", false},
           {"1.0", "", false},
           {"1.0", "connection: keep-alive\r\n", true},
           {"1.0", "connection: Keep-Alive, close\r\n", false},
           {"1.0", "connection: close\r\n", false},
           {"1.0", "connection: x ,\tkeep-alive\t\r\n", true},
       }) {
    std::string rest = std::string(c.version) + " 200 OK\r\n" + c.field + "content-length: 0\r\n\r\n";
    Reader response(Kind::response);
    response.feed("HTTP/" + rest);
    assert_int_equal(response.parser.keep_alive(), c.keep_alive);
    Reader request(Kind::request);
    request.feed("GET / HTTP/" + std::string(c.version) + "\r\n" + c.field + "\r\n");
    assert_int_equal(request.parser.keep_alive(), c.keep_alive);
    assert_int_equal(request.head().minor, c.version[2] - '0');
  }
}

void expectations_are_seen(void**) {
  auto expects = [](const char* start) {
    Reader reader(Kind::request);
    reader.feed(start).feed("content-length: 5\r\n\r\n");
    assert_text(reader.log, "head");
    return reader.parser.expects_continue();
  };
  assert_true(expects("POST / HTTP/1.1\r\nExpect: 100-Continue\r\n"));
  assert_false(expects("POST / HTTP/1.1\r\n"));
  assert_false(expects("POST / HTTP/1.1\r\nexpect: 200-ok\r\n"));
  assert_false(expects("POST / HTTP/1.0\r\nexpect: 100-continue\r\n"));  // RFC 9110 §10.1.1.
}

void upgrades_and_tunnels_stay_http(void**) {
  Reader reader(Kind::request);
  std::string first = "GET /a HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\r\n";
  reader.feed(first + "POST /b HTTP/1.1\r\n");
  assert_text(reader.log, "head end");
  assert_int_equal(reader.used, first.size());
  reader.parser.next();
  reader.feed("POST /b HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 2\r\n\r\nhiGET");
  assert_text(reader.log, "head end head body(hi) end");
  reader.parser.next();
  reader.feed("CONNECT a.b:443 HTTP/1.1\r\nhost: a.b\r\n\r\n\x16\x03\x01");
  assert_text(reader.log, "head end head body(hi) end head end");
  assert_text(reader.head().method, "CONNECT");
  assert_text(reader.head().target, "a.b:443");
  Reader tunnel(Kind::request);
  tunnel.feed("CONNECT a.b:443 HTTP/1.1\r\ncontent-length: 4\r\n\r\nGET ");
  assert_text(tunnel.log, "head body(GET ) end");
}

void targets_pass_as_they_came(void**) {
  for (const char* target : {"/", "/a/../b//%2e?x=y&z#f", "http://a.b:80/c?d", "*", "/v1beta/models/m:embed"}) {
    Reader reader(Kind::request);
    reader.feed("OPTIONS " + std::string(target) + " HTTP/1.1\r\n\r\n");
    assert_text(reader.head().target, target);
  }
}

// Each is one that some peer reads otherwise: as a length, another field, or another message.
void malformed_requests_are_refused(void**) {
  using std::string_view_literals::operator""sv;
  const std::string_view heads[] = {
      "GET / HTTP/1.1\nhost: a\n\n"sv, "GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n"sv, "GET / HTTP/1.1\r\nhost: a\r\n\n"sv,
      "\nGET / HTTP/1.1\r\n\r\n"sv, "GET / HTTP/1.1\r\nhost: a\rb: c\r\n\r\n"sv, "GET / HTTP/1.1\rhost: a\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n"sv, "GET / HTTP/1.1\r\nhost:\r\n\tb\r\n\r\n"sv,
      "GET / HTTP/1.1\r\n host: b\r\n\r\n"sv, "POST / HTTP/1.1\r\ntransfer-encoding:\r\n chunked\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nho st: b\r\n\r\n"sv, "POST / HTTP/1.1\r\ncontent-length : 5\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nhost : b\r\n\r\n"sv, "POST / HTTP/1.1\r\ncontent-length x: 5\r\n\r\n"sv,
      "GET / HTTP/1.1\r\n: b\r\n\r\n"sv, "GET / HTTP/1.1\r\nhost\r\n\r\n"sv, "GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nho\0st: a\r\n\r\n"sv, "GET /\0 HTTP/1.1\r\n\r\n"sv, "GET / HTTP/1.1\r\nho\xffst: a\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nhost: \x7f\r\n\r\n"sv, "GET /\xff HTTP/1.1\r\n\r\n"sv, "GET /\tx HTTP/1.1\r\n\r\n"sv,
      "GET  / HTTP/1.1\r\n\r\n"sv, "GET /  HTTP/1.1\r\n\r\n"sv, "\r\nGET /   HTTP/1.0\r\n\r\n"sv,
      "\rGET / HTTP/1.1\r\n\r\n"sv, "\r\r\nGET / HTTP/1.1\r\n\r\n"sv,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv, "GET /\r\n\r\n"sv, "GET / HTTP/0.9\r\n\r\n"sv, "GET / HTTP/1.2\r\n\r\n"sv,
      "GET / HTTP/2.0\r\n\r\n"sv, "GET / RTSP/1.0\r\n\r\n"sv, "SOURCE / ICE/1.0\r\n\r\n"sv,
      "\r\nGET / RTSP/1.0\r\n\r\n"sv, "GET /HTTP/1.1 RTSP/1.0\r\n\r\n"sv, " GET / HTTP/1.1\r\n\r\n"sv,
      "get / HTTP/1.1\r\n\r\n"sv, "GET HTTP/1.1\r\n\r\n"sv,
      "GET / HTTP/1.1 \r\n\r\n"sv, "GET / x HTTP/1.1\r\n\r\n"sv, "HTTP/1.1 200 OK\r\n\r\n"sv, "\x16\x03\x01\x02"sv};
  for (std::string_view head : heads) assert_fault(Kind::request, head, Fault::malformed);
}

void malformed_lengths_are_refused(void**) {
  for (std::string_view fields :
       {"content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: identity\r\ncontent-length: 5", "transfer-encoding:\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding:", "transfer-encoding: identity", "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, gzip", "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity", "transfer-encoding: xchunked",
        "transfer-encoding: chunkedx", "transfer-encoding: chunked;q=1", "transfer-encoding: \"chunked\"",
        "transfer-encoding: \x0b" "chunked", "transfer-encoding: chunked,", "transfer-encoding:",
        "transfer-encoding: chunked \t", "content-length: 5\t",
        "content-length: 5\r\ncontent-length: 5", "content-length: 5\r\nContent-Length: 6", "content-length: 5, 5",
        "content-length: +5", "content-length: -5", "content-length: 0x5", "content-length:", "content-length: 1 1",
        "content-length: 5;", "content-length: 18446744073709551616"})
    for (Kind kind : {Kind::request, Kind::response})
      assert_fault(kind,
                   std::string(kind == Kind::request ? "POST / HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n") +
                       std::string(fields) + "\r\n\r\n",
                   Fault::malformed);
  assert_fault(Kind::request, "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", Fault::malformed);
  assert_fault(Kind::response, "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Fault::malformed);
  for (std::string_view field : {"content-length:5", "content-length: 5 ", "Content-LENGTH: \t05",
                                 "transfer-encoding: CHUNKED "})
    assert_fault(Kind::request, "POST / HTTP/1.1\r\n" + std::string(field) + "\r\n\r\n", Fault::none);
}

// Behind the first one, chunks that are whole do not go by llhttp: they say the same as those that come in bytes.
void chunks_that_are_whole_are_no_others(void**) {
  struct Case {
    std::string_view chunks;
    const char* body;
    Fault fault;
  };
  for (const Case& c : {
           Case{"2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef", Fault::none},
           Case{"0a\r\n0123456789\r\nA\r\n9876543210\r\n0\r\nx: y\r\n\r\n", "a01234567899876543210", Fault::none},
           Case{"2;x=y\r\nbc\r\n1\r\nd\r\n00\r\n\r\n", "abcd", Fault::none},
           Case{"00000002\r\nbc\r\n000001\r\nd\r\n0\r\n\r\n", "abcd", Fault::none},
           Case{"4\r\n\r\n\r\n\r\n1\r\nd\r\n0\r\n\r\n", "a\r\n\r\nd", Fault::none},
           Case{"2\r\nbc\r\n1\nd\r\n0\r\n\r\n", "abc", Fault::malformed},
           Case{"2\r\nbc\r\n1\r\nd\n0\r\n\r\n", "abcd", Fault::malformed},
           Case{"2\r\nbc\r\n1\r\nde\r\n0\r\n\r\n", "abcd", Fault::malformed},
           Case{"2\r\nbc\r\n-1\r\nd\r\n0\r\n\r\n", "abc", Fault::malformed},
           Case{"2\r\nbc\r\n+1\r\nd\r\n0\r\n\r\n", "abc", Fault::malformed},
           Case{"2\r\nbc\r\n0x1\r\nd\r\n0\r\n\r\n", "abc", Fault::malformed},
           Case{"2\r\nbc\r\n\r\n1\r\nd\r\n0\r\n\r\n", "abc", Fault::malformed},
           Case{"2\r\nbc\r\nfffffffffffffffff\r\nd\r\n", "abc", Fault::malformed},
       }) {
    std::string text = std::string(kPostChunked) + "1\r\na\r\n" + std::string(c.chunks);
    for (size_t step : {text.size(), size_t{1}, size_t{7}}) {
      Reader reader(Kind::request);
      for (size_t at = 0; at < text.size(); at += step) reader.feed(std::string_view(text).substr(at, step));
      assert_text(reader.body, c.body);
      assert_int_equal(reader.parser.fault(), c.fault);
      assert_int_equal(reader.log.ends_with("end"), c.fault == Fault::none);
      if (c.fault == Fault::none) assert_int_equal(reader.used, text.size());
    }
  }
}

void malformed_chunks_are_refused(void**) {
  for (std::string_view body :
       {"5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\rX0\r\n\r\n",
        "5\rXhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n", "0x5\r\nhello\r\n", "-5\r\nhello\r\n",
        "+5\r\nhello\r\n", "\r\nhello\r\n", ";x\r\nhello\r\n", "10000000000000005\r\nhello\r\n",
        "5;a\nhello\r\n0\r\n\r\n", "5;\nab\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n", "0\r\n\n", "0\n\r\n",
        "0\r\nx-a: b\n\r\n", "0\r\nx-a: b\r\n\n", "0\r\nx a: b\r\n\r\n", "0\r\n\rX\r\n"})
    assert_fault(Kind::request, std::string(kPostChunked) + std::string(body), Fault::malformed);
}

void malformed_responses_are_refused(void**) {
  using std::string_view_literals::operator""sv;
  for (std::string_view text :
       {"hello\r\n"sv, "HTTP/1.1 20 OK\r\n\r\n"sv, "HTTP/1.1 2000 OK\r\n\r\n"sv, "HTTP/1.1 000 OK\r\n\r\n"sv,
        "HTTP/1.1 099 OK\r\n\r\n"sv, "HTTP/1.1 2x0 OK\r\n\r\n"sv, "HTTP/2.0 200 OK\r\n\r\n"sv,
        "HTTP/0.9 200 OK\r\n\r\n"sv,
        "HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n"sv, "HTTP/1.1 200 OK\rx\r\n\r\n"sv, "ICY 200 OK\r\n\r\n"sv,
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n"sv, "HTTP/1.1 200 OK\r\n\n"sv, "GET / HTTP/1.1\r\n\r\n"sv,
        "HTTP/1.1 200 OK\r\na: b\0\r\n\r\n"sv, "HTTP/1.1 200 O\0K\r\n\r\n"sv, "HTTP/1.1 100 \0\r\n\r\n"sv,
        "\rHTTP/1.1 200 OK\r\n\r\n"sv, "\r\n\r\rHTTP/1.1 200\r\n\r\n"sv, "\rHTTP/1.1 200 \r\n\r\n"sv,
        "<html>"sv, "HTTP/1.1  200 OK\r\n\r\n"sv})
    assert_fault(Kind::response, text, Fault::malformed);
}

void nothing_is_consumed_after_a_fault(void**) {
  Reader reader(Kind::request);
  reader.feed("GET / HTTP/3\r\n\r\n");
  assert_true(reader.parser.fault() == Fault::malformed);
  assert_int_equal(reader.used, 0);
  std::string why(reader.parser.fault_text());
  assert_true(!why.empty());
  reader.parser.next();
  reader.feed("GET / HTTP/1.1\r\n\r\n").finish();
  assert_int_equal(reader.used, 0);
  assert_text(reader.log, "");
  assert_true(reader.parser.fault() == Fault::malformed);
  assert_text(reader.parser.fault_text(), why.c_str());
}

void parsers_move(void**) {
  Reader reader(Kind::request);
  reader.feed(kPost.substr(0, 30));
  Http1Parser moved(std::move(reader.parser));
  reader.parser = std::move(moved);
  reader.feed(kPost.substr(30)).feed("hello");
  assert_text(reader.log, "head body(hello) end");
  assert_text(reader.head().get("host"), "a");
}

// The owner may take the head away; the body and its trailers do not need it.
void heads_may_be_taken(void**) {
  Reader reader(Kind::request);
  reader.feed(kPostChunked);
  Head taken = std::move(reader.parser.head());
  assert_text(taken.get("transfer-encoding"), "chunked");
  reader.feed("2\r\nhi\r\n0\r\nx: y\r\n\r\n");
  assert_text(reader.log, "head body(hi) end");
  reader.parser.next();
  reader.feed(kPost);
  assert_text(reader.head().get("host"), "a");
}

// What a head is emptied of, the next one fills again.
void emptied_heads_ask_for_no_memory(void**) {
  std::string first = "POST /v1/chat/completions HTTP/1.1\r\nauthorization-of-the-caller: Bearer " +
                      std::string(100, 'k') + "\r\nanthropic-version-or-so: 2023-06-01, or behind it\r\n\r\n";
  std::string second = "GET /v1/models-and-more HTTP/1.1\r\nuser-agent-of-this-sort: " + std::string(90, 'u') +
                       "\r\naccept-and-something: application/json-or-so\r\n\r\n";
  std::vector<Piece> pieces;
  pieces.reserve(4);
  Http1Parser parser(Kind::request, {});
  parser.feed(first, pieces);
  Head head = std::move(parser.head());
  head.clear();
  assert_true(head.fields.empty() && head.method.empty() && head.target.empty());
  assert_int_equal(head.spare.size(), 2);
  Http1Parser next(Kind::request, {}, std::move(head));
  size_t before = allocations;
  next.feed(second, pieces);
  assert_int_equal(allocations - before, 0);
  assert_text(next.head().target, "/v1/models-and-more");
  assert_int_equal(next.head().fields.size(), 2);
  assert_text(next.head().get("user-agent-of-this-sort"), std::string(90, 'u').c_str());
  assert_text(next.head().get("accept-and-something"), "application/json-or-so");
}

void emptied_heads_keep_little(void**) {
  Head head;
  head.method = head.target = head.reason = std::string(1000, 'x');
  head.status = 404;
  head.minor = 0;
  for (int i = 0; i < 100; i++) head.add(std::string(1000, 'n'), std::string(1000, 'v'));
  head.clear();
  assert_int_equal(head.spare.size(), 16);
  assert_true(head.fields.empty() && head.status == 0 && head.minor == 1);
  for (const std::string* text : {&head.method, &head.target, &head.reason, &head.spare[0].name, &head.spare[15].value})
    assert_true(text->empty() && text->capacity() <= 256);
}

void bodies_ask_for_no_memory(void**) {
  Http1Parser parser(Kind::request, {});
  std::vector<Piece> pieces;
  pieces.reserve(64);
  std::string chunked(kPostChunked), chunk = "5\r\nhello\r\n", last(lb::kLastChunk), plain(kPost);
  for (int round = 0; round < 2; round++) {
    size_t before = allocations;
    parser.feed(plain, pieces);
    parser.feed("hello", pieces);
    parser.next();
    if (round == 1) assert_int_equal(allocations - before, 0);  // Short names and values are in their strings.
    parser.feed(chunked, pieces);
    before = allocations;
    for (int i = 0; i < 10; i++) parser.feed(chunk, pieces);
    parser.feed(last, pieces);
    assert_int_equal(allocations - before, 0);
    assert_true(pieces.back().kind == Piece::Kind::end);
    parser.next();
    pieces.clear();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(head_is_looked_up_without_case),
      cmocka_unit_test(hop_by_hop_fields_are_removed),
      cmocka_unit_test(request_heads_are_written),
      cmocka_unit_test(response_heads_are_written),
      cmocka_unit_test(fields_that_would_break_lines_are_left_out),
      cmocka_unit_test(a_control_character_is_found_wherever_it_stands),
      cmocka_unit_test(writers_ask_for_memory_once),
      cmocka_unit_test(chunk_lines_are_hexadecimal),
      cmocka_unit_test(request_is_read),
      cmocka_unit_test(response_is_read),
      cmocka_unit_test(feeding_stops_at_the_end_of_a_message),
      cmocka_unit_test(chunks_are_taken_apart),
      cmocka_unit_test(heads_have_a_bound),
      cmocka_unit_test(each_head_has_the_bound_for_itself),
      cmocka_unit_test(heads_that_never_end_are_too_large),
      cmocka_unit_test(fields_are_counted),
      cmocka_unit_test(chunk_lines_and_trailers_have_a_bound),
      cmocka_unit_test(interim_responses_are_skipped),
      cmocka_unit_test(switching_protocols_is_a_fault),
      cmocka_unit_test(some_responses_have_no_body),
      cmocka_unit_test(bodies_may_end_with_the_connection),
      cmocka_unit_test(early_ends_are_faults),
      cmocka_unit_test(keep_alive_follows_version_and_connection),
      cmocka_unit_test(expectations_are_seen),
      cmocka_unit_test(upgrades_and_tunnels_stay_http),
      cmocka_unit_test(targets_pass_as_they_came),
      cmocka_unit_test(malformed_requests_are_refused),
      cmocka_unit_test(malformed_lengths_are_refused),
      cmocka_unit_test(chunks_that_are_whole_are_no_others),
      cmocka_unit_test(malformed_chunks_are_refused),
      cmocka_unit_test(malformed_responses_are_refused),
      cmocka_unit_test(nothing_is_consumed_after_a_fault),
      cmocka_unit_test(parsers_move),
      cmocka_unit_test(heads_may_be_taken),
      cmocka_unit_test(emptied_heads_ask_for_no_memory),
      cmocka_unit_test(emptied_heads_keep_little),
      cmocka_unit_test(bodies_ask_for_no_memory),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
