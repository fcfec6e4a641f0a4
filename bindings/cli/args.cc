#include "args.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "terminal.h"

namespace cli {

namespace {

std::string plain(double value) {
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return {buffer, end};
}

// Letters to add, drop, change or swap with their neighbour.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> older(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (size_t j = 0; j < row.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    next[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) next[j] = std::min(next[j], older[j - 2] + 1);
    }
    older.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  std::string_view best;
  // One slip in three letters is a slip; more is another word.
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (std::string_view name : names) {
    size_t d = name.starts_with(word) && !word.empty() ? 1 : distance(word, name);
    if (d < least) {
      least = d;
      best = name;
    }
  }
  return best;
}

std::optional<Arguments> Arguments::parse(std::string_view command, std::span<const Option> options, int count,
                                          char** words) {
  Arguments out;
  out.command_ = command;
  out.options_ = options;
  bool literal = false;
  for (int i = 0; i < count; i++) {
    std::string_view word = words[i];
    bool good = true;
    if (literal || word.size() < 2 || word[0] != '-') {
      out.words_.push_back(word);
    } else if (word == "--") {
      literal = true;
    } else if (word == "--help" || word == "-h") {
      out.help_ = true;
    } else if (word[1] == '-') {
      good = out.take_long(word.substr(2), i, count, words);
    } else {
      good = out.take_short(word, i, count, words);
    }
    if (!good) return std::nullopt;
  }
  return out;
}

bool Arguments::take_long(std::string_view word, int& index, int count, char** words) {
  size_t equals = word.find('=');
  std::string_view name = word.substr(0, equals);
  for (const Option& option : options_) {
    if (option.name != name) continue;
    if (option.kind == Option::Kind::flag) {
      if (equals != word.npos) return complain("--" + std::string(name) + " takes no value");
      return keep(option, "");
    }
    if (equals != word.npos) return keep(option, word.substr(equals + 1));
    if (++index == count)
      return complain("--" + std::string(name) + " needs a value: --" + std::string(name) + " " +
                      std::string(option.value));
    return keep(option, words[index]);
  }
  std::vector<std::string_view> names = {"help"};
  for (const Option& option : options_) names.push_back(option.name);
  std::string text = "unknown option --" + std::string(name);
  if (std::string_view meant = nearest(name, names); !meant.empty())
    text.append("; did you mean --").append(meant).append("?");
  return complain(text);
}

bool Arguments::take_short(std::string_view word, int& index, int count, char** words) {
  for (const Option& option : options_) {
    if (!option.letter || option.letter != word[1]) continue;
    if (option.kind == Option::Kind::flag)
      return word.size() == 2 ? keep(option, "") : complain("write " + std::string(word) + " as single options");
    if (word.size() > 2) return keep(option, word.substr(2));
    if (++index == count)
      return complain(std::string(word) + " needs a value: " + std::string(word) + " " + std::string(option.value));
    return keep(option, words[index]);
  }
  return complain("unknown option " + std::string(word));
}

bool Arguments::keep(const Option& option, std::string_view text) {
  Given given{&option, text, 0};
  if (option.kind == Option::Kind::integer || option.kind == Option::Kind::number) {
    const char* end = text.data() + text.size();
    auto parsed = std::from_chars(text.data(), end, given.number);
    bool whole = option.kind == Option::Kind::number || given.number == static_cast<double>(int64_t(given.number));
    if (parsed.ec != std::errc() || parsed.ptr != end || !(given.number >= option.low && given.number <= option.high) ||
        !whole)
      return complain("--" + std::string(option.name) + ": \"" + std::string(text) + "\" is not " +
                      (option.kind == Option::Kind::integer ? "an integer" : "a number") + " from " +
                      plain(option.low) + " to " + plain(option.high));
  }
  given_.push_back(given);
  return true;
}

bool Arguments::complain(std::string_view text) const {
  print_error(command_, text);
  print_error(command_, "`" + std::string(command_.starts_with("lb ") ? "lb help " + std::string(command_.substr(3))
                                                                      : "lb help") + "` lists what there is");
  return false;
}

const Arguments::Given* Arguments::find(std::string_view name) const {
  for (size_t i = given_.size(); i-- > 0;)
    if (given_[i].option->name == name) return &given_[i];  // The last one counts, as elsewhere in a shell.
  return nullptr;
}

std::string_view Arguments::text(std::string_view name, std::string_view fallback) const {
  const Given* given = find(name);
  return given ? given->text : fallback;
}

int64_t Arguments::integer(std::string_view name, int64_t fallback) const {
  const Given* given = find(name);
  return given ? static_cast<int64_t>(given->number) : fallback;
}

double Arguments::number(std::string_view name, double fallback) const {
  const Given* given = find(name);
  return given ? given->number : fallback;
}

}  // namespace cli
