// Options and words of one command, checked against the table of that command: what is unknown, missing or out of range
// is told on stderr, with the nearest name that exists. Views into argv; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cli {

struct Option {
  enum class Kind : uint8_t { flag, text, integer, number };
  std::string_view name;   // Without the dashes.
  char letter = 0;         // 0: none.
  Kind kind = Kind::flag;
  std::string_view value;  // What the help calls its value: "MS".
  std::string_view doc;
  double low = 0, high = 0;  // Of integer and number.
};

class Arguments {
 public:
  // Without a value: the mistake has been printed, and the command ends with kUsage.
  static std::optional<Arguments> parse(std::string_view command, std::span<const Option> options, int count,
                                        char** words);

  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string_view text(std::string_view name, std::string_view fallback) const;
  int64_t integer(std::string_view name, int64_t fallback) const;
  double number(std::string_view name, double fallback) const;
  const std::vector<std::string_view>& words() const { return words_; }
  bool wants_help() const { return help_; }

 private:
  struct Given {
    const Option* option;
    std::string_view text;
    double number;
  };
  const Given* find(std::string_view name) const;
  bool take_long(std::string_view word, int& index, int count, char** words);
  bool take_short(std::string_view word, int& index, int count, char** words);
  bool keep(const Option& option, std::string_view text);
  bool complain(std::string_view text) const;  // Always false.

  std::string_view command_;
  std::span<const Option> options_;
  std::vector<Given> given_;
  std::vector<std::string_view> words_;
  bool help_ = false;
};

// The one of `names` that `word` was probably meant to be, or "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace cli
