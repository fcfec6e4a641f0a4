// lb_study limits|day|crowd [--seed N]: hours of traffic through whole engines over virtual time, and what must hold of
// them. Prints what was measured; exit code 1 if something does not hold.
//
//   limits  one and a half times the capacity, with failures, cancels and reloads: an independent ledger looks for a
//           window of sixty seconds in which a deployment was sent more requests or tokens than its limits allow
//   day     fifty deployments, twenty of which fail, throttle or slow down for some time: no call fails, and there are
//           at most 1.1 attempts for each
//   crowd   eight engines that know nothing of each other, over ten deployments whose latencies are noise: the busiest
//           deployment has at most a tenth more than the mean
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "sim/provider.h"
#include "sim/window.h"

namespace lb::sim {
namespace {

constexpr Duration kMinute = Duration::from_s(60);

std::shared_ptr<const Config> config_of(const std::string& text) {
  auto config = parse_config(text, nullptr, SecretUse::read);
  if (!config.ok()) {
    std::fprintf(stderr, "%s: %s\n", config.error().where.c_str(), config.error().message.c_str());
    std::exit(2);
  }
  return config.value();
}

std::string deployments(int count, const std::string& model, const std::string& more) {
  std::string out = "deployments:\n";
  for (int i = 0; i < count; i++)
    out += "  - {name: d" + std::to_string(i) + ", url: 'http://d" + std::to_string(i) + ".sim/v1', models: {m: {" +
           model + "}}" + more + "}\n";
  return out;
}

// Log-normal around 1.
double noise(Rng& rng, double sigma) {
  double normal = std::sqrt(-2 * std::log(1 - rng.unit())) * std::cos(6.283185307179586 * rng.unit());
  return std::exp(sigma * normal);
}

Duration times(Duration base, double factor) {
  return Duration{static_cast<int64_t>(static_cast<double>(base.ns) * factor)};
}

// Callers at random moments, and what became of their calls.
class Callers final : public EventSink {
 public:
  Callers(Schedule& schedule, Rng rng) : schedule_(schedule), rng_(rng) {}

  // Starts calls at `per_s` until `end`.
  void arrive(Site& site, double per_s, Instant end, double cancels) {
    Duration gap = times(Duration::from_s(1), -std::log(1 - rng_.unit()) / per_s);
    if (schedule_.now() + gap > end) return;
    schedule_.after(gap, [this, &site, per_s, end, cancels] {
      start(site, cancels);
      arrive(site, per_s, end, cancels);
    });
  }

  void deliver(std::vector<Event>& events) override {
    for (Event& event : events) {
      if (event.kind != Event::Kind::done) continue;
      attempts += event.detail->attempts;
      bool cancelled = event.status == Status::CANCELLED;
      bool good = event.status == Status::OK && codes_[event.user_data] < 400;
      (cancelled ? cancelled_count : good ? ok : failed)++;
      if (!cancelled && !good && last_failure.empty())
        last_failure = event.detail->message + " after " + std::to_string(event.detail->attempts) + " attempts";
      ended++;
    }
    for (Event& event : events)
      if (event.kind == Event::Kind::head) codes_[event.user_data] = event.code;
    events.clear();
  }

  uint64_t started = 0, ended = 0, ok = 0, failed = 0, cancelled_count = 0, attempts = 0;
  std::string last_failure;

 private:
  void start(Site& site, double cancels) {
    uint64_t number = ++started;
    CallSpec spec;
    spec.sink = this;
    spec.user_data = number;
    spec.delivery = Delivery::whole;
    spec.head.method = "POST";
    spec.head.target = "/v1/chat/completions";
    spec.head.fields.push_back({"x-sim-call", std::to_string(number)});
    std::string text(40 + rng_.below(1200), 'p');
    spec.body.push(Chunk::copy(R"({"model":"m","max_tokens":)" + std::to_string(20 + rng_.below(300)) +
                               R"(,"messages":[{"role":"user","content":")" + text + "\"}]}"));
    Result<CallId> id = site.engine().start(std::move(spec));
    if (!id.ok()) std::abort();
    if (rng_.unit() < cancels)
      schedule_.after(times(Duration::from_s(3), rng_.unit()),
                      [&site, call = id.value()] { site.engine().cancel(call); });
  }

  Schedule& schedule_;
  Rng rng_;
  std::map<uint64_t, uint32_t> codes_;
};

uint64_t number_in(const std::string& body, const char* key) {
  size_t at = body.find(key);
  return at == body.npos ? 0 : std::strtoull(body.c_str() + at + std::strlen(key), nullptr, 10);
}

// --- limits ---

// Keeps what each deployment was sent and really used.
class Ledger {
 public:
  void add(uint32_t host, const Came& came) { came_[host].push_back(came); }
  Came* find(uint32_t host, uint64_t call) {
    for (auto came = came_[host].rbegin(); came != came_[host].rend(); came++)
      if (came->call == call) return &*came;
    return nullptr;
  }
  const std::deque<Came>& of(uint32_t host) { return came_[host]; }

 private:
  std::map<uint32_t, std::deque<Came>> came_;
};

class Troubled final : public Provider {
 public:
  explicit Troubled(Rng rng) : rng_(rng) {}
  bool refuses(uint32_t, Instant) override { return rng_.below(100) == 0; }
  Served serve(const Arrival& arrival) override {
    uint64_t prompt = (arrival.body.size() - arrival.body.find("content\":\"") - 10 - 4) / 4;
    uint64_t allowed = number_in(arrival.body, "max_tokens\":");
    Served served;
    served.after = times(Duration::from_s(2), noise(rng_, 0.5));
    served.input = prompt;
    served.output = rng_.below(4) == 0 ? allowed : rng_.below(allowed + 1);
    uint64_t luck = rng_.below(100);
    if (luck < 4) served.status = 500;
    if (luck >= 4 && luck < 6) served.status = 429;
    if (luck >= 6 && luck < 8) served.status = 0;
    if (luck >= 8 && luck < 9) served.status = 1;
    // An answer with an error has used no tokens; one that broke may have used them all.
    bool error = served.status >= 400;
    ledger.add(arrival.host, {arrival.when, arrival.call, error ? 0 : served.input + served.output});
    return served;
  }
  void abandoned(uint32_t host, uint64_t call) override {
    // Nothing of it has been heard, so what it was to say is not used up.
    if (Came* entry = ledger.find(host, call))
      abandoned_++, entry->tokens = std::min<uint64_t>(entry->tokens, 0);
  }
  Ledger ledger;

 private:
  Rng rng_;
  uint64_t abandoned_ = 0;
};

bool limits(uint64_t seed) {
  constexpr int kDeployments = 4;
  constexpr uint64_t kRpm = 60, kTpm = 20'000;
  Schedule schedule;
  Rng rng(seed);
  Troubled provider(rng.split("provider"));
  auto text = [&](int weight) {
    return deployments(kDeployments, "rpm: " + std::to_string(kRpm) + ", tpm: " + std::to_string(kTpm),
                       ", head_ms: 20000, weight: " + std::to_string(weight)) +
           "routes: [{model: m, wait_ms: 20000, deadline_ms: 60000, retries: 3}]\n";
  };
  std::vector<std::unique_ptr<Site>> sites;
  sites.push_back(std::make_unique<Site>(schedule, provider, seed, config_of(text(1))));
  Callers callers(schedule, rng.split("callers"));
  Instant end = schedule.now() + kMinute * 30;
  callers.arrive(*sites[0], 1.5 * kDeployments * kRpm / 60, end, 0.1);
  for (int i = 1; i < 90; i++)
    schedule.at(schedule.now() + Duration::from_s(20) * i,
                [&, i] { sites[0]->engine().configure(config_of(text(1 + i % 3))); });
  run(schedule, sites, Instant::never());
  bool fine = callers.ended == callers.started;
  for (uint32_t host = 0; host < kDeployments; host++) {
    auto [requests, tokens] = fullest(provider.ledger.of(host), kMinute);
    uint64_t sent = provider.ledger.of(host).size();
    std::printf("d%u: %llu requests; in its fullest minute %llu of %llu requests, %llu of %llu tokens\n", host,
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(requests),
                static_cast<unsigned long long>(kRpm), static_cast<unsigned long long>(tokens),
                static_cast<unsigned long long>(kTpm));
    // The other way round: what may be used is used, or the first half proves nothing.
    fine = fine && requests <= kRpm && tokens <= kTpm && (requests * 10 >= kRpm * 9 || tokens * 10 >= kTpm * 9);
  }
  std::printf("%llu calls at 1.5 times the capacity: %llu ok, %llu failed, %llu cancelled, 89 reloads\n",
              static_cast<unsigned long long>(callers.started), static_cast<unsigned long long>(callers.ok),
              static_cast<unsigned long long>(callers.failed),
              static_cast<unsigned long long>(callers.cancelled_count));
  return fine;
}

// --- day ---

enum class Trouble : uint8_t { fails, refuses, throttles, slow, silent };

struct Spell {
  uint32_t host = 0;
  Trouble trouble = Trouble::fails;
  Instant from, to;
};

class Day final : public Provider {
 public:
  Day(Rng rng, std::vector<Spell> spells) : rng_(rng), spells_(std::move(spells)) {}
  bool refuses(uint32_t host, Instant now) override { return in(Trouble::refuses, host, now); }
  Served serve(const Arrival& arrival) override {
    Served served;
    served.after = times(Duration::from_ms(1500), noise(rng_, 0.4));
    served.input = 100;
    served.output = 50;
    sent++;
    if (in(Trouble::fails, arrival.host, arrival.when)) served.status = rng_.below(2) ? 500 : 502;
    if (in(Trouble::slow, arrival.host, arrival.when)) served.after = served.after * 8;
    if (in(Trouble::silent, arrival.host, arrival.when)) served.status = 1;
    if (in(Trouble::throttles, arrival.host, arrival.when) && rng_.below(2)) {
      served.status = 429;
      served.fields = "retry-after: " + std::to_string(5 + rng_.below(60)) + "\r\n";
    }
    if (served.status >= 400) served.after = Duration::from_ms(100);
    return served;
  }
  void abandoned(uint32_t, uint64_t) override {}
  uint64_t sent = 0;

 private:
  bool in(Trouble trouble, uint32_t host, Instant now) const {
    return std::any_of(spells_.begin(), spells_.end(), [&](const Spell& s) {
      return s.host == host && s.trouble == trouble && s.from <= now && now < s.to;
    });
  }
  Rng rng_;
  std::vector<Spell> spells_;
};

bool day(uint64_t seed) {
  Schedule schedule;
  Rng rng(seed);
  Rng draw = rng.split("spells");
  constexpr int64_t kDay = 86'400;
  std::vector<Spell> spells;
  for (uint32_t host = 0; host < 20; host++) {
    for (uint64_t n = 1 + draw.below(4); n > 0; n--) {
      Instant from = schedule.now() + Duration::from_s(static_cast<int64_t>(draw.below(kDay)));
      Duration length = Duration::from_s(60 + static_cast<int64_t>(draw.below(3 * 3600)));
      spells.push_back({host, static_cast<Trouble>(draw.below(5)), from, from + length});
    }
  }
  Day provider(rng.split("provider"), std::move(spells));
  auto config =
      config_of(deployments(50, "rpm: 30", ", head_ms: 20000") + "routes: [{model: m, balance: peak_ewma}]\n");
  std::vector<std::unique_ptr<Site>> sites;
  sites.push_back(std::make_unique<Site>(schedule, provider, seed, config));
  Callers callers(schedule, rng.split("callers"));
  callers.arrive(*sites[0], 1, schedule.now() + Duration::from_s(kDay), 0);
  run(schedule, sites, Instant::never());
  double each = static_cast<double>(callers.attempts) / static_cast<double>(callers.started);
  std::printf("a day: %llu calls, %llu ok, %llu failed, %.3f attempts a call%s%s\n",
              static_cast<unsigned long long>(callers.started), static_cast<unsigned long long>(callers.ok),
              static_cast<unsigned long long>(callers.failed), each, callers.failed ? ": " : "",
              callers.last_failure.c_str());
  return callers.failed == 0 && callers.ok == callers.started && each <= 1.1;
}

// --- crowd ---

class Noisy final : public Provider {
 public:
  explicit Noisy(Rng rng) : rng_(rng) {}
  bool refuses(uint32_t, Instant) override { return false; }
  Served serve(const Arrival& arrival) override {
    Served served;
    served.after = times(Duration::from_s(2), noise(rng_, 0.6));
    served.input = 100;
    served.output = 50;
    calls[arrival.host]++;
    busy_ns[arrival.host] += static_cast<double>(served.after.ns);
    return served;
  }
  void abandoned(uint32_t, uint64_t) override {}
  std::map<uint32_t, double> calls, busy_ns;

 private:
  Rng rng_;
};

bool crowd(uint64_t seed) {
  constexpr int kDeployments = 10, kEngines = 8;
  bool fine = true;
  for (const char* balance : {"p2c", "peak_ewma", "p2c_tokens"}) {
    Schedule schedule;
    Rng rng(seed);
    Noisy provider(rng.split("provider"));
    auto config = config_of(deployments(kDeployments, "", "") + "routes: [{model: m, balance: " + balance + "}]\n");
    std::vector<std::unique_ptr<Site>> sites;
    std::vector<std::unique_ptr<Callers>> callers;
    for (uint64_t i = 0; i < kEngines; i++) {
      sites.push_back(std::make_unique<Site>(schedule, provider, seed * 100 + i, config));
      callers.push_back(std::make_unique<Callers>(schedule, rng.split("callers" + std::to_string(i))));
      callers.back()->arrive(*sites.back(), 3, schedule.now() + kMinute * 10, 0);
    }
    run(schedule, sites, Instant::never());
    double sum = 0, most = 0;
    for (const auto& [host, count] : provider.calls) {
      sum += count;
      most = std::max(most, count);
    }
    double worst = most / (sum / kDeployments);
    std::printf("%s: %.0f calls of %d engines; the busiest of %d deployments has %.3f times the mean\n", balance, sum,
                kEngines, kDeployments, worst);
    fine = fine && worst <= 1.1;
  }
  return fine;
}

}  // namespace
}  // namespace lb::sim

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  uint64_t seed = argc > 3 && !std::strcmp(argv[2], "--seed") ? std::strtoull(argv[3], nullptr, 10) : 1;
  bool fine;
  if (!std::strcmp(what, "limits")) {
    fine = lb::sim::limits(seed);
  } else if (!std::strcmp(what, "day")) {
    fine = lb::sim::day(seed);
  } else if (!std::strcmp(what, "crowd")) {
    fine = lb::sim::crowd(seed);
  } else {
    std::fprintf(stderr, "usage: lb_study limits|day|crowd [--seed N]\n");
    return 2;
  }
  if (!fine) std::printf("BROKEN: lb_study %s --seed %llu\n", what, static_cast<unsigned long long>(seed));
  return !fine;
}
