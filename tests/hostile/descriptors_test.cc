// Hosts that are short of descriptors, have very many, or have closed the first three.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "hostile/process.h"

namespace {

using hostile::MockProcess;
using host::Host;

// Takes descriptors until only `free` are left.
class Hog {
 public:
  explicit Hog(int free) {
    for (int fd = open("/dev/null", O_RDONLY | O_CLOEXEC); fd >= 0; fd = open("/dev/null", O_RDONLY | O_CLOEXEC))
      taken_.push_back(fd);
    give_back(free);
  }
  ~Hog() { give_back(static_cast<int>(taken_.size())); }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;
  void give_back(int count) {
    for (; count > 0 && !taken_.empty(); count--) {
      close(taken_.back());
      taken_.pop_back();
    }
  }

 private:
  std::vector<int> taken_;
};

class Limit {
 public:
  explicit Limit(rlim_t soft) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit{soft, before_.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~Limit() { setrlimit(RLIMIT_NOFILE, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  rlimit before_;
};

// In a child, since the first loop of a process is the one that libuv could not do without.
void an_engine_without_descriptors_says_so(void**) {
  std::string config = host::echo_config();
  pid_t child = fork();
  if (child == 0) {
    Limit limit(32);
    bool opened = false;
    for (int free = 0; free <= 12; free++) {
      Hog hog(free);
      lb_engine* engine = nullptr;
      lb_error error = {sizeof error, 0, "", ""};
      lb_status status = lb_engine_open(nullptr, config.data(), config.size(), &engine, &error);
      if (opened && status != LB_OK) _exit(2);  // What was enough is no longer.
      opened = status == LB_OK;
      if (!opened && (status != LB_INTERNAL || !strstr(error.message, "raise the limit of open files"))) _exit(3);
      lb_engine_free(engine);
    }
    _exit(opened ? 0 : 4);
  }
  assert_int_equal(hostile::exit_code_of(child), 0);
}

// Calls that find no descriptor fail in order, the others do not notice, and afterwards all is as before.
void calls_beyond_the_limit_fail_clearly(void**) {
  MockProcess upstream("{\"latency_ms\":100}");
  Limit limit(32);
  Host h(upstream.config(",\"keep_alive_ms\":0"));
  Hog hog(10);
  std::vector<lb_call> calls;
  for (int i = 0; i < 60; i++) calls.push_back(h.start(host::chat_body(i % 2)));
  int ok = 0, refused = 0;
  for (lb_call call : calls) {
    host::Seen& seen = h.finish(call);
    if (seen.status == LB_OK) {
      ok++;
      continue;
    }
    assert_int_equal(seen.status, LB_CONNECT);
    assert_non_null(strstr(seen.message.c_str(), "raise the limit of open files"));
    refused++;
  }
  assert_in_range(ok, 5, 30);
  assert_int_equal(ok + refused, 60);
  // Now there are some: nobody holds the shortage against the deployment.
  for (int i = 0; i < 5; i++) assert_int_equal(h.finish(h.start(host::chat_body(true))).status, LB_OK);
}

int client_socket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

void dial(int fd, const std::string& address) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(atoi(address.substr(address.rfind(':') + 1).c_str())));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
}

std::string address_of(const Host& h) {
  char address[64];
  assert_true(lb_engine_address(h.engine, "default", 7, address, sizeof address) > 0);
  return address;
}

bool answers(int fd, int wait_ms) {
  const char request[] = "GET /healthz HTTP/1.1\r\nhost: lb\r\n\r\n";
  (void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
  timeval patience = {wait_ms / 1000, wait_ms % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char bytes[64];
  return recv(fd, bytes, sizeof bytes, 0) > 12 && !memcmp(bytes, "HTTP/1.1 200", 12);
}

void a_gateway_without_descriptors_waits_and_does_not_spin(void**) {
  Limit limit(40);
  Host h(host::echo_config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]"));
  std::string address = address_of(h);
  int waiting[6];
  for (int& fd : waiting) fd = client_socket();
  Hog none(0);
  for (int fd : waiting) dial(fd, address);  // Their other ends find nothing left.
  double before = hostile::cpu_seconds();
  usleep(1'000'000);
  double spent = hostile::cpu_seconds() - before;
  print_message("CPU in a second of waiting: %.0f ms\n", spent * 1000);
  assert_true(spent < 0.3);
  assert_non_null(strstr(h.stats().c_str(), "\"accepted\":0"));
  none.give_back(12);
  for (int fd : waiting) {
    assert_true(answers(fd, host::kPatienceMs));
    close(fd);
  }
}

// select() ends at 1,024; whoever uses it writes beyond its set.
void descriptors_beyond_1024(void**) {
  MockProcess upstream("{}");
  rlimit most;
  getrlimit(RLIMIT_NOFILE, &most);
  if (most.rlim_max < 2000) {
    print_message("SKIPPED: this machine allows %lu descriptors only\n", static_cast<unsigned long>(most.rlim_max));
    skip();
  }
  Limit limit(4096 < most.rlim_max ? 4096 : most.rlim_max);
  std::vector<int> held;
  for (int i = 0; i < 1500; i++) held.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  assert_true(held.back() > 1024);
  std::string config = upstream.config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]");
  config.replace(config.find("127.0.0.1"), 9, "localhost");  // By the resolver, which has sockets too.
  for (uint32_t flags : {0u, uint32_t{LB_ENGINE_DRIVEN}}) {
    Host::Options options;
    options.flags = flags;
    Host h(config, options);
    assert_true(lb_queue_fd(h.queue) > 1024);
    std::vector<lb_call> calls;
    for (int i = 0; i < 50; i++) calls.push_back(h.start(host::chat_body(i % 2)));
    while (flags && h.record.done < calls.size()) {
      assert_true(lb_engine_fd(h.engine) > 1024);
      lb_engine_turn(h.engine);
      h.poll(1);
    }
    for (lb_call call : calls) assert_int_equal(h.finish(call).status, LB_OK);
    if (flags) continue;
    int client = client_socket();
    dial(client, address_of(h));
    assert_true(answers(client, host::kPatienceMs));
    close(client);
  }
  for (int fd : held) close(fd);
}

std::string target_of(int fd) {
  char path[64], target[256];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(path, target, sizeof target);
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : "";
}

// What the host prints must not land in a socket of lb's. 0: all went well.
int run_without_stdio(const std::string& config) {
  for (int fd : {0, 1, 2}) close(fd);
  {
    Host::Options options;
    options.log_level = 4;
    Host h(config, options);
    for (int fd : {0, 1, 2})
      if (target_of(fd) != "/dev/null") return 1 + fd;
    for (int i = 0; i < 20; i++) {
      lb_call call = h.start(host::chat_body(true));
      printf("stray %d\n", i);
      fflush(stdout);
      fprintf(stderr, "stray %d\n", i);
      (void)!write(0, "stray", 5);
      if (h.finish(call).status != LB_OK) return 5;
    }
  }
  // A host that opens its own afterwards has them.
  int file = open("/dev/zero", O_RDWR);
  if (dup2(file, 1) != 1 || target_of(1) != "/dev/zero") return 6;
  return 0;
}

void closed_stdio_is_not_taken_for_sockets(void**) {
  MockProcess upstream("{}");
  pid_t child = fork();
  if (child == 0) _exit(run_without_stdio(upstream.config()));
  assert_int_equal(hostile::exit_code_of(child), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_engine_without_descriptors_says_so),
      cmocka_unit_test(calls_beyond_the_limit_fail_clearly),
      cmocka_unit_test(a_gateway_without_descriptors_waits_and_does_not_spin),
      cmocka_unit_test(descriptors_beyond_1024),
      cmocka_unit_test(closed_stdio_is_not_taken_for_sockets),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
