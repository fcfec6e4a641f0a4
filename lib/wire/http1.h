// HTTP/1.1 without sockets: a parser for requests or responses, fed with any split of the bytes, and a writer.
// llhttp stands behind it, in http1.cc only, compiled strict and without a lenient flag; what it still lets pass and
// peers read in different ways is refused here: an LF without its CR, folded fields, fields without a name, a
// start line with spaces, CRs or NULs that belong to none of its parts, any transfer-encoding but `chunked`, that one
// with a content-length or from HTTP/1.0. That is the guard against request smuggling. One thread; no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/chunk.h"
#include "base/status.h"

namespace lb {

// A message head. Names keep their spelling; look-ups ignore case.
struct Head {
  struct Field {
    std::string name;
    std::string value;
  };
  std::string method;         // Requests.
  std::string target;         // Requests: the path and query as it came.
  uint16_t status = 0;        // Responses.
  std::string reason;         // Responses.
  uint8_t minor = 1;          // HTTP/1.x.
  std::vector<Field> fields;
  std::vector<Field> spare;   // Empty ones, whose memory `new_field` uses again.

  // Empties it. Its memory stays, but for that of long texts.
  void clear();
  Field& new_field();         // Behind the others, empty.
  // The first field of that name; null if absent.
  const std::string* find(std::string_view name) const;
  std::string_view get(std::string_view name) const;  // "" if absent.
  void set(std::string_view name, std::string_view value);  // Replaces all of that name.
  void add(std::string_view name, std::string_view value);
  void remove(std::string_view name);
};

// Fields that belong to one connection (RFC 9110 §7.6.1) and must not be passed on, or that lb sets itself:
// connection, keep-alive, proxy-*, te, trailer, transfer-encoding, upgrade, and those that `connection` names.
void remove_hop_by_hop(Head& head);
bool is_hop_by_hop(std::string_view name);

// "POST /x HTTP/1.1\r\nname: value\r\n...\r\n\r\n", or the status line. Fields whose name or value has CR, LF or NUL
// are left out: they cannot have come from a parser.
void write_request_head(const Head& head, std::string& out);
void write_response_head(const Head& head, std::string& out);
// "name: value\r\n" each, without a start line or a blank line: the form of HEAD events in lb.h.
void write_fields(const Head& head, std::string& out);

// "1f\r\n": the line in front of a chunk of that many bytes (> 0). After the bytes comes "\r\n".
std::string chunk_line(size_t size);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

class Http1Parser {
 public:
  enum class Kind : uint8_t { request, response };
  struct Limits {
    // Start line, fields and blank line together, with what is skipped before them; and, once more, all that stands
    // between one byte of a chunked body and the next, or its end: chunk lines, extensions, trailers.
    uint32_t head_bytes = 64 * 1024;
    uint32_t fields = 200;
  };
  enum class Fault : uint8_t { none, malformed, head_too_large, ended_early };

  // What one feed found, in order. A body piece is a view into the bytes fed.
  struct Piece {
    enum class Kind : uint8_t { head, body, end } kind;
    std::string_view bytes;
  };

  // `blank`: an empty head whose memory the first message may use.
  Http1Parser(Kind kind, Limits limits, Head&& blank = {});
  ~Http1Parser();
  Http1Parser(Http1Parser&&) noexcept;
  Http1Parser& operator=(Http1Parser&&) noexcept;

  // Parses up to the end of one message, or of the bytes; appends to `out` and returns how many bytes were
  // consumed. After an `end` the rest belongs to the next message: call `next` first. Responses of status 1xx are
  // skipped whole, except 101, which is a fault. Trailers are read and dropped. Nothing switches protocols: a request
  // that asks for an upgrade, or for CONNECT, is one like any other. After a fault nothing is consumed any more.
  size_t feed(std::string_view bytes, std::vector<Piece>& out);
  // The peer has ended: appends an `end` where that is how the body ends, else sets Fault::ended_early if a
  // message was open.
  void finish(std::vector<Piece>& out);
  // Makes ready for the next message.
  void next();
  // Responses to HEAD have no body whatever their head says. Call before feeding.
  void expect_no_body();

  // Valid from the `head` piece until `next`. The owner may move it out: the body is parsed without it.
  Head& head();
  bool has_length() const;        // content-length was given.
  uint64_t length() const;        // Its value.
  bool chunked() const;
  bool until_close() const;       // A response body that only the end of the connection delimits.
  bool keep_alive() const;        // After the head: may the connection be used again?
  bool expects_continue() const;  // A request of HTTP/1.1 with "expect: 100-continue".
  bool started() const;           // Bytes of the current message have come.
  bool head_done() const;         // Its head has come whole; also where that is at fault.
  Fault fault() const;
  std::string_view fault_text() const;  // For people; "" without a fault.

 private:
  struct State;  // Holds the llhttp parser, which keeps a pointer to it.
  struct Callbacks;
  std::unique_ptr<State> state_;
};

}  // namespace lb
