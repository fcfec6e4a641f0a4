// Signals as bytes on a pipe, so that a loop can wait for them beside other things. One object in a process, made
// before any other thread: threads inherit its mask.
#pragma once

#include <initializer_list>

namespace cli {

class Signals {
 public:
  explicit Signals(std::initializer_list<int> numbers);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Readable when a signal waits; -1 when there is no pipe to be had, and then the signals have their usual effect.
  int fd() const { return read_end_; }
  // The signal that came first, or 0.
  int next();

 private:
  int read_end_ = -1;  // The other end belongs to a thread that lives as long as the process.
};

}  // namespace cli
