/* Counts what a process has of its heap: preloaded (LD_PRELOAD) into a program that lb is in, it stands before glibc's
   malloc and keeps its counts in the file that LB_HEAP_COUNT names, where the driver reads them at any moment. Not
   under sanitizers, which have a malloc of their own.

   Bytes are those of blocks as malloc gives them out, with its own 8 before each: what the allocation costs, not what
   was asked for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct Counts {
  _Atomic int64_t bytes;
  _Atomic int64_t blocks;
};

/* glibc's own names of its functions: no look-up, which would itself allocate. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static struct Counts before; /* Until the file is there. */
static struct Counts *counts = &before;

static void add(void *block, int64_t sign) {
  if (!block) return;
  atomic_fetch_add_explicit(&counts->bytes, sign * (int64_t)(malloc_usable_size(block) + 8), memory_order_relaxed);
  atomic_fetch_add_explicit(&counts->blocks, sign, memory_order_relaxed);
}

__attribute__((constructor)) static void open_counts(void) {
  const char *path = getenv("LB_HEAP_COUNT");
  int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  void *at = ftruncate(fd, sizeof(struct Counts)) == 0
                 ? mmap(NULL, sizeof(struct Counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                 : MAP_FAILED;
  close(fd);
  if (at == MAP_FAILED) return;
  struct Counts *file = at;
  atomic_store(&file->bytes, atomic_load(&before.bytes)); /* One thread so far. */
  atomic_store(&file->blocks, atomic_load(&before.blocks));
  counts = file;
}

void *malloc(size_t size) {
  void *block = __libc_malloc(size);
  add(block, 1);
  return block;
}

void *calloc(size_t count, size_t size) {
  void *block = __libc_calloc(count, size);
  add(block, 1);
  return block;
}

void *realloc(void *block, size_t size) {
  add(block, -1);
  void *moved = __libc_realloc(block, size);
  if (moved)
    add(moved, 1);
  else if (size > 0)
    add(block, 1); /* It failed, and the old one is still there. */
  return moved;
}

void free(void *block) {
  add(block, -1);
  __libc_free(block);
}

void *memalign(size_t alignment, size_t size) {
  void *block = __libc_memalign(alignment, size);
  add(block, 1);
  return block;
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
  void *block = memalign(alignment, size);
  if (!block) return ENOMEM;
  *out = block;
  return 0;
}
