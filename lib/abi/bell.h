// A descriptor that becomes readable when rung: an eventfd, or a pipe where there is none. Belongs to a Queue, under
// its mutex, but for the ringing: whom it wakes wants that mutex at once. A host may read it empty itself; that changes
// nothing here.
#pragma once

#include <cstdint>

namespace lb {

class Bell {
 public:
  Bell() = default;
  ~Bell() { close(); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  // Opens at the first call, so that hosts that never ask spend no descriptor; -1 where there is none.
  intptr_t fd();
  bool open() const { return read_fd_ >= 0; }
  // What `ring` is to be called with, with no lock held; -1 when there is nothing to ring.
  int about_to_ring();
  static void ring(int fd);
  // `ringing`: a ring may be yet to come, so that, if there is none, it is left to a later call.
  void silence(bool ringing);
  void close();

 private:
  int read_fd_ = -1;
  int write_fd_ = -1;
  bool rung_ = false;
};

}  // namespace lb
