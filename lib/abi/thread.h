// The engine's thread, as a guest in another program should have it: it takes none of the host's signals, has a stack
// of its own size wherever it runs, and a name that shows in debuggers. Belongs to the Machine.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <optional>

#include "base/result.h"

namespace lb {

class EngineThread {
 public:
  // Java's default. glibc would give 8 MiB, musl 128 KiB, which a TLS handshake under a host's `deliver` may not fit.
  static constexpr size_t kStackBytes = 1024 * 1024;
  static constexpr const char* kName = "lb-engine";

  // `main(argument)` runs on the new thread.
  std::optional<Error> start(void (*main)(void*), void* argument);
  void join();
  // On the thread itself: it will end alone.
  static void detach() { pthread_detach(pthread_self()); }

 private:
  pthread_t thread_{};
};

}  // namespace lb
