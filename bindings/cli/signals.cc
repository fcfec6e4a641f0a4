#include "signals.h"

#include <csignal>
#include <fcntl.h>
#include <pthread.h>
#include <thread>
#include <unistd.h>

namespace cli {

namespace {

void forward(sigset_t set, int fd) {
  for (;;) {
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    unsigned char byte = static_cast<unsigned char>(number);
    while (write(fd, &byte, 1) < 0) {
    }
  }
}

}  // namespace

Signals::Signals(std::initializer_list<int> numbers) {
  int ends[2];
  if (pipe(ends) != 0) return;
  for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  sigset_t set;
  sigemptyset(&set);
  for (int number : numbers) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread(forward, set, ends[1]).detach();
  read_end_ = ends[0];
}

int Signals::next() {
  unsigned char byte = 0;
  return read_end_ >= 0 && read(read_end_, &byte, 1) == 1 ? byte : 0;
}

}  // namespace cli
