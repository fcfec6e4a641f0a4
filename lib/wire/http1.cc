#include "wire/http1.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace lb {

namespace {

// What most heads have room in: OpenAI answers with about twenty fields.
constexpr size_t kFieldsReserved = 24;

bool printable(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

// Of one connection only (RFC 9110 §7.6.1), or set by lb itself.
constexpr std::string_view kHopByHop[] = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te",         "trailer",    "transfer-encoding",  "upgrade",
};

bool hop_by_hop(std::string_view name) {
  return std::any_of(std::begin(kHopByHop), std::end(kHopByHop),
                     [&](std::string_view known) { return iequals(name, known); });
}

size_t fields_size(const Head& head) {
  size_t size = 0;
  for (const Head::Field& field : head.fields) size += field.name.size() + field.value.size() + 4;
  return size;
}

}  // namespace

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
    while (!rest.empty())
      if (std::string_view name = trim(split_off(rest, ',')); !name.empty()) named.emplace_back(name);
  }
  std::erase_if(head.fields, [&](const Head::Field& field) {
    return hop_by_hop(field.name) || std::any_of(named.begin(), named.end(), [&](const std::string& name) {
             return iequals(field.name, name);
           });
  });
}

void write_fields(const Head& head, std::string& out) {
  out.reserve(out.size() + fields_size(head));
  for (const Head::Field& field : head.fields) {
    if (!printable(field.name) || !printable(field.value)) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
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
  size_t head_size = 0;    // Bytes of the start line and fields, or of the trailer behind a body.
  size_t open_size = 0;    // Bytes fed since the message began while its head was open.
  Fault fault = Fault::none;
  const char* why = "";
  bool started = false;
  bool head_done = false;
  bool ended = false;
  bool in_value = true;    // The last span was a field's value: the next name begins a field.
  bool no_body = false;
  bool has_length = false;
  uint64_t length = 0;
  bool chunked = false;
  bool until_close = false;
  bool keep_alive = false;

  bool informational() const { return parser.type == HTTP_RESPONSE && head.status >= 100 && head.status < 200; }

  int fail(Fault what, const char* text) {
    fault = what;
    why = text;
    return HPE_USER;
  }
  int grow(size_t bytes) {
    head_size += bytes;
    if (head_size > limits.head_bytes) return fail(Fault::head_too_large, "the head is longer than head_bytes");
    return 0;
  }
  void clear() {
    head.method.clear();
    head.target.clear();
    head.reason.clear();
    head.status = 0;
    head.minor = 1;
    head.fields.clear();
    head_size = open_size = 0;
    started = head_done = ended = false;
    in_value = true;
    has_length = chunked = until_close = keep_alive = false;
    length = 0;
  }
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
    return of(parser).grow(size);
  }
  static int reason(llhttp_t* parser, const char* at, size_t size) {
    of(parser).head.reason.append(at, size);
    return of(parser).grow(size);
  }
  static int name(llhttp_t* parser, const char* at, size_t size) {
    State& s = of(parser);
    if (s.head_done) return s.grow(size);  // A trailer: bounded and dropped.
    if (s.in_value) {
      s.in_value = false;
      if (s.head.fields.size() == s.limits.fields)
        return s.fail(Fault::head_too_large, "the head has too many fields");
      s.head.fields.emplace_back();
      if (s.grow(4)) return HPE_USER;
    }
    s.head.fields.back().name.append(at, size);
    return s.grow(size);
  }
  static int value(llhttp_t* parser, const char* at, size_t size) {
    State& s = of(parser);
    if (!s.head_done) {
      s.in_value = true;
      s.head.fields.back().value.append(at, size);
    }
    return s.grow(size);
  }
  // An empty value has no span.
  static int value_end(llhttp_t* parser) {
    of(parser).in_value = true;
    return 0;
  }
  static int extension(llhttp_t* parser, const char*, size_t size) { return of(parser).grow(size); }
  static int chunk(llhttp_t* parser) {
    of(parser).head_size = 0;
    return 0;
  }
  static int head_end(llhttp_t* parser) {
    State& s = of(parser);
    parser->upgrade = 0;  // Nothing is upgraded here: the bytes stay HTTP.
    s.head.minor = parser->http_minor;
    s.head_size = 0;
    s.head_done = true;
    if (parser->http_major != 1) return s.fail(Fault::malformed, "the version is not HTTP/1.x");
    if (parser->type == HTTP_REQUEST) {
      s.head.method = llhttp_method_name(static_cast<llhttp_method_t>(parser->method));
    } else {
      s.head.status = parser->status_code;
      if (s.head.status < 100 || s.head.status > 999)
        return s.fail(Fault::malformed, "the status is not a number of three digits");
      if (s.head.status == 101) return s.fail(Fault::malformed, "101 was not asked for");
      if (s.informational()) return 0;
    }
    s.has_length = parser->flags & F_CONTENT_LENGTH;
    s.length = s.has_length ? parser->content_length : 0;
    s.chunked = parser->flags & F_CHUNKED;
    bool empty = parser->type == HTTP_RESPONSE && (s.no_body || s.head.status == 204 || s.head.status == 304);
    s.until_close = parser->type == HTTP_RESPONSE && !empty && llhttp_message_needs_eof(parser);
    if (empty) parser->flags |= F_SKIPBODY;
    s.keep_alive = llhttp_should_keep_alive(parser);
    s.out->push_back({Piece::Kind::head, {}});
    return empty ? 1 : 0;
  }
  static int body(llhttp_t* parser, const char* at, size_t size) {
    of(parser).out->push_back({Piece::Kind::body, {at, size}});
    return 0;
  }
  static int message_end(llhttp_t* parser) {
    State& s = of(parser);
    if (s.informational()) {
      size_t open = s.open_size;
      s.clear();
      s.open_size = open;  // A peer that says nothing else has a bound too.
      return 0;
    }
    s.ended = true;
    s.out->push_back({Piece::Kind::end, {}});
    return HPE_PAUSED;
  }

  static constexpr llhttp_settings_t settings() {
    llhttp_settings_t out{};
    out.on_message_begin = begin;
    out.on_url = url;
    out.on_status = reason;
    out.on_header_field = name;
    out.on_header_value = value;
    out.on_header_value_complete = value_end;
    out.on_chunk_extension_name = extension;
    out.on_chunk_extension_value = extension;
    out.on_chunk_header = chunk;
    out.on_headers_complete = head_end;
    out.on_body = body;
    out.on_message_complete = message_end;
    return out;
  }
};

Http1Parser::Http1Parser(Kind kind, Limits limits) : state_(std::make_unique<State>()) {
  static constexpr llhttp_settings_t kSettings = Callbacks::settings();
  llhttp_init(&state_->parser, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &kSettings);
  state_->parser.data = state_.get();
  state_->limits = limits;
  state_->head.fields.reserve(kFieldsReserved);
}

Http1Parser::~Http1Parser() = default;
Http1Parser::Http1Parser(Http1Parser&&) noexcept = default;
Http1Parser& Http1Parser::operator=(Http1Parser&&) noexcept = default;

size_t Http1Parser::feed(std::string_view bytes, std::vector<Piece>& out) {
  State& s = *state_;
  if (s.fault != Fault::none || s.ended || bytes.empty()) return 0;
  s.out = &out;
  bool open = !s.head_done;
  llhttp_errno_t error = llhttp_execute(&s.parser, bytes.data(), bytes.size());
  s.out = nullptr;
  if (error == HPE_OK) {
    if (open && !s.head_done && (s.open_size += bytes.size()) > s.limits.head_bytes)
      s.fail(Fault::head_too_large, "the head is longer than head_bytes");
    return bytes.size();
  }
  if (error == HPE_PAUSED && s.ended) return static_cast<size_t>(llhttp_get_error_pos(&s.parser) - bytes.data());
  if (s.fault == Fault::none) s.fail(Fault::malformed, llhttp_get_error_reason(&s.parser));
  return 0;
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
  s.clear();
  llhttp_reset(&s.parser);
  s.parser.data = &s;
}

void Http1Parser::expect_no_body() { state_->no_body = true; }

Head& Http1Parser::head() { return state_->head; }
bool Http1Parser::has_length() const { return state_->has_length; }
uint64_t Http1Parser::length() const { return state_->length; }
bool Http1Parser::chunked() const { return state_->chunked; }
bool Http1Parser::until_close() const { return state_->until_close; }
bool Http1Parser::keep_alive() const { return state_->keep_alive; }
bool Http1Parser::expects_continue() const { return iequals(state_->head.get("expect"), "100-continue"); }
bool Http1Parser::started() const { return state_->started; }
Http1Parser::Fault Http1Parser::fault() const { return state_->fault; }
std::string_view Http1Parser::fault_text() const { return state_->why; }

}  // namespace lb
