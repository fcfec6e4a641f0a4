// The words of a case: how they are split, and how spans of time and numbers are written in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "base/time.h"

namespace lb::cases {

// Split at white space; 'quotes' and "quotes" hold words together and are left out; "#" on its own begins a remark.
std::vector<std::string> split_words(std::string_view line);

// "1500ms", "2s", "5m", "1h", "250us".
std::optional<Duration> parse_duration(std::string_view text);
std::string print_duration(Duration time);

// "key=value": its two halves.
struct Pair {
  std::string key, value;
};
std::optional<Pair> parse_pair(const std::string& word);

// "5", or "5..7", both ends included.
template <typename T>
struct Range {
  T low{}, high{};
  bool holds(T value) const { return low <= value && value <= high; }
};
std::optional<Range<uint64_t>> parse_count_range(std::string_view text);
std::optional<Range<Duration>> parse_duration_range(std::string_view text);

}  // namespace lb::cases
