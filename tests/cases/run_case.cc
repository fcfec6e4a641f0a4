#include <algorithm>
#include <cstdio>
#include <deque>

#include "cases/case.h"
#include "cases/expect.h"

namespace lb::cases {

namespace {

using Words = std::vector<std::string>;

// A call that has not ended after so many events never will.
constexpr int kEventsMax = 1'000'000;

// One engine, or balancer, of a case.
struct World {
  Upstreams upstreams;
  std::unique_ptr<Driver> driver;
  std::deque<Record> records;
  std::map<std::string, std::pair<uint64_t, Record*>> started;  // By the name that the case gives them.
};

class Runner {
 public:
  Runner(DriverKind kind, uint64_t seed, bool show) : kind_(kind), seed_(seed), show_(show) {}
  std::string run(const Case& which);
  std::string transcript() const;

 private:
  std::string configure(World& world, const std::string& document);
  std::string step(World& world, const std::string& text);
  std::string pass(World& world, const Words& words);
  std::string answers(World& world, const Words& words);
  std::string mark(World& world, const Words& words);
  std::string call(World& world, const Words& words, const Words& expected);
  std::string calls(World& world, const Words& words, const Words& expected);
  std::string start(World& world, const Words& words, const Words& expected);
  std::string finish(World& world, const Words& words, const Words& expected);
  std::string look(const Record& record, const Words& expected);
  Record* begin(World& world, std::span<const std::string> words, bool held, std::string& wrong);
  std::string run_out(World& world, const Record& record);

  const DriverKind kind_;
  const uint64_t seed_;
  const bool show_;
  std::map<std::string, World> worlds_;
  Names names_;
  uint64_t numbers_ = 0;
};

std::string Runner::configure(World& world, const std::string& document) {
  if (!world.driver && kind_ == DriverKind::pure) world.driver = make_pure_driver(seed_, world.upstreams);
  if (!world.driver && kind_ == DriverKind::door) world.driver = make_door_driver(seed_, world.upstreams);
  if (!world.driver && kind_ == DriverKind::sim) world.driver = make_sim_driver(seed_, world.upstreams);
  return world.driver->configure(document);
}

// "at 5s", "after 300ms".
std::string Runner::pass(World& world, const Words& words) {
  std::optional<Duration> time = words.size() == 2 ? parse_duration(words[1]) : std::nullopt;
  if (!time) return "no time";
  Instant when = (words[0] == "at" ? kBegin : world.driver->now()) + *time;
  if (when < world.driver->now()) return "that time has passed";
  world.driver->run_to(when);
  return "";
}

// "a answers 500 then ok".
std::string Runner::answers(World& world, const Words& words) {
  std::deque<Answer> script;
  for (size_t at = 2; at <= words.size();) {
    auto end = std::find(words.begin() + static_cast<std::ptrdiff_t>(at), words.end(), "then");
    auto to = static_cast<size_t>(end - words.begin());
    Result<Answer> answer = Answer::parse(std::span(words).subspan(at, to - at));
    if (!answer.ok()) return answer.error().message;
    script.push_back(answer.value());
    at = to + 1;
  }
  std::string_view names = words[0];
  while (!names.empty()) {
    std::string name(split_off(names, ','));
    world.upstreams.set(names_.contains(name) ? names_[name] : name, script);
  }
  return "";
}

// "a down 30s", "a up".
std::string Runner::mark(World& world, const Words& words) {
  std::optional<Duration> length = words.size() == 3 ? parse_duration(words[2]) : std::nullopt;
  bool down = words[1] == "down";
  if (words.size() != (down ? 3u : 2u) || (down && !length)) return "NAME down TIME, or NAME up";
  world.driver->mark(names_.contains(words[0]) ? names_[words[0]] : words[0], length.value_or(Duration::zero()));
  return "";
}

Record* Runner::begin(World& world, std::span<const std::string> words, bool held, std::string& wrong) {
  Result<CallText> text = CallText::parse(++numbers_, words);
  if (!text.ok()) {
    wrong = text.error().message;
    return nullptr;
  }
  text.value().held = held;
  Record* record = &world.records.emplace_back();
  world.driver->start(text.value(), *record);
  return record;
}

std::string Runner::run_out(World& world, const Record& record) {
  for (int i = 0; !record.done; i++) {
    if (world.driver->next() == Instant::never() || i == kEventsMax) return "it never ends: " + print(record);
    world.driver->run_to(world.driver->next());
  }
  return "";
}

std::string Runner::look(const Record& record, const Words& words) {
  Result<Expected> expected = Expected::parse(words);
  if (!expected.ok()) return expected.error().message;
  std::string is = expected.value().check(record, names_);
  return is.empty() ? "" : "it is: " + is;
}

// "call m tokens=100 -> a ok".
std::string Runner::call(World& world, const Words& words, const Words& expected) {
  std::string wrong;
  Record* record = begin(world, std::span(words).subspan(1), false, wrong);
  if (!record) return wrong;
  wrong = run_out(world, *record);
  if (show_) std::printf("    is: %s\n", print(*record).c_str());
  return wrong.empty() ? look(*record, expected) : wrong;
}

// "100 calls m at_once -> a 40..60, b 40..60", "100 calls m every=1s -> ...".
std::string Runner::calls(World& world, const Words& words, const Words& expected) {
  std::optional<uint64_t> count = parse_u64(words[0]);
  Words rest(words.begin() + 2, words.end());
  bool at_once = std::erase(rest, "at_once") > 0;
  std::optional<Duration> pause;
  std::erase_if(rest, [&](const std::string& word) {
    std::optional<Pair> pair = parse_pair(word);
    if (!pair || pair->key != "every") return false;
    pause = parse_duration(pair->value);
    return true;
  });
  std::vector<const Record*> records;
  std::string wrong;
  uint64_t first = numbers_ + 1;
  for (uint64_t i = 0; i < *count; i++) {
    if (i > 0 && pause) world.driver->run_to(world.driver->now() + *pause);
    Record* record = begin(world, rest, at_once, wrong);
    if (!record) return wrong;
    records.push_back(record);
    if (!at_once && !pause) wrong = run_out(world, *record);
    if (!wrong.empty()) return wrong;
  }
  for (uint64_t i = 0; at_once && i < *count; i++) world.driver->finish(first + i, nullptr);
  for (const Record* record : records)
    if (wrong = run_out(world, *record); !wrong.empty()) return wrong;
  Result<ExpectedCounts> counts = ExpectedCounts::parse(expected);
  if (!counts.ok()) return counts.error().message;
  std::string is = counts.value().check(records, names_);
  return is.empty() ? "" : "it is: " + is;
}

// "start c1 m -> a".
std::string Runner::start(World& world, const Words& words, const Words& expected) {
  if (words.size() < 3) return "start NAME MODEL";
  std::string wrong;
  Record* record = begin(world, std::span(words).subspan(2), true, wrong);
  if (!record) return wrong;
  world.started[words[1]] = {numbers_, record};
  if (show_) std::printf("    is: %s\n", print(*record).c_str());
  return expected.empty() ? "" : look(*record, expected);
}

// "finish c1 429 retry-after=2 -> a b", "cancel c1 -> a cancelled".
std::string Runner::finish(World& world, const Words& words, const Words& expected) {
  if (words.size() < 2 || !world.started.contains(words[1])) return "no call of that name has been started";
  auto [number, record] = world.started[words[1]];
  if (words[0] == "cancel") {
    world.driver->cancel(number);
  } else if (words.size() == 2) {
    world.driver->finish(number, nullptr);
  } else {
    Result<Answer> answer = Answer::parse(std::span(words).subspan(2));
    if (!answer.ok()) return answer.error().message;
    world.driver->finish(number, &answer.value());
  }
  if (show_) std::printf("    is: %s\n", print(*record).c_str());
  return expected.empty() ? "" : look(*record, expected);
}

std::string Runner::step(World& world, const std::string& text) {
  Words words = split_words(text), expected;
  auto arrow = std::find(words.begin(), words.end(), "->");
  bool expects = arrow != words.end();
  if (expects) expected.assign(arrow + 1, words.end());
  words.erase(arrow, words.end());
  if (words.empty()) return expects ? "whose expectation is this?" : "";
  if (words[0] == "at" || words[0] == "after") return pass(world, words);
  if (words[0] == "call") return expects ? call(world, words, expected) : "a call needs an expectation";
  if (words[0] == "start") return start(world, words, expected);
  if (words[0] == "finish" || words[0] == "cancel") return finish(world, words, expected);
  if (words.size() > 2 && words[1] == "answers") return answers(world, words);
  if (words.size() > 1 && (words[1] == "down" || words[1] == "up")) return mark(world, words);
  if (words.size() > 2 && words[1] == "calls" && parse_u64(words[0])) return calls(world, words, expected);
  if (words.size() == 1 && world.started.contains(words[0])) return look(*world.started[words[0]].second, expected);
  return "no such step";
}

std::string Runner::run(const Case& which) {
  for (const Section& section : which.sections) {
    World& world = worlds_[section.engine];
    if (!section.steps) {
      if (std::string wrong = configure(world, section.document); !wrong.empty())
        return "line " + std::to_string(section.lines.empty() ? which.line : section.lines[0].number) +
               ": the configuration is refused: " + wrong;
      continue;
    }
    if (!world.driver) return "line " + std::to_string(which.line) + ": steps without a configuration";
    for (const Line& line : section.lines) {
      if (show_) std::printf("  %s\n", line.text.c_str());
      if (std::string wrong = step(world, line.text); !wrong.empty())
        return "line " + std::to_string(line.number) + ": " + line.text + "\n      " + wrong;
    }
  }
  for (const auto& [name, world] : worlds_) {
    for (const auto& [call, record] : world.started)
      if (!record.second->done) return "line " + std::to_string(which.line) + ": " + call + " is still open at the end";
    if (std::string unrest = world.driver->unrest(); !unrest.empty())
      return "line " + std::to_string(which.line) + ": at the end there are " + unrest;
  }
  return "";
}

std::string Runner::transcript() const {
  std::string out;
  for (const auto& [name, world] : worlds_)
    for (const Record& record : world.records) out += print(record) + "\n";
  return out;
}

}  // namespace

Ran run_case(const Case& which, DriverKind driver, uint64_t seed, bool show) {
  Runner runner(driver, seed, show);
  std::string wrong = runner.run(which);
  return {std::move(wrong), runner.transcript()};
}

}  // namespace lb::cases
