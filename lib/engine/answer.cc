// The response of an attempt: held back until there is something to commit to, then relayed within the caller's
// window, and never presented as whole when it is not.
#include <algorithm>
#include <span>

#include "base/text.h"
#include "engine/call.h"
#include "engine/pieces.h"
#include "wire/dialect/gemini_array.h"
#include "wire/escape.h"
#include "wire/rate_limits.h"

namespace lb {

namespace {

// At most `n` bytes from the front.
Chunk take(Chain& chain, uint64_t n) {
  if (chain[0].size() <= n) return chain.pop();
  Chunk part = chain[0].slice(0, n);
  chain.consume(n);
  return part;
}

}  // namespace

void Call::on_bytes(Link& link, Chunk& chunk) {
  attempt_.received = true;
  uint32_t serial = attempt_.serial;
  uint64_t id = link.id;
  // Bytes that were on their way when reading was switched off do not start the clock of a slow caller's upstream.
  if (phase_ == Phase::relaying && link.reading) phase_due_ = context_.now + deployment().timeouts.idle;
  if (phase_ == Phase::holding)
    phase_due_ = std::max(phase_due_, context_.now + deployment().timeouts.idle);
  std::vector<Http1Parser::Piece>& pieces = context_.pieces;
  pieces.clear();
  if (!link.parser.started()) link.parser.head() = context_.take_blank();
  size_t used = link.parser.feed(chunk.view(), pieces);
  attempt_.garbage = used < chunk.size();
  for (size_t i = 0; i < pieces.size();) {
    size_t run = body_run(pieces, i);
    if (run > 1)
      on_body(joined(chunk, std::span(pieces).subspan(i, run)));
    else if (!on_piece(link, chunk, pieces[i]))
      return;
    if (attempt_.serial != serial || attempt_.link != id) return;
    i += run;
  }
  if (link.parser.fault() == Http1Parser::Fault::none) {
    if (phase_ == Phase::relaying) release();
    return;
  }
  std::string message = "the answer is not HTTP: " + std::string(link.parser.fault_text());
  if (head_emitted_) return broken(Status::BROKEN, std::move(message));
  fail(ErrorClass::broken, std::move(message));
}

// False: the attempt is over, the rest of the pieces is not ours any more.
bool Call::on_piece(Link& link, const Chunk& chunk, const Http1Parser::Piece& piece) {
  switch (piece.kind) {
    case Http1Parser::Piece::Kind::head:
      on_head(link);
      break;
    case Http1Parser::Piece::Kind::body:
      on_body(chunk.slice(piece.bytes));
      break;
    case Http1Parser::Piece::Kind::end:
      on_end(&link);
      return false;
  }
  return true;
}

void Call::on_head(Link& link) {
  attempt_.head = std::move(link.parser.head());
  attempt_.status = attempt_.head.status;
  hear_limits();
  set_phase(Phase::holding, context_.now + deployment().timeouts.content);
  attempt_.error = attempt_.status < 200 || attempt_.status > 299;
  if (attempt_.error) return;
  std::string_view type = attempt_.head.get("content-type");
  Answer::Form form = Answer::form_of(type);
  if (form == Answer::Form::other)
    return fail(ErrorClass::server,
                "answered " + std::to_string(attempt_.status) + " with content type " +
                    json_quote(type.substr(0, 60)) + " instead of JSON or an event stream");
  events_ = form == Answer::Form::events;
  attempt_.answer.emplace(form, attempt_.operation);
  if (attempt_.translated && events_)
    attempt_.stream = std::make_unique<StreamTranslator>(dialect_of(attempt_.operation), translation_->caller(),
                                                         how_to_answer());
  // An answer that is translated as a whole may still turn out to be none.
  bool whole = delivery_ == Delivery::whole || (attempt_.translated && !events_) || validation_;
  if (route_config().commit_on == CommitOn::head && !whole) commit();
}

void Call::on_body(Chunk chunk) {
  if (attempt_.error) {
    held_.push(std::move(chunk));
    if (!head_emitted_ && held_.bytes() >= route_config().hold_bytes) judge_error(false);
    return;
  }
  if (events_) return inspect_events(chunk);
  Answer::Sign sign = attempt_.answer->bytes(chunk.view());
  held_.push(std::move(chunk));
  if (head_emitted_) return;
  if (sign == Answer::Sign::error) attempt_.error = true;  // Judged when its body is here.
  // A JSON answer is of no use before its end, so it is held as far as the bound allows.
  if (validation_) return hold_checked(false);
  bool all = delivery_ == Delivery::whole || attempt_.translated;
  uint64_t bound = all ? context_.limits().body_bytes : uint64_t{route_config().hold_bytes};
  if (held_.bytes() < bound) return;
  if (all) {
    attempt_.ended.verdict = policy::Verdict::no_fault;
    close_attempt(Took::unknown);
    return end(Status::TOO_LARGE, 502, "the answer is longer than limits.body_bytes");
  }
  attempt_.error ? judge_error(false) : commit();
}

// Follows the events of a stream. What is delivered ends where an event ends, so that the protocol's error event can
// follow at any time.
void Call::inspect_events(const Chunk& chunk) {
  std::string_view rest = chunk.view();
  bool content = false;
  SseEvent event;
  if (delivery_ != Delivery::events && !rewrites()) held_.push(chunk);
  context_.text.clear();
  context_.packed.clear();
  while (attempt_.sse.next(rest, event)) {
    uint64_t begin = complete_to_;
    if (!rewrites()) complete_to_ = event.end - attempt_.left_out;
    if (event.comment) continue;
    Answer::Sign sign = attempt_.answer->event(event, &attempt_.sse);
    if (sign == Answer::Sign::malformed) {
      if (!rewrites()) leave_out(begin);
      continue;
    }
    if (sign == Answer::Sign::error) {
      in_band_error_ = head_emitted_ || (content && !validation_ && delivery_ != Delivery::whole);
      if (in_band_error_) {
        rewrite(event);
        break;
      }
      ErrorFacts facts = openai_error(attempt_.head, attempt_.answer->error_text(), 0);
      ErrorClass what = facts.what == ErrorClass::none ? ErrorClass::server : facts.what;
      return fail(what, "the stream began with an error: " + facts.message, facts.retry_after, Took::answer);
    }
    content = content || sign == Answer::Sign::content;
    rewrite(event);
    if (!rewrites() && delivery_ == Delivery::events && event.data != "[DONE]") context_.packed.add(event.data);
  }
  context_.packed.push_to(held_);
  hold_rewritten();
  if (attempt_.sse.faulty()) {
    if (head_emitted_) return broken(Status::BROKEN, "an event of the stream is too long");
    return fail(ErrorClass::broken, "an event of the stream is too long");
  }
  if (validation_) return hold_checked(content);
  bool full = held_.bytes() >= route_config().hold_bytes && delivery_ != Delivery::whole;
  if (!head_emitted_ && ((content && delivery_ != Delivery::whole) || full)) commit();
  if (in_band_error_) broken(Status::BROKEN, "the upstream reported an error in mid-stream");
}

// Writes what the event becomes to the scratch text, where it does not go out as it came.
void Call::rewrite(const SseEvent& event) {
  if (attempt_.translated)
    attempt_.stream->event(event, context_.text);
  else if (array())
    context_.text.append("data: ").append(event.data).append("\n\n");
}

// What has been written so, to the scratch text: whole events.
void Call::hold_rewritten() {
  if (context_.text.empty()) return;
  if (array()) {
    hold_array(context_.text);
  } else if (delivery_ == Delivery::events) {
    SseParser parser;
    SseEvent event;
    context_.packed.clear();
    for (std::string_view rest = context_.text; parser.next(rest, event);)
      if (!event.comment && event.data != "[DONE]") context_.packed.add(event.data);
    context_.packed.push_to(held_);
  } else {
    push_pieces(held_, context_.text);
  }
  complete_to_ = held_begin_ + held_.bytes();
}

void Call::hold_array(std::string_view events) {
  std::string out;
  SseParser parser;
  SseEvent event;
  while (parser.next(events, event))
    if (!event.comment) GeminiArray::append(out, event.data, !std::exchange(attempt_.array_begun, true));
  push_pieces(held_, out);
}

WriteAnswer Call::how_to_answer() const {
  WriteAnswer how;
  how.model = model_;
  how.id = request_id_.view();
  int64_t now = context_.options.unix_time_s ? context_.options.unix_time_s() : 0;
  how.created = static_cast<uint64_t>(std::max<int64_t>(now, 0));
  how.stream_usage = translation_ && translation_->conversation().stream_usage;
  return how;
}

// A whole success, in the caller's dialect. False: it is no answer of its own dialect, or only a part of what is asked.
bool Call::translate_answer() {
  std::string body = held_.to_string();
  Result<std::optional<std::string>> answer = translation_->answer(attempt_.operation, body, how_to_answer());
  if (!answer.ok()) {
    fail(ErrorClass::broken, "the answer cannot be read: " + answer.error().message);
    return false;
  }
  held_.clear();
  if (!answer.value()) {
    next_part();
    return false;
  }
  push_pieces(held_, *answer.value());
  return true;
}

// The event that has just ended, and began there, is not JSON: a client would choke on it.
void Call::leave_out(uint64_t begin) {
  // As single events they are not held; and of a very long one the beginning has gone out.
  if (delivery_ == Delivery::events || begin < held_begin_) return;
  uint64_t before = begin - held_begin_;
  Chain kept;
  while (kept.bytes() < before) kept.push(take(held_, before - kept.bytes()));
  held_.consume(complete_to_ - begin);
  kept.push(std::move(held_));
  held_ = std::move(kept);
  attempt_.left_out += complete_to_ - begin;
  complete_to_ = begin;
}

// What the provider states of its limits, in the words of the policies.
void Call::hear_limits() {
  int64_t unix_now = context_.options.unix_time_s ? context_.options.unix_time_s() : 0;
  std::array<policy::Statement, kStatedLimitsMax> stated;
  size_t count = 0;
  for (const StatedLimit& limit : stated_limits(attempt_.head, unix_now)) stated[count++] = statement_of(limit);
  if (count == 0) return;
  context_.fleet.balancer().hear(attempt_.reservation, std::span(stated).first(count), context_.now);
  context_.capacity_freed = true;  // There may be more, or less, than a waiting call was told.
}

// The body is whole. `link` is null for echo.
void Call::on_end(Link* link) {
  bool reusable = link && attempt_.request_done && !attempt_.garbage && link->parser.keep_alive() &&
                  !link->parser.until_close();
  if (head_emitted_) {
    leave_link(reusable);
    return finish_answer();
  }
  if (attempt_.error) {
    if (reusable) leave_link(true);
    return judge_error(true);
  }
  if (reusable || !link) leave_link(true);
  judge_answer();
}

// An error answer: passed on if it is the caller's own or the last word, kept while another target is asked.
void Call::judge_error(bool whole) {
  std::string body = held_.to_string();
  ErrorFacts facts =
      openai_error(attempt_.head, body, context_.options.unix_time_s ? context_.options.unix_time_s() : 0);
  if (facts.what == ErrorClass::none) facts.what = ErrorClass::server;
  Judgement judgement = judgement_of(*world_->config, facts.what, facts.retry_after, attempt_.status, body);
  facts.what = judgement.what;
  if (attempt_.status < 300) attempt_.status = static_cast<uint16_t>(http_status_of(facts.what));
  judge(judgement);
  note_attempt(facts.what, "answered " + std::to_string(attempt_.status) + ": " + facts.message);
  std::string said = facts.message.empty() ? "answered " + std::to_string(attempt_.status) : facts.message;
  failure_ = {facts.what, served_by_ + ": " + said};
  events_ = false;
  if (facts.what == ErrorClass::context_length && !counting() && go_larger()) return;
  bool other = rival_ && judgement.outcome() != policy::Outcome::caller_fault;
  bool goes_on = other || may_go_on(judgement);
  bool readable = Answer::form_of(attempt_.head.get("content-type")) != Answer::Form::other ||
                  judgement.outcome() == policy::Outcome::caller_fault;
  if (attempt_.translated) {
    whole = true;  // What there is of it says all that is carried over.
    held_ = Chain(Chunk::copy(translate_error(translation_->caller(), attempt_.status, facts)));
    attempt_.head.set("content-length", std::to_string(held_.bytes()));
    attempt_.head.set("content-type", "application/json");
  }
  if (!goes_on && !whole) {  // Longer than may be held: it passes through, as the error that it is.
    attempt_.answer.reset();
    return commit();
  }
  last_.reset();
  // A page of something in between is no answer that callers of this API can read.
  if (whole && readable)
    last_ = LastAnswer{std::move(attempt_.head), attempt_.status, std::move(held_), attempt_.target};
  held_.clear();
  close_attempt(Took::answer);
  if (counting()) return count_failed();
  if (other) return take_over();
  // The attempt is settled by now, so that the shortest wait counts what this answer has shown.
  goes_on ? dispatch() : give_up(Status::NO_UPSTREAM);
}

// The context is too long for this model, and the route names a larger one: the call goes on there.
bool Call::go_larger() {
  const Route* larger = route_config().larger.empty() ? nullptr : world_->config->find_route(route_config().larger);
  if (!larger || !larger_.empty() || !body_.replayable()) return false;
  drop_rival();
  held_.clear();
  last_.reset();
  close_attempt(Took::answer);
  larger_ = route_config().larger;
  route_index_ = static_cast<size_t>(larger - world_->config->routes.data());
  leave_out_unable();
  dispatch();
  return true;
}

// A success that ended before it was committed: is it one?
void Call::judge_answer() {
  const Answer& answer = *attempt_.answer;
  if (!answer.finished())
    return fail(ErrorClass::broken, held_.empty() ? "the answer is empty"
                                                  : "the answer ended before it was complete");
  if (events_ && delivery_ != Delivery::whole && !attempt_.ended.first_content)
    return fail(ErrorClass::server, "the stream ended without content");
  if (attempt_.translated && !events_ && !translate_answer()) return;
  if (validation_ && !check_answer()) return;
  commit();
  if (phase_ != Phase::done) finish_answer();
}

void Call::note_first_content() {
  if (attempt_.ended.first_content) return;
  attempt_.ended.first_content = context_.now - attempt_.started;
  context_.fleet.target(attempt_.target).meter.first_byte.record(*attempt_.ended.first_content);
  if (!counting()) plan().hedges.observe(plan().hedge, streams(), *attempt_.ended.first_content);
}

void Call::commit() {
  LB_CHECK(!head_emitted_);
  if (!attempt_.ended.first_content) win();  // Else it did when that came.
  Head& head = attempt_.head;
  remove_hop_by_hop(head);
  std::erase_if(head.fields,
                [](const Head::Field& f) { return istarts_with(f.name, "x-lb-"); });
  Event event;
  event.code = final_status_ = attempt_.status;
  event.events = events_;
  // What may still break has no length that holds: it may end short of it. Nor has a stream: events are re-cut or left
  // out, and an error event may follow.
  bool may_break = attempt_.answer && !attempt_.error && !attempt_.answer->finished();
  if (events_ || may_break) head.remove("content-length");
  if (events_ && array()) head.set("content-type", "application/json");
  if (attempt_.translated) {
    std::erase_if(head.fields, [](const Head::Field& f) { return is_of_a_dialect(f.name); });
    if (!events_) head.set("content-length", std::to_string(held_.bytes()));
  }
  event.has_length = head.find("content-length") != nullptr;
  context_.text.clear();
  write_fields(head, context_.text);
  context_.text.append("x-lb-served-by: ").append(served_by_);
  context_.text.append("\r\nx-lb-attempts: ").append(std::to_string(attempts_));
  context_.text.append("\r\nx-lb-request-id: ").append(request_id_.view()).append("\r\n");
  if (hedged_ && attempt_.serial) context_.text.append("x-lb-hedged: ").append(attempt_.hedge ? "won\r\n" : "lost\r\n");
  if (attempt_.translated && !translation_->losses().empty()) {
    context_.text.append("x-lb-lossy: ").append(translation_->losses().text()).append("\r\n");
    trace_losses(translation_->losses());
  }
  if (!counted_.empty()) context_.text.append("x-lb-token-count: ").append(counted_).append("\r\n");
  if (!trace_.empty()) context_.text.append("x-lb-trace: ").append(trace_).append("]\r\n");
  event.data = Chunk::copy(context_.text);
  // No other attempt will need them; a stream may go on for minutes, and they were a quarter of what it holds.
  context_.keep_blank(std::exchange(request_, Head()));
  context_.keep_blank(std::exchange(head, Head()));
  first_byte_ = context_.now;
  event.detail = detail("");
  emit(Event::Kind::head, std::move(event));
  head_emitted_ = true;
  if (attempt_.serial && !attempt_.error) note_first_content();
  if (!attempt_.serial || attempt_.request_done) drop_body();
  set_phase(Phase::relaying, attempt_.serial ? context_.now + deployment().timeouts.idle
                                             : Instant::never());
  release();
}

// Delivers what the window allows; stops and starts reading; ends the call when all is delivered.
void Call::release() {
  uint64_t limit = answer_ended_ || !events_ || delivery_ != Delivery::bytes
                       ? held_.bytes()
                       : std::max(complete_to_, held_begin_) - held_begin_;
  if (limit == 0 && held_.bytes() > route_config().hold_bytes) {
    limit = held_.bytes();  // One event longer than may be held goes out in parts.
    split_event_ = true;
  }
  if (delivery_ == Delivery::whole) {
    if (answer_ended_ && held_.count() > 1) held_ = Chain(Chunk::copy(held_.to_string()));
    if (!answer_ended_) limit = 0;
  }
  while (limit > 0 && (outstanding() < window_ || delivery_ == Delivery::whole)) {
    Event event;
    event.data = delivery_ == Delivery::events ? held_.pop() : take(held_, limit);
    limit -= std::min<uint64_t>(limit, event.data.size());
    held_begin_ += event.data.size();
    delivered_ += event.data.size();
    if (held_begin_ <= complete_to_) split_event_ = false;
    emit(Event::Kind::data, std::move(event));
  }
  if (answer_ended_) {
    if (held_.empty())
      end(end_status_, 0, std::move(end_message_));
    else
      set_phase(Phase::ending, Instant::never());
    return;
  }
  Link* link = context_.pool.find(attempt_.link);
  if (!link) return;
  // A slow caller is not a stalled upstream: its clock stands while reading is off.
  bool read = limit == 0 && outstanding() < window_;
  if (read == link->reading) return;
  context_.pool.read(*link, read);
  set_phase(phase_, read ? context_.now + deployment().timeouts.idle : Instant::never());
}

// The answer went wrong after something was delivered: said in the protocol where it has a way to, and by BROKEN.
void Call::broken(Status status, std::string message) {
  LB_CHECK(head_emitted_ && phase_ != Phase::done);
  if (attempt_.serial) {
    if (status == Status::DEADLINE)
      context_.fleet.target(attempt_.target).meter.failed[static_cast<size_t>(ErrorClass::timeout)]++;
    else
      judge({ErrorClass::broken, std::nullopt, nullptr});
    if (attempt_.answer) usage_ = attempt_.answer->usage();
    close_attempt(Took::unknown);
  }
  // No time is left for more than what ends it.
  bool over = status == Status::DEADLINE || status == Status::CANCELLED;
  if (over) {
    held_begin_ += held_.bytes();
    held_.clear();
  }
  if (events_ && delivery_ == Delivery::bytes) {
    // Only whole events stay; then the protocol's own.
    uint64_t whole = complete_to_ > held_begin_ ? complete_to_ - held_begin_ : 0;
    Chain keep;
    while (keep.bytes() < whole) keep.push(take(held_, whole - keep.bytes()));
    held_ = std::move(keep);
    if (split_event_) held_.push(Chunk::copy("\n\n"));
    std::string said = in_band_error_ ? "" : broken_event(operation_, message);
    if (array()) {
      hold_array(said);
      held_.push(Chunk::copy(GeminiArray::kEnd));
    } else if (!said.empty()) {
      held_.push(Chunk::copy(said));
    }
    error_said_ = true;
  }
  answer_ended_ = true;
  end_status_ = status;
  end_message_ = std::move(message);
  // Nor for credit.
  if (over && outstanding() >= window_) {
    held_.clear();
    error_said_ = false;
  }
  release();
}

// A whole answer, and a success of its target: for the meters, and for its health.
void Call::count_answer() {
  Target& target = context_.fleet.target(attempt_.target);
  TargetMeter& meter = target.meter;
  usage_ = attempt_.answer->usage();
  if (counting()) context_.fleet.upstream(target.upstream).count_failures = 0;
  meter.ok++;
  meter.tokens_in += usage_.input.value_or(0);
  meter.tokens_out += usage_.output.value_or(0);
  meter.latency.record(context_.now - attempt_.started);
  attempt_.ended.verdict = policy::Verdict::good;
}

// The body ended where it should, as far as HTTP goes.
void Call::finish_answer() {
  if (attempt_.answer) {
    const Answer& answer = *attempt_.answer;
    context_.fleet.target(attempt_.target).meter.malformed_events += answer.malformed();
    context_.text.clear();
    bool whole = !attempt_.stream || attempt_.stream->end(context_.text);
    if (!answer.finished() || !whole)
      return broken(Status::BROKEN, "the answer ended without its terminal marker");
    hold_rewritten();
    if (attempt_.stream) trace_losses(attempt_.stream->losses());
    if (events_ && array()) held_.push(Chunk::copy(GeminiArray::kEnd));
    // Its head has gone out as a success: the route commits by the head.
    if (answer.failed()) return broken(Status::BROKEN, "the upstream reported an error within a success");
    count_answer();
  }
  close_attempt(attempt_.error ? Took::answer : Took::usage);
  answer_ended_ = true;
  release();
}

}  // namespace lb
