// How the driver (tests/load/run) speaks with the programs of the load test: one order a line on their stdin, one line
// of JSON on stdout for each. They end when stdin does, so nothing outlives a driver that dies.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace load {

class Orders {
 public:
  Orders() { fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK); }

  // Calls `obey(word, rest, first, second)` for each order that has come: what follows the word, as text and as
  // numbers. False once there will be no more.
  template <typename Obey>
  bool read(Obey obey) {
    char bytes[256];
    ssize_t n;
    while ((n = ::read(STDIN_FILENO, bytes, sizeof bytes)) > 0) text_.append(bytes, static_cast<size_t>(n));
    bool open = n < 0;  // EAGAIN; anything else will say so again.
    for (size_t end; (end = text_.find('\n')) != text_.npos; text_.erase(0, end + 1)) {
      std::string_view line(text_.data(), end);
      std::string word(line.substr(0, line.find(' ')));
      std::string rest(line.substr(std::min(line.size(), word.size() + 1)));
      unsigned long long first = 0, second = 0;
      std::sscanf(rest.c_str(), "%llu %llu", &first, &second);
      obey(word, rest, first, second);
    }
    return open;
  }

 private:
  std::string text_;
};

__attribute__((format(printf, 1, 2))) inline void say(const char* format, ...) {
  va_list list;
  va_start(list, format);
  std::vprintf(format, list);
  va_end(list);
  std::printf("\n");
  std::fflush(stdout);
}

[[noreturn]] inline void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

}  // namespace load
