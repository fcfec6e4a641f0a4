// Many threads on one engine: starts, credits, cancels, snapshots, reloads and queues that come and go. Run under TSan
// by tests/run.
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "host.h"

namespace {

using host::Host;

constexpr int kThreads = 4;
constexpr int kCallsEach = 100;

struct Shared {
  lb_engine* engine = nullptr;
  lb_queue* queue = nullptr;
  std::atomic<int> started{0};
  std::atomic<int> working{kThreads};
  std::atomic<bool> ending{false};
};

void start_calls(Shared& shared, int seed) {
  for (int i = 0; i < kCallsEach; i++) {
    std::string body = host::chat_body(i % 2 == 0);
    lb_call_options options = host::call_options(static_cast<uint32_t>(i % 3), static_cast<uint64_t>(i));
    options.window_bytes = i % 5 == 0 ? 1 : 0;
    lb_call call = 0;
    if (host::start_on(shared.engine, shared.queue, body, &call, &options) != LB_OK) continue;
    shared.started++;
    if ((i + seed) % 4 == 0) lb_call_cancel(shared.engine, call);
    lb_call_credit(shared.engine, call, 1);
  }
  shared.working--;
}

void look_around(Shared& shared) {
  while (!shared.ending) {
    lb_free(lb_engine_stats(shared.engine, 0, nullptr));
    lb_free(lb_engine_stats(shared.engine, 1, nullptr));
    char address[64];
    lb_engine_address(shared.engine, "default", 7, address, sizeof address);
    usleep(500);
  }
}

void reload(Shared& shared) {
  for (int i = 0; !shared.ending; i++) {
    std::string config = host::echo_config(",\"events\":" + std::to_string(1 + i % 9));
    lb_engine_configure(shared.engine, config.data(), config.size(), nullptr);
    usleep(1000);
  }
}

void open_queues(Shared& shared) {
  std::string body = host::chat_body(true);
  while (!shared.ending) {
    lb_queue* queue = nullptr;
    if (lb_queue_open(shared.engine, nullptr, &queue, nullptr) != LB_OK) return;
    for (int i = 0; i < 3; i++) host::start_on(shared.engine, queue, body);
    lb_event event;
    lb_queue_poll(queue, &event, 1, 1);
    lb_queue_close(queue);
  }
}

void test_hammer(void**) {
  Host h(host::echo_config());
  Shared shared;
  shared.engine = h.engine;
  shared.queue = h.queue;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) threads.emplace_back(start_calls, std::ref(shared), i);
  std::thread around(look_around, std::ref(shared)), reloading(reload, std::ref(shared));
  std::thread queues(open_queues, std::ref(shared));
  h.until([&] { return shared.working == 0 && h.record.done == static_cast<size_t>(shared.started); });
  shared.ending = true;
  for (std::thread& thread : threads) thread.join();
  around.join();
  reloading.join();
  queues.join();
  assert_int_equal(shared.started, kThreads * kCallsEach);
  for (auto& [call, seen] : h.record.calls) assert_true(seen.status == LB_OK || seen.status == LB_CANCELLED);
}

// The bound holds exactly, whoever comes first, and each place that is given back can be taken.
void test_full_is_exact(void**) {
  Host::Options options;
  options.calls_max = 7;
  Host h(host::echo_config(",\"delay_ms\":3600000"), options);
  std::atomic<int> taken{0}, refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++)
    threads.emplace_back([&] {
      for (int j = 0; j < 5; j++) {
        lb_status status = host::start_on(h.engine, h.queue, host::chat_body(true));
        (status == LB_OK ? taken : refused)++;
      }
    });
  for (std::thread& thread : threads) thread.join();
  assert_int_equal(taken, 7);
  assert_int_equal(refused, kThreads * 5 - 7);
}

// An engine that goes while others wait for its events.
void test_close_among_threads(void**) {
  for (int round = 0; round < 20; round++) {
    Host h(host::echo_config(",\"events\":50"));
    Shared shared;
    shared.engine = h.engine;
    shared.queue = h.queue;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) threads.emplace_back(start_calls, std::ref(shared), i);
    std::thread closing([&] {
      usleep(static_cast<useconds_t>(round * 100));
      lb_engine_close(shared.engine, static_cast<uint32_t>(round % 3) * 1000);
    });
    h.until([&] { return h.record.closed; });
    closing.join();
    for (std::thread& thread : threads) thread.join();
    assert_int_equal(h.record.done, shared.started);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_hammer),
      cmocka_unit_test(test_full_is_exact),
      cmocka_unit_test(test_close_among_threads),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
