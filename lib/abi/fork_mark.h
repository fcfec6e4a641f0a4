// Tells the process that made it from its children: of a page that the kernel empties for them, which costs nothing to
// look at, while getpid() is a system call. Where there is no such page (Linux before 4.14, others), getpid().
#pragma once

#include <sys/types.h>

namespace lb {

class ForkMark {
 public:
  ForkMark();
  ~ForkMark();
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;

  bool forked() const;  // Any thread.

 private:
  const pid_t pid_;
  volatile const char* page_ = nullptr;  // Its first byte is 0 in a child; null: there is none.
};

}  // namespace lb
