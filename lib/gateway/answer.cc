#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "gateway/admin.h"
#include "gateway/client.h"
#include "wire/answer.h"
#include "wire/escape.h"

namespace lb {

namespace {

// What a connection keeps of its text buffer between answers; a head and a short body fit.
constexpr size_t kTextKept = 4 * 1024;

// RFC 9110 §15 and RFC 6585; an unknown one goes without.
std::string_view reason_of(uint32_t status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "";
  }
}

// As OpenAI and its SDKs name them.
std::string_view error_type(uint32_t status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

std::string code_of(Status status) {
  if (status == Status::LIMITED) return "rate_limit_exceeded";
  std::string out;
  for (const char* c = status_name(status); *c; c++) out += ascii_lower(*c);
  return out;
}

void append_number(std::string& out, uint64_t value) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

// --- Events of the call ---

void Client::on_event(Event& event) {
  if (event.call != call_ || call_ == 0) return;
  switch (event.kind) {
    case Event::Kind::head:
      return on_answer_head(event);
    case Event::Kind::data:
      return on_answer_data(event);
    case Event::Kind::done:
      return on_done(event);
    case Event::Kind::room:
      if (body_done_) return;
      await_body();
      read(true);
      return arm_timer();
    case Event::Kind::attempt:
    case Event::Kind::log:
    case Event::Kind::closed:
      return;
  }
}

void Client::on_answer_head(const Event& event) {
  bodyless_ = event.code == 204 || event.code == 304;
  events_ = event.events;
  chunked_ = !event.has_length && !bodyless_ && !old_;
  // To HTTP/1.0 the end of the connection is the end of the body.
  if (!event.has_length && !bodyless_ && old_) keep_ = false;
  put_head(event.code, event.data.view(), std::nullopt);
}

void Client::on_answer_data(Event& event) {
  owed_ += event.data.size();
  mark_dirty();
  if (bodyless_ || event.data.empty()) return;
  if (chunked_) put_text(chunk_line(event.data.size()));
  put_data(std::move(event.data));
  if (chunked_) put_text("\r\n");
}

void Client::on_done(const Event& event) {
  if (event.status == Status::OK && head_sent_) {
    if (chunked_) put_text(kLastChunk);
    return end_answer();
  }
  if (head_sent_) {  // Without its last chunk, or short of its length: nobody takes it for whole.
    // But to HTTP/1.0 every end is an end: where the window had no room for the error event, it follows here.
    if (old_ && events_ && !event.error_said)
      put_text("\n\n" + broken_event(route_.operation, event.detail ? event.detail->message : ""));
    call_ = 0;
    return finish();
  }
  const Detail* detail = event.detail.get();
  Refusal why;
  // Cancelled, but not by this client: the engine is closing.
  bool closing = event.status == Status::CANCELLED;
  why.status = closing ? 503 : event.code >= 400 && event.code <= 599 ? event.code : 502;
  std::string code = detail && !detail->code.empty() ? detail->code : code_of(event.status);
  why.code = closing ? "draining" : std::string_view(code);
  why.message = closing || !detail || detail->message.empty() ? status_text(event.status) : detail->message;
  answer_error(why, detail);
}

// --- Answers of lb's own ---

void Client::answer_document() {
  std::optional<Document> document = find_document(context_, route_);
  if (!document)
    return answer_error({404, "model_not_found",
                         "there is no model " + json_quote(route_.model.substr(0, 100)) +
                             "; GET /v1/models lists those that are served", ""}, nullptr);
  std::string fields;
  append_field(fields, "content-type", document->type);
  put_head(document->status, fields, document->body.size());
  if (!head_only_) put_text(document->body);
  end_answer();
}

void Client::answer_error(const Refusal& why, const Detail* detail) {
  std::string body = error_body(route_.operation, why.status, why.message, error_type(why.status), why.code);
  std::string fields;
  append_field(fields, "content-type", "application/json");
  if (!why.allow.empty()) append_field(fields, "allow", why.allow);
  if (detail) {
    if (detail->retry_after) {
      int64_t wait_ms = std::max<int64_t>(detail->retry_after->ms_ceil(), 0);
      append_field(fields, "retry-after", std::to_string((wait_ms + 999) / 1000));
      append_field(fields, "retry-after-ms", std::to_string(wait_ms));
    }
    if (!detail->upstream.empty()) append_field(fields, "x-lb-served-by", detail->upstream);
    append_field(fields, "x-lb-attempts", std::to_string(detail->attempts));
    if (!detail->trace.empty()) append_field(fields, "x-lb-trace", detail->trace);
  }
  append_field(fields, "x-lb-request-id",
               (detail && !detail->request_id.empty() ? detail->request_id : RequestId(context_.ids)).view());
  put_head(why.status, fields, body.size());
  if (!head_only_) put_text(body);
  end_answer();
}

// --- Bytes ---

// `length` when the fields do not say by themselves how long the body is.
void Client::put_head(uint32_t status, std::string_view fields, std::optional<uint64_t> length) {
  head_sent_ = true;
  context_.meter.answers[std::min<size_t>(status / 100, context_.meter.answers.size() - 1)]++;
  keep_ = keep_ && !context_.draining && little_left();
  text_.append("HTTP/1.1 ");
  append_number(text_, status);
  text_.append(" ").append(reason_of(status)).append("\r\n").append(fields);
  if (length) {
    text_.append("content-length: ");
    append_number(text_, *length);
    text_.append("\r\n");
  }
  if (chunked_) text_.append("transfer-encoding: chunked\r\n");
  if (!keep_) text_.append("connection: close\r\n");
  if (keep_ && old_) text_.append("connection: keep-alive\r\n");
  text_.append("\r\n");
  mark_dirty();
}

void Client::put_text(std::string_view bytes) { text_.append(bytes); }

// What is large goes by reference, behind the text that is before it.
void Client::put_data(Chunk data) {
  if (data.size() <= kCopyMax) return put_text(data.view());
  out_.push(Chunk::copy(text_));
  text_.clear();
  out_.push(std::move(data));
}

// All of the answer has been given out here.
void Client::end_answer() {
  call_ = 0;
  answered_ = true;
  mark_dirty();
  if (!keep_ || context_.draining) return finish();
  if (body_done_) {
    finish_request();
  } else {  // What little is left of the request is dropped, also if the upstream was slow to take it.
    read(true);
    await_body();
  }
  arm_timer();
}

void Client::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  context_.dirty.push_back(id_);
}

void Client::flush() {
  dirty_ = false;
  if (phase_ == Phase::gone) return;
  if (!text_.empty()) {
    out_.push(Chunk::copy(text_));
    text_.clear();
    if (text_.capacity() > kTextKept) text_.shrink_to_fit();
  }
  if (!out_.empty()) {
    bool moving = pending_ == 0;
    pending_ += context_.net.write(conn_, std::move(out_));
    out_.clear();
    if (pending_ == 0)
      send_due_ = Instant::never();
    else if (moving)
      send_due_ = context_.now + context_.limits.body_timeout;
  }
  credit();
  if (phase_ == Phase::finishing && pending_ == 0) return leave(true);
  resume();
  arm_timer();
}

void Client::on_written(uint64_t bytes) {
  pending_ -= std::min<size_t>(pending_, bytes);
  send_due_ = pending_ ? context_.now + context_.limits.body_timeout : Instant::never();
  credit();
  if (phase_ == Phase::finishing) {
    if (pending_ == 0) mark_dirty();
    return;
  }
  // A client that is still taking its last answer is not idle.
  if (phase_ == Phase::idle) read_due_ = context_.now + context_.limits.idle_timeout;
  resume();
  arm_timer();
}

// What has left for the client is consumed. Head and framing count as body while they are unsent, so that the port
// holds no more than the window and they.
void Client::credit() {
  uint64_t keep = std::min<uint64_t>(owed_, unsent());
  if (call_ && owed_ > keep) {
    context_.stirred = true;
    context_.engine.credit(call_, owed_ - keep);
  }
  owed_ = keep;
}

}  // namespace lb
