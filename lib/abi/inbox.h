// What other threads want of the engine: a list of commands under a mutex, with one coalesced poke, and the table of
// the calls that are in flight, from which ids are given out before the engine has heard of the call. Belongs to the
// Machine; any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "abi/change.h"
#include "abi/queue.h"
#include "base/slab.h"
#include "net/loop.h"

namespace lb {

struct Command {
  enum class Kind : uint8_t { start, append, credit, cancel, attach, detach, configure, close };
  Kind kind = Kind::cancel;
  lb_call call = 0;       // start, append, credit, cancel.
  uint64_t amount = 0;    // credit: bytes. close: milliseconds.
  bool last = false;      // append.
  Chunk bytes;            // append.
  std::unique_ptr<CallSpec> spec;   // start.
  std::shared_ptr<Queue> queue;     // attach, detach.
  std::shared_ptr<Change> change;   // configure.
};

class Inbox {
 public:
  explicit Inbox(uint32_t calls_max) : calls_max_(calls_max) {}

  // --- Any thread ---
  // The loop to poke, for as long as it lives; null afterwards, and when it returns then nobody pokes it any more.
  void set_loop(Loop* loop);
  // After a `close` command: CLOSED for starts, queues and configurations.
  Status push(Command&& command);
  // Makes a record and the command that starts the call. FULL, CLOSED.
  Result<lb_call> start(std::unique_ptr<CallSpec> spec);
  // Before the work of parsing and copying: what `start` would refuse with, or else one to be filled in. Its body is
  // empty; the other members are what an earlier call left there.
  Result<std::unique_ptr<CallSpec>> blank();
  // Only for a call in flight: GONE otherwise. INVALID for an `append` behind the end of its body.
  Status push_for(lb_call call, Command&& command);
  // Nothing at all any more; what is in the list is still there to be taken.
  void shut();
  // Makes `Loop::run` return.
  void stop_loop();

  // --- The engine's thread ---
  // Replaces `out` by all that has come.
  void take(std::vector<Command>& out);
  CallRecord* find(lb_call call);
  // Removes calls; takes specs that the engine has read, for `blank`.
  void end(const std::vector<lb_call>& calls, std::vector<std::unique_ptr<CallSpec>>& read);
  // The calls of a queue that goes away.
  void end_all_of(const EventSink& queue);

 private:
  std::optional<Error> refusal_locked() const;
  // The last thing that is done under `lock`.
  void add(Command&& command, std::unique_lock<std::mutex>& lock);

  const uint32_t calls_max_;
  std::mutex mutex_;
  std::vector<Command> commands_;
  std::vector<std::unique_ptr<CallSpec>> blank_;  // At most Engine::kBlankHeadsMax.
  Slab<CallRecord> calls_;
  Loop* loop_ = nullptr;
  bool poked_ = false;   // Since the last `take`.
  bool closed_ = false;
  bool shut_ = false;
  std::atomic<uint32_t> poking_ = 0;  // Threads that poke the loop. Raised under mutex_.
};

}  // namespace lb
