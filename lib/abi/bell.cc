#include "abi/bell.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace lb {

void Bell::close() {
  if (write_fd_ != read_fd_) ::close(write_fd_);
  if (read_fd_ >= 0) ::close(read_fd_);
  read_fd_ = write_fd_ = -1;
}

intptr_t Bell::fd() {
  if (read_fd_ >= 0) return read_fd_;
#ifdef __linux__
  read_fd_ = write_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
#else
  int ends[2];
  if (pipe(ends) != 0) return -1;
  for (int end : ends) {
    fcntl(end, F_SETFL, O_NONBLOCK);
    fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  read_fd_ = ends[0];
  write_fd_ = ends[1];
#endif
  return read_fd_;
}

int Bell::about_to_ring() {
  rung_ = write_fd_ >= 0;
  return write_fd_;
}

// A full pipe or counter is as readable as it gets, so the result does not matter.
void Bell::ring(int fd) {
  const uint64_t one = 1;
  ssize_t sent;
  do sent = ::write(fd, &one, sizeof one);
  while (sent < 0 && errno == EINTR);
}

void Bell::silence(bool ringing) {
  if (!rung_) return;
  char bytes[64];  // All rings: of a counter it takes one read, and in a pipe there are never so many.
  ssize_t got;
  do got = ::read(read_fd_, bytes, sizeof bytes);
  while (got < 0 && errno == EINTR);
  rung_ = ringing && got < 0;
}

}  // namespace lb
