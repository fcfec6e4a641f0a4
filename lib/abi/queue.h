// The completion queue behind lb_queue: the engine's thread puts a turn's events in, one thread of the host takes
// them out in batches. What bounds it is the credit of the calls, and it must be able to hold all of that. LOG events
// have no credit, so they have a bound of their own. Three batches go round, so that no event costs an allocation: one
// is filled in a turn, one waits, one is lent.
//
// Shared by the handle of the host and the Machine, whichever lives longer. The functions say on which thread they
// run; the mutex is held to pass batches on, never while a function of the host runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "abi/bell.h"
#include "engine/event.h"
#include "lb.h"

namespace lb {

// A call between lb_call_start and its DONE. `id` and `user_data` never change; the rest is the engine thread's.
struct CallRecord {
  lb_call id = 0;
  uint64_t user_data = 0;
  const EventSink* queue = nullptr;
  CallId inner = 0;  // The engine's name for it; 0 before the engine knows it.
  bool body_open = false;  // lb_call_append may bring more. Under the inbox's mutex.
};

// As the host sees it. `data` and `detail` point into `event`.
lb_event view_of(const Event& event);

class Queue final : public EventSink {
 public:
  // LOG events that wait for a poll; more are dropped and counted. Ours: a screenful is 50, a burst a few hundred.
  static constexpr size_t kLogsMax = 1024;

  explicit Queue(const lb_queue_options& options) : options_(options) {}

  // --- The engine's thread ---
  void deliver(std::vector<Event>& events) override;
  void add(Event&& event) { staged_.push_back(std::move(event)); }
  // Names the staged events as the host knows them; appends the calls that end with them to `ended`.
  void name_staged(std::vector<lb_call>& ended);
  // Gives the staged events to the host: to those that wait, or to `deliver`.
  void publish();
  bool staged() const { return !staged_.empty(); }

  // --- The host's threads ---
  int32_t poll(lb_event* out, size_t cap, int32_t timeout_ms);
  intptr_t fd();
  // Wakes a blocked poll; once it returns, no function of the host runs again (but for the one it is called from).
  void close();
  bool pushes() const { return options_.deliver != nullptr; }

 private:
  void push_to_host();
  void begin_calling();
  void end_calling();
  void shelve();
  bool keep_log(const Event& event);
  int32_t take(lb_event* out, size_t cap);
  void end_loan();

  const lb_queue_options options_;

  // The engine's thread.
  std::vector<Event> staged_;
  std::vector<lb_event> batch_;  // Scratch of `deliver`.

  // The thread that polls; of nobody who closes while `polls_` says that one does.
  std::vector<Event> taken_;  // Up to `lent_` they are gone, up to `next_` lent.
  size_t lent_ = 0;
  size_t next_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Below: under mutex_.
  std::vector<Event> waiting_;
  bool left_ = false;       // Not all of `taken_` has been lent yet.
  Bell bell_;
  size_t logs_waiting_ = 0;
  uint64_t logs_dropped_ = 0;
  uint32_t polls_ = 0;      // Polls that are running.
  bool sleeping_ = false;   // One of them is blocked.
  bool armed_ = true;       // The last poll saw an empty queue: the next event wakes.
  bool ended_ = false;      // CLOSED has been taken.
  bool closed_ = false;     // By lb_queue_close.
  bool calling_ = false;    // wake or deliver is running ...
  std::thread::id caller_;  // ... on this thread.

  std::atomic<bool> ringing_ = false;  // The engine's thread rings the bell. Set under mutex_.
};

}  // namespace lb
