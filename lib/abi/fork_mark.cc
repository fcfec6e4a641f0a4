#include "abi/fork_mark.h"

#include <sys/mman.h>
#include <unistd.h>

namespace lb {

namespace {

constexpr size_t kBytes = 1;  // The kernel makes a page of it.

}  // namespace

ForkMark::ForkMark() : pid_(getpid()) {
#ifdef MADV_WIPEONFORK
  void* page = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, kBytes, MADV_WIPEONFORK) != 0) {
    munmap(page, kBytes);
    return;
  }
  *static_cast<char*>(page) = 1;
  page_ = static_cast<const char*>(page);
#endif
}

ForkMark::~ForkMark() {
  if (page_) munmap(const_cast<char*>(page_), kBytes);
}

bool ForkMark::forked() const { return page_ ? *page_ == 0 : getpid() != pid_; }

}  // namespace lb
