// One try of a call: a link to the target, the request on it, and what becomes of its failures.
#include <algorithm>

#include "base/text.h"
#include "engine/call.h"
#include "wire/dialect/gemini_content.h"
#include "wire/escape.h"

namespace lb {

namespace {

// What the port may have unsent of one request: enough to keep a socket busy, small enough to bound memory.
constexpr size_t kSendWindow = 256 * 1024;
// Bodies are cut into chunks of at most this when their length is not known.
constexpr size_t kChunkMax = 64 * 1024;
// The only version that Anthropic has had since (reference/wire.md §1).
constexpr std::string_view kAnthropicVersion = "2023-06-01";

}  // namespace

void Call::start_attempt(policy::TargetIndex index, Start how) {
  LB_CHECK(!head_emitted_ && !attempt_.serial);
  Target& target = context_.fleet.target(index);
  Upstream& upstream = context_.fleet.upstream(target.upstream);
  if (how != Start::again) {
    attempts_++;
    tried_.push_back(index);
    target.meter.attempts++;
  }
  if (how == Start::first_or_next && attempts_ > 1) context_.meter.retries++;
  bool hedge = how == Start::hedge || (how == Start::again && attempt_.hedge);
  attempt_ = {};
  attempt_.hedge = hedge;
  attempt_.serial = ++serials_;
  attempt_.target = index;
  attempt_.started = context_.now;
  // A target without a name of its own takes any.
  attempt_.as = !target.as.empty() ? target.as : larger_;
  policy::Ask asked = ask();
  if (attempt_.hedge) asked.affinity = 0;  // The session stays where it is: that is where its cache will be.
  context_.fleet.balancer().reserve(plan(), index, asked, prompt(), caller_, context_.now, attempt_.reservation);
  // A target is out while it is probed, so that this may be what puts its tier in panic.
  if (attempt_.reservation.probes) context_.capacity_freed = true;
  if (!dispatched_) dispatched_ = context_.now;
  served_by_ = upstream.deployment->name;
  held_begin_ = complete_to_ = 0;
  attempt_.operation = *operation_at(upstream.deployment->api, upstream.deployment->lacks, operation_);
  attempt_.translated = attempt_.operation != operation_;
  place_splice();
  if (attempt_.translated && !translate_request()) return;
  if (upstream.deployment->kind == DeploymentKind::echo) return echo_start();
  arm_hedge();
  send_on(link_for(index, how == Start::again));
}

// The request goes out on a link that is up, or as soon as it is.
void Call::send_on(Link* link) {
  if (attempt_.reused) return send_request(*link);
  const Deployment& to = deployment();
  set_phase(Phase::connecting, context_.now + to.timeouts.connect);
  bool proxy = !to.proxy.host.empty();
  if (auto* addresses = context_.names.look_up(proxy ? to.proxy.host : to.url.host,
                                               proxy ? to.proxy.port : to.url.port, context_.now,
                                               link->id)) {
    link->addresses = *addresses;
    connect_next(*link, "");
  }
}

std::string Call::whole_body() {
  Chain whole;
  body_.share(0, body_.end(), whole);
  return whole.to_string();
}

// Sends this in the place of the caller's.
void Call::use_body(std::string_view body) {
  attempt_.body.append(Chunk::copy(body));
  attempt_.body.finish();
}

// Where the model's name goes into the body, if it is not there already.
void Call::place_splice() {
  if (attempt_.translated) return;
  bool named_twice = kind_of(operation_) != OperationKind::conversation;
  if (asked_.in_path && named_twice && !attempt_.as.empty() && attempt_.as != model_)
    use_body(with_gemini_model(whole_body(), attempt_.as));
  if (asked_.in_path) return;
  // Azure's classic paths name it; the body need not.
  bool in_body = scan_.has_model();
  if (attempt_.as.empty() && !asked_.model.empty()) attempt_.as = model_;
  if (attempt_.as.empty() || (in_body && attempt_.as == scan_.model())) return;
  attempt_.splice = json_quote(attempt_.as);
  attempt_.splice_begin = scan_.model_begin();
  attempt_.splice_end = scan_.model_end();
  if (in_body) return;
  std::string text = whole_body();
  size_t brace = text.find('{'), next = text.find_first_not_of(" \t\r\n", brace + 1);
  attempt_.splice = "\"model\":" + attempt_.splice + (text[next] == '}' ? "" : ",");
  attempt_.splice_begin = attempt_.splice_end = brace + 1;
}

// The caller's request as values, if it is not yet.
bool Call::read_request_whole(Error& error) {
  if (translation_) return true;
  error = {Status::INVALID, "", "the request is not whole"};
  if (!body_.complete()) return false;
  Result<std::unique_ptr<Translation>> read = Translation::read(asked_, whole_body());
  if (read.ok())
    translation_ = std::move(read.value());
  else
    error = read.error();
  return read.ok();
}

// Writes the caller's request in the target's dialect. False: it cannot be said there, and the call has gone on.
bool Call::translate_request() {
  Error error;
  Result<std::string> body = std::string();
  if (read_request_whole(error))
    body = translation_->request(attempt_.operation, *deployment().vendor, attempt_.as.empty() ? model_ : attempt_.as);
  else
    body = error;
  if (body.ok()) {
    use_body(body.value());
    return true;
  }
  std::string where = body.error().where.empty() ? "" : body.error().where + ": ";
  failure_ = {ErrorClass::bad_request, where + body.error().message, true};
  attempt_.ended.verdict = policy::Verdict::no_fault;
  close_attempt(Took::nothing);
  attempts_--;
  rival_ ? take_over() : dispatch();
  return false;
}

// The answer to a part of the request is here: the rest goes to the same target, within the same attempt.
void Call::next_part() {
  Attempt& now = attempt_;
  Attempt next;
  next.serial = now.serial;
  next.target = now.target;
  next.started = now.started;
  next.reservation = std::move(now.reservation);
  next.as = std::move(now.as);
  next.operation = now.operation;
  next.translated = true;
  Result<std::string> body = translation_->rest(next.operation, next.as.empty() ? model_ : next.as);
  attempt_ = std::move(next);
  use_body(body.value());
  send_on(link_for(attempt_.target, false));
}

// One that rests, unless it must be fresh.
Link* Call::link_for(policy::TargetIndex target, bool fresh) {
  UpstreamIndex upstream = context_.fleet.target(target).upstream;
  Link* link = fresh ? nullptr : context_.pool.take_idle(upstream);
  attempt_.reused = link != nullptr;
  if (!link) link = context_.pool.open(upstream, {context_.limits().head_bytes, context_.limits().head_fields});
  link->call = id_;
  attempt_.link = link->id;
  return link;
}

void Call::on_addresses(Link& link, const Names::Answer& answer) {
  focus(link);
  if (!answer.addresses) return link_lost(link, Status::CONNECT, answer.message);
  link.addresses = *answer.addresses;
  connect_next(link, "");
}

// Tries the next address; `why` is what became of the one before.
void Call::connect_next(Link& link, std::string_view why) {
  if (link.next_address == link.addresses.size())
    return fail(ErrorClass::connect, std::string(why));
  const Deployment& to = deployment();
  ConnectSpec spec = connect_spec(upstream_of(attempt_.target), link.addresses[link.next_address++]);
  link.conn = context_.net.connect(make_tag(Owner::link, link.id), spec);
  if (link.next_address == link.addresses.size()) return context_.timers.disarm(link.timer);
  // A black hole must not eat the time of the addresses behind it: each gets an equal part.
  auto parts = static_cast<int64_t>(link.addresses.size());
  link.timer.kind = static_cast<uint32_t>(TimerKind::link_connect);
  context_.timers.arm(link.timer, context_.now + Duration{to.timeouts.connect.ns / parts});
}

// Nobody answers where its name leads: it may lead elsewhere by now.
void Call::doubt_name() {
  const Deployment& to = deployment();
  bool proxy = !to.proxy.host.empty();
  context_.names.doubt(proxy ? to.proxy.host : to.url.host, proxy ? to.proxy.port : to.url.port, context_.now);
}

void Call::on_patience(Link& link) {
  focus(link);
  context_.net.close(link.conn, false);
  link.conn = 0;
  connect_next(link, "the connection took too long");
}

void Call::on_link(Link& link, Completion& completion) {
  focus(link);
  switch (completion.kind) {
    case Completion::Kind::connected:
      link.up = true;
      context_.timers.disarm(link.timer);
      return send_request(link);
    case Completion::Kind::read:
      return on_bytes(link, completion.data);
    case Completion::Kind::written:
      link.pending -= std::min<size_t>(link.pending, completion.bytes);
      if (phase_ == Phase::sending) set_phase(phase_, context_.now + deployment().timeouts.idle);
      if (phase_ >= Phase::sending && phase_ <= Phase::relaying) pump_body(link, {});
      return;
    case Completion::Kind::ended:
      return link_lost(link, Status::OK, "the upstream closed the connection");
    case Completion::Kind::closed:
      link.conn = 0;
      if (!link.up && completion.status == Status::CONNECT && link.next_address < link.addresses.size())
        return connect_next(link, completion.message);
      return link_lost(link, completion.status, completion.message);
    case Completion::Kind::resolved:
    case Completion::Kind::accepted:
      LB_CHECK(false);
  }
}

// The connection is gone, or ends: that may be how the body ends, a stale connection, or a failure.
void Call::link_lost(Link& link, Status status, std::string_view why) {
  if (link.up && attempt_.received && status == Status::OK) {
    std::vector<Http1Parser::Piece> pieces;
    link.parser.finish(pieces);
    if (!pieces.empty()) return on_end(&link);
  }
  if (head_emitted_)
    return broken(Status::BROKEN, "the connection broke in the middle of the answer: " + std::string(why));
  std::string message(why);
  attempt_.ours = status == Status::FULL;
  if (!link.up)
    return fail(ErrorClass::connect, status == Status::TLS ? "TLS: " + message : std::move(message));
  if (attempt_.reused && !attempt_.received && may_repeat_stale()) return repeat_stale();
  fail(ErrorClass::broken, attempt_.received ? "the answer broke off: " + message
                                             : "the connection closed before an answer: " + message);
}

// A kept connection was closed before anything came: once more, on a fresh one.
void Call::repeat_stale() {
  policy::TargetIndex target = attempt_.target;
  stale_used_ = true;
  attempt_.ended.verdict = policy::Verdict::no_fault;
  // Free of charge for the call, not for the limits: whether the upstream has counted it cannot be known.
  close_attempt(Took::unknown);
  policy::Facts facts = context_.fleet.balancer().facts(plan(), ask(), target, context_.now);
  if (facts.may_take(context_.now)) return start_attempt(target, Start::again);
  // That was the last that its limits allowed: as if this attempt had not been.
  if (!attempt_.hedge) attempts_--;
  std::erase(tried_, target);
  rival_ ? take_over() : dispatch();
}

void Call::write_path(std::string& out) {
  const Deployment& to = deployment();
  std::string_view model = attempt_.as.empty() ? std::string_view(model_) : attempt_.as;
  bool classic = !to.api_version.empty();
  if (classic) out.append("/deployments/").append(percent_encode(model));
  out.append(operation_path(attempt_.operation, model, wants_stream()));
  // The query of another API says nothing here; that of Azure's classic one says its version.
  bool azure = !asked_.in_path && !asked_.model.empty();
  bool same = !attempt_.translated && !asked_.in_path && azure == classic;
  size_t query = request_.target.find('?');
  if (same && query != std::string::npos)
    out.append(request_.target, query);
  else if (classic)
    out.append("?api-version=").append(percent_encode(to.api_version));
}

void Call::write_head(std::string& out) {
  const Deployment& to = deployment();
  out.append("POST ").append(to.url.path);
  write_path(out);
  out.append(" HTTP/1.1\r\nhost: ").append(to.url.authority()).append("\r\n");
  for (const Head::Field& field : request_.fields) {
    if (attempt_.translated && is_of_a_dialect(field.name)) continue;
    bool replaced = std::any_of(to.headers.begin(), to.headers.end(), [&](const HeaderPair& h) {
      return iequals(h.name, field.name);
    });
    if (!replaced) out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (!request_.find("content-type")) out.append("content-type: application/json\r\n");
  // The API asks for its version; SDKs send theirs.
  if (to.api == Api::anthropic && (attempt_.translated || !request_.find("anthropic-version")))
    out.append("anthropic-version: ").append(kAnthropicVersion).append("\r\n");
  write_own_fields(to, out);
  std::optional<uint64_t> length = body_length_;
  if (outgoing().complete()) length = outgoing().end();
  if (length) {
    uint64_t spliced = *length;
    if (!attempt_.splice.empty()) spliced += attempt_.splice.size() - (attempt_.splice_end - attempt_.splice_begin);
    out.append("content-length: ").append(std::to_string(spliced)).append("\r\n\r\n");
  } else {
    attempt_.chunked = true;
    out.append("transfer-encoding: chunked\r\n\r\n");
  }
}

void Call::send_request(Link& link) {
  attempt_.sent = true;
  context_.text.clear();
  write_head(context_.text);
  Chain first;
  first.push(Chunk::copy(context_.text));
  set_phase(Phase::sending, Instant::never());
  context_.pool.read(link, true);
  pump_body(link, std::move(first));
}

void Call::push_body(Chain& out, Chain&& piece) const {
  if (!attempt_.chunked) return out.push(std::move(piece));
  if (piece.empty()) return;
  out.push(Chunk::copy(chunk_line(piece.bytes())));
  out.push(std::move(piece));
  out.push(Chunk::copy("\r\n"));
}

// Appends what there is of the body and fits the window; the model's value is replaced on the way.
void Call::fill_window(const Link& link, Chain& out) {
  while (!attempt_.request_done && link.pending + out.bytes() < kSendWindow) {
    bool splice = !attempt_.splice.empty();
    uint64_t to = splice ? attempt_.splice_begin : outgoing().end();
    to = std::min(to, attempt_.cursor + kChunkMax);
    Chain piece;
    if (splice && attempt_.cursor == attempt_.splice_begin) {
      piece.push(Chunk::copy(attempt_.splice));
      attempt_.cursor = attempt_.splice_end;
      attempt_.splice.clear();
    } else if (attempt_.cursor < to) {
      outgoing().share(attempt_.cursor, to, piece);
      attempt_.cursor = to;
    } else {
      break;
    }
    push_body(out, std::move(piece));
  }
  if (!attempt_.request_done && outgoing().complete() && attempt_.cursor == outgoing().end()) {
    attempt_.request_done = true;
    if (attempt_.chunked) out.push(Chunk::copy(kLastChunk));
  }
}

// Sends the body behind `first`, window by window, until the port leaves something pending (it will say when that is
// out) or there is no more.
void Call::pump_body(Link& link, Chain&& first) {
  Chain out = std::move(first);
  for (fill_window(link, out); !out.empty(); fill_window(link, out)) {
    context_.pool.write(link, std::move(out));
    out.clear();
  }
  on_sent(link);
}

void Call::on_sent(Link& link) {
  // A body that is too long to be kept goes behind the attempt that sends it.
  if (!keeps_body() || head_emitted_) {
    uint64_t kept = body_.kept();
    body_.drop_before(rival_ ? std::min(attempt_.cursor, rival_->attempt.cursor) : attempt_.cursor);
    context_.replay_bytes -= kept - body_.kept();
  }
  check_room();
  if (phase_ != Phase::sending) return;
  if (attempt_.request_done && link.pending == 0)
    set_phase(Phase::head, context_.now + head_timeout());
  else if (link.pending > 0 && phase_due_ == Instant::never())
    set_phase(phase_, context_.now + deployment().timeouts.idle);
  else if (link.pending == 0)
    phase_due_ = Instant::never();  // It is the caller whom the upstream waits for.
}

void Call::on_phase_due() {
  if (rival_ && rival_->phase_due < phase_due_) swap_rival();
  if (phase_ == Phase::done || phase_due_ == Instant::never()) return;
  if (phase_due_ > context_.now) return context_.timers.arm(phase_timer_, phase_due_);
  switch (phase_) {
    case Phase::connecting:
      return fail(ErrorClass::connect, "no connection within connect_ms");
    case Phase::sending:
      return fail(ErrorClass::timeout, "the upstream took no more of the request for idle_ms");
    case Phase::head:
      return fail(ErrorClass::timeout, "no answer within head_ms");
    case Phase::holding:
      return fail(ErrorClass::timeout, "no content within content_ms");
    case Phase::relaying:
      return broken(Status::BROKEN, "the upstream went silent for idle_ms in the middle of the answer");
    case Phase::reading:
    case Phase::waiting:
    case Phase::pausing:
    case Phase::ending:
    case Phase::done:
      return;
  }
}

// A hedge is no retry: what it takes is bounded by a share of its own.
policy::Spent Call::spent() const { return {attempts_ - (hedged_ ? 1 : 0), stale_used_, body_.replayable()}; }

bool Call::may_repeat_stale() const {
  return policy::after(route_config().retry, policy::Outcome::stale, spent(), deadline_, context_.now).kind ==
         policy::Next::Kind::again;
}

// Notes what the attempt showed, for health and meters.
void Call::judge(const Judgement& judgement) {
  context_.fleet.target(attempt_.target).meter.failed[static_cast<size_t>(judgement.what)]++;
  attempt_.failed_as = judgement.what;
  told_ = judgement.told;
  judgement.mark(attempt_.ended);
  if (attempt_.ours) attempt_.ended = {.verdict = policy::Verdict::no_fault};
}

// After a failure of which nothing has been delivered: may another attempt be made?
bool Call::may_go_on(const Judgement& judgement) {
  policy::Next next = policy::after(route_config().retry, judgement.outcome(), spent(), deadline_, context_.now);
  if (next.kind == policy::Next::Kind::stop) return false;
  if (context_.fleet.balancer().take_retry(context_.now)) return true;
  context_.meter.retries_denied++;
  return false;
}

void Call::note_attempt(ErrorClass what, const std::string& message) {
  context_.log(LogLevel::debug, "attempt failed",
               "\"request_id\":" + json_quote(request_id_.view()) + ",\"deployment\":" +
                   json_quote(served_by_) + ",\"class\":\"" + error_class_name(what) +
                   "\",\"error\":" + json_quote(message));
  if (!want_attempts_) return;
  Event event;
  event.status = status_of(what);
  event.code = attempt_.status;
  event.detail = detail(message);
  emit(Event::Kind::attempt, std::move(event));
}

// The attempt failed before anything was delivered: elsewhere, or the end.
void Call::fail(ErrorClass what, std::string message, std::optional<Duration> told, Took took) {
  LB_CHECK(!head_emitted_);
  Judgement judgement = judgement_of(*world_->config, what, told, 0, message);
  what = judgement.what;
  judge(judgement);
  note_attempt(what, message);
  if (what == ErrorClass::connect) doubt_name();
  close_attempt(took_unheard(took));
  held_.clear();
  failure_ = {what, served_by_ + ": " + message};
  last_.reset();
  if (counting()) return count_failed();
  if (rival_ && judgement.outcome() != policy::Outcome::caller_fault) return take_over();
  if (!may_go_on(judgement)) return give_up(Status::NO_UPSTREAM);
  dispatch();
}

void Call::close_attempt(Took took) {
  LB_CHECK(attempt_.serial);
  leave_link(false);
  policy::Ended& ended = attempt_.ended;
  if (counting()) {  // It says nothing of a deployment's health or speed, and takes none of its tokens.
    ended = {.verdict = policy::Verdict::no_fault};
    usage_ = {};
    took = Took::nothing;
  }
  ended.took = took;
  if (usage_.input || usage_.output) {
    ended.took = Took::usage;
    ended.input = usage_.input;
    ended.output = usage_.output;
    ended.cached = usage_.cached;
  }
  Duration out = context_.fleet.balancer().settle(plan(), attempt_.reservation, ended, context_.now);
  if (out > Duration::zero()) {
    context_.fleet.target(attempt_.target).cooled_by = attempt_.failed_as;
    context_.log(LogLevel::info, "deployment cools down",
                 "\"deployment\":" + json_quote(served_by_) + ",\"model\":" + json_quote(model_) + ",\"class\":\"" +
                     cause_name(attempt_.failed_as) + "\",\"for_ms\":" + std::to_string(out.ms_ceil()));
    context_.probes.watch(context_.fleet.target(attempt_.target).upstream);
  }
  attempt_.serial = 0;
  echo_left_ = -1;
  context_.capacity_freed = true;
}

void Call::leave_link(bool reusable) {
  Link* link = context_.pool.find(std::exchange(attempt_.link, 0));
  if (!link) return;
  if (reusable && link->conn && link->pending == 0)
    context_.pool.rest(*link, context_.now);
  else
    context_.pool.drop(*link);
}

}  // namespace lb
