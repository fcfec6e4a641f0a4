#include "cases/text.h"

namespace lb::cases {

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  bool inside = false;
  char quote = 0;
  for (char c : line) {
    if (quote) {
      if (c == quote)
        quote = 0;
      else
        words.back() += c;
    } else if (c == ' ' || c == '\t') {
      inside = false;
    } else {
      if (!inside) words.emplace_back();
      inside = true;
      if (c == '"' || c == '\'')
        quote = c;
      else
        words.back() += c;
    }
  }
  for (size_t i = 0; i < words.size(); i++)
    if (words[i] == "#") words.resize(i);
  return words;
}

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    int64_t ns;
  };
  static constexpr Unit kUnits[] = {
      {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
  size_t at = text.find_first_not_of("0123456789.");
  if (at == text.npos) return std::nullopt;
  std::optional<double> number = parse_double(text.substr(0, at));
  if (!number) return std::nullopt;
  for (const Unit& unit : kUnits)
    if (text.substr(at) == unit.name)
      return Duration{static_cast<int64_t>(*number * static_cast<double>(unit.ns) + 0.5)};
  return std::nullopt;
}

std::string print_duration(Duration time) {
  if (time.ns % 1'000'000'000 == 0) return std::to_string(time.ns / 1'000'000'000) + "s";
  if (time.ns % 1'000'000 == 0) return std::to_string(time.ns / 1'000'000) + "ms";
  if (time.ns % 1'000 == 0) return std::to_string(time.ns / 1'000) + "us";
  return std::to_string(time.ns) + "ns";
}

std::optional<Pair> parse_pair(const std::string& word) {
  size_t at = word.find('=');
  if (at == word.npos || at == 0) return std::nullopt;
  return Pair{word.substr(0, at), word.substr(at + 1)};
}

namespace {

// The two ends of "low..high"; the same twice for one value.
std::pair<std::string_view, std::string_view> ends_of(std::string_view text) {
  size_t at = text.find("..");
  if (at == text.npos) return {text, text};
  return {text.substr(0, at), text.substr(at + 2)};
}

}  // namespace

std::optional<Range<uint64_t>> parse_count_range(std::string_view text) {
  auto [low, high] = ends_of(text);
  std::optional<uint64_t> from = parse_u64(low), to = parse_u64(high);
  if (!from || !to || *from > *to) return std::nullopt;
  return Range<uint64_t>{*from, *to};
}

std::optional<Range<Duration>> parse_duration_range(std::string_view text) {
  auto [low, high] = ends_of(text);
  std::optional<Duration> from = parse_duration(low), to = parse_duration(high);
  if (!from || !to || *from > *to) return std::nullopt;
  return Range<Duration>{*from, *to};
}

}  // namespace lb::cases
