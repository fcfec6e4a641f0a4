// Bytes of a client, as they come from a socket, through the whole gateway with its engine, to a deployment that
// answers by itself: however they are cut, each request is answered alike, each answer is HTTP, and when the client has
// gone nothing is left of it.
#include "fuzz/cmocka.h"
#include "gateway/world.h"

namespace lb::fuzz {
namespace {

// `limits` small enough for a fuzzer to meet them.
const std::string& config_text() {
  static const std::string text = test::echo_config("limits: {head_bytes: 1024, body_bytes: 2048}\n");
  return text;
}

// The methods of the requests, as far as they are whole heads: without them nobody can read the answers.
std::vector<std::string> methods_of(std::string_view text) {
  std::vector<std::string> out;
  Http1Parser parser(Http1Parser::Kind::request, {1024, Http1Parser::Limits().fields});
  std::vector<Http1Parser::Piece> pieces;
  while (!text.empty() && parser.fault() == Http1Parser::Fault::none) {
    pieces.clear();
    text.remove_prefix(parser.feed(text, pieces));
    bool ended = false;
    for (const Http1Parser::Piece& piece : pieces) {
      if (piece.kind == Http1Parser::Piece::Kind::head) out.push_back(parser.head().method);
      ended = piece.kind == Http1Parser::Piece::Kind::end;
    }
    if (ended) parser.next();
  }
  return out;
}

struct Said {
  uint32_t status = 0;
  std::string type, body;
  bool whole = false, keeps = false;
};

// Answers, one after the other.
std::vector<Said> answers_of(std::string_view bytes, const std::vector<std::string>& methods, bool closed) {
  std::vector<Said> out;
  Http1Parser parser(Http1Parser::Kind::response, {});
  std::vector<Http1Parser::Piece> pieces;
  auto take = [&] {
    bool ended = false;
    for (const Http1Parser::Piece& piece : pieces) {
      if (piece.kind == Http1Parser::Piece::Kind::head)
        out.push_back({parser.head().status, std::string(parser.head().get("content-type")), "", false,
                       parser.keep_alive()});
      out.back().body += piece.bytes;
      out.back().whole = ended = piece.kind == Http1Parser::Piece::Kind::end;
    }
    pieces.clear();
    if (ended) parser.next();
  };
  while (!bytes.empty()) {
    if (out.size() < methods.size() && methods[out.size()] == "HEAD" && (out.empty() || out.back().whole))
      parser.expect_no_body();
    bytes.remove_prefix(parser.feed(bytes, pieces));
    if (parser.fault() != Http1Parser::Fault::none)
      broken("an answer that is not HTTP/1.1: " + std::string(parser.fault_text()) + " at " + std::string(bytes));
    take();
  }
  if (closed) parser.finish(pieces);
  take();
  return out;
}

// Sends all, waits for the answers, goes away.
std::vector<Said> ask(std::string_view text, const Cuts& cuts, const std::vector<std::string>& methods) {
  test::World world(config_text());
  ConnId conn = world.dial();
  each_part(text, cuts, [&](std::string_view part) {
    if (part.empty() || world.gone(conn)) return;
    world.send(conn, part);
    require(world.net.conns.at(conn).inbox.empty() || !world.reading(conn), "bytes that are not read");
  });
  world.pass(Duration::from_ms(50));
  std::vector<Said> out = answers_of(world.got(conn), methods, world.gone(conn));
  if (!world.gone(conn)) world.end(conn);
  world.pass(Duration::from_ms(50));
  require(world.gone(conn), "a connection outlives its client");
  world.assert_at_rest();
  return out;
}

// Counters, which differ with how much was read at a time.
bool counts(const Said& said) {
  return said.type.starts_with("text/plain") || said.body.find("\"clients\"") != said.body.npos;
}

// An answer that comes before its request is whole ends the connection, so those behind it may be missing. A request
// that is wrong in two ways may be refused for either.
void compare(const std::vector<Said>& a, const std::vector<Said>& b) {
  size_t both = std::min(a.size(), b.size());
  for (size_t i = 0; i < both; i++) {
    bool refused = a[i].status / 100 == 4 && b[i].status / 100 == 4;
    require(a[i].status == b[i].status || refused, "in pieces, request " + std::to_string(i) + " is answered " +
                std::to_string(a[i].status) + ", whole " + std::to_string(b[i].status));
    require(a[i].whole == b[i].whole, "in pieces, an answer is cut");
    if (!refused && !counts(a[i])) require_same(a[i].body, b[i].body, "in pieces, another answer");
  }
  const std::vector<Said>& fewer = a.size() < b.size() ? a : b;
  require(a.size() == b.size() || (both > 0 && !fewer.back().keeps), "in pieces, a request is not answered");
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) { return end_on_failed_assert(); }

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  std::vector<std::string> methods = methods_of(input.text);
  std::vector<Said> whole = ask(input.text, {}, methods);
  require(whole.size() <= methods.size() + 1, "more answers than requests");
  compare(ask(input.text, lb::every_byte(input.text.size()), methods), whole);
  compare(ask(input.text, chosen_cuts(input.choices, input.text), methods), whole);
  return 0;
}
