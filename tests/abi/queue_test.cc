// The completion queue: polling, its descriptor, wake, deliver, loans, and its end.
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "host.h"

namespace {

using host::Host;

bool readable(intptr_t fd, int timeout_ms) {
  pollfd watched = {static_cast<int>(fd), POLLIN, 0};
  return ::poll(&watched, 1, timeout_ms) == 1 && (watched.revents & POLLIN);
}

// The loop of every host with its own event loop: poll until empty, then wait.
void test_descriptor(void**) {
  Host h(host::echo_config(",\"delay_ms\":1"));
  intptr_t fd = lb_queue_fd(h.queue);
  assert_true(fd >= 0);
  assert_int_equal(lb_queue_fd(h.queue), fd);
  int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event wanted = {};
  wanted.events = EPOLLIN | EPOLLET;  // Edges suffice, as Go's netpoll asks for them.
  assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, static_cast<int>(fd), &wanted), 0);
  lb_call call = h.start(host::chat_body(true));
  int waits = 0;
  while (!h[call].done()) {
    while (h.poll(0) > 0) {
    }
    if (h[call].done()) break;
    epoll_event got;
    assert_int_equal(epoll_wait(set, &got, 1, host::kPatienceMs), 1);
    waits++;
  }
  assert_true(waits > 0);
  close(set);
}

void test_descriptor_clears(void**) {
  Host h(host::echo_config());
  intptr_t fd = lb_queue_fd(h.queue);
  assert_false(readable(fd, 0));
  lb_call call = h.start(host::chat_body(false));
  assert_true(readable(fd, host::kPatienceMs));
  assert_true(readable(fd, 0));
  h.finish(call);
  assert_int_equal(h.poll(0), 0);
  assert_false(readable(fd, 0));
  // A host that reads it empty itself does no harm.
  call = h.start(host::chat_body(false));
  assert_true(readable(fd, host::kPatienceMs));
  uint64_t count = 0;
  assert_int_equal(read(static_cast<int>(fd), &count, sizeof count), sizeof count);
  assert_true(read(static_cast<int>(fd), &count, sizeof count) < 0);  // It does not block.
  h.finish(call);
  assert_int_equal(h.poll(0), 0);
  h.start(host::chat_body(false));
  assert_true(readable(fd, host::kPatienceMs));
}

// Asked for late, it knows of what waits already.
void test_late_descriptor(void**) {
  Host h(host::echo_config());
  h.start(host::chat_body(false));
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  assert_true(readable(lb_queue_fd(h.queue), host::kPatienceMs));
}

// ... and of what was left by a poll that had room for less.
void test_descriptor_of_a_rest(void**) {
  Host h(host::echo_config());
  h.start(host::chat_body(false));
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  lb_event event;
  assert_int_equal(lb_queue_poll(h.queue, &event, 1, 0), 1);
  assert_int_equal(lb_queue_poll(h.queue, nullptr, 0, 0), 0);  // The loan is over, and nothing of the rest is lost.
  assert_true(readable(lb_queue_fd(h.queue), 0));
  assert_int_equal(lb_queue_poll(h.queue, &event, 1, 0), 1);
  assert_int_equal(event.kind, LB_EVENT_DATA);
}

// Events that are gathered come all the same when nothing else happens.
void test_gathered(void**) {
  Host h(host::echo_config());
  std::vector<lb_call> calls;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 32; i++) calls.push_back(h.start(host::chat_body(i % 2 == 0)));
    for (lb_call call : calls) assert_int_equal(h.finish(call).status, LB_OK);
    calls.clear();
  }
}

// Without an empty poll before it, nothing is armed and the descriptor stays quiet.
void test_armed_by_empty_poll(void**) {
  Host h(host::echo_config());
  intptr_t fd = lb_queue_fd(h.queue);
  lb_call first = h.start(host::chat_body(false));
  assert_true(readable(fd, host::kPatienceMs));
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  while (h.poll(host::kPatienceMs, 1) && !h[first].done()) {
  }
  h.start(host::chat_body(false));
  while (!strstr(h.stats().c_str(), "\"ok\":2")) usleep(1000);
  assert_false(readable(fd, 0));
  assert_true(h.poll(0) > 0);
}

struct Wakes {
  std::atomic<int> count{0};
};

void test_wake(void**) {
  Host::Options no_queue;
  no_queue.queue = false;
  Host h(host::echo_config(), no_queue);
  Wakes wakes;
  lb_queue_options options = {};
  options.struct_size = sizeof options;
  options.ctx = &wakes;
  options.wake = [](void* ctx) { static_cast<Wakes*>(ctx)->count++; };
  assert_int_equal(lb_queue_open(h.engine, &options, &h.queue, nullptr), LB_OK);
  lb_call call = h.start(host::chat_body(false));
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (wakes.count == 0 && std::chrono::steady_clock::now() < end) usleep(1000);
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  assert_int_equal(wakes.count, 1);  // Once for all that came since the last empty poll.
  h.finish(call);
  assert_int_equal(h.poll(0), 0);
  h.start(host::chat_body(false));
  while (wakes.count < 2 && std::chrono::steady_clock::now() < end) usleep(1000);
  assert_int_equal(wakes.count, 2);
}

struct Taker {
  lb_engine* engine = nullptr;
  host::Record record;
  std::atomic<size_t> done{0};
  std::atomic<bool> closed{false};
  std::atomic<bool> gone{false};  // Nothing may come any more.
  std::atomic<int> late{0};
};

void take(void* ctx, const lb_event* events, size_t count) {
  auto* taker = static_cast<Taker*>(ctx);
  if (taker->gone) taker->late++;
  for (size_t i = 0; i < count; i++) {
    taker->record.take(events[i]);
    if (events[i].kind == LB_EVENT_DATA && taker->engine) lb_call_credit(taker->engine, events[i].call, events[i].size);
    if (events[i].kind == LB_EVENT_CLOSED) taker->closed = true;
  }
  taker->done = taker->record.done;
}

lb_queue_options deliver_to(Taker& taker) {
  lb_queue_options options = {};
  options.struct_size = sizeof options;
  options.deliver = take;
  options.ctx = &taker;
  return options;
}

void test_deliver(void**) {
  Host::Options no_queue;
  no_queue.queue = false;
  Host h(host::echo_config(",\"events\":3000"), no_queue);
  Taker taker;
  taker.engine = h.engine;
  lb_queue_options options = deliver_to(taker);
  assert_int_equal(lb_queue_open(h.engine, &options, &h.queue, nullptr), LB_OK);
  lb_event event;
  assert_int_equal(lb_queue_poll(h.queue, &event, 1, 0), LB_INVALID);
  assert_int_equal(lb_queue_fd(h.queue), -1);
  lb_call calls[20];
  for (lb_call& call : calls) call = h.start(host::chat_body(true));
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (taker.done < 20 && std::chrono::steady_clock::now() < end) usleep(1000);
  assert_int_equal(taker.done, 20);
  for (lb_call call : calls) assert_int_equal(taker.record.calls[call].status, LB_OK);
  lb_engine_free(h.engine);
  h.engine = nullptr;
  assert_true(taker.closed);
}

// Closing in the middle of a flood of deliveries: afterwards none runs.
void test_close_stops_deliver(void**) {
  for (int round = 0; round < 20; round++) {
    Host::Options no_queue;
    no_queue.queue = false;
    Host h(host::echo_config(",\"events\":2000"), no_queue);
    Taker taker;
    taker.engine = h.engine;
    lb_queue_options options = deliver_to(taker);
    assert_int_equal(lb_queue_open(h.engine, &options, &h.queue, nullptr), LB_OK);
    for (int i = 0; i < 20; i++) h.start(host::chat_body(true));
    usleep(static_cast<useconds_t>(round * 200));
    lb_queue_close(h.queue);
    h.queue = nullptr;
    taker.gone = true;
    usleep(2000);
    assert_int_equal(taker.late, 0);
  }
}

// From the engine's own thread: the engine detaches, the queue lets go.
struct Leaver {
  std::atomic<lb_engine*> engine{nullptr};  // What to free, once the test is ready for it.
  lb_queue* queue = nullptr;                // What to close, too.
  std::atomic<bool> ended{false};
};

void leave(void* ctx, const lb_event*, size_t) {
  auto* self = static_cast<Leaver*>(ctx);
  lb_engine* engine = self->engine.exchange(nullptr);
  if (!engine) return;
  if (self->queue) lb_queue_close(self->queue);
  lb_engine_free(engine);
  self->ended = true;
}

void free_within(uint32_t flags, bool queue_too) {
  Leaver self;
  Host::Options no_queue;
  no_queue.queue = false;
  no_queue.flags = flags;
  Host h(host::echo_config(",\"delay_ms\":1,\"events\":100000"), no_queue);
  lb_queue_options options = {};
  options.struct_size = sizeof options;
  options.deliver = leave;
  options.ctx = &self;
  assert_int_equal(lb_queue_open(h.engine, &options, &h.queue, nullptr), LB_OK);
  if (queue_too) self.queue = h.queue;
  h.start(host::chat_body(true));
  self.engine = h.engine;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!self.ended && std::chrono::steady_clock::now() < end) {
    if (flags & LB_ENGINE_DRIVEN)
      lb_engine_turn(h.engine);
    else
      usleep(1000);
  }
  assert_true(self.ended);
  h.engine = nullptr;
  if (!queue_too) lb_queue_close(h.queue);
  h.queue = nullptr;
  usleep(20'000);  // The detached thread ends; a sanitizer would see what it touches.
}

void test_free_within_deliver(void**) {
  free_within(0, false);
  free_within(0, true);
  free_within(LB_ENGINE_DRIVEN, false);
  free_within(LB_ENGINE_DRIVEN, true);
}

// What would wait for the turn to end says so instead of hanging; snapshots work.
struct Caller {
  lb_engine* engine = nullptr;
  std::atomic<int> configured{1};
  std::atomic<bool> stats{false};
  std::atomic<bool> asked{false};
};

void ask(void* ctx, const lb_event*, size_t) {
  auto* self = static_cast<Caller*>(ctx);
  if (self->asked) return;
  std::string config = host::echo_config();
  self->configured = lb_engine_configure(self->engine, config.data(), config.size(), nullptr);
  char* stats = lb_engine_stats(self->engine, 0, nullptr);
  self->stats = stats != nullptr;
  lb_free(stats);
  self->asked = true;
}

void test_calls_within_deliver(void**) {
  Host::Options no_queue;
  no_queue.queue = false;
  Host h(host::echo_config(), no_queue);
  Caller caller;
  caller.engine = h.engine;
  lb_queue_options options = {};
  options.struct_size = sizeof options;
  options.deliver = ask;
  options.ctx = &caller;
  assert_int_equal(lb_queue_open(h.engine, &options, &h.queue, nullptr), LB_OK);
  h.start(host::chat_body(false));
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!caller.asked && std::chrono::steady_clock::now() < end) usleep(1000);
  assert_int_equal(caller.configured, LB_INVALID);
  assert_true(caller.stats);
}

void test_options(void**) {
  Host h(host::echo_config());
  lb_queue* queue = nullptr;
  Taker taker;
  lb_queue_options options = deliver_to(taker);
  options.wake = [](void*) {};
  assert_int_equal(lb_queue_open(h.engine, &options, &queue, nullptr), LB_INVALID);
  options = deliver_to(taker);
  options.flags = 1;
  assert_int_equal(lb_queue_open(h.engine, &options, &queue, nullptr), LB_UNSUPPORTED);
  assert_int_equal(lb_queue_open(h.engine, nullptr, nullptr, nullptr), LB_INVALID);
  assert_int_equal(lb_queue_open(nullptr, nullptr, &queue, nullptr), LB_INVALID);
  assert_int_equal(lb_queue_poll(nullptr, nullptr, 0, 0), LB_INVALID);
  assert_int_equal(lb_queue_poll(h.queue, nullptr, 1, 0), LB_INVALID);
  assert_int_equal(lb_queue_fd(nullptr), -1);
}

// Data and detail stay readable until the next poll, whatever the engine does meanwhile.
void test_loan(void**) {
  Host h(host::echo_config());
  lb_call call = h.start(host::chat_body(false));
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  lb_event events[8];
  int32_t count = lb_queue_poll(h.queue, events, 8, 0);
  assert_int_equal(count, 3);
  lb_engine_free(h.engine);
  h.engine = nullptr;
  host::Record record;
  for (int32_t i = 0; i < count; i++) record.take(events[i]);
  assert_int_equal(record.calls[call].status, LB_OK);
  assert_string_equal(record.calls[call].upstream.c_str(), "echo");
}

void test_batches(void**) {
  Host h(host::echo_config());
  h.start(host::chat_body(false));
  while (!strstr(h.stats().c_str(), "\"ok\":1")) usleep(1000);
  lb_event event;
  assert_int_equal(lb_queue_poll(h.queue, nullptr, 0, -1), 0);
  uint32_t kinds[] = {LB_EVENT_HEAD, LB_EVENT_DATA, LB_EVENT_DONE};
  for (uint32_t kind : kinds) {
    assert_int_equal(lb_queue_poll(h.queue, &event, 1, 0), 1);
    assert_int_equal(event.kind, kind);
  }
  assert_int_equal(lb_queue_poll(h.queue, &event, 1, 0), 0);
  assert_int_equal(lb_queue_poll(h.queue, &event, 1, 5), 0);
}

void test_blocking_poll(void**) {
  Host h(host::echo_config(",\"delay_ms\":30"));
  lb_call call = h.start(host::chat_body(false));
  while (!h[call].done()) assert_true(h.poll(-1) > 0);
}

// 'S' when the thread waits for something.
char state_of(int thread) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE* file = fopen(path, "r");
  if (file) {
    if (fread(text, 1, sizeof text - 1, file) == 0) text[0] = 0;
    fclose(file);
  }
  const char* name_end = strrchr(text, ')');
  return name_end ? name_end[2] : '?';
}

// A thread that waits in poll leaves it when another closes the queue.
void test_close_wakes_poll(void**) {
  Host h(host::echo_config());
  std::atomic<int> result{1}, poller_id{0};
  lb_queue* queue = h.queue;
  std::thread poller([&] {
    lb_event event;
    poller_id = gettid();
    result = lb_queue_poll(queue, &event, 1, -1);
  });
  while (poller_id == 0 || state_of(poller_id) != 'S') usleep(1000);
  usleep(20'000);
  lb_queue_close(h.queue);
  h.queue = nullptr;
  poller.join();
  assert_int_equal(result, LB_CLOSED);
}

// The calls of a queue end with it, and their places are free again.
void test_close_cancels(void**) {
  Host::Options options;
  options.calls_max = 2;
  Host h(host::echo_config(",\"delay_ms\":3600000"), options);
  lb_queue* second = nullptr;
  assert_int_equal(lb_queue_open(h.engine, nullptr, &second, nullptr), LB_OK);
  std::string head = host::chat_head(), body = host::chat_body(true);
  lb_call calls[2];
  for (lb_call& call : calls)
    assert_int_equal(host::start_on(h.engine, second, body, &call), LB_OK);
  assert_int_equal(h.try_start(body, head), LB_FULL);
  lb_queue_close(second);
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (lb_call_cancel(h.engine, calls[1]) != LB_GONE && std::chrono::steady_clock::now() < end) usleep(1000);
  assert_non_null(strstr(h.stats().c_str(), "\"in_flight\":0,\"waiting\":0"));
  assert_int_equal(h.try_start(body, head), LB_OK);
}

void test_several_queues(void**) {
  Host h(host::echo_config());
  lb_queue* queues[8];
  std::string body = host::chat_body(false);
  for (int i = 0; i < 8; i++) {
    assert_int_equal(lb_queue_open(h.engine, nullptr, &queues[i], nullptr), LB_OK);
    lb_call_options options = host::call_options(LB_DELIVER_WHOLE, static_cast<uint64_t>(i));
    assert_int_equal(host::start_on(h.engine, queues[i], body, nullptr, &options), LB_OK);
  }
  for (int i = 7; i >= 0; i--) {
    host::Record record;
    lb_event event;
    while (record.done == 0) {
      assert_int_equal(lb_queue_poll(queues[i], &event, 1, host::kPatienceMs), 1);
      assert_int_equal(event.user_data, i);
      record.take(event);
    }
    lb_queue_close(queues[i]);
  }
}

// LOG goes to the first queue, up to a bound; then lines are dropped, counted, and the count is told.
void test_logs(void**) {
  Host::Options options;
  options.log_level = 2;
  Host h(host::echo_config(), options);
  lb_queue* second = nullptr;
  assert_int_equal(lb_queue_open(h.engine, nullptr, &second, nullptr), LB_OK);
  std::string body = host::chat_body(false, "unknown");
  const size_t bound = 1024, extra = 10;  // Queue::kLogsMax.
  for (size_t i = 0; i < bound + extra; i++) {
    assert_int_equal(host::start_on(h.engine, second, body), LB_OK);
    lb_event event;
    do assert_int_equal(lb_queue_poll(second, &event, 1, host::kPatienceMs), 1);
    while (event.kind != LB_EVENT_DONE);
  }
  size_t logs = 0;
  lb_event event;
  while (lb_queue_poll(h.queue, &event, 1, 0) == 1) {
    assert_int_equal(event.kind, LB_EVENT_LOG);
    assert_int_equal(event.code, 2);
    logs++;
  }
  assert_int_equal(logs, bound);
  assert_int_equal(host::start_on(h.engine, second, body), LB_OK);
  h.until([&] { return h[0].logs.size() >= 2; });
  assert_non_null(strstr(h[0].logs[0].c_str(), "\"count\":10}"));
  assert_non_null(strstr(h[0].logs[1].c_str(), "call failed"));
  lb_queue_close(second);
}

// What is logged before there is a queue is kept for it.
void test_early_logs(void**) {
  Host::Options options;
  options.log_level = 4;
  options.queue = false;
  Host h(host::echo_config(), options);
  lb_queue* first = nullptr;
  assert_int_equal(lb_queue_open(h.engine, nullptr, &first, nullptr), LB_OK);
  assert_int_equal(lb_queue_open(h.engine, nullptr, &h.queue, nullptr), LB_OK);
  lb_queue_close(first);  // The second is the first now.
  lb_call call = h.start(host::chat_body(false, "unknown"));
  h.finish(call);
  h.until([&] { return !h[0].logs.empty(); });
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_descriptor),
      cmocka_unit_test(test_descriptor_clears),
      cmocka_unit_test(test_late_descriptor),
      cmocka_unit_test(test_descriptor_of_a_rest),
      cmocka_unit_test(test_gathered),
      cmocka_unit_test(test_armed_by_empty_poll),
      cmocka_unit_test(test_wake),
      cmocka_unit_test(test_deliver),
      cmocka_unit_test(test_close_stops_deliver),
      cmocka_unit_test(test_free_within_deliver),
      cmocka_unit_test(test_calls_within_deliver),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_loan),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_blocking_poll),
      cmocka_unit_test(test_close_wakes_poll),
      cmocka_unit_test(test_close_cancels),
      cmocka_unit_test(test_several_queues),
      cmocka_unit_test(test_logs),
      cmocka_unit_test(test_early_logs),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
