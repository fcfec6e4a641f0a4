// Counts what a program allocates by `new`, libraries included: for tests of what must not allocate. To be included
// once in a program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

inline size_t allocations = 0;

// The one that may fail as well: what it gives is freed by the same operator delete.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations++;
  return std::malloc(size);
}
void* operator new(size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (!memory) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
