// The head of a call as lb_call_start takes it: with or without its last blank line, with or without a body's bytes
// behind it. What is taken can be written and taken again, and is what the parser of connections reads there.
#include "engine/head_text.h"

#include "fuzz/fuzz.h"
#include "gateway/route.h"

namespace lb::fuzz {
namespace {

std::string text_of(const Result<Head>& head) {
  if (!head.ok()) return "refused";
  std::string out;
  write_request_head(head.value(), out);
  return out;
}

// As a connection that carries it in pieces would read it.
std::string through_parser(std::string_view text, const Cuts& cuts) {
  Http1Parser parser(Http1Parser::Kind::request, {});
  std::vector<Http1Parser::Piece> pieces;
  std::string out;
  each_part(text, cuts, [&](std::string_view part) {
    if (out.empty()) parser.feed(part, pieces);
    for (const Http1Parser::Piece& piece : pieces)
      if (piece.kind == Http1Parser::Piece::Kind::head) write_request_head(parser.head(), out);
    pieces.clear();
  });
  return out.empty() ? "refused" : out;
}

void check_taken(const Head& head, std::string_view text) {
  Result<Asked> asked = asked_by(head);
  require(asked.ok() && head.method == "POST", "a head without an operation");
  const Asked& what = asked.value();
  require(what.in_path == !what.model.empty(), "a model in the path, and none");
  if (!what.in_path) {
    std::string_view path = std::string_view(head.target).substr(0, head.target.find('?'));
    require_same(path, "/v1" + operation_path(what.operation, "", false), "the path of the operation");
  }
  require(match_route(head.method, head.target).endpoint == Endpoint::call, "the gateway does not serve it");
  std::string again = text_of(Result<Head>(head));
  Result<Head> back = parse_head_text(again, 1u << 20);
  require(back.ok(), "what was written is not taken");
  require_same(text_of(back), again, "what was written is another head");
  // What goes to an upstream.
  Head sent = head;
  remove_hop_by_hop(sent);
  require(!sent.find("connection") && !sent.find("transfer-encoding"), "a field of one connection is left");
  require(!parse_head_text(again + "x", 1u << 20).ok(), "bytes behind the head are taken");
  require(text.size() < (1u << 20), "");
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  std::string text(input.text);
  auto limit = static_cast<uint32_t>(input.choices.none() ? 64 * 1024 : 1 + input.choices.below(512));
  lb::Result<lb::Head> head = lb::parse_head_text(text, limit);
  require(head.ok() || (head.error().status == lb::Status::INVALID && !head.error().message.empty()),
          "an error without words");
  std::string through = same_at_any_cut(text, input.choices, [&](const lb::Cuts& cuts) {
    return through_parser(text, cuts);
  });
  if (!head.ok()) return 0;
  check_taken(head.value(), text);
  bool whole = text.find("\r\n\r\n") != text.npos;
  if (whole) {
    require_same(text_of(head), through, "a connection reads another head");
    for (std::string_view less : {std::string_view("\r\n"), std::string_view("\r\n\r\n")}) {
      std::string shorter = text.substr(0, text.size() - less.size());
      require_same(text_of(lb::parse_head_text(shorter, limit)), text_of(head), "without its blank line it is another");
    }
  }
  return 0;
}
