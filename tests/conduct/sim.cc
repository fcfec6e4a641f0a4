// Plays a scenario with the engine as it is, over virtual time: reads steps (steps.h), writes what happened.
#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "conduct/net.h"
#include "conduct/steps.h"
#include "engine/engine.h"
#include "engine/head_text.h"

namespace lb::conduct {

namespace {

// The wall clock of scenarios: 2023-11-14 22:13:20 UTC.
int64_t unix_time_s() { return 1'700'000'000; }

// Longer than any scenario takes; then what is missing is missing.
constexpr Duration kPatience = Duration::from_ms(60'000);

constexpr uint32_t kHeadMax = 64 * 1024;

struct Step {
  std::string kind, name, text, head, body;
  int64_t at_ms = -1;
  std::vector<int64_t> numbers;
};

struct Caller {
  CallId call = 0;
  bool active = false;
  bool left = false;
  bool pausing = false;
  uint64_t owed = 0;
  std::string text;  // It leaves when it has had this; "": it does not.
  std::string had;
};

// One caller or several, as the abi layer would run their calls.
class Play final : public EventSink {
 public:
  explicit Play(std::vector<Upstream> upstreams) : upstreams_(std::move(upstreams)), net_(schedule_, upstreams_) {}

  bool open(const std::string& document) {
    Result<std::shared_ptr<const Config>> config = parse_config(document, nullptr, SecretUse::read);
    if (!config.ok()) {
      fprintf(stderr, "%s: %s\n", config.error().where.c_str(), config.error().message.c_str());
      return false;
    }
    EngineOptions options;
    options.unix_time_s = unix_time_s;
    engine_ = std::make_unique<Engine>(net_, options, config.value(), schedule_.now());
    begin_ = schedule_.now();
    return true;
  }

  void run(const Step& step) {
    if (step.at_ms >= 0)
      run_to(begin_ + Duration::from_ms(step.at_ms));
    else
      run_out();
    if (step.kind == "call") return call(step);
    if (step.kind == "wait") return run_to(schedule_.now() + Duration::from_ms(step.numbers[0]));
    if (step.kind == "configure") return configure(step);
    if (step.kind == "close") return close(step);
    for (Upstream& upstream : upstreams_)
      if (upstream.name == step.name) step.kind == "stop" ? net_.stop(upstream) : net_.start(upstream);
    turn(schedule_.now());
  }

  // Until no call is left.
  void run_out() {
    Instant limit = schedule_.now() + kPatience;
    while (active_ > 0 && next() <= limit) run_to(next());
  }

  void end() {
    run_out();
    Engine::Census census = engine_->census();
    std::string unrest;
    if (active_) unrest += std::to_string(active_) + " calls never ended; ";
    if (census.in_flight) unrest += std::to_string(census.in_flight) + " in flight; ";
    if (census.replay_bytes) unrest += std::to_string(census.replay_bytes) + " bytes of requests are kept; ";
    if (net_.open() != census.idle_links) unrest += std::to_string(net_.open()) + " connections are open; ";
    printf("unrest");
    write_bytes(unrest.data(), unrest.size());
    engine_.reset();
    printf("ended %lld\n", static_cast<long long>(now_us()));
  }

  void deliver(std::vector<Event>& events) override {
    for (Event& event : events) {
      int id = static_cast<int>(event.user_data);
      Caller& caller = callers_[event.user_data];
      if (event.kind == Event::Kind::head) {
        printf("head %d %lld %u", id, static_cast<long long>(now_us()), event.code);
        write_bytes(event.data.data(), event.data.size());
      } else if (event.kind == Event::Kind::data) {
        printf("data %d %lld", id, static_cast<long long>(now_us()));
        write_bytes(event.data.data(), event.data.size());
        on_data(event.user_data, caller, event.data);
      } else if (event.kind == Event::Kind::done) {
        on_done(id, caller, event);
      }
    }
  }

 private:
  int64_t now_us() const { return schedule_.now().ns / 1000; }
  Instant next() const { return std::min(schedule_.next(), net_.wake()); }

  // In the order of a real turn: timers, completions, commands; what the schedule runs is I/O.
  void turn(Instant when) {
    do {
      engine_->begin(when);
      schedule_.run_to(when);
      std::vector<Completion> completions;
      completions.swap(net_.completions());
      for (Completion& completion : completions) engine_->complete(completion);
      engine_->settle();
      net_.wake_at(engine_->next_wake());
    } while (!net_.completions().empty() || next() <= schedule_.now());
  }

  void run_to(Instant when) {
    while (next() <= when) turn(std::max(schedule_.now(), next()));
    turn(std::max(schedule_.now(), when));
  }

  void call(const Step& step) {
    auto id = static_cast<uint64_t>(step.numbers[0]);
    if (callers_.size() <= id) callers_.resize(id + 1);
    Caller& caller = callers_[id];
    printf("asked %d %lld\n", static_cast<int>(id), static_cast<long long>(now_us()));
    CallSpec spec;
    spec.sink = this;
    spec.user_data = id;
    Result<Head> head = parse_head_text(step.head, kHeadMax);
    LB_CHECK(head.ok());
    spec.head = std::move(head.value());
    spec.body.push(Chunk::copy(step.body));
    caller.text = step.text;
    engine_->begin(schedule_.now());
    // Known before its events come: they may come from within the turn.
    caller.active = true;
    active_++;
    if (step.numbers[2] > 0) {
      caller.pausing = true;
      schedule_.after(Duration::from_ms(step.numbers[2]), [this, id] { go_on(id); });
    }
    if (step.numbers[1] >= 0) schedule_.after(Duration::from_ms(step.numbers[1]), [this, id] { leave(id); });
    Result<CallId> started = engine_->start(std::move(spec));
    if (started.ok()) {
      caller.call = started.value();
    } else {
      printf("refused %d %lld %s\n", static_cast<int>(id), static_cast<long long>(now_us()),
             status_name(started.error().status));
      caller.active = false;
      active_--;
    }
    turn(schedule_.now());
  }

  void configure(const Step& step) {
    Result<std::shared_ptr<const Config>> config = parse_config(step.text, nullptr, SecretUse::read);
    if (config.ok()) {
      engine_->begin(schedule_.now());
      engine_->configure(config.value());
      turn(schedule_.now());
    }
    printf("configured %lld %s\n", static_cast<long long>(now_us()),
           status_name(config.ok() ? Status::OK : config.error().status));
  }

  void close(const Step& step) {
    engine_->begin(schedule_.now());
    engine_->close(false);
    schedule_.after(Duration::from_ms(step.numbers[0]), [this] {
      if (engine_) engine_->close(true);
    });
    turn(schedule_.now());
  }

  void leave(uint64_t id) {
    Caller& caller = callers_[id];
    if (!caller.active || caller.left) return;
    caller.left = true;
    printf("left %d %lld\n", static_cast<int>(id), static_cast<long long>(now_us()));
    engine_->cancel(caller.call);
  }

  void go_on(uint64_t id) {
    Caller& caller = callers_[id];
    caller.pausing = false;
    net_.tell_sent();
    printf("resumed %llu %lld\n", static_cast<unsigned long long>(id), static_cast<long long>(now_us()));
    if (caller.active) engine_->credit(caller.call, std::exchange(caller.owed, 0));
  }

  void on_data(uint64_t id, Caller& caller, const Chunk& data) {
    caller.owed += data.size();
    if (!caller.pausing) engine_->credit(caller.call, std::exchange(caller.owed, 0));
    if (caller.text.empty()) return;
    caller.had += data.view();
    if (caller.had.find(caller.text) != std::string::npos) leave(id);
  }

  void on_done(int id, Caller& caller, const Event& event) {
    const Detail& detail = *event.detail;
    printf("done %d %lld %s %u %lld %u %s", id, static_cast<long long>(now_us()), status_name(event.status), event.code,
           detail.retry_after ? static_cast<long long>(detail.retry_after->ms_ceil()) : -1LL, detail.attempts,
           detail.upstream.empty() ? "-" : detail.upstream.c_str());
    write_bytes(detail.message.data(), detail.message.size());
    caller.active = false;
    active_--;
  }

  sim::Schedule schedule_;
  std::vector<Upstream> upstreams_;
  ScenarioNet net_;
  std::unique_ptr<Engine> engine_;
  Instant begin_;
  std::vector<Caller> callers_ = std::vector<Caller>(256);
  int active_ = 0;
};

std::string take_bytes(const char* size) {
  char* bytes = read_bytes(parse_u64(size).value_or(0));
  std::string out = bytes;
  free(bytes);
  return out;
}

int64_t number(const char* text) { return atoll(text); }

Act read_act(const std::vector<char*>& words) {
  Act act;
  std::string_view kind = words[0];
  if (kind == "send") {
    act.kind = Act::Kind::send;
    act.bytes = take_bytes(words[1]);
  } else if (kind == "wait") {
    act.kind = Act::Kind::wait;
    act.length = Duration::from_ms(number(words[1]));
  } else {
    act.kind = kind == "end" ? Act::Kind::end : kind == "reset" ? Act::Kind::reset : Act::Kind::stall;
  }
  return act;
}

Upstream read_upstream(const std::vector<char*>& words) {
  Upstream upstream;
  upstream.name = words[1];
  upstream.port = static_cast<uint16_t>(number(words[2]));
  upstream.meets = words[3];
  std::string_view rest = words[4];
  while (!rest.empty()) upstream.dns.emplace_back(split_off(rest, ','));
  return upstream;
}

Step read_step(const std::vector<char*>& words) {
  Step step;
  step.kind = words[0];
  step.at_ms = number(words[1]);
  step.name = words[2];
  for (size_t i = 2; i < words.size(); i++) step.numbers.push_back(number(words[i]));
  if (step.kind == "configure") step.text = take_bytes(words[2]);
  if (step.kind != "call") return step;
  step.text = take_bytes(words[5]);
  step.head = take_bytes(words[6]);
  step.body = take_bytes(words[7]);
  return step;
}

int play() {
  char line[4096];
  std::string document;
  std::vector<Upstream> upstreams;
  std::vector<Step> steps;
  for (;;) {
    std::vector<char*> words(12);
    words.resize(static_cast<size_t>(read_words(line, sizeof line, words.data(), 12)));
    if (words.empty() || std::string_view(words[0]) == "go") break;
    std::string_view kind = words[0];
    bool timed = words.size() > 2;
    if (kind == "config")
      document = take_bytes(words[1]);
    else if (kind == "upstream")
      upstreams.push_back(read_upstream(words));
    else if (kind == "script")
      upstreams.back().scripts.push_back({parse_u64(words[2]).value_or(0), parse_u64(words[3]).value_or(0), {}});
    else if (timed)
      steps.push_back(read_step(words));
    else
      upstreams.back().scripts.back().acts.push_back(read_act(words));
  }
  Play play(std::move(upstreams));
  if (!play.open(document)) return 2;
  for (const Step& step : steps) play.run(step);
  play.end();
  return 0;
}

}  // namespace

}  // namespace lb::conduct

int main() { return lb::conduct::play(); }
