// Hosts that have their own ideas of signals, folders, masks and environments, before and while lb works.
#include <sys/stat.h>
#include <sys/time.h>

#include <atomic>
#include <clocale>
#include <map>
#include <thread>

#include "abi/upstream.h"
#include "hostile/process.h"

namespace {

using hostile::MockProcess;
using host::Host;

constexpr uint32_t kBothWays[] = {0, LB_ENGINE_DRIVEN};

host::Seen& finish(Host& h, uint32_t flags, lb_call call) {
  for (int i = 0; flags && i < 20'000 && !h[call].done(); i++) {
    lb_engine_turn(h.engine);
    h.poll(1);
  }
  return h.finish(call);
}

// --- SIGPIPE ---

// Reads a little of each request and resets, while the rest is on its way.
class Resetting {
 public:
  Resetting() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0) abort();
    if (getsockname(listener_, generic, &size) != 0) abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      while (!ending_) {
        pollfd watched = {listener_, POLLIN, 0};
        if (::poll(&watched, 1, 10) != 1) continue;
        int conn = accept(listener_, nullptr, nullptr);
        char bytes[1000];
        (void)!recv(conn, bytes, sizeof bytes, 0);
        linger hard = {1, 0};
        setsockopt(conn, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(conn);
        resets_++;
      }
    });
  }
  ~Resetting() {
    ending_ = true;
    thread_.join();
    close(listener_);
  }
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  int resets() const { return resets_; }

 private:
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> resets_{0};
  std::thread thread_;
};

void a_write_to_a_reset_connection_raises_nothing(void**) {
  // That it would end this process is what makes the test one.
  pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    int ends[2];
    (void)!pipe(ends);
    close(ends[0]);
    (void)!write(ends[1], "x", 1);
    _exit(0);
  }
  assert_int_equal(hostile::exit_code_of(child), 100 + SIGPIPE);
  signal(SIGPIPE, SIG_DFL);
  std::string body = "{\"model\":\"m\",\"pad\":\"" + std::string(4'000'000, 'x') + "\"}";
  for (uint32_t flags : kBothWays) {
    Resetting upstream;
    Host::Options options;
    options.flags = flags;
    Host h("{\"deployments\":[{\"name\":\"up\",\"url\":\"" + upstream.url() +
               "\",\"models\":[\"m\"]}],\"health\":{\"errors\":0,\"rate\":0}}", options);
    for (int i = 0; i < 20; i++) {
      assert_int_equal(finish(h, flags, h.start(body)).status, LB_PROTOCOL);
    }
    assert_true(upstream.resets() >= 20);
  }
}

// --- Interruptions ---

std::atomic<int> alarms{0};

void interruptions_do_no_harm(void**) {
  MockProcess upstream("{\"event_gap_ms\":0.5}");
  struct sigaction before, ours = {};
  ours.sa_handler = [](int) { alarms++; };  // And without SA_RESTART.
  sigaction(SIGALRM, &ours, &before);
  const itimerval storm = {{0, 200}, {0, 200}}, calm = {};
  for (uint32_t flags : kBothWays) {
    Host::Options options;
    options.flags = flags;
    Host h(upstream.config(",\"keep_alive_ms\":0"), options);
    alarms = 0;
    setitimer(ITIMER_REAL, &storm, nullptr);
    for (int i = 0; i < 40; i++) {
      host::Seen& seen = finish(h, flags, h.start(host::chat_body(i % 2)));
      if (seen.status != LB_OK) {
        setitimer(ITIMER_REAL, &calm, nullptr);
        fail_msg("status %d: %s", seen.status, seen.message.c_str());
      }
    }
    // A poll that waits is not cut short either.
    timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(h.poll(50), 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    setitimer(ITIMER_REAL, &calm, nullptr);
    assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1'000'000 >= 49);
    assert_true(alarms > 100);
  }
  sigaction(SIGALRM, &before, nullptr);
}

// --- What belongs to the process ---

struct ProcessState {
  std::map<int, void*> dispositions;
  std::string folder, locale, environment;
  mode_t mask = 0;
  sigset_t blocked;
  bool operator==(const ProcessState& other) const {
    for (int i = 1; i < SIGRTMIN; i++)
      if (sigismember(&blocked, i) != sigismember(&other.blocked, i)) return false;
    return dispositions == other.dispositions && folder == other.folder && locale == other.locale &&
           environment == other.environment && mask == other.mask;
  }
};

ProcessState state_now() {
  ProcessState out;
  for (int i = 1; i < SIGRTMIN; i++) {
    struct sigaction action;
    if (sigaction(i, nullptr, &action) == 0) out.dispositions[i] = reinterpret_cast<void*>(action.sa_handler);
  }
  char path[4096];
  out.folder = getcwd(path, sizeof path);
  out.locale = setlocale(LC_ALL, nullptr);
  for (char** each = environ; *each; each++) out.environment += *each;
  out.mask = umask(0);
  umask(out.mask);
  pthread_sigmask(SIG_BLOCK, nullptr, &out.blocked);
  return out;
}

void the_process_is_left_as_it_was(void**) {
  MockProcess upstream("{}");
  ProcessState before = state_now();
  for (uint32_t flags : kBothWays) {
    Host::Options options;
    options.flags = flags;
    Host h(upstream.config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]"), options);
    assert_true(state_now() == before);
    for (int i = 0; i < 5; i++) assert_int_equal(finish(h, flags, h.start(host::chat_body(true))).status, LB_OK);
    assert_true(state_now() == before);
  }
  assert_true(state_now() == before);
}

// A host that changes all of it while calls are under way.
void the_process_may_change(void**) {
  MockProcess upstream("{\"event_gap_ms\":0.5}");
  char here[4096];
  assert_non_null(getcwd(here, sizeof here));
  mode_t mask = umask(022);
  std::atomic<bool> ending{false};
  {
    Host h(upstream.config(",\"weight\":0.5"));
    std::thread restless([&] {
      for (int i = 0; !ending; i++) {
        setlocale(LC_ALL, i % 2 ? "C" : "C.UTF-8");
        (void)!chdir(i % 2 ? "/" : "/tmp");
        umask(i % 2 ? 0777 : 0);
        setenv("LB_RESTLESS", std::to_string(i).c_str(), 1);
        usleep(100);
      }
    });
    std::string other = upstream.config(",\"weight\":2.5");
    for (int i = 0; i < 50; i++) {
      assert_int_equal(h.finish(h.start(host::chat_body(i % 2))).status, LB_OK);
      if (i % 10 == 0) assert_int_equal(lb_engine_configure(h.engine, other.data(), other.size(), nullptr), LB_OK);
    }
    ending = true;
    restless.join();
  }
  umask(mask);
  assert_int_equal(chdir(here), 0);
}

// --- The environment ---

// A proxy, a resolver, a pool: what other libraries take from there. lb takes what its configuration says.
void the_environment_has_no_say(void**) {
  host::Upstream trap("HTTP/1.1 502 Trapped\r\ncontent-length: 0\r\n\r\n");
  MockProcess upstream("{}");
  std::string proxy = trap.url();
  for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy",
                           "OPENAI_BASE_URL", "OPENAI_API_BASE"})
    setenv(name, proxy.c_str(), 1);
  for (const char* name : {"OPENAI_API_KEY", "TZ", "UV_THREADPOOL_SIZE", "UV_USE_IO_URING", "SSL_CERT_FILE"})
    setenv(name, "/nonsense", 1);
  Host h(upstream.config());
  for (int i = 0; i < 5; i++) assert_int_equal(h.finish(h.start(host::chat_body(true))).status, LB_OK);
  assert_int_equal(trap.requests(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_write_to_a_reset_connection_raises_nothing),
      cmocka_unit_test(interruptions_do_no_harm),
      cmocka_unit_test(the_process_is_left_as_it_was),
      cmocka_unit_test(the_process_may_change),
      cmocka_unit_test(the_environment_has_no_say),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
