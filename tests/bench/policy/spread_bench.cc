// spread_bench [--seeds N] [--calls N] [--deviation TOKENS]: how evenly ten deployments are used, by
// azure-switchboard's published method (its tools/bench.py: 1,000 calls sent within a second, all of them in flight,
// tpm 30,000 and rpm 300 each), in virtual time. Its selector is written out here from its description; ours is reached
// through lb.h alone. Both get the same calls at the same moments. Exit code 1 if a call was refused.
//
// Utilisation is max(tokens / tpm, requests / rpm) of what a deployment has really taken. The published run: at its end
// mean 0.348, least 0.333, most 0.365, deviation 0.009; midway 0.339, 0.332, 0.349, 0.006; 9,405 to 10,840 tokens a
// deployment. Ten sums of 100 calls with a range of 1,435 tokens: a deviation of 466 each, hence 44 tokens a call once
// the uneven counts of calls are taken off. A call has 100 tokens in the mean, so both shares end near 1/3. Prompts and
// answers are log-normal: all prompts about alike, as published, and then half of the variance in the prompts.
// Latencies have nothing to do with sizes. The same calls are sent a second time within 45 seconds, where most have
// ended, and have said what they took, before the last are sent.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "lb.h"

namespace {

constexpr int kDeployments = 10;
constexpr double kTpm = 30'000, kRpm = 300;
constexpr double kRate = 1079.75;        // Calls sent a second, as published.
constexpr double kLatencyMean = 5.594;   // Seconds, as published.
constexpr double kLatencyShape = 0.4;    // The longest of 1,000 then takes about the 17 s of the published run.
constexpr double kTokensDeviation = 44;  // Of a call: see above.
constexpr double kSlowSpan = 45;         // Seconds in which the same calls are sent slowly: all end within a minute.
constexpr int kCallsMax = 1000;          // More would not fit a minute's limits.
constexpr uint64_t kOutputMax = 220;     // What `allowed` is charged: all 1,000 at once just fit the limits.

// splitmix64, so that the numbers are the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  size_t below(size_t n) { return static_cast<size_t>(unit() * static_cast<double>(n)); }
  double normal() { return std::sqrt(-2 * std::log(1 - unit())) * std::cos(2 * std::numbers::pi * unit()); }
  double log_normal(double mean, double shape) { return mean * std::exp(shape * normal() - shape * shape / 2); }

 private:
  uint64_t state_;
};

struct Call {
  uint64_t begin = 0, end = 0;  // ns
  uint64_t characters = 0;
  uint64_t in = 0, out = 0;     // Tokens in truth.
  uint64_t tokens() const { return in + out; }
};

// How the calls of a run differ.
struct Shape {
  const char* name;
  double prompt_mean, prompt_deviation;
  double answer_mean, answer_deviation;
  double rate;  // A second.
};

uint64_t tokens_of(Random& rng, double mean, double deviation) {
  double shape = std::sqrt(std::log(1 + deviation * deviation / (mean * mean)));
  return static_cast<uint64_t>(std::max(1.0, std::round(rng.log_normal(mean, shape))));
}

std::vector<Call> calls_of(const Shape& shape, int count, uint64_t seed) {
  Random rng(seed);
  std::vector<Call> calls(static_cast<size_t>(count));
  double at = 1;
  for (Call& call : calls) {
    call.begin = static_cast<uint64_t>(at * 1e9);
    at += 1 / shape.rate;
    call.end = call.begin + static_cast<uint64_t>(rng.log_normal(kLatencyMean, kLatencyShape) * 1e9);
    call.in = tokens_of(rng, shape.prompt_mean, shape.prompt_deviation);
    call.out = std::min(tokens_of(rng, shape.answer_mean, shape.answer_deviation), kOutputMax);
    // Four characters a token, a tenth more or less.
    call.characters = static_cast<uint64_t>(static_cast<double>(call.in) * 4 * (0.9 + 0.2 * rng.unit()));
  }
  return calls;
}

struct Used {
  double tokens = 0, requests = 0;
  double share() const { return std::max(tokens / kTpm, requests / kRpm); }
};
using AllUsed = std::array<Used, kDeployments>;

// Who chooses. `end` is told what the call took.
class Selector {
 public:
  virtual ~Selector() = default;
  virtual std::optional<size_t> begin(const Call& call, size_t number) = 0;
  virtual void end(const Call& call, size_t number, size_t chosen) = 0;
};

// azure-switchboard: two at random, the lower utilisation as read, with U(0, 0.01) drawn anew at every read, and equal
// ones go to the first; the characters by four are charged before the call, the difference to its true tokens after it.
class Theirs final : public Selector {
 public:
  explicit Theirs(uint64_t seed) : rng_(seed) {}
  std::optional<size_t> begin(const Call& call, size_t) override {
    std::vector<size_t> eligible;
    for (size_t i = 0; i < kDeployments; i++)
      if (read(i) < 1) eligible.push_back(i);
    if (eligible.empty())
      for (size_t i = 0; i < kDeployments; i++) eligible.push_back(i);
    size_t chosen = eligible[0];
    if (eligible.size() > 1) {
      size_t one = rng_.below(eligible.size()), two = rng_.below(eligible.size() - 1);
      if (two >= one) two++;
      double first = read(eligible[one]), second = read(eligible[two]);
      chosen = second < first ? eligible[two] : eligible[one];
    }
    used_[chosen].tokens += static_cast<double>(call.characters / 4);
    used_[chosen].requests++;
    return chosen;
  }
  void end(const Call& call, size_t, size_t chosen) override {
    used_[chosen].tokens += static_cast<double>(call.tokens()) - static_cast<double>(call.characters / 4);
  }

 private:
  double read(size_t i) { return std::round((used_[i].share() + rng_.unit() * 0.01) * 1000) / 1000; }

  Random rng_;
  AllUsed used_{};
};

// To compare with. Who does not know the answers to come can do no better in a burst of like prompts than to give each
// deployment the same number of calls; the other is told, and sends each to where least has been sent.
class Even final : public Selector {
 public:
  std::optional<size_t> begin(const Call&, size_t number) override { return number % kDeployments; }
  void end(const Call&, size_t, size_t) override {}
};

class Told final : public Selector {
 public:
  std::optional<size_t> begin(const Call& call, size_t) override {
    auto least = std::min_element(used_.begin(), used_.end(), [](const Used& a, const Used& b) {
      return a.tokens / kTpm + a.requests / kRpm < b.tokens / kTpm + b.requests / kRpm;
    });
    least->tokens += static_cast<double>(call.tokens());
    least->requests++;
    return static_cast<size_t>(least - used_.begin());
  }
  void end(const Call&, size_t, size_t) override {}

 private:
  AllUsed used_{};
};

[[noreturn]] void die(const char* what, const lb_error* err) {
  std::fprintf(stderr, "%s: %s: %s\n", what, err ? err->where : "", err ? err->message : "");
  std::exit(1);
}

// A route as it comes, but for what is tried.
class Ours final : public Selector {
 public:
  Ours(uint64_t seed, const char* estimate, uint64_t output_max, int calls) : output_max_(output_max) {
    std::string text = "{\"deployments\":[";
    for (int i = 0; i < kDeployments; i++) {
      std::string name = std::to_string(i);
      text += (i ? ",{\"name\":\"" : "{\"name\":\"") + name + "\",\"url\":\"http://" + name +
              ".example/v1\",\"models\":{\"m\":{\"rpm\":300,\"tpm\":30000}}}";
    }
    text += std::string("],\"routes\":[{\"model\":\"m\",\"balance\":\"p2c\",\"estimate\":\"") + estimate + "\"}]}";
    lb_balancer_options options{};
    options.struct_size = sizeof options;
    options.seed = seed;
    options.now_ns = 1;
    lb_error err{};
    err.struct_size = sizeof err;
    if (lb_balancer_open(&options, text.data(), text.size(), &balancer_, &err) != LB_OK) die("open", &err);
    picks_.resize(static_cast<size_t>(calls));
  }
  ~Ours() override { lb_balancer_free(balancer_); }
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;

  std::optional<size_t> begin(const Call& call, size_t number) override {
    lb_ask ask{};
    ask.struct_size = sizeof ask;
    ask.model = "m";
    ask.model_len = 1;
    ask.characters = call.characters;
    ask.tokens_out_max = output_max_;
    lb_pick pick{};
    pick.struct_size = sizeof pick;
    if (lb_balancer_pick(balancer_, &ask, call.begin, &pick) != LB_OK) return std::nullopt;
    picks_[number] = pick.pick;
    return static_cast<size_t>(std::atoi(pick.deployment));
  }
  void end(const Call& call, size_t number, size_t) override {
    lb_outcome outcome{};
    outcome.struct_size = sizeof outcome;
    outcome.kind = LB_OUTCOME_OK;
    outcome.known = LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT;
    outcome.tokens_in = call.in;
    outcome.tokens_out = call.out;
    lb_next next{};
    next.struct_size = sizeof next;
    if (lb_balancer_report(balancer_, picks_[number], &outcome, call.end, &next) != LB_OK) die("report", nullptr);
  }

 private:
  lb_balancer* balancer_ = nullptr;
  uint64_t output_max_;
  std::vector<uint64_t> picks_;
};

struct Figures {
  double mean = 0, least = 0, most = 0, deviation = 0;
};

Figures figures_of(const AllUsed& used) {
  Figures figures{0, used[0].share(), used[0].share(), 0};
  for (const Used& one : used) {
    figures.mean += one.share() / kDeployments;
    figures.least = std::min(figures.least, one.share());
    figures.most = std::max(figures.most, one.share());
  }
  for (const Used& one : used) figures.deviation += std::pow(one.share() - figures.mean, 2) / kDeployments;
  figures.deviation = std::sqrt(figures.deviation);
  return figures;
}

struct Result {
  Figures middle, last;
  Used least{1e18, 1e18}, most;
  int refused = 0;
};

// Requests count when they are sent, tokens when the call has ended. Midway is when half of the calls have ended.
Result run(const std::vector<Call>& calls, Selector& selector) {
  struct Moment {
    uint64_t at;
    size_t number;
    bool ends;
  };
  std::vector<Moment> moments;
  for (size_t i = 0; i < calls.size(); i++) {
    moments.push_back({calls[i].begin, i, false});
    moments.push_back({calls[i].end, i, true});
  }
  std::stable_sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) { return a.at < b.at; });
  std::vector<std::optional<size_t>> chosen(calls.size());
  AllUsed used{};
  Result result;
  size_t ended = 0;
  for (const Moment& moment : moments) {
    const Call& call = calls[moment.number];
    std::optional<size_t>& target = chosen[moment.number];
    if (!moment.ends) {
      target = selector.begin(call, moment.number);
      if (target) used[*target].requests++;
      else result.refused++;
      continue;
    }
    if (target) {
      selector.end(call, moment.number, *target);
      used[*target].tokens += static_cast<double>(call.tokens());
    }
    if (++ended == calls.size() / 2) result.middle = figures_of(used);
  }
  result.last = figures_of(used);
  for (const Used& one : used) {
    result.least = {std::min(result.least.tokens, one.tokens), std::min(result.least.requests, one.requests)};
    result.most = {std::max(result.most.tokens, one.tokens), std::max(result.most.requests, one.requests)};
  }
  return result;
}

void add(Figures& sum, const Figures& one, double part) {
  sum.mean += one.mean * part;
  sum.least += one.least * part;
  sum.most += one.most * part;
  sum.deviation += one.deviation * part;
}

struct Row {
  double deviation;
  int refused;
};

// One selector, made anew for each seed; prints the means over the seeds.
template <typename Make>
Row row(const char* name, const Shape& shape, int seeds, int count, Make make) {
  Result sum;
  sum.least = {};
  double part = 1.0 / seeds;
  for (int seed = 1; seed <= seeds; seed++) {
    auto selector = make(static_cast<uint64_t>(seed));
    Result one = run(calls_of(shape, count, static_cast<uint64_t>(seed)), selector);
    add(sum.middle, one.middle, part);
    add(sum.last, one.last, part);
    sum.least = {sum.least.tokens + one.least.tokens * part, sum.least.requests + one.least.requests * part};
    sum.most = {sum.most.tokens + one.most.tokens * part, sum.most.requests + one.most.requests * part};
    sum.refused += one.refused;
  }
  std::printf("  %-26s %6.3f %6.3f %6.3f %7.4f  | %6.3f %7.4f  | %4.0f-%-4.0f %5.0f-%5.0f", name, sum.last.mean,
              sum.last.least, sum.last.most, sum.last.deviation, sum.middle.mean, sum.middle.deviation,
              sum.least.requests, sum.most.requests, sum.least.tokens, sum.most.tokens);
  sum.refused ? std::printf("  %d refused\n", sum.refused) : std::printf("\n");
  return {sum.last.deviation, sum.refused};
}

// All selectors over the calls of one shape; how many that fit were refused.
int compare(const Shape& shape, int seeds, int count) {
  std::printf("%d calls in %s\n  %-26s %6s %6s %6s %7s  | %6s %7s  | calls and tokens of a deployment\n", count,
              shape.name, "", "mean", "least", "most", "sd", "midway", "sd");
  auto ours = [&](const char* estimate, uint64_t output_max) {
    return [=](uint64_t seed) { return Ours(seed, estimate, output_max, count); };
  };
  Row theirs = row("azure-switchboard", shape, seeds, count, [](uint64_t seed) { return Theirs(seed); });
  Row learned = row("lb, learned", shape, seeds, count, ours("learned", 0));
  Row characters = row("lb, characters", shape, seeds, count, ours("characters", 0));
  Row allowed = row("lb, allowed", shape, seeds, count, ours("allowed", kOutputMax));
  row("the same number each", shape, seeds, count, [](uint64_t) { return Even(); });
  row("told what calls will take", shape, seeds, count, [](uint64_t) { return Told(); });
  std::printf("  lb / azure-switchboard: %.2f\n", learned.deviation / theirs.deviation);
  return learned.refused + characters.refused + allowed.refused;
}

}  // namespace

int main(int argc, char** argv) {
  int seeds = 20, count = 1000;
  double deviation = kTokensDeviation;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--seeds")) seeds = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--calls")) count = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--deviation")) deviation = std::atof(argv[i + 1]);
  }
  if (argc % 2 == 0 || seeds < 1 || count < 2 || count > kCallsMax || !(deviation > 0)) {
    std::fprintf(stderr, "usage: spread_bench [--seeds N] [--calls 2..%d] [--deviation TOKENS]\n", kCallsMax);
    return 2;
  }
  double half = deviation / std::numbers::sqrt2;
  const Shape shapes[] = {
      {"a second, prompts alike", 15, 1, 85, deviation, kRate},
      {"a second, prompts vary too", 50, half, 50, half, kRate},
      {"45 seconds, prompts alike", 15, 1, 85, deviation, count / kSlowSpan},
      {"45 seconds, prompts vary too", 50, half, 50, half, count / kSlowSpan},
  };
  int refused = 0;
  for (const Shape& shape : shapes) refused += compare(shape, seeds, count);
  return refused ? 1 : 0;
}
