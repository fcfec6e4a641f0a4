#include "abi/thread.h"

#include <signal.h>

#include <cstring>
#include <memory>
#include <string>

namespace lb {

namespace {

struct Start {
  void (*main)(void*);
  void* argument;
};

void* run(void* given) {
  std::unique_ptr<Start> start(static_cast<Start*>(given));
#ifdef __linux__
  pthread_setname_np(pthread_self(), EngineThread::kName);
#endif
  start->main(start->argument);
  return nullptr;
}

// All that come from outside, SIGPIPE among them. Faults of the thread itself stay deliverable: blocked, they would
// kill the process without the host's crash reporter.
sigset_t asynchronous_signals() {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&set, fault);
  return set;
}

}  // namespace

// The mask is set before the thread begins and is inherited, so that there is no moment in which a signal gets through.
std::optional<Error> EngineThread::start(void (*main)(void*), void* argument) {
  auto start = std::make_unique<Start>(Start{main, argument});
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  sigset_t blocked = asynchronous_signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  int error = pthread_create(&thread_, &attributes, run, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) return Error{Status::INTERNAL, "", std::string("no thread for the engine: ") + std::strerror(error)};
  static_cast<void>(start.release());
  return std::nullopt;
}

void EngineThread::join() { pthread_join(thread_, nullptr); }

}  // namespace lb
