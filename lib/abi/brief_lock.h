// A lock on what others hold for well under a microsecond: who sleeps for it costs two system calls and as many changes
// of thread, so it is tried again for about as long first.
#pragma once

#include <mutex>

namespace lb {

// Of tries; between two of them x86 pauses for 10 to 140 cycles.
inline constexpr int kSpins = 40;

inline std::unique_lock<std::mutex> brief_lock(std::mutex& mutex) {
  for (int i = 0; i < kSpins; i++) {
    if (mutex.try_lock()) return std::unique_lock(mutex, std::adopt_lock);
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
  }
  return std::unique_lock(mutex);
}

}  // namespace lb
