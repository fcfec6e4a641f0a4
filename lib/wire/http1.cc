#include "wire/http1.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "wire/quote.h"

namespace lb {

namespace {

// What most heads have room in; 16 fields are 1024 bytes, the most that malloc keeps at hand (glibc's tcache).
constexpr size_t kFieldsReserved = 16;
// An emptied text keeps so much: names, most credentials, and what SDKs say of themselves are shorter.
constexpr size_t kTextKept = 256;

void empty_text(std::string& text) {
  if (text.capacity() > kTextKept)
    std::string().swap(text);
  else
    text.clear();
}

// No CR, LF or NUL: what fits on one line.
bool one_line(std::string_view text) {
  // Eight bytes at once, the last eight perhaps twice.
  auto control = [&](size_t at) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    return bytes_below(word, '\r' + 1) != 0;
  };
  bool found = text.size() < 8 || control(text.size() - 8);
  for (size_t at = 0; !found && at + 8 < text.size(); at += 8) found = control(at);
  if (!found) return true;
  for (char c : text)
    if (static_cast<unsigned char>(c) <= '\r' && (c == '\r' || c == '\n' || c == '\0')) return false;
  return true;
}

bool writable(const Head::Field& field) { return one_line(field.name) && one_line(field.value); }

// Of one connection only (RFC 9110 §7.6.1), or set by lb itself. proxy-* goes by its beginning.
constexpr std::string_view kHopByHop[] = {"connection", "keep-alive",        "te",
                                          "trailer",    "transfer-encoding", "upgrade"};

size_t fields_size(const Head& head) {
  size_t size = 0;
  for (const Head::Field& field : head.fields) size += field.name.size() + field.value.size() + 4;  // ": ", CRLF.
  return size;
}

}  // namespace

bool is_hop_by_hop(std::string_view name) {
  if (istarts_with(name, "proxy-")) return true;
  return std::any_of(std::begin(kHopByHop), std::end(kHopByHop),
                     [&](std::string_view known) { return iequals(name, known); });
}

const std::string* Head::find(std::string_view name) const {
  for (const Field& field : fields)
    if (iequals(field.name, name)) return &field.value;
  return nullptr;
}

std::string_view Head::get(std::string_view name) const {
  const std::string* value = find(name);
  return value ? std::string_view(*value) : std::string_view();
}

void Head::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Head::clear() {
  for (std::string* text : {&method, &target, &reason}) empty_text(*text);
  status = 0;
  minor = 1;
  if (fields.size() > kFieldsReserved) fields.resize(kFieldsReserved);
  for (; !fields.empty(); fields.pop_back()) {  // From behind: what a caller sends again finds its place again.
    if (spare.size() == kFieldsReserved) continue;
    empty_text(fields.back().name);
    empty_text(fields.back().value);
    spare.push_back(std::move(fields.back()));
  }
}

Head::Field& Head::new_field() {
  if (fields.capacity() == 0) fields.reserve(kFieldsReserved);
  if (spare.empty()) return fields.emplace_back();
  fields.push_back(std::move(spare.back()));
  spare.pop_back();
  return fields.back();
}

void Head::add(std::string_view name, std::string_view value) {
  fields.push_back({std::string(name), std::string(value)});
}

void Head::remove(std::string_view name) {
  std::erase_if(fields, [&](const Field& field) { return iequals(field.name, name); });
}

void remove_hop_by_hop(Head& head) {
  std::vector<std::string> named;
  for (const Head::Field& field : head.fields) {
    if (!iequals(field.name, "connection")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      std::string_view name = trim(split_off(rest, ','));
      // What nearly all say; neither names a field that stays.
      if (name.empty() || iequals(name, "close") || is_hop_by_hop(name)) continue;
      named.emplace_back(name);
    }
  }
  std::erase_if(head.fields, [&](const Head::Field& field) {
    return is_hop_by_hop(field.name) || std::any_of(named.begin(), named.end(), [&](const std::string& name) {
             return iequals(field.name, name);
           });
  });
}

void write_fields(const Head& head, std::string& out) {
  out.reserve(out.size() + fields_size(head));
  for (const Head::Field& field : head.fields) {
    if (!writable(field)) continue;
    out.append(field.name).append(": ", 2).append(field.value).append("\r\n", 2);
  }
}

void write_request_head(const Head& head, std::string& out) {
  out.reserve(out.size() + head.method.size() + head.target.size() + 16 + fields_size(head));
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  write_fields(head, out);
  out.append("\r\n");
}

void write_response_head(const Head& head, std::string& out) {
  out.reserve(out.size() + head.reason.size() + 24 + fields_size(head));
  char status[8];
  auto end = std::to_chars(status, status + sizeof status, head.status).ptr;
  out.append("HTTP/1.1 ").append(status, end).append(" ").append(head.reason).append("\r\n");
  write_fields(head, out);
  out.append("\r\n");
}

std::string chunk_line(size_t size) {
  char text[20];
  char* end = std::to_chars(text, text + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return std::string(text, end);
}

struct Http1Parser::State {
  llhttp_t parser;
  Limits limits;
  Head head;
  std::vector<Piece>* out = nullptr;
  size_t head_size = 0;        // Bytes of the head so far, and of the 1xx responses that came before it.
  size_t line_size = 0;        // Bytes of the line that is not whole yet.
  size_t start_size = 0;       // Bytes of the start line, with its CRLF.
  size_t framing_size = 0;     // Bytes of chunk lines and trailers since the last byte of the body.
  const char* framing = nullptr;  // Where, in the bytes being fed, what is not body began.
  char last = 0;               // The last byte fed that was not body.
  bool at_chunk = false;       // llhttp stands before the line of a chunk.
  Fault fault = Fault::none;
  const char* why = "";
  bool started = false;
  bool first_line = true;      // Blank lines may come before the start line.
  std::string line_tail;       // Of a request: the last bytes of the start line so far.
  bool head_done = false;
  bool skipped = false;        // A 1xx response has ended.
  bool ended = false;
  bool in_value = true;        // The last span was a field's value: the next name begins a field.
  bool no_body = false;
  bool has_length = false;
  uint64_t length = 0;
  bool chunked = false;
  bool until_close = false;
  bool keep_alive = false;
  bool expects_continue = false;

  int fail(Fault what, const char* text) {
    fault = what;
    why = text;
    return HPE_USER;
  }
  // For the next message, which may be the one behind a 1xx response.
  void clear() {
    head.clear();
    line_size = start_size = framing_size = 0;
    line_tail.clear();
    last = 0;
    at_chunk = false;
    started = head_done = skipped = ended = false;
    first_line = in_value = true;
    has_length = chunked = until_close = keep_alive = expects_continue = false;
    length = 0;
    llhttp_reset(&parser);
  }

  size_t feed_head(std::string_view bytes);
  size_t feed_body(std::string_view bytes);
  size_t take_chunks(std::string_view bytes);
  size_t execute(std::string_view bytes);
  bool check_framing(const char* end);
  bool start_line_is_plain() const;
  int check_fields();

  struct Lines {
    size_t size;      // Up to the end of the head, or of what may be looked at.
    bool whole;       // The blank line is there.
    const char* why;  // What is wrong behind `size`; null where nothing is.
  };
  Lines head_lines(std::string_view bytes);
  void note_tail(std::string_view part);
};

// The callbacks of llhttp, which knows the State by its `data`.
struct Http1Parser::Callbacks {
  static State& of(llhttp_t* parser) { return *static_cast<State*>(parser->data); }

  static int begin(llhttp_t* parser) {
    of(parser).started = true;
    return 0;
  }
  static int url(llhttp_t* parser, const char* at, size_t size) {
    of(parser).head.target.append(at, size);
    return 0;
  }
  static int reason(llhttp_t* parser, const char* at, size_t size) {
    of(parser).head.reason.append(at, size);
    return 0;
  }
  // Spans of a trailer come here too, and are dropped.
  static int name(llhttp_t* parser, const char* at, size_t size) {
    State& s = of(parser);
    if (s.head_done) return 0;
    if (s.in_value) {
      s.in_value = false;
      s.head.new_field();
    }
    s.head.fields.back().name.append(at, size);
    return 0;
  }
  // Counted here and not when the name begins, so that it does not matter how the name was split.
  static int name_end(llhttp_t* parser) {
    State& s = of(parser);
    if (s.head_done) return 0;
    if (s.in_value || s.head.fields.back().name.empty())
      return s.fail(Fault::malformed, "a field has no name");
    if (s.head.fields.size() > s.limits.fields)
      return s.fail(Fault::head_too_large, "the head has too many fields");
    return 0;
  }
  static int value(llhttp_t* parser, const char* at, size_t size) {
    State& s = of(parser);
    if (!s.head_done) s.head.fields.back().value.append(at, size);
    return 0;
  }
  static int value_end(llhttp_t* parser) {
    State& s = of(parser);
    s.in_value = true;
    if (s.head_done) return 0;
    std::string& text = s.head.fields.back().value;
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
    return 0;
  }
  static int head_end(llhttp_t* parser) {
    State& s = of(parser);
    parser->upgrade = 0;  // Nothing is upgraded here: the bytes stay HTTP, and CONNECT has the body it says it has.
    s.head_done = true;
    if (parser->http_major != 1) return s.fail(Fault::malformed, "the version is not HTTP/1.x");
    s.head.minor = parser->http_minor;
    bool request = parser->type == HTTP_REQUEST;
    if (request) s.head.method = llhttp_method_name(static_cast<llhttp_method_t>(parser->method));
    if (!request) s.head.status = parser->status_code;
    if (!request && s.head.status < 100)
      return s.fail(Fault::malformed, "the status is not a number of three digits");
    if (!s.start_line_is_plain()) return s.fail(Fault::malformed, "the start line has bytes that are no part of it");
    if (s.head.status == 101) return s.fail(Fault::malformed, "101 was not asked for");
    s.skipped = !request && s.head.status < 200;
    if (s.skipped) return 1;
    bool empty = !request && (s.no_body || s.head.status == 204 || s.head.status == 304);
    s.has_length = parser->flags & F_CONTENT_LENGTH;
    s.length = s.has_length ? parser->content_length : 0;
    s.chunked = (parser->flags & F_CHUNKED) && !empty;
    s.until_close = !empty && llhttp_message_needs_eof(parser);
    if (int error = s.check_fields()) return error;
    s.out->push_back({Piece::Kind::head, {}});
    return empty ? 1 : 0;
  }
  static int body(llhttp_t* parser, const char* at, size_t size) {
    State& s = of(parser);
    if (!s.check_framing(at)) return HPE_USER;
    s.framing_size = 0;
    s.last = 0;
    s.framing = at + size;
    s.out->push_back({Piece::Kind::body, {at, size}});
    return 0;
  }
  // But for the last one, whose end is that of the message.
  static int chunk_end(llhttp_t* parser) {
    of(parser).at_chunk = !(parser->flags & F_TRAILING);
    return of(parser).at_chunk ? HPE_PAUSED : 0;
  }
  static int message_end(llhttp_t* parser) {
    State& s = of(parser);
    s.ended = !s.skipped;
    return HPE_PAUSED;
  }

  static constexpr llhttp_settings_t settings() {
    llhttp_settings_t out{};
    out.on_message_begin = begin;
    out.on_url = url;
    out.on_status = reason;
    out.on_header_field = name;
    out.on_header_field_complete = name_end;
    out.on_header_value = value;
    out.on_header_value_complete = value_end;
    out.on_headers_complete = head_end;
    out.on_body = body;
    out.on_chunk_complete = chunk_end;
    out.on_message_complete = message_end;
    return out;
  }
};

// llhttp skips CRs before the start line, and spaces around the target; it takes a NUL into the reason. A peer that
// does not would see another line.
bool Http1Parser::State::start_line_is_plain() const {
  size_t size = 0;
  if (parser.type == HTTP_REQUEST)
    size = head.method.size() + head.target.size() + std::strlen("  HTTP/1.1\r\n");
  else
    size = std::strlen("HTTP/1.1 200\r\n") + (head.reason.empty() ? 0 : head.reason.size() + 1);
  bool lone_space = parser.type == HTTP_RESPONSE && head.reason.empty() && start_size == size + 1;
  return (start_size == size || lone_space) && one_line(head.reason);
}

// The fields that frame. Of the transfer codings of RFC 9112 §6.1, llhttp lets more pass than the one that lb can take
// off, though not that one beside a content-length. Of `connection`, it does not see a `close` with a tab behind it,
// nor one from HTTP/1.0 beside a `keep-alive`.
int Http1Parser::State::check_fields() {
  bool coded = false, close = false, keep = false;
  for (const Head::Field& field : head.fields) {
    if (iequals(field.name, "expect")) {
      if (parser.type == HTTP_REQUEST && head.minor > 0 && iequals(field.value, "100-continue"))
        expects_continue = true;
    } else if (iequals(field.name, "connection")) {
      for (std::string_view rest = field.value; !rest.empty();) {
        std::string_view option = trim(split_off(rest, ','));
        close = close || iequals(option, "close");
        keep = keep || iequals(option, "keep-alive");
      }
    } else if (iequals(field.name, "transfer-encoding")) {
      if (head.minor == 0) return fail(Fault::malformed, "HTTP/1.0 has no transfer-encoding");
      // llhttp must have seen it too: it does not where a tab follows.
      if (coded || !iequals(field.value, "chunked") || !(parser.flags & F_CHUNKED))
        return fail(Fault::malformed, "a transfer-encoding other than chunked");
      coded = true;
    }
  }
  keep_alive = !until_close && !close && (keep || head.minor > 0);
  return 0;
}

// Walks the lines of a head up to the blank one that ends it. llhttp takes an LF without a CR for the end of some
// lines, and joins a line that begins with white space to the one before; peers that read these otherwise could be
// made to see other messages than lb does, so both are refused (RFC 9112 §2.2, §5.2).
Http1Parser::State::Lines Http1Parser::State::head_lines(std::string_view bytes) {
  size_t from = 0;
  while (from < bytes.size()) {
    if (line_size == 0 && !first_line && (bytes[from] == ' ' || bytes[from] == '\t'))
      return {from, false, "a folded field"};
    const void* found = std::memchr(bytes.data() + from, '\n', bytes.size() - from);
    size_t end = found ? static_cast<size_t>(static_cast<const char*>(found) - bytes.data()) : bytes.size();
    if (first_line) note_tail(bytes.substr(from, end - from));
    if (!found) {
      line_size += bytes.size() - from;
      last = bytes.back();
      break;
    }
    if ((end > from ? bytes[end - 1] : line_size > 0 ? last : '\0') != '\r')
      return {end, false, "an LF without a CR"};
    size_t size = line_size + (end - from) + 1;
    bool blank = size == 2;
    from = end + 1;
    line_size = 0;
    if (blank) line_tail.clear();
    if (!blank && first_line && parser.type == HTTP_REQUEST && !line_tail.starts_with(" HTTP/1."))
      return {end, false, "the version is not HTTP/1.x"};
    if (!blank && first_line) start_size = size;
    if (!blank) first_line = false;
    if (blank && !first_line) return {from, true, nullptr};
  }
  return {bytes.size(), false, nullptr};
}

// llhttp also reads requests of RTSP and ICE, and says nothing of the name before the version.
void Http1Parser::State::note_tail(std::string_view part) {
  constexpr size_t kTail = std::string_view(" HTTP/1.1\r").size();
  line_tail.append(part.substr(part.size() - std::min(part.size(), kTail)));
  line_tail.erase(0, line_tail.size() - std::min(line_tail.size(), kTail));
}

// The same for chunk lines and trailers, from `framing` to `end`: an LF has its CR, and they have a bound.
bool Http1Parser::State::check_framing(const char* end) {
  size_t size = static_cast<size_t>(end - framing);
  if (size == 0) return true;
  framing_size += size;
  if (framing_size > limits.head_bytes) {
    fail(Fault::head_too_large, "a chunk's line or the trailers are longer than head_bytes");
    return false;
  }
  for (const char* at = framing; at < end; at++) {
    if (*at != '\n' || (at > framing ? at[-1] : last) == '\r') continue;
    fail(Fault::malformed, "an LF without a CR");
    return false;
  }
  last = end[-1];
  return true;
}

// Returns how many bytes llhttp took.
size_t Http1Parser::State::execute(std::string_view bytes) {
  if (bytes.empty()) return 0;
  llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), bytes.size());
  if (error == HPE_OK) return bytes.size();
  if (error == HPE_PAUSED) {
    const char* at = llhttp_get_error_pos(&parser);
    llhttp_resume(&parser);
    return static_cast<size_t>(at - bytes.data());
  }
  if (fault == Fault::none) fail(Fault::malformed, llhttp_get_error_reason(&parser));
  return 0;
}

size_t Http1Parser::State::feed_head(std::string_view bytes) {
  Lines lines = head_lines(bytes.substr(0, limits.head_bytes - head_size));
  head_size += lines.size;
  size_t used = execute(bytes.substr(0, lines.size));
  if (fault != Fault::none) return 0;
  if (used != lines.size || head_done != lines.whole)
    fail(Fault::malformed, "the head does not end with its blank line");
  else if (lines.why)
    fail(Fault::malformed, lines.why);
  else if (!head_done && used < bytes.size())
    fail(Fault::head_too_large, "the head is longer than head_bytes");
  else if (skipped)
    clear();
  return used;
}

// Chunks that are here whole, with nothing but a size and data, need not go by llhttp, which stands before a chunk's
// line as well before them as behind them. Many streams have a chunk for each event.
size_t Http1Parser::State::take_chunks(std::string_view bytes) {
  constexpr size_t kDigitsMax = 6;  // Of 16 MiB: what is here whole is no longer than a read.
  size_t used = 0;
  while (used < bytes.size()) {
    std::string_view rest = bytes.substr(used);
    size_t size = 0;
    const char* line = std::from_chars(rest.data(), rest.data() + std::min(rest.size(), kDigitsMax), size, 16).ptr;
    size_t begin = static_cast<size_t>(line - rest.data()) + 2, end = begin + size;
    if (size == 0 || rest.size() < end + 2 || framing_size + begin > limits.head_bytes) break;
    if (rest.substr(begin - 2, 2) != "\r\n" || rest.substr(end, 2) != "\r\n") break;
    out->push_back({Piece::Kind::body, rest.substr(begin, size)});
    framing_size = 2;
    last = '\n';
    used += end + 2;
  }
  return used;
}

size_t Http1Parser::State::feed_body(std::string_view bytes) {
  size_t used = at_chunk ? take_chunks(bytes) : 0;
  if (used == bytes.size()) return used;
  at_chunk = false;
  framing = bytes.data() + used;
  used += execute(bytes.substr(used));
  if (fault == Fault::none && chunked) check_framing(bytes.data() + used);
  return used;
}

Http1Parser::Http1Parser(Kind kind, Limits limits, Head&& blank) : state_(std::make_unique<State>()) {
  static constexpr llhttp_settings_t kSettings = Callbacks::settings();
  llhttp_init(&state_->parser, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &kSettings);
  state_->parser.data = state_.get();
  state_->limits = limits;
  state_->head = std::move(blank);
}

Http1Parser::~Http1Parser() = default;
Http1Parser::Http1Parser(Http1Parser&&) noexcept = default;
Http1Parser& Http1Parser::operator=(Http1Parser&&) noexcept = default;

size_t Http1Parser::feed(std::string_view bytes, std::vector<Piece>& out) {
  State& s = *state_;
  if (s.fault != Fault::none || s.ended) return 0;
  s.out = &out;
  size_t used = 0;
  while (used < bytes.size() && !s.ended && s.fault == Fault::none) {
    std::string_view rest = bytes.substr(used);
    used += s.head_done ? s.feed_body(rest) : s.feed_head(rest);
  }
  s.out = nullptr;
  if (s.fault != Fault::none) return 0;
  if (s.ended) out.push_back({Piece::Kind::end, {}});
  return used;
}

void Http1Parser::finish(std::vector<Piece>& out) {
  State& s = *state_;
  if (s.fault != Fault::none || s.ended || !s.started) return;
  if (s.head_done && s.until_close) {
    s.ended = true;
    out.push_back({Piece::Kind::end, {}});
    return;
  }
  s.fail(Fault::ended_early, "the connection ended in the middle of a message");
}

void Http1Parser::next() {
  State& s = *state_;
  if (s.fault != Fault::none) return;
  s.no_body = false;
  s.head_size = 0;
  s.clear();
}

void Http1Parser::expect_no_body() { state_->no_body = true; }

Head& Http1Parser::head() { return state_->head; }
bool Http1Parser::has_length() const { return state_->has_length; }
uint64_t Http1Parser::length() const { return state_->length; }
bool Http1Parser::chunked() const { return state_->chunked; }
bool Http1Parser::until_close() const { return state_->until_close; }
bool Http1Parser::keep_alive() const { return state_->keep_alive; }
bool Http1Parser::expects_continue() const { return state_->expects_continue; }
bool Http1Parser::started() const { return state_->started; }
bool Http1Parser::head_done() const { return state_->head_done; }
Http1Parser::Fault Http1Parser::fault() const { return state_->fault; }
std::string_view Http1Parser::fault_text() const { return state_->why; }

}  // namespace lb
