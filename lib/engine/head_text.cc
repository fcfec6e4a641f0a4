#include "engine/head_text.h"

#include <algorithm>
#include <string>
#include <vector>

namespace lb {

namespace {

Error invalid(std::string message) { return {Status::INVALID, "", "the head: " + std::move(message)}; }

}  // namespace

Result<Asked> asked_by(const Head& head) {
  std::string_view path = head.target;
  size_t mark = std::min(path.find('?'), path.size());
  std::string_view query = path.substr(std::min(mark + 1, path.size()));
  path = path.substr(0, mark);
  std::optional<Asked> asked = asked_by(path, query);
  if (asked && head.method == "POST") return std::move(*asked);
  return Error{Status::INVALID, "",
               "no such operation: " + head.method.substr(0, 20) + " " + std::string(path.substr(0, 100)) +
                   "; there is " + std::string(operations_known())};
}

Result<Head> parse_head_text(std::string_view text, uint32_t bytes_max, Head&& blank) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  size_t end = text.find(kEnd);
  if (end != std::string_view::npos && end + kEnd.size() != text.size())
    return invalid("bytes follow its blank line; pass the body as the body");
  Http1Parser parser(Http1Parser::Kind::request, {.head_bytes = bytes_max}, std::move(blank));
  std::vector<Http1Parser::Piece> pieces;
  parser.feed(text, pieces);
  if (end == std::string_view::npos) parser.feed(text.ends_with("\r\n") ? kEnd.substr(2) : kEnd, pieces);
  if (parser.fault() == Http1Parser::Fault::head_too_large)
    return invalid("it is longer than limits.head_bytes, which is " + std::to_string(bytes_max));
  if (parser.fault() != Http1Parser::Fault::none) return invalid(std::string(parser.fault_text()));
  if (pieces.empty() || pieces.front().kind != Http1Parser::Piece::Kind::head)
    return invalid("it is not whole; write \"POST /v1/chat/completions HTTP/1.1\" and field lines, each ended by CRLF");
  Head head = std::move(parser.head());
  if (Result<Asked> asked = asked_by(head); !asked.ok()) return invalid(asked.error().message);
  return head;
}

}  // namespace lb
