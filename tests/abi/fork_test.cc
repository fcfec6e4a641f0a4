// After fork: each function says FORKED in the child, none hangs, and the parent goes on as if nothing had been.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

namespace {

using host::Host;

// The number of the first function that did not behave; 0 when all did.
int all_refuse(Host& h, lb_call call) {
  std::string config = host::echo_config(), body = host::chat_body(false);
  lb_error error = {sizeof error, 0, "", ""};
  lb_event event;
  lb_queue* queue = nullptr;
  char address[32];
  if (lb_queue_poll(h.queue, &event, 1, -1) != LB_FORKED) return 1;
  if (lb_queue_open(h.engine, nullptr, &queue, &error) != LB_FORKED || error.status != LB_FORKED) return 2;
  if (lb_queue_fd(h.queue) != -1) return 3;
  if (host::start_on(h.engine, h.queue, body, &call) != LB_FORKED) return 4;
  if (lb_call_credit(h.engine, call, 1) != LB_FORKED) return 5;
  if (lb_call_cancel(h.engine, call) != LB_FORKED) return 6;
  if (lb_engine_configure(h.engine, config.data(), config.size(), &error) != LB_FORKED) return 7;
  if (lb_engine_address(h.engine, "default", 7, address, sizeof address) != LB_FORKED) return 8;
  if (lb_engine_stats(h.engine, 0, nullptr) != nullptr) return 9;
  if (lb_engine_turn(h.engine) != LB_FORKED) return 10;
  if (lb_engine_fd(h.engine) != -1 || lb_engine_timeout_ms(h.engine) != -1) return 11;
  if (lb_engine_close(h.engine, 0) != LB_FORKED) return 12;
  lb_queue_close(h.queue);
  lb_engine_free(h.engine);
  return 0;
}

int exit_code_of(pid_t child) {
  for (int i = 0; i < host::kPatienceMs; i++) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
    usleep(1000);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 101;  // It hung.
}

void fork_with(uint32_t flags) {
  Host::Options options;
  options.flags = flags;
  Host h(host::echo_config(",\"delay_ms\":1"), options);
  for (int round = 0; round < 10; round++) {
    lb_call call = h.start(host::chat_body(true));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(all_refuse(h, call));
    assert_int_equal(exit_code_of(child), 0);
    if (flags & LB_ENGINE_DRIVEN)
      for (int i = 0; i < 10'000 && !h[call].done(); i++) {
        lb_engine_turn(h.engine);
        h.poll(1);
      }
    assert_int_equal(h.finish(call).status, LB_OK);
  }
}

void test_fork(void**) { fork_with(0); }
void test_fork_driven(void**) { fork_with(LB_ENGINE_DRIVEN); }

std::string address_of(const Host& h, const char* name) {
  char address[128];
  assert_true(lb_engine_address(h.engine, name, strlen(name), address, sizeof address) > 0);
  return address;
}

// A client's whole visit: true when it was answered.
bool is_served(const std::string& address) {
  bool local = address.starts_with("unix:");
  sockaddr_storage name = {};
  int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  name.ss_family = local ? AF_UNIX : AF_INET;
  if (local) {
    strcpy(reinterpret_cast<sockaddr_un*>(&name)->sun_path, address.c_str() + 5);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&name);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4->sin_port = htons(static_cast<uint16_t>(atoi(address.c_str() + address.rfind(':') + 1)));
  }
  socklen_t size = local ? sizeof(sockaddr_un) : sizeof(sockaddr_in);
  bool up = connect(fd, reinterpret_cast<sockaddr*>(&name), size) == 0;
  const char request[] = "GET /healthz HTTP/1.1\r\nhost: lb\r\nconnection: close\r\n\r\n";
  char answer[16] = "";
  up = up && send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 && recv(fd, answer, sizeof answer, 0) > 12;
  close(fd);
  return up && !memcmp(answer, "HTTP/1.1 200", 12);
}

// What the child does with its copy is no concern of the parent's clients; the file of a unix socket least of all.
void test_listeners_after_fork(void**) {
  std::string path = "/tmp/lb-fork-" + std::to_string(getpid());
  Host h(host::echo_config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"},{\"name\":\"local\",\"address\":\"unix:" +
                                   path + "\"}]"));
  std::string inet = address_of(h, "default"), local = address_of(h, "local");
  for (bool ends : {true, false}) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      if (ends) {
        lb_queue_close(h.queue);
        lb_engine_free(h.engine);
        _exit(0);
      }
      exit(0);  // With destructors and atexit.
    }
    assert_int_equal(exit_code_of(child), 0);
    for (int i = 0; i < 10; i++) assert_true(is_served(inet) && is_served(local));
  }
}

// Every descriptor of lb's is closed by exec: its own gateway is the upstream here, so that both ends are lb's.
void test_exec_takes_nothing_along(void**) {
  auto inherited = [] {
    int count = 0;
    for (int fd = 3; fd < 1024; fd++) {
      int flags = fcntl(fd, F_GETFD);
      count += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return count;
  };
  int before = inherited();
  Host server(host::echo_config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]"));
  Host h("{\"deployments\":[{\"name\":\"up\",\"url\":\"http://" + address_of(server, "default") + "/v1\"}]}");
  assert_true(lb_queue_fd(h.queue) >= 0);
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_OK);  // Its connection stays.
  assert_int_equal(inherited(), before);
}

// A child may have an engine of its own.
void test_engine_after_fork(void**) {
#ifdef __SANITIZE_THREAD__
  skip();  // TSan does not follow threads that are started after fork.
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
  skip();
#endif
#endif
  Host parent(host::echo_config());
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    lb_engine* engine = nullptr;
    lb_queue* queue = nullptr;
    std::string config = host::echo_config();
    if (lb_engine_open(nullptr, config.data(), config.size(), &engine, nullptr) != LB_OK) _exit(1);
    if (lb_queue_open(engine, nullptr, &queue, nullptr) != LB_OK) _exit(2);
    if (host::start_on(engine, queue, host::chat_body(false)) != LB_OK) _exit(3);
    lb_event event = {};
    while (event.kind != LB_EVENT_DONE)
      if (lb_queue_poll(queue, &event, 1, host::kPatienceMs) != 1) _exit(4);
    lb_queue_close(queue);
    lb_engine_free(engine);
    _exit(event.status == LB_OK ? 0 : 5);
  }
  assert_int_equal(exit_code_of(child), 0);
  assert_int_equal(parent.finish(parent.start(host::chat_body(false))).status, LB_OK);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_fork),
      cmocka_unit_test(test_fork_driven),
      cmocka_unit_test(test_listeners_after_fork),
      cmocka_unit_test(test_exec_takes_nothing_along),
      cmocka_unit_test(test_engine_after_fork),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
