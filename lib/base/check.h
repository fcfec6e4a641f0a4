// LB_CHECK stays on in release: to stop is better than to go on wrong. LB_ASSERT is for debug builds.
// Never on input from the wire, the configuration or the caller.
#pragma once

#include <cstdio>
#include <cstdlib>

#define LB_CHECK(condition)                                                         \
  do {                                                                              \
    if (!(condition)) [[unlikely]] {                                                \
      std::fprintf(stderr, "lb: defect at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                 \
    }                                                                               \
  } while (0)

#ifdef NDEBUG
#define LB_ASSERT(condition) ((void)0)
#else
#define LB_ASSERT(condition) LB_CHECK(condition)
#endif
