// Answers that are checked: held until they are whole, then passed on, mended, or asked for again.
#include "engine/validation.h"

#include <algorithm>
#include <utility>

#include "engine/call.h"
#include "wire/dialect/gemini_array.h"
#include "wire/dialect/said.h"
#include "wire/escape.h"

namespace lb {

namespace {

// Bytes of an answer that an error repeats: a word or a sentence, no document.
constexpr size_t kRepeatedMax = 200;

}  // namespace

Usage sum(const Usage& a, const Usage& b) {
  auto add = [](std::optional<uint64_t> x, std::optional<uint64_t> y) {
    return x || y ? std::optional(x.value_or(0) + y.value_or(0)) : std::nullopt;
  };
  return {add(a.input, b.input), add(a.output, b.output), add(a.cached, b.cached)};
}

// More of an answer has been held. Its first content is no reason to commit, but to ask nobody else beside.
void Call::hold_checked(bool content) {
  if (content && !attempt_.ended.first_content) {
    win();
    note_first_content();
  }
  if (held_.bytes() <= validation_->rules->hold_bytes) return;
  attempt_.ended.verdict = policy::Verdict::no_fault;
  close_attempt(Took::unknown);
  end(Status::TOO_LARGE, 502, "the answer is longer than hold_bytes of `validate`, so that it cannot be checked");
}

// What is held, as a JSON document or a stream of events.
std::string Call::held_text() const {
  std::string out;
  auto add = [&](std::string_view data) {
    out += "data: ";
    for (char c : data) c == '\n' ? out.append("\ndata: ") : out.append(1, c);
    out += "\n\n";
  };
  if (events_ && delivery_ == Delivery::events) {
    for (size_t i = 0; i < held_.count(); i++) add(held_[i].view());
    return out;
  }
  if (!events_ || !array()) return held_.to_string();
  // Its end comes when it is passed on.
  std::string list = held_.to_string() + std::string(GeminiArray::kEnd);
  Result<Raw> whole = Raw::parse(list);
  for (RawWalk at = whole.ok() ? whole.value().walk() : Raw().walk(); at.next();) add(at.value().text());
  return out;
}

// A whole answer, in the caller's dialect: what may be passed on of it is held now. False: the call has gone on.
bool Call::check_answer() {
  if (attempt_.stream) {
    context_.text.clear();
    if (!attempt_.stream->end(context_.text)) {
      fail(ErrorClass::broken, "the answer ended without its terminal marker");
      return false;
    }
    hold_rewritten();
    attempt_.stream.reset();
  }
  std::string answer = held_text();
  Result<std::vector<Said>> said =
      events_ ? said_in_stream(validation_->dialect, answer) : said_in(validation_->dialect, answer);
  if (!said.ok()) {
    fail(ErrorClass::broken, "the answer cannot be read: " + said.error().message);
    return false;
  }
  if (said.value().empty()) said.value().emplace_back();
  Texts texts;
  bool changed = false;
  for (const Said& choice : said.value()) {
    texts.emplace_back();
    if (!choice.only) continue;
    Validator::Verdict verdict = validation_->rules->validator.check(choice.text);
    if (!verdict.valid) {
      ask_again(choice.text, verdict.error);
      return false;
    }
    if (verdict.kept.size() == choice.text.size()) continue;
    texts.back() = verdict.kept;
    changed = true;
  }
  if (!changed) return true;
  if (events_) {
    context_.text = stream_with(validation_->dialect, answer, texts, how_to_answer());
    held_.clear();
    attempt_.array_begun = false;
    hold_rewritten();
  } else {
    held_ = Chain(Chunk::copy(answer_with(validation_->dialect, answer, texts)));
    attempt_.head.set("content-length", std::to_string(held_.bytes()));
  }
  return true;
}

// The answer is one, but not what was asked for: nobody's fault. The model is told, as far as asks, attempts and time
// allow.
void Call::ask_again(const std::string& said, const std::string& error) {
  context_.meter.invalid_answers++;
  note_first_content();
  count_answer();
  note_attempt(ErrorClass::none, "the answer breaks the rules of its route: " + error);
  close_attempt(Took::usage);
  validation_->usage = sum(validation_->usage, std::exchange(usage_, {}));
  held_.clear();
  last_.reset();
  if (rival_) return take_over();  // It may have said something else.
  policy::Next next =
      policy::after(route_config().retry, policy::Outcome::target_fault, spent(), deadline_, context_.now);
  bool may = validation_->asks < validation_->rules->asks && next.kind != policy::Next::Kind::stop;
  if (!may || !extend_request(said, error)) return give_up_checked(said, error);
  validation_->asks++;
  // Whoever has answered may answer again, and its cache has the conversation. The retry budget is for what fails.
  leave_out_unable();
  waiting_since_ = context_.now;
  dispatch();
}

// The caller's request, with what was said and why it will not do behind its conversation, takes the place of the one
// that came. False: nothing can be added to it.
bool Call::extend_request(std::string_view said, std::string_view error) {
  Result<std::string> more = request_with(validation_->dialect, whole_body(), said,
                                          validation_->rules->validator.ask_again(error));
  if (!more.ok() || more.value().size() > context_.limits().body_bytes) return false;
  drop_body();
  body_ = RequestBody();
  scan_ = OpenAiRequest();
  translation_.reset();
  body_length_ = more.value().size();
  context_.replay_bytes += more.value().size();
  scan_.feed(more.value());
  body_.append(Chunk::copy(more.value()));
  body_.finish();
  return true;
}

void Call::give_up_checked(const std::string& said, const std::string& error) {
  error_code_ = "invalid_output";
  std::string message = "no answer kept the rules of this route, asked " + std::to_string(validation_->asks + 1) +
                        (validation_->asks == 0 ? " time" : " times") + "; the last: " + error;
  if (said.size() <= kRepeatedMax) message += "; it said " + json_quote(said);
  // No 5xx, on which clients ask again by themselves.
  end(Status::UPSTREAM, 422, std::move(message));
}

}  // namespace lb
