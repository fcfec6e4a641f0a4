// lb_balancer_* of lb.h, asked as a host in C would.
#include <algorithm>

#include "cases/host.h"
#include "lb.h"
#include "wire/json.h"

namespace lb::cases {

namespace {

uint64_t ns(Instant time) { return static_cast<uint64_t>(time.ns); }

class DoorChooser final : public Chooser {
 public:
  explicit DoorChooser(uint64_t seed) : seed_(seed) {}
  ~DoorChooser() override { lb_balancer_free(balancer_); }
  std::string configure(std::shared_ptr<const Config>, const std::string& document, Instant now) override;
  void begin(const Question& question, Instant) override { calls_[question.text.number].question = question; }
  void end(uint64_t call) override { calls_.erase(call); }
  Pick pick(uint64_t call, Instant now) override;
  bool report(uint64_t call, const Outcome& outcome, Instant now) override;
  std::optional<Duration> shortest_wait(uint64_t call, Instant now) override;
  void mark(const std::string& deployment, Duration length, Instant now) override {
    lb_error error = {sizeof error, 0, "", ""};
    uint64_t ms = static_cast<uint64_t>(length.ms());
    lb_balancer_mark(balancer_, deployment.data(), deployment.size(), "", 0, ms, ns(now), &error);
  }
  uint32_t in_flight() const override;

 private:
  struct Call {
    Question question;
    std::vector<uint32_t> tried;
    uint32_t attempts = 0;
    bool asked = false;
    uint64_t pick = 0;
  };
  static lb_ask ask(const Call& call);

  const uint64_t seed_;
  lb_balancer* balancer_ = nullptr;
  std::map<uint64_t, Call> calls_;
  Instant now_;  // The last that was told.
};

std::string DoorChooser::configure(std::shared_ptr<const Config>, const std::string& document, Instant now) {
  lb_error error = {sizeof error, 0, "", ""};
  lb_balancer_options options = {};
  options.struct_size = sizeof options;
  options.seed = seed_;
  options.now_ns = ns(now);
  options.unix_ns = uint64_t{kUnixBegin} * 1'000'000'000;
  lb_status status = balancer_
                         ? lb_balancer_configure(balancer_, document.data(), document.size(), ns(now), &error)
                         : lb_balancer_open(&options, document.data(), document.size(), &balancer_, &error);
  now_ = now;
  return status == LB_OK ? "" : std::string(error.where) + ": " + error.message;
}

lb_ask DoorChooser::ask(const Call& call) {
  const Question& question = call.question;
  lb_ask out = {};
  out.struct_size = sizeof out;
  out.flags = call.asked ? uint32_t{LB_ASK_RETRY} : 0;
  out.model = question.text.model.data();
  out.model_len = question.text.model.size();
  out.caller = question.text.caller.data();
  out.caller_len = question.text.caller.size();
  out.affinity = question.affinity.data();
  out.affinity_len = question.affinity.size();
  out.characters = question.prompt.characters;
  out.tokens_out_max = question.prompt.output_max;
  out.choices = static_cast<uint32_t>(question.prompt.choices);
  out.images = static_cast<uint32_t>(question.prompt.images);
  out.tried = call.tried.data();
  out.tried_count = call.tried.size();
  out.attempts = call.attempts;
  out.deadline_ns = ns(question.deadline);
  return out;
}

Pick DoorChooser::pick(uint64_t number, Instant now) {
  Call& call = calls_[number];
  lb_ask asked = ask(call);
  lb_pick picked = {};
  picked.struct_size = sizeof picked;
  lb_status status = lb_balancer_pick(balancer_, &asked, ns(now), &picked);
  call.asked = true;
  now_ = now;
  Pick out;
  if (status == LB_OK) {
    call.pick = picked.pick;
    call.tried.push_back(picked.target);
    call.attempts++;
    out.kind = Pick::Kind::send;
    out.deployment = picked.deployment;
    return out;
  }
  out.limited = status == LB_LIMITED;
  if (picked.again) call.tried.clear();
  out.kind = picked.again ? Pick::Kind::again : picked.wait_ns == 0 ? Pick::Kind::none : Pick::Kind::wait;
  bool never = picked.wait_ns == UINT64_MAX;
  out.until = never ? Instant::never() : now + Duration{static_cast<int64_t>(picked.wait_ns)};
  return out;
}

bool DoorChooser::report(uint64_t number, const Outcome& outcome, Instant now) {
  Call& call = calls_[number];
  lb_outcome out = {};
  out.struct_size = sizeof out;
  std::string head, body;
  auto know = [&](uint32_t bit, std::optional<uint64_t> value, uint64_t& field) {
    if (value) out.known |= bit;
    field = value.value_or(0);
  };
  switch (outcome.kind) {
    case Outcome::Kind::answer: out.kind = LB_OUTCOME_OK; break;
    case Outcome::Kind::refused: out.kind = LB_OUTCOME_CONNECT; break;
    case Outcome::Kind::timeout: out.kind = LB_OUTCOME_TIMEOUT; break;
    case Outcome::Kind::broken:
    case Outcome::Kind::cut: out.kind = LB_OUTCOME_BROKEN; break;
    case Outcome::Kind::cancelled: out.kind = LB_OUTCOME_CANCELLED; break;
  }
  if (outcome.answer) {
    write_fields(outcome.answer->head(outcome.stream), head);
    body = outcome.answer->body(outcome.stream);
    out.http_status = outcome.answer->status;
    if (out.http_status >= 300 || outcome.answer->holds_error()) out.kind = LB_OUTCOME_ERROR;
    know(LB_KNOWN_TOKENS_IN, outcome.answer->input, out.tokens_in);
    know(LB_KNOWN_TOKENS_OUT, outcome.answer->output, out.tokens_out);
    know(LB_KNOWN_TOKENS_CACHED, outcome.answer->cached, out.tokens_cached);
  }
  out.head = head.data();
  out.head_len = head.size();
  out.body = body.data();
  out.body_len = out.kind == LB_OUTCOME_ERROR ? body.size() : 0;
  out.delivered = outcome.kind == Outcome::Kind::broken;
  if (out.kind == LB_OUTCOME_OK || out.delivered)
    know(LB_KNOWN_FIRST_CONTENT, static_cast<uint64_t>(outcome.took.ns), out.first_content_ns);
  lb_next next = {};
  next.struct_size = sizeof next;
  LB_CHECK(lb_balancer_report(balancer_, call.pick, &out, ns(now), &next) == LB_OK);
  LB_CHECK(lb_balancer_report(balancer_, call.pick, &out, ns(now), &next) == LB_GONE);
  now_ = now;
  return next.kind == LB_NEXT_ELSEWHERE;
}

// What a call that has tried nothing yet would be told, from the reasons that the balancer gives.
std::optional<Duration> DoorChooser::shortest_wait(uint64_t number, Instant now) {
  Call fresh;
  fresh.question = calls_[number].question;
  lb_ask asked = ask(fresh);
  size_t size = 0;
  char* text = lb_balancer_explain(balancer_, &asked, ns(now), &size);
  LB_CHECK(text);
  Result<JsonDocument> why = JsonDocument::parse({text, size});
  lb_free(text);
  LB_CHECK(why.ok());
  JsonView held = why.value().root()["wait_ms"];
  if (why.value().root()["by"].string() == "caller" && held.is_number())
    return Duration::from_ms(static_cast<int64_t>(held.number()));
  std::optional<Duration> least;
  for (JsonView c = why.value().root()["candidates"].first(); c.present(); c = c.next()) {
    if (c["not"].string() == "manual") continue;
    if (!c["for_ms"].present()) return std::nullopt;
    Duration here = Duration::from_ms(static_cast<int64_t>(c["for_ms"].number()));
    least = std::min(least.value_or(here), here);
  }
  return least;
}

uint32_t DoorChooser::in_flight() const {
  size_t size = 0;
  char* text = lb_balancer_stats(balancer_, ns(now_), &size);
  Result<JsonDocument> stats = JsonDocument::parse({text, size});
  lb_free(text);
  return static_cast<uint32_t>(stats.value().root()["picks"].number());
}

}  // namespace

std::unique_ptr<Driver> make_door_driver(uint64_t seed, Upstreams& upstreams) {
  return std::make_unique<Host>(std::make_unique<DoorChooser>(seed), upstreams);
}

}  // namespace lb::cases
