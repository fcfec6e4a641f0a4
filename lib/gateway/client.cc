#include "gateway/client.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace lb {

namespace {

bool has_one_host(const Head& head) {
  size_t hosts = 0;
  for (const Head::Field& field : head.fields) {
    if (!iequals(field.name, "host")) continue;
    if (!is_valid_host(field.value)) return false;
    hosts++;
  }
  return hosts == 1;
}

// "gzip, chunked": well-formed names, of which lb does not know one. Anything else is a trick.
bool names_codings(std::string_view value) {
  bool named = false;
  while (!value.empty()) {
    std::string_view coding = trim(split_off(value, ','));
    bool word = !coding.empty() && std::all_of(coding.begin(), coding.end(), [](char c) {
      return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-';
    });
    if (!word || iequals(coding, "identity")) return false;  // RFC 9112 §7: removed, as it served smuggling only.
    named = true;
  }
  return named;
}

Refusal too_long(const Limits& limits) {
  return {414, "target_too_long", "the target of the request is longer than " + std::to_string(limits.target_bytes) +
                                      " bytes", ""};
}

Refusal too_large(const Limits& limits) {
  return {413, "request_too_large", "the request body is longer than " + std::to_string(limits.body_bytes) + " bytes",
          ""};
}

}  // namespace

Client::Client(GatewayContext& context, uint64_t id, ConnId conn)
    : context_(context),
      id_(id),
      conn_(conn),
      parser_(Http1Parser::Kind::request, {context.limits.head_bytes, context.limits.head_fields}) {
  timer_.owner = id;
}

Client::~Client() { context_.timers.disarm(timer_); }

void Client::open() {
  context_.meter.accepted++;
  context_.open++;
  context_.net.adopt(conn_, make_tag(Owner::gateway, id_));
  read(true);
  read_due_ = context_.now + context_.limits.head_timeout;
  arm_timer();
}

// --- Requests ---

void Client::on_read(const Chunk& chunk) {
  if (phase_ >= Phase::finishing) return;  // What it still sends is of no use.
  if (!backlog_.empty() || blocked()) return stash(chunk.view());
  feed(chunk);
}

// The next request has to wait: for the end of the one in flight, or for its client to take what is unsent.
bool Client::blocked() const {
  if (phase_ == Phase::active) return body_done_;
  return phase_ == Phase::idle && unsent() >= kUnsentMax;
}

void Client::stash(std::string_view bytes) {
  backlog_.append(bytes);
  if (backlog_.size() >= kBacklogMax) read(false);
}

void Client::resume() {
  if (phase_ >= Phase::finishing || backlog_.empty() || blocked()) return;
  Chunk chunk = Chunk::copy(backlog_);
  backlog_ = std::string();
  read(true);
  feed(chunk);
}

void Client::feed(const Chunk& chunk) {
  std::string_view rest = chunk.view();
  while (!rest.empty() && phase_ < Phase::finishing) {
    if (blocked()) {
      stash(rest);
      break;
    }
    if (phase_ == Phase::idle) {
      set_phase(Phase::head);
      if (served_) read_due_ = context_.now + context_.limits.head_timeout;
      request_due_ = context_.now + context_.limits.request_timeout;
    }
    context_.pieces.clear();
    size_t used = parser_.feed(rest, context_.pieces);
    rest.remove_prefix(used);
    take_pieces(chunk);
    if (phase_ < Phase::finishing && parser_.fault() != Http1Parser::Fault::none) on_fault();
    LB_CHECK(used > 0 || phase_ >= Phase::finishing);
  }
  arm_timer();
}

void Client::take_pieces(const Chunk& chunk) {
  const std::vector<Http1Parser::Piece>& pieces = context_.pieces;
  std::optional<CallSpec> spec;
  bool opened = false;
  for (size_t i = 0; i < pieces.size() && phase_ < Phase::finishing; i++) {
    bool last = i + 1 < pieces.size() && pieces[i + 1].kind == Http1Parser::Piece::Kind::end;
    switch (pieces[i].kind) {
      case Http1Parser::Piece::Kind::head:
        open_request();
        opened = true;
        if (route_.endpoint == Endpoint::call) spec.emplace();
        break;
      case Http1Parser::Piece::Kind::body:
        take_body(chunk.slice(pieces[i].bytes), spec, last);
        break;
      case Http1Parser::Piece::Kind::end:
        body_done_ = true;
        if (i == 0 && call_) context_.engine.append_body(call_, {}, true);
        break;
    }
  }
  if (opened && phase_ == Phase::active) begin_answer(spec);
  after_pieces();
}

void Client::take_body(Chunk bytes, std::optional<CallSpec>& spec, bool last) {
  body_bytes_ += bytes.size();
  if (body_bytes_ > context_.limits.body_bytes)
    return fail_request(too_large(context_.limits));
  if (spec)
    spec->body.push(std::move(bytes));
  else if (call_)
    context_.engine.append_body(call_, std::move(bytes), last);
}

// Sets what is waited for next.
void Client::after_pieces() {
  if (phase_ != Phase::active) return;
  if (body_done_) {
    read_due_ = Instant::never();
    read(backlog_.size() < kBacklogMax);  // It may have been paused before its last bytes, and its end must be seen.
    if (answered_) finish_request();
    return;
  }
  await_body();
  if (!call_ || context_.engine.body_room(call_)) return;
  // The upstream is slower than the client: `room` goes on.
  read_due_ = Instant::never();
  paused_ = context_.now;
  read(false);
}

// Each piece has its time, within that of the whole: else a byte now and then would hold a place for ever.
void Client::await_body() {
  if (paused_ < Instant::never()) request_due_ = request_due_ + (context_.now - paused_);
  paused_ = Instant::never();
  read_due_ = std::min(context_.now + context_.limits.body_timeout, request_due_);
}

// A request begins; what is not known of it yet is as plain as can be.
void Client::reset_request() {
  set_phase(Phase::active);
  context_.meter.requests++;
  route_ = {};
  call_ = 0;
  old_ = head_only_ = expects_ = keep_ = body_done_ = false;
  head_sent_ = answered_ = chunked_ = bodyless_ = events_ = false;
  body_bytes_ = 0;
  paused_ = Instant::never();
}

void Client::open_request() {
  reset_request();
  const Head& head = parser_.head();
  old_ = head.minor == 0;
  head_only_ = head.method == "HEAD";
  keep_ = parser_.keep_alive();
  expects_ = !old_ && parser_.expects_continue();
  route_ = match_route(head.method, head.target);
  // The path of the list of models is the same as OpenAI's.
  bool models = route_.endpoint == Endpoint::models || route_.endpoint == Endpoint::model;
  if (models && head.find("anthropic-version")) route_.operation = Operation::messages;
}

// Why the request is not served; what is wrong with its form comes before what it asks for.
std::optional<Refusal> Client::refusal() {
  const Head& head = parser_.head();
  if (!old_ && !has_one_host(head))
    return Refusal{400, "malformed", "the request must have one Host field, and in it a host", ""};
  if (!is_valid_target(head.method, head.target))
    return Refusal{400, "malformed", "the target of the request must be a path", ""};
  if (head.target.size() > context_.limits.target_bytes) return too_long(context_.limits);
  std::string path(origin_form(head.target).substr(0, 100));
  if (route_.endpoint == Endpoint::none)
    return Refusal{404, "not_found",
                   "there is no " + path + " here; there is " + std::string(operations_known()) +
                       ", and GET /v1/models, /healthz, /readyz, /metrics and /stats", ""};
  if (!route_.allow.empty())
    return Refusal{405, "method_not_allowed", path + " takes " + std::string(route_.allow), route_.allow};
  if (parser_.has_length() && parser_.length() > context_.limits.body_bytes)
    return too_large(context_.limits);
  if (route_.endpoint == Endpoint::call && context_.draining)
    return Refusal{503, "draining", "this server is about to stop; ask again", ""};
  return std::nullopt;
}

void Client::begin_answer(std::optional<CallSpec>& spec) {
  if (std::optional<Refusal> why = refusal()) {
    // Where the form is wrong, where the next request begins is not sure either.
    keep_ = keep_ && why->status != 400;
    return answer_error(*why, nullptr);
  }
  if (route_.endpoint == Endpoint::call) return start_call(std::move(*spec));
  answer_document();
}

void Client::start_call(CallSpec&& spec) {
  spec.sink = &context_.sink;
  spec.user_data = id_;
  spec.head = std::move(parser_.head());
  if (std::string_view target = origin_form(spec.head.target); target.size() != spec.head.target.size())
    spec.head.target = std::string(target);
  spec.body_complete = body_done_;
  if (parser_.has_length()) spec.body_length = parser_.length();
  context_.stirred = true;
  Result<CallId> call = context_.engine.start(std::move(spec));
  if (!call.ok()) {
    Status status = call.error().status;
    bool wrong = status == Status::INVALID;
    return answer_error({wrong ? 404u : 503u, wrong ? "not_found" : status == Status::FULL ? "overloaded" : "draining",
                         call.error().message, ""}, nullptr);
  }
  call_ = call.value();
  if (expects_ && !body_done_ && body_bytes_ == 0) {
    put_text("HTTP/1.1 100 Continue\r\n\r\n");
    mark_dirty();
  }
}

// What is left of the request body is worth reading for the sake of the connection.
bool Client::little_left() const {
  if (body_done_) return true;
  if (expects_ && body_bytes_ == 0) return false;  // Nobody knows whether it comes.
  return parser_.has_length() && parser_.length() - body_bytes_ <= kDrainMax;
}

// --- What goes wrong ---

void Client::on_fault() {
  bool large = parser_.fault() == Http1Parser::Fault::head_too_large;
  bool far = large && phase_ == Phase::head && parser_.head().target.size() > context_.limits.target_bytes;
  // Of half a head, it is a matter of chance which half is there.
  bool whole = phase_ == Phase::head && parser_.head_done() && !large;
  const std::string* coding = whole ? parser_.head().find("transfer-encoding") : nullptr;
  if (phase_ != Phase::active) reset_request();  // In its head: nothing is known of it.
  if (coding && !iequals(trim(*coding), "chunked") && names_codings(*coding))
    return fail_request({501, "unknown_transfer_encoding", "there is no transfer-encoding but chunked here", ""});
  if (far) return fail_request(too_long(context_.limits));
  std::string text(parser_.fault_text());
  fail_request({large ? 431u : 400u, large ? "head_too_large" : "malformed",
                large ? text : "the request is not HTTP/1.1: " + text, ""});
}

// The request cannot be read to its end, so the connection cannot go on either.
void Client::fail_request(const Refusal& why) {
  drop_call();
  keep_ = false;
  if (head_sent_) return finish();  // What was begun stays short of its end, and nobody takes it for whole.
  answer_error(why, nullptr);
}

void Client::on_ended() {
  if (!call_) return finish();
  leave(false);
}

void Client::on_closed() { leave(false); }

void Client::on_due() {
  if (phase_ == Phase::gone) return;
  if (send_due_ <= context_.now) return abort();  // It takes nothing.
  if (read_due_ <= context_.now) on_read_due();
  arm_timer();
}

void Client::on_read_due() {
  read_due_ = Instant::never();
  switch (phase_) {
    case Phase::idle:
      return finish();
    case Phase::head:
      if (!parser_.started()) return finish();
      reset_request();
      return fail_request({408, "timeout", "the head of the request did not come in time", ""});
    case Phase::active:
      return fail_request({408, "timeout", "the body of the request did not come in time", ""});
    case Phase::finishing:
    case Phase::gone:
      return;
  }
}

void Client::drain() {
  bool resting = phase_ == Phase::idle || (phase_ == Phase::head && !parser_.started());
  if (resting) finish();
}

void Client::abort() { leave(false); }

// --- The end of a request, and of the connection ---

void Client::finish_request() {
  set_phase(Phase::idle);
  parser_.next();
  served_ = true;
  read_due_ = context_.now + context_.limits.idle_timeout;
}

void Client::drop_call() {
  if (!call_) return;
  context_.meter.gone++;
  context_.stirred = true;
  context_.engine.cancel(std::exchange(call_, 0));
}

void Client::finish() {
  if (phase_ >= Phase::finishing) return;
  set_phase(Phase::finishing);
  read_due_ = Instant::never();
  backlog_ = std::string();
  read(true);  // A client that is still sending may not read before it has sent.
  mark_dirty();
}

void Client::leave(bool flush) {
  if (phase_ == Phase::gone) return;
  drop_call();
  set_phase(Phase::gone);
  context_.open--;
  context_.net.close(conn_, flush);
  context_.gone.push_back(id_);
}

void Client::set_phase(Phase phase) {
  auto busy = [](Phase p) { return p == Phase::active || p == Phase::finishing; };
  context_.busy += busy(phase);
  context_.busy -= busy(phase_);
  phase_ = phase;
}

void Client::read(bool on) {
  if (reading_ == on) return;
  reading_ = on;
  context_.net.read(conn_, on);
}

// Lazily: a due time that only moves back does not touch the heap.
void Client::arm_timer() {
  Instant due = std::min(read_due_, send_due_);
  if (phase_ == Phase::gone || due >= Instant::never()) return;
  if (!timer_.armed() || due < timer_.due) context_.timers.arm(timer_, due);
}

}  // namespace lb
