#include "mock/exchange.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mock/errors.h"
#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr double kForEver = std::numeric_limits<double>::infinity();

bool at_spot(bool wanted, const Fault& fault, Spot spot, uint32_t at) {
  return wanted && fault.spot == spot && (spot != Spot::after_events || fault.after == at);
}

}  // namespace

void Exchange::start(Endpoint endpoint, const Ask& ask, Script& script, const Clock& now, uint64_t prompt_tokens,
                     bool last, bool http10) {
  const Behaviour& behaviour = *verdict_.behaviour;
  endpoint_ = endpoint;
  ask_ = &ask;
  id_ = script.id();
  last_ = last;
  stream_ = ask.stream && !verdict_.ready;
  stalled_ = false;
  stall_until_ms_ = 0;
  index_ = 0;
  phase_ = Phase::latency;
  due_ms_ = now.ms + behaviour.latency_ms + script.jitter(behaviour);
  framing_ = behaviour.framing;
  if (framing_ == Framing::automatic) framing_ = Framing::length;
  if (stream_ && framing_ == Framing::length) framing_ = Framing::chunked;
  if (http10 && framing_ == Framing::chunked) framing_ = Framing::close;
  if (!verdict_.ready) wording_.start(endpoint, behaviour, ask, id_, now.wall_s, prompt_tokens);
}

void Exchange::start_ready(uint32_t status, std::string_view content_type, std::string body, const Clock& now,
                           bool last) {
  verdict_ = Verdict();
  verdict_.status = status;
  verdict_.content_type = content_type;
  verdict_.body = std::move(body);
  verdict_.ready = true;
  last_ = last;
  stream_ = false;
  index_ = 0;
  phase_ = Phase::latency;
  due_ms_ = now.ms;
  framing_ = Framing::length;
}

Step Exchange::end_early() const {
  return {verdict_.behaviour->cut.reset ? Step::Kind::reset : Step::Kind::close};
}

// A comment in time, if the stream is to have them, and how long to wait for what.
Step Exchange::waiting(double until_ms, const Clock& now, std::string* out) {
  const double every_ms = verdict_.behaviour->ping_ms;
  if (stream_ && phase_ > Phase::head && every_ms > 0) {
    // Others count silence from what was said last, and so does this.
    if (out->empty() && now.ms >= said_ms_ + every_ms) wording_.ping(&frames_);
    if (!out->empty()) said_ms_ = now.ms;
    until_ms = std::min(until_ms, said_ms_ + every_ms);
  }
  return {until_ms == kForEver ? Step::Kind::hang : Step::Kind::wait, until_ms};
}

bool Exchange::held(Spot spot, uint32_t at, const Clock& now, std::string* out, Step* step) {
  if (!verdict_.behaviour) return false;
  const Behaviour& behaviour = *verdict_.behaviour;
  if (at_spot(verdict_.stall && !stalled_, behaviour.stall, spot, at)) {
    if (stall_until_ms_ == 0) stall_until_ms_ = behaviour.stall.for_ms ? now.ms + *behaviour.stall.for_ms : kForEver;
    if (now.ms < stall_until_ms_) {
      *step = waiting(stall_until_ms_, now, out);
      return true;
    }
    stalled_ = true;
    content_ms_ = now.ms - at * behaviour.event_gap_ms;  // What follows keeps its pace.
  }
  if (!at_spot(verdict_.cut, behaviour.cut, spot, at)) return false;
  *step = end_early();
  return true;
}

void Exchange::head(const Clock& now, std::string* out) {
  const Behaviour* behaviour = verdict_.behaviour;
  if (!stream_) {
    body_.clear();
    if (verdict_.ready) body_ = verdict_.body;
    else wording_.plain(&body_);
  }
  std::string_view type = stream_ && !ask_->array ? "text/event-stream; charset=utf-8" : "application/json";
  if (verdict_.ready) type = verdict_.content_type;
  if (behaviour && verdict_.status == 200 && !behaviour->content_type.empty()) type = behaviour->content_type;
  add(out, "HTTP/1.1 ", verdict_.status, " ", reason(verdict_.status), "\r\ndate: ", now.date, "\r\n");
  if (!type.empty()) add(out, "content-type: ", type, "\r\n");
  if (behaviour) {
    add(out, "x-mock-name: ", behaviour->name, "\r\n", ask_->voice == Voice::anthropic ? "request-id" : "x-request-id",
        ": req_");
    add_hex(out, id_);
    *out += "\r\n";
    if (ask_->voice == Voice::openai)
      add(out, "openai-processing-ms: ", static_cast<uint64_t>(behaviour->latency_ms), "\r\n");
    add(out, behaviour->headers, verdict_.headers);
  }
  if (stream_) *out += "cache-control: no-cache\r\n";
  if (framing_ == Framing::length) add(out, "content-length: ", body_.size(), "\r\n");
  if (framing_ == Framing::chunked) *out += "transfer-encoding: chunked\r\n";
  const bool silent = behaviour && !behaviour->announce_close && framing_ != Framing::close;
  if ((last_ && !silent) || framing_ == Framing::close) *out += "connection: close\r\n";
  *out += "\r\n";
  const bool bytes = verdict_.cut && behaviour && behaviour->cut.spot == Spot::after_bytes;
  frames_.start(framing_ == Framing::chunked, bytes ? behaviour->cut.after : UINT64_MAX, out);
}

// The body in one piece, or in two halves when something is to happen in its middle.
bool Exchange::plain_step(const Clock& now, std::string* out, Step* step) {
  const bool halves = verdict_.behaviour && ((verdict_.cut && verdict_.behaviour->cut.spot == Spot::after_events) ||
                                             (verdict_.stall && verdict_.behaviour->stall.spot == Spot::after_events));
  if (phase_ == Phase::plain) {
    half_ = halves ? body_.size() / 2 : body_.size();
    frames_.add(std::string_view(body_).substr(0, half_));
    phase_ = Phase::plain_rest;
  }
  // The middle is the spot, whatever number of events was asked for.
  if (halves && held(Spot::after_events, verdict_.cut ? verdict_.behaviour->cut.after : verdict_.behaviour->stall.after,
                     now, out, step))
    return true;
  frames_.add(std::string_view(body_).substr(half_));
  if (frames_.cut()) {
    *step = end_early();
    return true;
  }
  frames_.end();
  phase_ = Phase::trailing;
  return false;
}

// Content events that are due, until there is a reason to stop.
bool Exchange::content_step(const Clock& now, std::string* out, Step* step) {
  const Behaviour& behaviour = *verdict_.behaviour;
  for (;; index_++) {
    const double due_ms = content_ms_ + index_ * behaviour.event_gap_ms;
    if (frames_.cut()) {
      *step = end_early();
    } else if (out->size() > kInHand) {
      *step = {Step::Kind::drain};
    } else if (index_ < wording_.events() && now.ms < due_ms) {
      *step = waiting(due_ms, now, out);
    } else if (!held(Spot::after_events, index_, now, out, step)) {
      if (behaviour.malformed_at == index_) wording_.malformed(&frames_);
      if (behaviour.error_event.wanted && behaviour.error_event.at == index_) {
        wording_.error_event(&frames_);
        phase_ = Phase::ending;
        return false;
      }
      if (index_ == wording_.events()) {
        phase_ = Phase::closing;
        return false;
      }
      if (behaviour.pings != 0 && index_ % behaviour.pings == 0) wording_.ping(&frames_);
      wording_.content(index_, &frames_);
      continue;
    }
    return true;
  }
}

Step Exchange::advance(const Clock& now, std::string* out) {
  frames_.to(out);
  for (Step step{Step::Kind::hang};;) {
    switch (phase_) {
      case Phase::latency:
        if (now.ms < due_ms_) return {Step::Kind::wait, due_ms_};
        phase_ = Phase::before_head;
        break;
      case Phase::before_head:
        if (held(Spot::before_head, 0, now, out, &step)) return step;
        phase_ = Phase::head;
        break;
      case Phase::head:
        head(now, out);
        said_ms_ = now.ms;
        if (frames_.cut()) return end_early();
        phase_ = !stream_ ? Phase::plain : verdict_.behaviour->empty ? Phase::ending : Phase::first_token;
        content_ms_ = now.ms + (stream_ ? verdict_.behaviour->first_token_ms : 0);
        break;
      case Phase::plain:
      case Phase::plain_rest:
        if (plain_step(now, out, &step)) return step;
        break;
      case Phase::first_token:
        if (now.ms < content_ms_) return waiting(content_ms_, now, out);
        phase_ = Phase::content;
        // An error event before content 0 is the first event of all.
        if (!verdict_.behaviour->error_event.wanted || verdict_.behaviour->error_event.at != 0)
          wording_.opening(&frames_);
        break;
      case Phase::content:
        if (content_step(now, out, &step)) return step;
        break;
      case Phase::closing:
        wording_.closing(&frames_);
        phase_ = Phase::ending;
        break;
      case Phase::ending:
        if (frames_.cut()) return end_early();
        frames_.end();
        phase_ = Phase::trailing;
        break;
      case Phase::trailing:
        if (verdict_.behaviour) *out += verdict_.behaviour->trailing;
        phase_ = Phase::over;
        break;
      case Phase::over: return {Step::Kind::done};
    }
  }
}

}  // namespace lb::mock
