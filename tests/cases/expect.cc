#include "cases/expect.h"

#include <algorithm>

namespace lb::cases {

namespace {

Error wrong(std::string message) { return {Status::INVALID, "", std::move(message)}; }

bool is_end(const std::string& word) {
  if (word == "ok" || word == "broken" || word == "cancelled" || word == "waits") return true;
  return word.size() == 3 && parse_u64(word).has_value();
}

bool is_name(const std::string& word) { return !word.empty() && word[0] >= 'A' && word[0] <= 'Z'; }

// "a", "a|b", "X", "!X", "!a".
bool fits(std::string_view wanted, const std::string& deployment, Names& names) {
  while (!wanted.empty()) {
    std::string word(split_off(wanted, '|'));
    bool inverted = word.starts_with("!");
    if (inverted) word.erase(0, 1);
    if (is_name(word)) {
      if (!inverted) names.try_emplace(word, deployment);
      word = names.contains(word) ? names[word] : "";
    }
    if ((word == deployment) != inverted) return true;
  }
  return false;
}

std::string state_of(const Record& record) { return record.done ? record.end : record.asking ? "" : "waits"; }

}  // namespace

std::string print(const Record& record) {
  std::string out;
  auto add = [&](const std::string& word) { out += (out.empty() || word.empty() ? "" : " ") + word; };
  for (const std::string& deployment : record.attempts) add(deployment);
  add(state_of(record));
  if (record.wait) add("wait=" + print_duration(*record.wait));
  if (record.done) add("took=" + print_duration(record.ended - record.started));
  return out;
}

Result<Expected> Expected::parse(std::span<const std::string> words) {
  Expected out;
  for (const std::string& word : words) {
    std::optional<Pair> pair = parse_pair(word);
    if (pair && pair->key == "wait" && pair->value == "none") {
      out.no_wait_ = true;
    } else if (pair && (pair->key == "wait" || pair->key == "took")) {
      std::optional<Range<Duration>> range = parse_duration_range(pair->value);
      if (!range) return wrong("no span of time: " + word);
      (pair->key == "wait" ? out.wait_ : out.took_) = range;
    } else if (pair) {
      return wrong("no such expectation: " + word);
    } else if (!out.end_.empty()) {
      return wrong("nothing comes after the end: " + word);
    } else if (is_end(word)) {
      out.end_ = word;
    } else {
      out.attempts_.push_back(word);
    }
  }
  if (words.empty()) return wrong("nothing is expected");
  return out;
}

std::string Expected::check(const Record& record, Names& names) const {
  bool fine = record.attempts.size() == attempts_.size() && state_of(record) == end_;
  for (size_t i = 0; fine && i < attempts_.size(); i++) fine = fits(attempts_[i], record.attempts[i], names);
  fine = fine && (!wait_ || (record.wait && wait_->holds(*record.wait)));
  fine = fine && (!no_wait_ || !record.wait);
  fine = fine && (!took_ || took_->holds(record.ended - record.started));
  return fine ? "" : print(record);
}

Result<ExpectedCounts> ExpectedCounts::parse(std::span<const std::string> words) {
  ExpectedCounts out;
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    std::string number = words[i + 1];
    if (number.ends_with(",")) number.pop_back();
    std::optional<Range<uint64_t>> range = parse_count_range(number);
    if (!range) return wrong("no number: " + number);
    out.counts_.push_back({words[i], *range});
  }
  if (words.empty() || words.size() % 2) return wrong("counts are written as pairs: a 40..60, b 40..60");
  return out;
}

namespace {

// How often others than that one were asked.
uint64_t others(const std::map<std::string, uint64_t>& attempts, const std::string& but) {
  uint64_t sum = 0;
  for (const auto& [deployment, count] : attempts) sum += deployment == but ? 0 : count;
  return sum;
}

}  // namespace

// Of what is not named there must be none; if no end is named, all must be ok.
std::string ExpectedCounts::check(std::span<const Record* const> records, Names& names) const {
  std::map<std::string, uint64_t> attempts, ends;
  for (const Record* record : records) {
    for (const std::string& deployment : record->attempts) attempts[deployment]++;
    ends[record->done ? record->end : record->asking ? "asks" : "waits"]++;
  }
  bool fine = true, any_end = false;
  std::map<std::string, uint64_t> left_attempts = attempts, left_ends = ends;
  for (const Count& count : counts_) {
    bool end = is_end(count.name) || count.name == "asks";
    any_end = any_end || end;
    std::string name = count.name;
    if (name.starts_with("!")) {
      fine = fine && count.range.holds(others(attempts, names[name.substr(1)]));
      std::erase_if(left_attempts, [&](const auto& entry) { return entry.first != names[name.substr(1)]; });
      continue;
    }
    if (is_name(name) && !names.contains(name) && attempts.size() == 1) names[name] = attempts.begin()->first;
    if (is_name(name)) name = names[name];
    fine = fine && count.range.holds(end ? ends[name] : attempts[name]);
    (end ? left_ends : left_attempts).erase(name);
  }
  if (!any_end) left_ends.erase("ok");
  fine = fine && left_attempts.empty() && left_ends.empty();
  if (fine) return "";
  std::string out;
  for (const auto& [name, count] : attempts)
    if (count) out += name + " " + std::to_string(count) + ", ";
  for (const auto& [name, count] : ends)
    if (count) out += name + " " + std::to_string(count) + ", ";
  return out.substr(0, out.size() - 2);
}

}  // namespace lb::cases
