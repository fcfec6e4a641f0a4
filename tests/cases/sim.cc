// Whole calls: the engine as it is, over virtual time.
#include <algorithm>
#include <map>

#include "cases/driver.h"
#include "cases/net.h"
#include "engine/engine.h"

namespace lb::cases {

namespace {

int64_t unix_time_s() { return kUnixBegin; }

class Simulation final : public Driver, public EventSink {
 public:
  Simulation(uint64_t seed, Upstreams& upstreams)
      : seed_(seed), net_(schedule_, upstreams, [this](uint64_t call, const std::string& deployment) {
          return asked(call, deployment);
        }) {}
  std::string configure(const std::string& document) override;
  void start(const CallText& text, Record& record) override;
  void finish(uint64_t call, const Answer* answer) override;
  void cancel(uint64_t call) override;
  void mark(const std::string& deployment, Duration length) override;
  Instant now() const override { return schedule_.now(); }
  Instant next() const override { return std::min(schedule_.next(), net_.wake()); }
  void run_to(Instant when) override;
  std::string unrest() const override;
  void deliver(std::vector<Event>& events) override;

 private:
  struct Call {
    CallId id = 0;
    bool held = false;
    Record* record = nullptr;
    std::string end;
    std::optional<Duration> wait;
    uint64_t requests = 0;  // That came to upstreams.
  };
  void turn(Instant when);
  bool asked(uint64_t call, const std::string& deployment);
  void on_event(Call& call, const Event& event);
  void ended(Call& call, const Event& event);

  const uint64_t seed_;
  sim::Schedule schedule_;
  CaseNet net_;
  std::unique_ptr<Engine> engine_;
  std::map<uint64_t, Call> calls_;
};

std::string Simulation::configure(const std::string& document) {
  Result<std::shared_ptr<const Config>> config = parse_config(document, nullptr, SecretUse::read);
  if (!config.ok()) return config.error().where + ": " + config.error().message;
  net_.configure(config.value());
  if (engine_) {
    engine_->begin(now());
    engine_->configure(config.value());
  } else {
    EngineOptions options;
    options.seed = seed_;
    options.unix_time_s = unix_time_s;
    engine_ = std::make_unique<Engine>(net_, options, config.value(), now());
  }
  turn(now());
  return "";
}

// In the order of a real turn: timers, completions, commands; what the schedule runs is I/O.
void Simulation::turn(Instant when) {
  do {
    engine_->begin(when);
    schedule_.run_to(when);
    std::vector<Completion> completions;
    completions.swap(net_.completions());
    for (Completion& completion : completions) engine_->complete(completion);
    engine_->settle();
    net_.wake_at(engine_->next_wake());
  } while (!net_.completions().empty() || next() <= now());
}

void Simulation::run_to(Instant when) {
  while (next() <= when) turn(std::max(now(), next()));
  turn(when);
}

void Simulation::start(const CallText& text, Record& record) {
  Call& call = calls_[text.number];
  call.held = text.held;
  call.record = &record;
  record.started = now();
  CallSpec spec;
  spec.sink = this;
  spec.user_data = text.number;
  spec.attempts = true;
  spec.head = text.head();
  spec.body.push(Chunk::copy(text.body()));
  engine_->begin(now());
  Result<CallId> id = engine_->start(std::move(spec));
  LB_CHECK(id.ok());
  call.id = id.value();
  turn(now());
}

bool Simulation::asked(uint64_t number, const std::string& deployment) {
  Call& call = calls_[number];
  call.requests++;
  call.record->attempts.push_back(deployment);
  call.record->asking = true;
  return call.held;
}

void Simulation::deliver(std::vector<Event>& events) {
  for (const Event& event : events) {
    if (event.kind == Event::Kind::data) engine_->credit(event.call, event.data.size());
    on_event(calls_[event.user_data], event);
  }
}

std::optional<Duration> wait_in(const Event& event) {
  std::string_view rest = event.data.view();
  while (!rest.empty()) {
    std::string_view value = split_off(rest, '\n');
    std::string_view name = split_off(value, ':');
    std::string_view number = trim(value.substr(0, value.find('\r')));
    if (name == "retry-after-ms") return Duration::from_ms(static_cast<int64_t>(parse_u64(number).value_or(0)));
  }
  return std::nullopt;
}

void Simulation::on_event(Call& call, const Event& event) {
  Record& record = *call.record;
  if (event.kind == Event::Kind::attempt) {
    // It may come after the request of the next attempt; of one without a connection there was no request.
    size_t place = event.detail->attempts - 1;
    bool known = place < record.attempts.size() && record.attempts[place] == event.detail->upstream;
    auto at = record.attempts.begin() + static_cast<std::ptrdiff_t>(place);
    if (!known) record.attempts.insert(at, event.detail->upstream);
    record.asking = record.attempts.size() > event.detail->attempts;
  } else if (event.kind == Event::Kind::head) {
    call.end = event.code < 300 ? "ok" : std::to_string(event.code);
    if (event.code >= 300) call.wait = wait_in(event);
  } else if (event.kind == Event::Kind::done) {
    ended(call, event);
  }
}

void Simulation::ended(Call& call, const Event& event) {
  Record& record = *call.record;
  record.done = true;
  record.asking = false;
  record.ended = now();
  record.wait = call.wait;
  record.end = call.end;
  if (event.status == Status::OK) return;
  if (!call.wait && event.status != Status::CANCELLED) record.wait = event.detail->retry_after;
  record.end = event.status == Status::CANCELLED ? "cancelled" : std::to_string(event.code);
  if (event.status != Status::CANCELLED && !call.end.empty()) record.end = "broken";
}

void Simulation::finish(uint64_t number, const Answer* answer) {
  net_.answer(number, answer);
  turn(now());
}

void Simulation::cancel(uint64_t number) {
  engine_->begin(now());
  engine_->cancel(calls_[number].id);
  turn(now());
}

void Simulation::mark(const std::string& deployment, Duration length) {
  engine_->begin(now());
  engine_->mark(deployment, "", length);
  turn(now());
}

std::string Simulation::unrest() const {
  Engine::Census census = engine_->census();
  if (census.in_flight) return std::to_string(census.in_flight) + " in flight";
  for (const auto& [number, call] : calls_)
    if (call.requests > call.record->attempts.size()) return "requests that are no attempts";
  if (census.calls) return std::to_string(census.calls) + " calls open";
  if (census.startable) return std::to_string(census.startable) + " calls wait and need not";
  return net_.open() ? std::to_string(net_.open()) + " connections open" : "";
}

}  // namespace

std::unique_ptr<Driver> make_sim_driver(uint64_t seed, Upstreams& upstreams) {
  return std::make_unique<Simulation>(seed, upstreams);
}

}  // namespace lb::cases
