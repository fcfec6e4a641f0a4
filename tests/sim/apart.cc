#include "sim/apart.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace lb::sim {

std::string run_apart(unsigned seconds, const std::function<std::string()>& work) {
  int ends[2];
  if (pipe(ends) != 0) return "crashed: no pipe";
  std::fflush(stdout);
  pid_t child = fork();
  if (child < 0) return "crashed: no process";
  if (child == 0) {
    close(ends[0]);
    alarm(seconds);
    std::string said("+");
    said += work();
    for (size_t at = 0; at < said.size();) {
      ssize_t n = write(ends[1], said.data() + at, said.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    std::exit(0);
  }
  close(ends[1]);
  std::string said;
  char bytes[4096];
  for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;) said.append(bytes, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "crashed: signal " + std::to_string(WTERMSIG(status));
  if (status != 0) return "crashed: exit code " + std::to_string(WEXITSTATUS(status));
  return said.empty() ? "crashed: it said nothing" : said.substr(1);
}

}  // namespace lb::sim
