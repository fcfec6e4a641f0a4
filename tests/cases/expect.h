// What a case expects of a call, or of many: the words behind "->".
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cases/driver.h"
#include "cases/text.h"

namespace lb::cases {

// "X" in place of a deployment stands for whichever it is, and for the same ever after.
using Names = std::map<std::string, std::string>;

class Expected {
 public:
  static Result<Expected> parse(std::span<const std::string> words);
  // What is not as expected, or "". Binds names.
  std::string check(const Record& record, Names& names) const;

 private:
  std::vector<std::string> attempts_;
  std::string end_;  // "" if it is still with the last of the attempts; "waits" if it is with nobody.
  std::optional<Range<Duration>> wait_, took_;
  bool no_wait_ = false;
};

class ExpectedCounts {
 public:
  static Result<ExpectedCounts> parse(std::span<const std::string> words);
  std::string check(std::span<const Record* const> records, Names& names) const;

 private:
  struct Count {
    std::string name;
    Range<uint64_t> range;
  };
  std::vector<Count> counts_;
};

// What became of it, in the words of an expectation.
std::string print(const Record& record);

}  // namespace lb::cases
