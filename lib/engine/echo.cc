// Deployments of kind echo: they answer in process, without sockets, through the same path as a real response. For
// tests of hosts and bindings.
#include "engine/call.h"
#include "wire/escape.h"
#include "wire/json.h"

namespace lb {

namespace {

std::string chunk_event(std::string_view model, std::string_view delta, bool finish) {
  JsonWriter json;
  json.begin_object();
  json.key("id").value("chatcmpl-echo").key("object").value("chat.completion.chunk");
  json.key("created").value(uint64_t{0}).key("model").value(model);
  json.key("choices").begin_array().begin_object();
  json.key("index").value(uint64_t{0}).key("delta").raw(delta).key("finish_reason");
  finish ? json.value("stop") : json.null();
  json.end_object().end_array().end_object();
  return "data: " + json.take() + "\n\n";
}

void write_usage(JsonWriter& json, uint64_t in, uint64_t out) {
  json.key("usage").begin_object();
  json.key("prompt_tokens").value(in).key("completion_tokens").value(out);
  json.key("total_tokens").value(in + out).end_object();
}

std::string whole_answer(Operation operation, std::string_view model, uint64_t in, uint64_t out) {
  std::string text;
  for (uint64_t i = 0; i < out; i++) text += "tok " + std::to_string(i) + " ";
  JsonWriter json;
  json.begin_object().key("model").value(model);
  switch (operation) {
    case Operation::chat:
      json.key("id").value("chatcmpl-echo").key("object").value("chat.completion");
      json.key("created").value(uint64_t{0}).key("choices").begin_array().begin_object();
      json.key("index").value(uint64_t{0}).key("message").begin_object();
      json.key("role").value("assistant").key("content").value(text).end_object();
      json.key("finish_reason").value("stop").end_object().end_array();
      break;
    case Operation::completions:
      json.key("id").value("cmpl-echo").key("object").value("text_completion");
      json.key("created").value(uint64_t{0}).key("choices").begin_array().begin_object();
      json.key("index").value(uint64_t{0}).key("text").value(text);
      json.key("finish_reason").value("stop").end_object().end_array();
      break;
    case Operation::embeddings:
      json.key("object").value("list").key("data").begin_array().begin_object();
      json.key("object").value("embedding").key("index").value(uint64_t{0});
      json.key("embedding").raw("[0.5,-0.5]").end_object().end_array();
      break;
    case Operation::responses:
      json.key("id").value("resp_echo").key("object").value("response").key("status");
      json.value("completed").key("output").begin_array().begin_object();
      json.key("type").value("message").key("role").value("assistant").key("content");
      json.begin_array().begin_object().key("type").value("output_text").key("text").value(text);
      json.end_object().end_array().end_object().end_array();
      break;
    case Operation::count_responses:
    case Operation::messages:
    case Operation::count_messages:
    case Operation::generate:
    case Operation::count_generate:
    case Operation::embed:
    case Operation::batch_embed:
      LB_CHECK(false);  // An echo answers as OpenAI does, and does not count.
  }
  write_usage(json, in, out);
  json.end_object();
  return json.take();
}

}  // namespace

// What is asked for is known when the request is here: what of it is before its model may not say yet that it streams.
void Call::echo_start() {
  attempt_.sent = attempt_.request_done = attempt_.received = true;
  echo_left_ = 1;
  set_phase(Phase::holding, Instant::never());
  tick_timer_.kind = static_cast<uint32_t>(TimerKind::call_echo);
  context_.timers.arm(tick_timer_, context_.now + deployment().echo_delay);
}

// A stream is one piece for each event and one for its end; any other answer is one piece. Streams of /v1/responses are
// not imitated: they come whole.
void Call::echo_head() {
  bool stream = wants_stream() && attempt_.operation == Operation::chat;
  attempt_.head.status = attempt_.status = 200;
  attempt_.head.set("content-type", stream ? "text/event-stream" : "application/json");
  events_ = stream;
  attempt_.answer.emplace(stream ? Answer::Form::events : Answer::Form::json, attempt_.operation);
  echo_left_ = stream ? int64_t{deployment().echo_events} + 1 : 1;
}

void Call::echo_tick() {
  if (phase_ == Phase::done || !echo()) return;
  uint64_t events = deployment().echo_events;
  uint32_t serial = attempt_.serial;
  if (!body_.complete() && !keeps_body()) {  // Else it would wait for room, and this for its end.
    drop_body();
    check_room();
  }
  if (!body_.complete() || (head_emitted_ && outstanding() >= window_)) {
    // The rest of the request, or credit, comes first; both are looked at again shortly.
    return context_.timers.arm(tick_timer_, context_.now + Duration::from_ms(1));
  }
  if (!attempt_.answer) echo_head();
  bool stream = events_;
  do {
    echo_left_--;
    if (!stream) {
      on_body(Chunk::copy(whole_answer(attempt_.operation, model_, body_.end() / 4, events)));
    } else if (echo_left_ > 0) {
      std::string text = "tok " + std::to_string(static_cast<int64_t>(events) - echo_left_) + " ";
      std::string delta = "{\"content\":" + json_quote(text) + "}";
      on_body(Chunk::copy(chunk_event(model_, delta, false)));
    } else {
      JsonWriter usage;
      usage.begin_object().key("choices").begin_array().end_array();
      write_usage(usage, body_.end() / 4, events);
      usage.end_object();
      on_body(Chunk::copy(chunk_event(model_, "{}", true) + "data: " + usage.take() +
                          "\n\ndata: [DONE]\n\n"));
    }
    if (attempt_.serial != serial) return;
  } while (echo_left_ > 0 && deployment().echo_delay == Duration::zero() &&
           held_.bytes() < route_config().hold_bytes && outstanding() < window_);
  if (head_emitted_) release();
  if (phase_ == Phase::done || attempt_.serial != serial) return;
  if (echo_left_ == 0) return on_end(nullptr);
  context_.timers.arm(tick_timer_, context_.now + deployment().echo_delay);
}

}  // namespace lb
