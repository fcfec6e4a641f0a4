// Whether a block ends the process, as LB_CHECK does: tried in a child, so that the test lives on.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

template <typename Block>
bool dies(Block block) {
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);  // What it says when it dies is not news.
    std::signal(SIGABRT, SIG_DFL);
    block();
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
