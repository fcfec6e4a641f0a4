#include "engine/call.h"

#include <algorithm>

#include "base/text.h"
#include "engine/trace.h"

namespace lb {

namespace {

// What a streaming body may have unsent once it is too long to be kept for replay: four reads of 64 KiB.
constexpr uint64_t kBodyWindow = 256 * 1024;

// As the floor of cooldowns.
constexpr Duration kPauseMin = Duration::from_ms(100);

// A trace says no more than a header field can well hold; the first decisions matter most.
constexpr size_t kTraceMax = 4096;

// Fields of the caller that stay with lb: connection-bound ones are removed by remove_hop_by_hop. Credentials never
// travel upstream (design.md §0), nor do ids of the caller's account, which fit the caller's key only.
constexpr std::string_view kDropped[] = {
    "host",          "content-length",      "expect",         "authorization", "api-key",
    "x-api-key",     "x-goog-api-key",      "cookie",         "accept-encoding",
    "lb-api-key",    "openai-organization", "openai-project",
};

bool stays_here(std::string_view name) {
  // Behind the names of CGI and WSGI "_" is "-": `transfer_encoding` would be read as what must not travel.
  if (name.find('_') != name.npos) {
    std::string dashed(name);
    std::replace(dashed.begin(), dashed.end(), '_', '-');
    return is_hop_by_hop(dashed) || stays_here(dashed);
  }
  if (istarts_with(name, "x-lb-")) return true;
  for (std::string_view dropped : kDropped)
    if (iequals(name, dropped)) return true;
  return false;
}

}  // namespace

Call::Call(Context& context, CallId id, CallSpec&& spec, Operation operation)
    : context_(context),
      id_(id),
      sink_(spec.sink),
      user_data_(spec.user_data),
      delivery_(spec.delivery),
      want_attempts_(spec.attempts),
      priority_(spec.priority),
      operation_(operation),
      window_(spec.window_bytes),
      deadline_given_(spec.deadline),
      request_(std::move(spec.head)),
      body_length_(spec.body_length),
      body_streams_(!spec.body_complete),
      body_first_(std::move(spec.body)),
      world_(context.fleet.world()),
      started_(context.now),
      request_id_(make_request_id(context.id_rng)) {
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
    if (scan_.has_model()) return route();
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

void Call::route() {
  model_ = scan_.model();
  const std::string* named = request_.find("x-lb-route");
  std::string_view wanted = named ? std::string_view(*named) : std::string_view(model_);
  const Route* route = world_->config->find_route(wanted);
  if (!route)
    return refuse(404, "model_not_found",
                  "no route serves the model " + json_quote(wanted.substr(0, 100)) +
                      "; GET /v1/models lists those that are served");
  // All deployments of a route speak one dialect: the configuration sees to it.
  bool anthropic = world_->config->deployments[route->tiers.front().front()].dialect == Dialect::anthropic;
  if (anthropic != speaks_anthropic(operation_))
    return refuse(400, "wrong_dialect",
                  "the deployments of " + json_quote(wanted.substr(0, 100)) + " speak " +
                      (anthropic ? "Anthropic's API; POST /v1/messages" : "OpenAI's API; POST /v1/chat/completions"));
  route_index_ = static_cast<size_t>(route - world_->config->routes.data());
  routed_ = true;
  if (window_ == 0) window_ = route->window_bytes;
  if (deadline_given_ == Duration::zero()) {
    deadline_ = started_ + route->deadline;
    context_.timers.arm(deadline_timer_, deadline_);
  }
  learn_keys();
  remove_hop_by_hop(request_);
  std::erase_if(request_.fields, [](const Head::Field& f) { return stays_here(f.name); });
  context_.fleet.balancer().on_call(context_.now);
  plan().hedges.on_call(plan().hedge);
  waiting_since_ = context_.now;
  dispatch();
}

// Who calls, with what session, and what it wants to know: from the fields of the caller that stay with lb.
void Call::learn_keys() {
  traced_ = request_.find("x-lb-trace") != nullptr;
  if (const std::string* text = request_.find("x-lb-priority"))
    if (std::optional<double> number = parse_double(*text))
      priority_ = static_cast<int32_t>(std::clamp(*number, -1e6, 1e6));
  std::string caller(request_.get("x-lb-caller"));
  for (std::string_view field : {"authorization", "x-api-key", "api-key", "x-goog-api-key"}) {
    if (!caller.empty()) break;
    // The credential itself is nobody's name.
    if (const std::string* credential = request_.find(field)) caller = "key-" + std::to_string(hash_text(*credential));
  }
  caller_key_ = hash_text(caller);
  caller_ = context_.fleet.caller(caller);
  if (const Party* party = world_->config->find_caller(caller)) caller_share_ = party->share;

  const Route& route = route_config();
  uint64_t key = 0;
  bool worth = policy::Balancer::expect(plan(), prompt()).input >= route.affinity_tokens;
  std::string session(request_.get("x-lb-affinity"));
  if (!session.empty()) key = hash_text(session);
  // Without a word of the caller's own, a short prompt is in no cache, and need not stay anywhere.
  if (key == 0 && worth) {
    session = scan_.prompt_cache_key();
    if (session.empty()) session = scan_.user();
    if (!session.empty()) key = hash_text(session);
  }
  bool conversation = operation_ != Operation::embeddings && route.affinity == Affinity::prompt;
  if (key == 0 && worth && conversation) key = scan_.prefix_hash();
  // Each model has a cache of its own.
  if (key != 0) affinity_key_ = key ^ hash_text(route.model);
}

policy::Prompt Call::prompt() const {
  policy::Prompt prompt;
  prompt.characters = scan_.text_characters();
  prompt.images = scan_.images();
  prompt.output_max = scan_.output_tokens_max();
  prompt.choices = scan_.choices();
  // What has not come yet is taken for text.
  if (!body_.complete() && body_length_.value_or(0) > body_.end()) prompt.characters += *body_length_ - body_.end();
  return prompt;
}

policy::Ask Call::ask() const {
  policy::Ask ask;
  ask.tried = tried_;
  ask.retry = attempts_ > 0;
  ask.charge = policy::Balancer::expect(plan(), prompt());
  ask.affinity = affinity_key_;
  ask.waits = context_.now < std::min(waiting_since_ + route_config().wait, deadline_);
  ask.patience = Duration{route_config().affinity_wait.ns *
                          static_cast<int64_t>(std::min(ask.charge.input, uint64_t{1'000'000}))};
  // Who will not wait at all does not wait for a cache either.
  ask.patience = std::min(ask.patience, route_config().wait);
  return ask;
}

bool Call::startable() const {
  return waiting() && context_.now >= paused_until_ &&
         context_.fleet.balancer().could_send(plan(), ask(), caller_, context_.now);
}

void Call::dispatch() {
  if (context_.now < paused_until_) return;
  policy::Ask asked = ask();
  policy::Balancer& balancer = context_.fleet.balancer();
  policy::Decision decision = balancer.decide(plan(), asked, caller_, context_.now);
  if (traced_) add_trace(asked, decision);
  switch (decision.kind) {
    case policy::Decision::Kind::send:
      return start_attempt(decision.target, Start::first_or_next);
    case policy::Decision::Kind::wait:
      return wait(decision);
    case policy::Decision::Kind::reject:
      if (!again_after_pause()) give_up(decision.why);
      return;
  }
}

void Call::add_trace(const policy::Ask& asked, const policy::Decision& decision) {
  if (trace_.size() > kTraceMax) return;
  trace_.append(trace_.empty() ? "[" : ",");
  trace_ += print_decision(context_.fleet, *world_, route_index_, asked, decision, context_.now);
}

// All targets have been tried, or none may take the call and it may not wait for one. Where the route has them tried
// again: after a pause, and all of them.
bool Call::again_after_pause() {
  bool forever = route_config().retry.policy == policy::RetryPolicy::forever;
  if (tried_.empty() && !forever) return false;
  std::optional<Duration> pause = policy::pause_before_again(route_config().retry, pause_, told_, deadline_,
                                                             context_.now, context_.fleet.balancer().rng());
  if (!pause) return false;
  // Without an attempt in between the pause is what keeps it from turning on the spot.
  pause_ = tried_.empty() ? std::max(*pause, kPauseMin) : *pause;
  tried_.clear();
  paused_until_ = context_.now + pause_;
  if (pause_ == Duration::zero()) {
    dispatch();
    return true;
  }
  set_phase(Phase::pausing, Instant::never());
  tick_timer_.kind = static_cast<uint32_t>(TimerKind::call_wait);
  context_.timers.arm(tick_timer_, paused_until_);
  return true;
}

void Call::wait(const policy::Decision& decision) {
  Instant limit = std::min(waiting_since_ + route_config().wait, deadline_);
  bool in_time = context_.now < limit &&
                 (decision.wait_until <= limit || decision.wait_until == Instant::never());
  bool listed = phase_ == Phase::waiting;
  if (!in_time || (!listed && context_.waiting.size() >= context_.limits().waiting)) {
    bool forever = route_config().retry.policy == policy::RetryPolicy::forever;
    // A key or a model that is refused is refused in a minute, too.
    bool lasting = failure_.what == ErrorClass::auth || failure_.what == ErrorClass::billing ||
                   failure_.what == ErrorClass::not_found;
    if (!listed && forever && !lasting && again_after_pause()) return;
    return give_up(decision.why);
  }
  set_phase(Phase::waiting, Instant::never());
  if (!listed) {
    auto tokens = static_cast<uint64_t>(ask().charge.of(policy::Metric::tokens));
    context_.waiting.add({id_, caller_key_, caller_share_, tokens, priority_});
  }
  tick_timer_.kind = static_cast<uint32_t>(TimerKind::call_wait);
  context_.timers.arm(tick_timer_, std::min({limit, decision.wait_until, decision.look_at}));
}

bool Call::admit() {
  if (phase_ != Phase::waiting) return true;
  dispatch();
  return phase_ != Phase::waiting;
}

std::optional<Duration> Call::shortest_wait() const {
  return context_.fleet.balancer().shortest_wait(plan(), ask(), caller_, context_.now);
}

// No target is left, or none may be waited for: the best that is known goes to the caller.
void Call::give_up(Status why) {
  if (last_) return give_last();
  if (failure_.what != ErrorClass::none)
    return end(status_of(failure_.what), http_status_of(failure_.what), failure_.message);
  if (why == Status::LIMITED || context_.fleet.all_limited(plan(), ask(), context_.now))
    return end(Status::LIMITED, 429, "every deployment of this model is at its rate limit");
  end(Status::NO_UPSTREAM, 503, "no deployment of this model can take the call now: " +
                                    print_obstacles(context_.fleet, *world_, route_index_, ask(), context_.now));
}

// The last answer of an upstream, with the shortest true wait if it was about limits.
void Call::give_last() {
  LastAnswer last = std::move(*last_);
  last_.reset();
  attempt_ = {};
  attempt_.target = last.target;
  attempt_.head = std::move(last.head);
  attempt_.status = last.status;
  held_ = std::move(last.body);
  events_ = false;
  answer_ended_ = true;
  if (auto wait = shortest_wait(); wait && (last.status == 429 || last.status == 503)) {
    attempt_.head.set("retry-after", std::to_string((wait->ms_ceil() + 999) / 1000));
    attempt_.head.set("retry-after-ms", std::to_string(wait->ms_ceil()));
  }
  commit();
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
  if (head_emitted_ && !answer_ended_) broken(Status::CANCELLED, "lb was stopped in the middle of the answer");
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
  out->usage = usage_;
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
  event.detail = detail(std::move(message));
  if (status != Status::OK && routed_) event.detail->retry_after = shortest_wait();
  if (status != Status::OK && status != Status::CANCELLED && context_.options.log_level >= LogLevel::warn)
    context_.log(LogLevel::warn, "call failed",
                 "\"request_id\":" + json_quote(request_id_) + ",\"model\":" + json_quote(model_) +
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
