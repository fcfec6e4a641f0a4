// What a test of a badly behaved host needs of its process: children with a time limit, what /proc says of it, and
// mocks that live in a process of their own, so that their descriptors are not the host's.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "abi/host.h"
#include "lb_mock.h"

namespace hostile {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
#else
constexpr bool kAddressSanitizer = false;
#endif

// The exit code of a child; 100 + n when signal n ended it, 300 when it hung and was killed.
inline int exit_code_of(pid_t child) {
  for (int i = 0; i < host::kPatienceMs; i++) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
    usleep(1000);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 300;
}

inline int open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(folder)) count++;
  closedir(folder);
  return count - 3;  // ".", ".." and the folder itself.
}

// "VmRSS", "Threads": a number of /proc/self/status.
inline long status_number(const char* name) {
  FILE* file = fopen("/proc/self/status", "re");
  char line[256];
  long value = -1;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') value = atol(line + strlen(name) + 1);
  fclose(file);
  return value;
}

inline double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  timeval both = usage.ru_utime;
  timeradd(&usage.ru_utime, &usage.ru_stime, &both);
  return static_cast<double>(both.tv_sec) + static_cast<double>(both.tv_usec) / 1e6;
}

// A mock in a child; made before the test has threads.
class MockProcess {
 public:
  explicit MockProcess(const std::string& options) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    child_ = fork();
    if (child_ == 0) {
      ::close(ends[0]);
      lb_mock* mock = nullptr;
      char why[256];
      if (lb_mock_start(options.data(), options.size(), &mock, why, sizeof why) != 0) _exit(1);
      uint16_t port = lb_mock_port(mock);
      (void)!write(ends[1], &port, sizeof port);
      ::close(ends[1]);
      while (getppid() != 1) sleep(1);
      _exit(0);
    }
    ::close(ends[1]);
    assert_int_equal(read(ends[0], &port_, sizeof port_), sizeof port_);
    ::close(ends[0]);
  }
  ~MockProcess() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  MockProcess(const MockProcess&) = delete;
  MockProcess& operator=(const MockProcess&) = delete;

  std::string url(const char* address = "127.0.0.1") const {
    return std::string("http://") + address + ":" + std::to_string(port_) + "/v1";
  }
  std::string config(const std::string& more = "", const std::string& rest = "") const {
    return "{\"deployments\":[{\"name\":\"up\",\"url\":\"" + url() + "\",\"models\":[\"m\"]" + more + "}]" + rest + "}";
  }

 private:
  pid_t child_ = 0;
  uint16_t port_ = 0;
};

}  // namespace hostile
