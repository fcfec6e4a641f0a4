// Log lines of a service: coloured words for people at a terminal, JSON for machines that collect stderr. The library's
// LOG events and the command's own lines look alike. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cli {

// The numbers of lb_engine_options.log_level.
enum class Level : uint32_t { none, error, warn, info, debug };

// Level::none for a word that is none of them.
Level level_of(std::string_view word);

class Log {
 public:
  Log(int fd, bool people, bool colour, Level level) : fd_(fd), people_(people), colour_(colour), level_(level) {}
  Level level() const { return level_; }

  // `object` is a JSON object with "level" and "msg", as LB_EVENT_LOG brings it.
  void line(Level level, std::string_view object);
  // `fields` is the inside of a JSON object, or "".
  void write(Level level, std::string_view message, std::string_view fields = "");

 private:
  std::string for_people(Level level, const std::string& object) const;
  int fd_;
  bool people_;
  bool colour_;
  Level level_;
};

// A JSON string with its quotes.
std::string json_quote(std::string_view text);

}  // namespace cli
