// Where a call goes: its route, its session, the next target, or the wait for one; and what is said when there is none.
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "engine/call.h"
#include "engine/trace.h"
#include "wire/escape.h"

namespace lb {

namespace {

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

// Who has no other name. The credential itself is nobody's.
std::string name_of_key(std::string_view credential) {
  char text[24] = {'k', 'e', 'y', '-'};
  return std::string(text, std::to_chars(text + 4, text + sizeof text, hash_text(credential)).ptr);
}

}  // namespace

// Whether the request has to be here whole, and who cannot serve it at all. False: nobody can.
bool Call::choose_operations(const Route& route) {
  const Route* larger = route.larger.empty() ? nullptr : world_->config->find_route(route.larger);
  // The model of embeddings may stand in the body, too.
  needs_whole_ = counting() || (asked_.in_path && kind_of(operation_) == OperationKind::embedding);
  for (const Route* one : {&route, larger}) {
    if (!one) continue;
    const Served& served = world_->served[static_cast<size_t>(one - world_->config->routes.data())]
                                         [static_cast<size_t>(operation_)];
    needs_whole_ = needs_whole_ || served.translated;
    if (one == &route && !served.by_any && !counting()) return false;
  }
  return true;
}

// Those that lack the operation are as those that have been tried.
void Call::leave_out_unable() {
  tried_.clear();
  if (world_->served[route_index_][static_cast<size_t>(operation_)].lacking) {
    for (const policy::Tier& tier : plan().tiers) {
      for (policy::TargetIndex index : tier.targets) {
        const Deployment& to = *upstream_of(index).deployment;
        if (!operation_at(to.api, to.lacks, operation_)) tried_.push_back(index);
      }
    }
  }
  unable_ = tried_.size();
}

void Call::route() {
  model_ = asked_.model.empty() ? scan_.model() : asked_.model;
  const std::string* named = request_.find("x-lb-route");
  std::string_view wanted = named ? std::string_view(*named) : std::string_view(model_);
  const Route* route = world_->config->find_route(wanted);
  if (!route)
    return refuse(404, "model_not_found",
                  "no route serves the model " + json_quote(wanted.substr(0, 100)) +
                      "; GET /v1/models lists those that are served");
  if (!choose_operations(*route))
    return refuse(400, "wrong_dialect",
                  "no deployment of " + json_quote(wanted.substr(0, 100)) + " has the operation of " +
                      json_quote(request_.target.substr(0, 100)) + "; ask for another model");
  OperationKind kind = kind_of(operation_);
  if (route->rules && kind == OperationKind::completion)
    return refuse(400, "wrong_operation", "the answers of this model are checked, for which it has to be asked in a "
                                          "conversation; ask at /v1/chat/completions");
  if (route->rules && kind == OperationKind::conversation) {
    validation_ = std::make_unique<Validation>(Validation{route->rules, dialect_of(operation_)});
    needs_whole_ = true;
  }
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
  leave_out_unable();
  context_.fleet.balancer().on_call(context_.now);
  plan().hedges.on_call(plan().hedge);
  waiting_since_ = context_.now;
  if (!needs_whole_ || body_.complete()) dispatch();
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
    if (const std::string* credential = request_.find(field)) caller = name_of_key(*credential);
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
  bool conversation = kind_of(operation_) != OperationKind::embedding && route.affinity == Affinity::prompt;
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
  // Until all of it is here it is taken for text, so that what a call waits for does not change with every byte.
  if (!body_.complete()) prompt.characters = std::max(prompt.characters, body_length_.value_or(0));
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
  if (counting()) return count();
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
      // Too large for every limit, if all of its body counts; that is known when it is here.
      if (phase_ == Phase::reading && decision.why == Status::LIMITED && !body_.complete() && keeps_body()) return;
      if (!again_after_pause()) give_up(decision.why);
      return;
  }
}

void Call::add_trace(const policy::Ask& asked, const policy::Decision& decision) {
  if (trace_.size() > kTraceMax) return;
  trace_.append(trace_.empty() ? "[" : ",");
  trace_ += print_decision(context_.fleet, *world_, route_index_, asked, decision, context_.now);
}

// What a translation could not carry: of the answer's head on, which says it too, and of what came behind it.
void Call::trace_losses(const Losses& losses) {
  if (trace_.empty() || trace_.size() > kTraceMax || losses.empty()) return;
  trace_.append(",{\"lost\":").append(json_quote(losses.text())).append("}");
}

// All targets have been tried, or none may take the call and it may not wait for one. Where the route has them tried
// again: after a pause, and all of them.
bool Call::again_after_pause() {
  bool forever = route_config().retry.policy == policy::RetryPolicy::forever;
  bool untried = tried_.size() == unable_;
  if (untried && !forever) return false;
  std::optional<Duration> pause = policy::pause_before_again(route_config().retry, pause_, told_, deadline_,
                                                             context_.now, context_.fleet.balancer().rng());
  if (!pause) return false;
  // Without an attempt in between the pause is what keeps it from turning on the spot.
  pause_ = untried ? std::max(*pause, kPauseMin) : *pause;
  leave_out_unable();
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
  if (failure_.unsaid) return refuse(400, "invalid_request", failure_.message);
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
  bool limited = last.status == 429 || last.status == 503;
  if (std::optional<Duration> wait = limited ? shortest_wait() : std::nullopt) {
    attempt_.head.set("retry-after", std::to_string((wait->ms_ceil() + 999) / 1000));
    attempt_.head.set("retry-after-ms", std::to_string(wait->ms_ceil()));
  }
  commit();
}

}  // namespace lb
