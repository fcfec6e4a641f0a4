#include "engine/call.h"

#include <algorithm>

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

// What a streaming body may have unsent once it is too long to be kept for replay: four reads of 64 KiB.
constexpr uint64_t kBodyWindow = 256 * 1024;

}  // namespace

Call::Call(Context& context, CallId id, CallSpec&& spec, Asked&& asked)
    : context_(context),
      id_(id),
      sink_(spec.sink),
      user_data_(spec.user_data),
      delivery_(spec.delivery),
      want_attempts_(spec.attempts),
      priority_(spec.priority),
      asked_(std::move(asked)),
      operation_(asked_.operation),
      window_(spec.window_bytes),
      deadline_given_(spec.deadline),
      request_(std::move(spec.head)),
      body_length_(spec.body_length),
      body_streams_(!spec.body_complete),
      body_first_(std::move(spec.body)),
      world_(context.fleet.world()),
      started_(context.now),
      request_id_(context.id_rng) {
  deadline_timer_.owner = phase_timer_.owner = tick_timer_.owner = id;
  deadline_timer_.kind = static_cast<uint32_t>(TimerKind::call_deadline);
  phase_timer_.kind = static_cast<uint32_t>(TimerKind::call_phase);
}

Call::~Call() {
  context_.timers.disarm(deadline_timer_);
  context_.timers.disarm(phase_timer_);
  context_.timers.disarm(tick_timer_);
}

void Call::begin() {
  context_.meter.started++;
  if (deadline_given_ > Duration::zero()) {
    deadline_ = started_ + deadline_given_;
    context_.timers.arm(deadline_timer_, deadline_);
  }
  while (!body_first_.empty())
    if (!take_body(body_first_.pop())) return;
  if (!body_streams_) body_.finish();
  advance();
  if (phase_ != Phase::done && !body_.complete() && !body_room()) room_wanted_ = true;
}

void Call::append_body(Chunk bytes, bool last) {
  if (phase_ == Phase::done || body_.complete() || !body_streams_) return;
  // Once the answer is here or the attempt that took the bytes is gone, the rest of the request is of no use.
  if (phase_ == Phase::ending) return;
  if (!take_body(std::move(bytes))) return;
  if (last) body_.finish();
  if (last && body_length_ && body_.end() != *body_length_)
    return refuse(400, "wrong_length", "the request body is shorter than its content-length");
  if (last && waiting()) context_.capacity_freed = true;  // It may be smaller than it was taken for.
  advance();
  if (phase_ != Phase::done && !body_room()) room_wanted_ = true;
}

bool Call::take_body(Chunk bytes) {
  if (bytes.empty()) return true;
  uint64_t size = body_.end() + bytes.size();
  if (size > context_.limits().body_bytes) {
    refuse(413, "request_too_large",
           "the request body is longer than " + std::to_string(context_.limits().body_bytes) + " bytes");
    return false;
  }
  if (body_length_ && size > *body_length_) {
    refuse(400, "wrong_length", "the request body is longer than its content-length");
    return false;
  }
  bool fine = scan_.feed(bytes.view());
  context_.replay_bytes += bytes.size();
  body_.append(std::move(bytes));
  if (!fine || scan_.model_repeated()) {
    refuse(400, "invalid_json",
           fine ? "the request body names \"model\" twice; name it once"
                : "the request body is not valid JSON near byte " +
                      std::to_string(scan_.scan().offset()));
    return false;
  }
  return true;
}

// Takes the next step that new bytes of the request allow.
void Call::advance() {
  if (phase_ == Phase::reading) {
    if (body_.complete() && !(scan_.scan().complete() && scan_.scan().is_object()))
      return refuse(400, "invalid_json", "the request body must be one JSON object");
    if (routed_) return body_.complete() ? dispatch() : void();
    if (asked_.in_path || scan_.has_model()) return route();
    if (body_.complete() && !asked_.model.empty()) return route();
    if (body_.complete())
      return refuse(400, "missing_model", "the request body has no \"model\"; name one");
    if (body_.kept() > world_->replay_bytes_max)
      refuse(413, "model_too_late",
             "no \"model\" within the first " + std::to_string(world_->replay_bytes_max) +
                 " bytes of the body; put it in front of \"messages\", or raise replay_bytes");
    return;
  }
  if (body_.complete() && !scan_.scan().complete() && phase_ != Phase::ending)
    return refuse(400, "invalid_json", "the request body ends before its JSON does");
  Link* link = context_.pool.find(attempt_.link);
  if (link && link->up && phase_ >= Phase::sending && !attempt_.request_done) pump_body(*link, {});
}

// A body is kept while it fits its route's bound and that of the engine. One whose length says that it will not fit
// is not even begun to be kept: it passes through.
bool Call::keeps_body() const {
  if (needs_whole_) return true;
  return std::max(body_.end(), body_length_.value_or(0)) <= route_config().replay_bytes &&
         context_.replay_bytes <= context_.limits().replay_bytes_total;
}

bool Call::body_room() const {
  if (phase_ == Phase::done || phase_ == Phase::ending) return true;
  if (!routed_) return true;  // `advance` refuses what is too long.
  return keeps_body() || body_.kept() < kBodyWindow;
}

void Call::want_room() {
  if (phase_ == Phase::done || body_.complete()) return;
  room_wanted_ = true;
  check_room();
}

void Call::check_room() {
  if (!room_wanted_ || !body_room()) return;
  room_wanted_ = false;
  emit(Event::Kind::room, {});
}

// The body is of no more use: nothing will be sent again.
void Call::drop_body() {
  context_.replay_bytes -= body_.kept();
  body_.drop_before(UINT64_MAX);
}

void Call::refuse(uint32_t code, std::string_view reason, std::string message) {
  error_code_ = reason;
  abandon(Took::unknown);
  end(code == 413 ? Status::TOO_LARGE : Status::INVALID, code, std::move(message));
}

// The attempt is given up through no fault of its own.
void Call::abandon(Took took) {
  drop_rival();
  if (!attempt_.serial) return;
  context_.fleet.target(attempt_.target).meter.cancelled++;
  attempt_.ended.verdict = policy::Verdict::no_fault;
  close_attempt(took_unheard(took));
}

void Call::credit(uint64_t bytes) {
  if (phase_ == Phase::done) return;
  credited_ = std::min(delivered_, credited_ + bytes);
  if (head_emitted_) release();
}

void Call::cancel() {
  if (phase_ == Phase::done) return;
  abandon(head_emitted_ ? Took::unknown : Took::input);
  // nginx's code for a client that went away; nobody is there to read it, the log is.
  end(Status::CANCELLED, 499, "cancelled by the caller");
}

void Call::stop() {
  if (phase_ == Phase::done) return;
  if (head_emitted_ && !answer_ended_) {
    if (attempt_.serial && attempt_.answer) usage_ = attempt_.answer->usage();
    abandon(Took::unknown);  // Nobody's fault.
    broken(Status::CANCELLED, "lb was stopped in the middle of the answer");
  }
  cancel();
}

void Call::on_timer(TimerKind kind) {
  switch (kind) {
    case TimerKind::call_deadline:
      if (phase_ == Phase::done) return;
      if (head_emitted_ && phase_ != Phase::ending)
        return broken(Status::DEADLINE, "the deadline of the call passed in the middle of the answer");
      while (attempt_.serial) {
        judge({ErrorClass::timeout, std::nullopt, nullptr});
        close_attempt(took_unheard(Took::unknown));
        if (rival_) take_over();
      }
      return end(Status::DEADLINE, 504, "the deadline of the call passed");
    case TimerKind::call_phase:
      return on_phase_due();
    case TimerKind::call_wait:
      if (phase_ == Phase::pausing) return dispatch();
      context_.capacity_freed = true;  // Admissions look at every waiting call, in order.
      return;
    case TimerKind::call_hedge:
      return hedge();
    case TimerKind::call_echo:
      return echo_tick();
    case TimerKind::link_connect:
    case TimerKind::link_idle:
    case TimerKind::probe:
      LB_CHECK(false);
  }
}

// Arms the one phase timer lazily: a due time that only moves back does not touch the heap.
void Call::set_phase(Phase phase, Instant due) {
  phase_ = phase;
  phase_due_ = due;
  if (due != Instant::never() && (!phase_timer_.armed() || due < phase_timer_.due))
    context_.timers.arm(phase_timer_, due);
}

std::unique_ptr<Detail> Call::detail(std::string message) const {
  auto out = std::make_unique<Detail>();
  out->usage = validation_ ? sum(validation_->usage, usage_) : usage_;
  out->attempts = attempts_;
  out->queued = dispatched_.value_or(context_.now) - started_;
  if (first_byte_) out->first_byte = *first_byte_ - started_;
  out->total = context_.now - started_;
  out->window = window_;
  out->upstream = served_by_;
  out->model = model_;
  out->message = std::move(message);
  out->request_id = request_id_;
  out->code = error_code_;
  if (!trace_.empty()) out->trace = trace_ + "]";
  return out;
}

void Call::emit(Event::Kind kind, Event&& event) {
  LB_CHECK(phase_ != Phase::done);
  event.kind = kind;
  event.call = id_;
  event.user_data = user_data_;
  event.time = context_.now;
  if (sink_) context_.outbox.push(*sink_, std::move(event));
}

void Call::end(Status status, uint32_t code, std::string message) {
  drop_rival();
  LB_CHECK(phase_ != Phase::done && !attempt_.serial);
  CallMeter& meter = context_.meter;
  if (status == Status::CANCELLED)
    meter.cancelled++;
  else if (status == Status::OK && final_status_ < 400)
    meter.ok++;
  else
    meter.failed++;
  Event event;
  event.status = status;
  event.code = code;
  event.error_said = error_said_;
  event.detail = detail(std::move(message));
  if (status != Status::OK && routed_) event.detail->retry_after = shortest_wait();
  if (status != Status::OK && status != Status::CANCELLED && context_.options.log_level >= LogLevel::warn)
    context_.log(LogLevel::warn, "call failed",
                 "\"request_id\":" + json_quote(request_id_.view()) + ",\"model\":" + json_quote(model_) +
                     ",\"status\":\"" + status_name(status) + "\",\"attempts\":" +
                     std::to_string(attempts_) + ",\"error\":" + json_quote(event.detail->message));
  emit(Event::Kind::done, std::move(event));
  if (waiting()) {
    context_.waiting.remove(id_);
    context_.capacity_freed = true;  // Its place in the queue.
  }
  phase_ = Phase::done;
  held_.clear();
  drop_body();
  context_.timers.disarm(deadline_timer_);
  context_.timers.disarm(phase_timer_);
  context_.timers.disarm(tick_timer_);
  context_.ended.push_back(id_);
}

uint32_t http_status_of(ErrorClass what) {
  switch (what) {
    case ErrorClass::none:
    case ErrorClass::server:
    case ErrorClass::connect:
    case ErrorClass::broken:
      return 502;
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter:
      return 400;
    case ErrorClass::auth:
      return 401;
    case ErrorClass::billing:
    case ErrorClass::rate_limit:
      return 429;
    case ErrorClass::overloaded:
      return 503;
    case ErrorClass::not_found:
      return 404;
    case ErrorClass::timeout:
      return 504;
  }
  return 502;
}

Status status_of(ErrorClass what) {
  switch (what) {
    case ErrorClass::connect:
      return Status::CONNECT;
    case ErrorClass::broken:
      return Status::PROTOCOL;
    case ErrorClass::timeout:
      return Status::DEADLINE;
    case ErrorClass::none:
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter:
    case ErrorClass::auth:
    case ErrorClass::billing:
    case ErrorClass::rate_limit:
    case ErrorClass::overloaded:
    case ErrorClass::server:
    case ErrorClass::not_found:
      return Status::UPSTREAM;
  }
  return Status::UPSTREAM;
}

}  // namespace lb
