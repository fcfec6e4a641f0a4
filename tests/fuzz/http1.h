// The laws of HTTP/1.1 for both directions: any cuts give the same messages and the same verdict; what a parser takes
// is also what a naive reader of RFC 9112 finds there, who has never heard of leniency; the writer's text comes back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzz.h"
#include "wire/http1.h"

namespace lb::fuzz {

class Http1Laws {
 public:
  Http1Laws(Http1Parser::Kind kind, Input input) : kind_(kind), text_(input.text), choices_(input.choices) {}

  void check() {
    no_bodies_ = choices_.below(4) == 3 && kind_ == Http1Parser::Kind::response;
    if (choices_.below(2)) {
      limits_.head_bytes = static_cast<uint32_t>(1 + choices_.below(256));
      limits_.fields = static_cast<uint32_t>(choices_.below(8));
    }
    std::string whole = same_at_any_cut(text_, choices_, [&](const Cuts& cuts) { return read(cuts); });
    messages_.clear();
    read(every_byte(text_.size()));  // Then it is known at which byte each head ended.
    for (const Message& message : messages_) {
      check_naively(message);
      check_round_trip(message);
    }
  }

 private:
  struct Message {
    Head head;
    std::string body;
    size_t begin = 0, head_end = 0;
    bool has_length = false, chunked = false, until_close = false, ended = false;
    uint64_t length = 0;
  };

  std::string read(const Cuts& cuts) {
    Http1Parser parser(kind_, limits_);
    if (no_bodies_) parser.expect_no_body();
    messages_.clear();
    log_.clear();
    size_t at = 0;
    begin_ = 0;
    std::vector<Http1Parser::Piece> pieces;
    each_part(text_, cuts, [&](std::string_view part) {
      while (!part.empty() && parser.fault() == Http1Parser::Fault::none) {
        size_t used = parser.feed(part, pieces);
        require(used <= part.size(), "more was consumed than was fed");
        require(used > 0 || parser.fault() != Http1Parser::Fault::none, "nothing was consumed, and no fault");
        for (const Http1Parser::Piece& piece : pieces)
          require(piece.bytes.empty() || (piece.bytes.data() >= part.data() && piece.bytes.end() <= part.end()),
                  "a piece of a body lies outside of what was fed");
        at += used;
        note(parser, pieces, at);
        part.remove_prefix(used);
      }
    });
    if (parser.fault() != Http1Parser::Fault::none) {
      require(parser.feed("GET / HTTP/1.1\r\n\r\n", pieces) == 0 && pieces.empty(), "it reads on behind a fault");
      require(!parser.fault_text().empty(), "a fault without words");
    }
    parser.finish(pieces);
    note(parser, pieces, at);
    if (!messages_.empty() && !messages_.back().ended) log_ += "open " + messages_.back().body + "\n";
    return log_ + "fault " + std::to_string(static_cast<int>(parser.fault()));
  }

  void note(Http1Parser& parser, std::vector<Http1Parser::Piece>& pieces, size_t at) {
    bool ended = false;
    for (const Http1Parser::Piece& piece : pieces) {
      if (piece.kind == Http1Parser::Piece::Kind::head) {
        Head& head = parser.head();
        messages_.push_back({head, "", begin_, at, parser.has_length(), parser.chunked(), parser.until_close(), false,
                             parser.length()});
        log_ += head.method + " " + head.target + " " + std::to_string(head.status) + " " + head.reason + " 1." +
                std::to_string(head.minor) + (parser.chunked() ? " chunked" : "") +
                (parser.until_close() ? " until_close" : "") + (parser.keep_alive() ? " keep_alive" : "") +
                (parser.has_length() ? " length " + std::to_string(parser.length()) : "") +
                (parser.expects_continue() ? " continue\n" : "\n");
        for (const Head::Field& field : head.fields) log_ += " [" + field.name + ": " + field.value + "]\n";
      } else if (piece.kind == Http1Parser::Piece::Kind::body) {
        require(!messages_.empty() && !messages_.back().ended, "a body without a head");
        messages_.back().body += piece.bytes;
      } else {
        require(!messages_.empty() && !messages_.back().ended, "an end without a head");
        messages_.back().ended = ended = true;
        log_ += "body " + messages_.back().body + "\nend\n";
      }
    }
    pieces.clear();
    if (!ended) return;
    begin_ = at;
    parser.next();
    if (no_bodies_) parser.expect_no_body();
  }

  // The head as bytes: without blank lines before it, and without interim responses.
  std::string_view raw_head(const Message& m) const {
    std::string_view raw = text_.substr(m.begin, m.head_end - m.begin);
    require(raw.size() <= limits_.head_bytes, "a head is longer than its limit");
    while (true) {
      while (raw.starts_with("\r\n")) raw.remove_prefix(2);
      bool interim = kind_ == Http1Parser::Kind::response && raw.size() > 9 && raw[9] == '1';
      if (!interim) return raw;
      size_t end = raw.find("\r\n\r\n");
      require(end != raw.npos, "an interim response has no end");
      raw.remove_prefix(end + 4);
    }
  }

  static bool is_token(std::string_view name) {
    if (name.empty()) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
      char low = ascii_lower(c);
      return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
             std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
  }

  void check_naively(const Message& m) const {
    const Head& head = m.head;
    std::string_view rest = raw_head(m);
    std::string version = "HTTP/1." + std::to_string(head.minor);
    auto line = [&] {
      size_t end = rest.find("\r\n");
      require(end != rest.npos, "a line of a head does not end in CRLF");
      std::string_view out = rest.substr(0, end);
      rest.remove_prefix(end + 2);
      require(out.find_first_of(std::string_view("\r\n\0", 3)) == out.npos, "a CR, LF or NUL within a line");
      return out;
    };
    std::string_view first = line();
    if (kind_ == Http1Parser::Kind::request) {
      require_same(first, head.method + " " + head.target + " " + version, "the request line");
    } else {
      std::string start = version + " " + std::to_string(head.status);
      require(first.starts_with(start), "the status line");
      first.remove_prefix(start.size());
      if (!first.empty()) require_same(first, " " + head.reason, "the reason");
    }
    size_t lengths = 0, codings = 0;
    for (const Head::Field& field : head.fields) {
      std::string_view text = line();
      size_t colon = text.find(':');
      require(colon != text.npos && is_token(text.substr(0, colon)), "a field has no proper name");
      require_same(field.name, text.substr(0, colon), "the name of a field");
      require_same(field.value, trim(text.substr(colon + 1)), "the value of a field");
      if (iequals(field.name, "content-length")) {
        lengths++;
        require(parse_u64(field.value) == m.length && m.has_length, "the length of a body");
      }
      if (!iequals(field.name, "transfer-encoding")) continue;
      codings++;
      require(iequals(field.value, "chunked") && head.minor == 1, "a transfer-encoding that lb does not take off");
    }
    require_same(rest, "\r\n", "what ends the head");
    require(lengths <= 1 && codings <= 1 && lengths + codings <= 1, "two ways to say where the body ends");
    require(head.fields.size() <= limits_.fields, "more fields than the limit");
    if (m.has_length && m.ended && !m.body.empty()) require(m.body.size() == m.length, "a body of another length");
  }

  // Passed on as lb does: without the fields of one connection, and in chunks.
  void check_round_trip(const Message& m) {
    if (!m.ended || m.head.status == 204 || m.head.status == 304) return;
    Head head = m.head;
    remove_hop_by_hop(head);
    head.remove("content-length");
    head.add("transfer-encoding", "chunked");
    std::string out;
    kind_ == Http1Parser::Kind::request ? write_request_head(head, out) : write_response_head(head, out);
    each_part(m.body, chosen_cuts(choices_, m.body), [&](std::string_view part) {
      if (!part.empty()) out += chunk_line(part.size()) + std::string(part) + "\r\n";
    });
    out += kLastChunk;
    Http1Parser parser(kind_, {1u << 20, 1000});
    std::vector<Http1Parser::Piece> pieces;
    require(parser.feed(out, pieces) == out.size(), "what was written is not read to its end");
    require(!pieces.empty() && pieces.back().kind == Http1Parser::Piece::Kind::end, "what was written is not read");
    std::string body;
    for (const Http1Parser::Piece& piece : pieces) body += piece.bytes;
    require_same(body, m.body, "the body that was written");
    const Head& back = parser.head();
    require(back.method == head.method && back.target == head.target && back.status == head.status &&
                back.reason == head.reason && back.fields.size() == head.fields.size(),
            "the head that was written");
    for (size_t i = 0; i < head.fields.size(); i++) {
      require_same(back.fields[i].name, head.fields[i].name, "the name that was written");
      require_same(back.fields[i].value, head.fields[i].value, "the value that was written");
    }
  }

  Http1Parser::Kind kind_;
  std::string_view text_;
  Choices choices_;
  Http1Parser::Limits limits_;
  bool no_bodies_ = false;  // Responses to HEAD.
  std::string log_;
  size_t begin_ = 0;
  std::vector<Message> messages_;
};

}  // namespace lb::fuzz
