#include "net/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/batch.h"
#include "net/conn.h"
#include "net/fault.h"

namespace lb {

namespace {

void rest(uv_idle_t*) {}

// Where the host has closed 0, 1 or 2, the next descriptor would be one of them: what it prints would go into a
// connection, and libuv ends the process when it closes one (uv__close). So they are filled first, as the runtimes of
// Go and Rust do, and stay so: the host may be using them by then.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; fd++) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    int filled = ::open("/dev/null", O_RDWR);
    if (filled > 2) ::close(filled);  // Another thread was quicker.
  }
}

// The descriptors of a loop: epoll's, an eventfd, a pipe for its signals, and in the first one of a process another
// pipe. libuv ends the process when it cannot have that one (uv__signal_global_reinit), so they are tried first.
constexpr size_t kPipesOfLoop = 3;

// 0, or an error of libuv.
int try_descriptors() {
  int ends[kPipesOfLoop][2];
  size_t made = 0;
  int error = 0;
  while (made < kPipesOfLoop && error == 0)
    if (::pipe2(ends[made], O_CLOEXEC) == 0)
      made++;
    else
      error = uv_translate_sys_error(errno);
  for (size_t i = 0; i < made; i++)
    for (int end : ends[i]) ::close(end);
  return error;
}

// Blocks SIGPIPE for the calling thread while it lives, and swallows one that came meanwhile.
class PipeGuard {
 public:
  PipeGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    // One that the host has blocked and not taken yet is the host's.
    if (sigismember(&before_, SIGPIPE) == 1) {
      sigset_t pending;
      sigpending(&pending);
      theirs_ = sigismember(&pending, SIGPIPE) == 1;
    }
  }
  ~PipeGuard() {
    const timespec at_once{};
    if (!theirs_) sigtimedwait(&pipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeGuard(const PipeGuard&) = delete;
  PipeGuard& operator=(const PipeGuard&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool theirs_ = false;
};

}  // namespace

Instant Loop::now() { return {static_cast<int64_t>(uv_hrtime())}; }

int64_t Loop::unix_time_s() { return ::time(nullptr); }

const char* Loop::library_version() { return uv_version_string(); }

uint64_t Loop::random_seed() {
  uint64_t seed = 0;
  if (uv_random(nullptr, nullptr, &seed, sizeof seed, 0, nullptr) != 0) seed = uv_hrtime();
  return seed;
}

// --- Life ---

Loop::Loop(TurnHost& host) : host_(host) {}

Result<std::unique_ptr<Loop>> Loop::open(TurnHost& host) {
  std::unique_ptr<Loop> loop(new Loop(host));
  auto uv = std::make_unique<uv_loop_t>();
  fill_standard_descriptors();
  int error = try_descriptors();
  if (error == 0) error = uv_loop_init(uv.get());
  if (error == 0) {
    loop->uv_ = std::move(uv);
    loop->turned_ = now();
    error = loop->open_handles();
    if (error == 0) return loop;
  }
  std::string text = "no event loop: " + error_text(error);
  if (error == UV_EMFILE || error == UV_ENFILE) text += "; raise the limit of open files (ulimit -n)";
  return Error{Status::INTERNAL, "", std::move(text)};
}

int Loop::open_handles() {
  uv_timer_init(uv_.get(), &timer_);
  uv_idle_init(uv_.get(), &idle_);
  timer_.data = this;
  int error = uv_async_init(uv_.get(), &async_, [](uv_async_t* async) {
    static_cast<Loop*>(async->data)->poked_ = true;
  });
  async_.data = this;
  async_open_ = error == 0;
  return error;
}

Loop::~Loop() {
  if (!uv_) return;
  PipeGuard guard;
  for (uint64_t id : listeners_.ids()) shut(*listeners_.find(id));
  for (uint64_t id : conns_.ids())
    if (find(id)) destroy(*conns_.find(id));
  run_until_quiet();
  for (uint64_t id : conns_.ids()) destroy(*conns_.find(id));
  if (async_open_) uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle_), nullptr);
  if (lookups_ == 0) {
    while (uv_run(uv_.get(), UV_RUN_DEFAULT) != 0) {
    }
    LB_CHECK(uv_loop_close(uv_.get()) == 0);
    return;
  }
  // The resolver of the system cannot be stopped and will write to the loop when it is done: leave it that.
  while (uv_run(uv_.get(), UV_RUN_NOWAIT) != 0 && conns_.size() + listeners_.size() > 0) {
  }
  static_cast<void>(uv_.release());
}

// Flushes, and look-ups that are under way, for a while.
void Loop::run_until_quiet() {
  Instant end = now() + kCloseMax;
  wake_ = Instant::never();
  while (closing_ + lookups_ > 0 && turned_ < end) {
    wake_ = end;
    arm_timer();
    uv_run(uv_.get(), UV_RUN_ONCE);
    turned_ = now();
    expire(turned_);
    arrived_.clear();
  }
}

// --- Turns ---

void Loop::run() {
  while (!stopping_.load(std::memory_order_acquire)) step(true);
  stopping_.store(false, std::memory_order_relaxed);
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  poke();
}

void Loop::poke() { uv_async_send(&async_); }

int Loop::fd() const { return uv_backend_fd(uv_.get()); }

int Loop::timeout_ms() {
  if (work_waits()) return 0;
  uv_update_time(uv_.get());
  arm_timer();
  return uv_backend_timeout(uv_.get());
}

void Loop::turn_once() {
  PipeGuard guard;
  step(false);
}

void Loop::wake_at(Instant when) { wake_ = when; }

bool Loop::work_waits() const { return !arrived_.empty() || !stirred_.empty() || poked_ || wake_ <= turned_; }

void Loop::step(bool wait) {
  arm_timer();
  uv_run(uv_.get(), wait && !work_waits() ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  turned_ = now();
  if (timers_.next() <= turned_) expire(turned_);
  if (!stirred_.empty()) pump_stirred();
  if (arrived_.empty() && !poked_ && wake_ > turned_) return;
  poked_ = false;
  if (wake_ <= turned_) wake_ = Instant::never();
  turns_++;
  handed_.swap(arrived_);
  host_.turn(handed_, turned_);
  empty_batch(handed_);
}

// Lazily: a timer that goes off too early costs one empty step, and far less often than setting it anew each turn.
void Loop::arm_timer() {
  if (rang_) {
    rang_ = false;
    uv_idle_stop(&idle_);
  }
  Instant due = std::min(wake_, timers_.next());
  if (due >= Instant::never()) return;
  auto due_ms = static_cast<uint64_t>((std::max<int64_t>(due.ns, 0) + 999'999) / 1'000'000);
  if (due_ms >= armed_ms_) return;
  armed_ms_ = due_ms;
  uint64_t now_ms = uv_now(uv_.get());
  uv_timer_start(&timer_, [](uv_timer_t* timer) {
    Loop& loop = *static_cast<Loop*>(timer->data);
    loop.armed_ms_ = UINT64_MAX;
    loop.rang_ = true;
    // libuv runs timers before it waits: without this it would go on to wait.
    uv_idle_start(&loop.idle_, rest);
  }, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void Loop::expire(Instant now) {
  fired_.clear();
  timers_.take_due(now, fired_);
  for (const TimerHeap::Fired& fired : fired_) {
    switch (static_cast<TimerOf>(fired.kind)) {
      case conn_timer:  // Flushed or lingered long enough.
        destroy(*conns_.find(fired.owner));
        break;
      case listener_timer:
        watch(*listeners_.find(fired.owner));
        break;
    }
  }
}

Completion& Loop::arrive(Completion::Kind kind, const Conn& conn) {
  Completion& completion = arrived_.emplace_back();
  completion.kind = kind;
  completion.tag = conn.tag;
  completion.conn = conn.id;
  return completion;
}

}  // namespace lb
