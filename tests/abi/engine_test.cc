// Engines: opening, configuring, driving, closing, freeing.
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "host.h"
#include "upstream.h"

namespace {

using host::Host;
using host::Seen;

std::string key_config(const std::string& key) {
  return "{\"deployments\":[{\"name\":\"u\",\"url\":\"http://127.0.0.1:9/v1\",\"key\":" + key + "}]}";
}

lb_status open_error(const std::string& config, const lb_engine_options* options, lb_error* error) {
  *error = {};
  error->struct_size = sizeof *error;
  lb_engine* engine = nullptr;
  lb_status status = lb_engine_open(options, config.data(), config.size(), &engine, error);
  assert_int_equal(error->status, status);
  if (status == LB_OK) lb_engine_free(engine);
  return status;
}

void test_bad_configurations(void**) {
  lb_error error;
  assert_int_equal(open_error("{\"deployment\":[]}", nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/deployment");
  assert_non_null(strstr(error.message, "deployments"));
  assert_int_equal(open_error("{\"listen\":[{\"address\":\"nonsense\"}]}", nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/listen/0/address");
  assert_int_equal(open_error("{", nullptr, &error), LB_CONFIG);
  assert_int_equal(open_error("deployments: [", nullptr, &error), LB_CONFIG);
  assert_int_equal(lb_engine_open(nullptr, nullptr, 1, nullptr, nullptr), LB_INVALID);
  assert_int_equal(open_error(host::echo_config(), nullptr, &error), LB_OK);
  assert_string_equal(error.message, "");
  assert_int_equal(lb_config_check("{\"x\":1}", 7, nullptr), LB_CONFIG);
  assert_int_equal(open_error("{}", nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/deployments");
  std::string good = "deployments: [{name: e, kind: echo}]";
  assert_int_equal(lb_config_check(good.data(), good.size(), nullptr), LB_OK);
  assert_int_equal(lb_config_check(nullptr, 2, nullptr), LB_INVALID);
}

// An error struct of another age, or whose size was not set, is not written beyond its end.
void test_short_error(void**) {
  lb_error error;
  memset(&error, 'x', sizeof error);
  error.struct_size = 8;
  assert_int_equal(lb_config_check("{\"x\":1}", 7, &error), LB_CONFIG);
  assert_int_equal(error.status, LB_CONFIG);
  assert_int_equal(error.where[0], 'x');
  memset(&error, 'x', sizeof error);
  error.struct_size = 0;
  assert_int_equal(lb_config_check("{\"x\":1}", 7, &error), LB_CONFIG);
  assert_int_equal(error.message[0], 'x');
}

void test_long_error(void**) {
  std::string key(2000, 'k');
  for (size_t cut = 0; cut < 3; cut++) {
    std::string config = "{\"" + std::string(cut, 'k');
    for (int i = 0; i < 300; i++) config += "\xE2\x82\xAC";  // A character of three bytes.
    config += "\":1}";
    lb_error error = {sizeof error, 0, "", ""};
    assert_int_equal(lb_config_check(config.data(), config.size(), &error), LB_CONFIG);
    size_t size = strlen(error.where);
    assert_true(size > 115 && size < sizeof error.where);
    assert_int_equal((size - 1 - cut) % 3, 0);  // No half of a character.
    assert_true(strlen(error.message) < sizeof error.message);
  }
}

void test_options(void**) {
  lb_error error;
  lb_engine_options options = {sizeof options, 0, 0, 0, 0};
  options.flags = 1 << 3;
  assert_int_equal(open_error(host::echo_config(), &options, &error), LB_UNSUPPORTED);
  options.flags = 0;
  options.log_level = 5;
  assert_int_equal(open_error(host::echo_config(), &options, &error), LB_UNSUPPORTED);
  options.log_level = 4;
  options.calls_max = 1u << 20;
  assert_int_equal(open_error(host::echo_config(), &options, &error), LB_OK);
  options.calls_max++;
  assert_int_equal(open_error(host::echo_config(), &options, &error), LB_INVALID);
  options.calls_max = 0;
  options.struct_size = 0;
  assert_int_equal(open_error(host::echo_config(), &options, &error), LB_INVALID);
}

void test_secrets(void**) {
  char path[] = "/tmp/lb-secret-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "from-file\n", 10), 10);
  close(fd);
  setenv("LB_TEST_KEY", "from-environment", 1);
  unsetenv("LB_TEST_ABSENT");
  std::string with_env = key_config("{\"env\":\"LB_TEST_KEY\"}");
  std::string with_file = key_config("{\"file\":\"" + std::string(path) + "\"}");
  lb_error error;
  lb_engine_options options = {sizeof options, 0, 0, 0, 0};
  // The library reads nothing of its host unless it is allowed to.
  assert_int_equal(open_error(with_env, &options, &error), LB_CONFIG);
  assert_int_equal(open_error(with_file, &options, &error), LB_CONFIG);
  assert_int_equal(lb_config_check(with_env.data(), with_env.size(), nullptr), LB_OK);
  options.flags = LB_ENGINE_SECRETS;
  assert_int_equal(open_error(with_env, &options, &error), LB_OK);
  assert_int_equal(open_error(with_file, &options, &error), LB_OK);
  assert_int_equal(open_error(key_config("{\"env\":\"LB_TEST_ABSENT\"}"), &options, &error), LB_CONFIG);
  assert_non_null(strstr(error.message, "LB_TEST_ABSENT"));
  unlink(path);
  assert_int_equal(open_error(with_file, &options, &error), LB_CONFIG);
  assert_non_null(strstr(error.message, path));
  assert_null(strstr(error.message, "from-"));
}

void write_file(const char* path, const std::string& text) {
  FILE* file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text.data(), 1, text.size(), file), text.size());
  assert_int_equal(fclose(file), 0);
}

// A rank file of all bytes.
std::string byte_ranks() {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t byte = 0; byte < 256; byte++)
    out += std::string{digits[byte >> 2], digits[byte << 4 & 63]} + "== " + std::to_string(byte) + '\n';
  return out;
}

// Ranks are a file too; a reload that finds a bad one leaves everything as it was.
void test_rank_file(void**) {
  char path[] = "/tmp/lb-ranks-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  write_file(path, byte_ranks());
  std::string config = host::echo_config("", ",\"tokenizer\":{\"file\":\"" + std::string(path) + "\"}");
  lb_error error;
  assert_int_equal(open_error(config, nullptr, &error), LB_CONFIG);
  assert_string_equal(error.where, "/tokenizer/file");
  Host h(config, {.flags = LB_ENGINE_SECRETS});
  assert_int_equal(lb_engine_configure(h.engine, config.data(), config.size(), nullptr), LB_OK);
  write_file(path, "YWI= 1\nno rank\n");
  assert_int_equal(lb_engine_configure(h.engine, config.data(), config.size(), &error), LB_CONFIG);
  assert_string_equal(error.where, "/tokenizer/file");
  assert_non_null(strstr(error.message, ": line 2: "));
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_OK);
  unlink(path);
}

// A port that is taken: the engine does not open, and a reload leaves everything as it was.
void test_bind_failure(void**) {
  host::Upstream taken("");
  std::string port = taken.url().substr(7, taken.url().size() - 10);  // "127.0.0.1:1234"
  lb_error error;
  std::string config = host::echo_config("", ",\"listen\":[{\"address\":\"" + port + "\"}]");
  lb_status status = open_error(config, nullptr, &error);
  assert_int_not_equal(status, LB_OK);
  assert_non_null(strstr(error.message, port.c_str()));

  lb_engine_options options = {sizeof options, LB_ENGINE_NO_LISTEN, 0, 0, 0};
  assert_int_equal(open_error(config, &options, &error), LB_OK);

  Host h(host::echo_config("", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]"));
  error = {sizeof error, 0, "", ""};
  assert_int_not_equal(lb_engine_configure(h.engine, config.data(), config.size(), &error), LB_OK);
  assert_non_null(strstr(error.message, port.c_str()));
  char address[64];
  assert_true(lb_engine_address(h.engine, "default", 7, address, sizeof address) > 0);
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_OK);
}

void test_address(void**) {
  std::string any = "\"address\":\"127.0.0.1:0\"}";
  Host h(host::echo_config("", ",\"listen\":[{" + any + ",{\"name\":\"two\"," + any + "]"));
  char address[64] = "";
  int32_t size = lb_engine_address(h.engine, "two", 3, address, sizeof address);
  assert_int_equal(size, strlen(address));
  assert_memory_equal(address, "127.0.0.1:", 10);
  assert_true(atoi(address + 10) > 0);
  char small[5] = "";
  assert_int_equal(lb_engine_address(h.engine, "two", 3, small, sizeof small), size);
  assert_string_equal(small, "127.");
  assert_int_equal(lb_engine_address(h.engine, "two", 3, nullptr, 0), size);
  assert_int_equal(lb_engine_address(h.engine, "no", 2, address, sizeof address), LB_GONE);
  assert_non_null(strstr(h.stats().c_str(), "\"two\""));
}

void test_configure(void**) {
  Host h(host::echo_config());
  std::string other = "{\"deployments\":[{\"name\":\"b\",\"kind\":\"echo\",\"models\":[\"n\"]}]}";
  assert_int_equal(lb_engine_configure(h.engine, other.data(), other.size(), nullptr), LB_OK);
  assert_int_equal(h.finish(h.start(host::chat_body(false))).status, LB_INVALID);
  assert_int_equal(h.finish(h.start(host::chat_body(false, "n"))).status, LB_OK);
  lb_error error = {sizeof error, 0, "", ""};
  assert_int_equal(lb_engine_configure(h.engine, "{\"x\":1}", 7, &error), LB_CONFIG);
  assert_string_equal(error.where, "/x");
  assert_int_equal(h.finish(h.start(host::chat_body(false, "n"))).status, LB_OK);
  assert_int_equal(lb_engine_close(h.engine, 0), LB_OK);
  assert_int_equal(lb_engine_configure(h.engine, other.data(), other.size(), &error), LB_CLOSED);
}

void test_stats(void**) {
  Host h(host::echo_config());
  h.finish(h.start(host::chat_body(false)));
  assert_non_null(strstr(h.stats().c_str(), "\"started\":1"));
  assert_non_null(strstr(h.stats(1).c_str(), "lb_calls_started_total 1\n"));
  assert_null(lb_engine_stats(h.engine, 2, nullptr));
  assert_null(lb_engine_stats(nullptr, 0, nullptr));
  lb_free(nullptr);
}

void test_two_engines(void**) {
  Host a(host::echo_config(",\"events\":2"));
  Host b(host::echo_config(",\"events\":4"));
  lb_call in_a[20], in_b[20];
  for (int i = 0; i < 20; i++) {
    in_a[i] = a.start(host::chat_body(true));
    in_b[i] = b.start(host::chat_body(true));
  }
  for (int i = 0; i < 20; i++) {
    Seen& from_a = a.finish(in_a[i]);
    Seen& from_b = b.finish(in_b[i]);
    assert_int_equal(from_a.numbers[LB_FIELD_TOKENS_OUT], 2);
    assert_int_equal(from_b.numbers[LB_FIELD_TOKENS_OUT], 4);
  }
}

void turn(Host& h) {
  int timeout = lb_engine_timeout_ms(h.engine);
  pollfd watched = {static_cast<int>(lb_engine_fd(h.engine)), POLLIN, 0};
  assert_true(watched.fd >= 0);
  ::poll(&watched, 1, timeout < 0 || timeout > host::kPatienceMs ? host::kPatienceMs : timeout);
  assert_int_equal(lb_engine_turn(h.engine), LB_OK);
}

void test_driven(void**) {
  Host::Options options;
  options.flags = LB_ENGINE_DRIVEN;
  Host h(host::echo_config(",\"delay_ms\":1", ",\"listen\":[{\"address\":\"127.0.0.1:0\"}]"), options);
  lb_call call = h.start(host::chat_body(true));
  for (int i = 0; i < 1000 && !h[call].done(); i++) {
    turn(h);
    while (h.poll(0) > 0) {
    }
  }
  assert_int_equal(h[call].status, LB_OK);
  // It is applied at once, and what a socket brings is handled by a turn.
  std::string other = host::echo_config(",\"events\":1");
  assert_int_equal(lb_engine_configure(h.engine, other.data(), other.size(), nullptr), LB_OK);
  char address[64];
  assert_int_equal(lb_engine_address(h.engine, "default", 7, address, sizeof address), LB_GONE);
  host::Upstream upstream("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n"
                          "{\"choices\":[]}");
  other = host::upstream_config(upstream);
  assert_int_equal(lb_engine_configure(h.engine, other.data(), other.size(), nullptr), LB_OK);
  call = h.start(host::chat_body(false));
  while (!h[call].done()) {
    turn(h);
    while (h.poll(0) > 0) {
    }
  }
  assert_int_equal(upstream.requests(), 1);
  assert_int_equal(lb_engine_close(h.engine, 0), LB_OK);
  while (!h.record.closed) {
    turn(h);
    h.poll(0);
  }
}

void test_not_driven(void**) {
  Host h(host::echo_config());
  assert_int_equal(lb_engine_turn(h.engine), LB_INVALID);
  assert_int_equal(lb_engine_turn(nullptr), LB_INVALID);
  assert_int_equal(lb_engine_fd(h.engine), -1);
  assert_int_equal(lb_engine_timeout_ms(h.engine), -1);
}

// What is in flight may end within the drain; new calls are refused at once; CLOSED is the last event.
void test_close_drains(void**) {
  Host h(host::echo_config(",\"delay_ms\":20,\"events\":3"));
  lb_call call = h.start(host::chat_body(true));
  assert_int_equal(lb_engine_close(h.engine, 60'000), LB_OK);
  assert_int_equal(h.try_start(host::chat_body(true), host::chat_head()), LB_CLOSED);
  lb_queue* late = nullptr;
  assert_int_equal(lb_queue_open(h.engine, nullptr, &late, nullptr), LB_CLOSED);
  h.until([&] { return h.record.closed; });
  assert_int_equal(h[call].status, LB_OK);
  assert_int_equal(h.poll(0), LB_CLOSED);
  assert_int_equal(h.poll(-1), LB_CLOSED);
  assert_int_equal(lb_engine_close(h.engine, 0), LB_OK);
}

void test_close_cuts(void**) {
  Host h(host::echo_config(",\"delay_ms\":3600000"));
  lb_call call = h.start(host::chat_body(true));
  assert_int_equal(lb_engine_close(h.engine, 3'600'000), LB_OK);
  assert_int_equal(h.poll(20), 0);
  assert_int_equal(lb_engine_close(h.engine, 10), LB_OK);  // A shorter drain holds.
  h.until([&] { return h.record.closed; });
  assert_int_equal(h[call].status, LB_CANCELLED);
}

// Free in the middle of calls: each has its DONE, the queue its CLOSED, and the queue may be closed afterwards.
void test_free_during_calls(void**) {
  Host h(host::echo_config(",\"delay_ms\":3600000"));
  lb_call calls[50];
  for (lb_call& call : calls) call = h.start(host::chat_body(true));
  lb_engine_free(h.engine);
  h.engine = nullptr;
  h.credit = false;
  h.until([&] { return h.record.closed; });
  for (lb_call call : calls) assert_int_equal(h[call].status, LB_CANCELLED);
  assert_int_equal(h.poll(0), LB_CLOSED);
}

void test_free_during_sockets(void**) {
  host::Upstream upstream("");
  Host h(host::upstream_config(upstream));
  h.start(host::chat_body(true));
  while (upstream.requests() == 0) h.poll(1);
  lb_engine_free(h.engine);
  h.engine = nullptr;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (upstream.closed() == 0 && std::chrono::steady_clock::now() < end) usleep(1000);
  assert_int_equal(upstream.closed(), 1);
}

void test_open_close_often(void**) {
  std::string config = host::echo_config();
  for (int i = 0; i < 1000; i++) {
    lb_engine* engine = nullptr;
    lb_queue* queue = nullptr;
    assert_int_equal(lb_engine_open(nullptr, config.data(), config.size(), &engine, nullptr), LB_OK);
    assert_int_equal(lb_queue_open(engine, nullptr, &queue, nullptr), LB_OK);
    if (i % 2 == 0) assert_int_equal(host::start_on(engine, queue, host::chat_body(false)), LB_OK);
    if (i % 3 == 0) assert_int_equal(lb_engine_close(engine, 0), LB_OK);
    if (i % 5 == 0) assert_true(lb_queue_fd(queue) >= 0);
    if (i % 2 == 0) lb_queue_close(queue);
    lb_engine_free(engine);
    if (i % 2 != 0) lb_queue_close(queue);
  }
  lb_engine_free(nullptr);
  lb_queue_close(nullptr);
}

// Signals of the host are not taken by the engine's thread, and its sockets raise no SIGPIPE.
void test_signals(void**) {
  Host h(host::echo_config());
  h.finish(h.start(host::chat_body(false)));
  char path[300], line[256];
  bool found = false;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE* file = fopen(path, "r");
    if (!file) continue;
    bool engine = false;
    while (fgets(line, sizeof line, file)) {
      if (!strncmp(line, "Name:\tlb-engine\n", 16)) engine = true;
      if (!engine || strncmp(line, "SigBlk:", 7)) continue;
      unsigned long long blocked = strtoull(line + 8, nullptr, 16);
      for (int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF})
        assert_true(blocked >> (signal - 1) & 1);
      for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) assert_false(blocked >> (signal - 1) & 1);
      found = true;
    }
    fclose(file);
  }
  closedir(tasks);
  assert_true(found);
  sigset_t mine;
  pthread_sigmask(SIG_BLOCK, nullptr, &mine);
  assert_false(sigismember(&mine, SIGTERM));
}

void test_names(void**) {
  assert_int_equal(lb_abi(), LB_ABI);
  assert_int_equal(lb_version_number(), LB_VERSION_NUMBER);
  assert_string_equal(lb_status_name(LB_DEADLINE), "DEADLINE");
  assert_string_equal(lb_status_text(LB_OK), "success");
  assert_non_null(lb_status_name(12345));
  assert_non_null(lb_status_text(12345));
  assert_int_equal(lb_status_retryable(LB_OK), 0);
  assert_int_equal(lb_status_retryable(LB_LIMITED), 1);
  assert_int_equal(lb_status_retryable(LB_INVALID), 0);
  for (const char* part : {"{\"name\":\"lb\",\"version\":\"0.1.0\",\"abi\":1,", "\"libuv\":\"1.", "\"mbedtls\":\"",
                           "\"llhttp\":\"", "\"cjson\":\"", "\"linkage\":\"shared\""})
    assert_non_null(strstr(lb_build_info(), part));
  assert_null(strchr(lb_build_info(), '\n'));
  assert_ptr_equal(lb_build_info(), lb_build_info());
  assert_non_null(strstr(lb_config_schema(), "\"deployments\""));
  assert_ptr_equal(lb_config_schema(), lb_config_schema());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_configurations),
      cmocka_unit_test(test_short_error),
      cmocka_unit_test(test_long_error),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_secrets),
      cmocka_unit_test(test_rank_file),
      cmocka_unit_test(test_bind_failure),
      cmocka_unit_test(test_address),
      cmocka_unit_test(test_configure),
      cmocka_unit_test(test_stats),
      cmocka_unit_test(test_two_engines),
      cmocka_unit_test(test_driven),
      cmocka_unit_test(test_not_driven),
      cmocka_unit_test(test_close_drains),
      cmocka_unit_test(test_close_cuts),
      cmocka_unit_test(test_free_during_calls),
      cmocka_unit_test(test_free_during_sockets),
      cmocka_unit_test(test_open_close_often),
      cmocka_unit_test(test_signals),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
