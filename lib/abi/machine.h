// An engine as the host holds it: the engine proper, the gateway and the loop, tied together into one turn (design.md
// §3), and the thread that runs the turns, if there is one.
//
// Shared by the handles of the engine and its queues and by the thread. Everything that the turn touches belongs to
// whoever holds the turn, which is a mutex: the engine's thread, or, with LB_ENGINE_DRIVEN, the host's. Other threads
// leave commands in the inbox; only snapshots wait for a turn to end. Functions of the host run inside a turn, so they
// may not wait for one; those that would, notice it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "abi/fork_mark.h"
#include "abi/inbox.h"
#include "abi/queue.h"
#include "abi/selector.h"
#include "abi/thread.h"
#include "engine/engine.h"
#include "gateway/gateway.h"
#include "lb.h"
#include "net/loop.h"

namespace lb {

class Machine final : public TurnHost, public std::enable_shared_from_this<Machine> {
 public:
  // Commands that one turn runs; the rest waits for the next, so that sockets are not starved. Ours: some 100 us.
  static constexpr size_t kCommandsPerTurn = 1024;
  // While there is more to do, events wait so long for others: to wake a thread of the host for each costs more than
  // what it then does. Ours: calls from Rust, 32 at a time, take an eighth less CPU with it, and no longer.
  static constexpr Duration kGather = Duration::from_us(50);
  // With fewer calls in flight there is nothing worth waiting for.
  static constexpr size_t kGatherCalls = 8;
  // lb.h names it.
  static constexpr uint32_t kCallsMaxDefault = 65'536;

  static Result<std::shared_ptr<Machine>> open(const lb_engine_options& options, std::string_view config);
  explicit Machine(const lb_engine_options& options);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // In a child of the process that opened it: nothing here may be touched any more, not even to free it.
  bool forked() const { return fork_mark_.forked(); }
  bool driven() const { return options_.flags & LB_ENGINE_DRIVEN; }

  // --- Any thread ---
  Result<lb_call> start(Queue& queue, const lb_call_options& options, std::string_view head, std::string_view body);
  Status append(lb_call call, std::string_view bytes, bool last);
  Status credit(lb_call call, uint64_t bytes);
  Status cancel(lb_call call);
  Status attach(std::shared_ptr<Queue> queue);
  void detach(std::shared_ptr<Queue> queue);
  std::optional<Error> configure(std::string_view config);
  Status close(uint32_t drain_ms);
  Result<std::string> address(std::string_view name);
  std::optional<std::string> stats(uint32_t format);
  std::optional<Error> mark(std::string_view deployment, std::string_view model, uint64_t ms);
  // Ends everything and joins the thread. Within a turn, it will end after it.
  void free();

  // --- Driven ---
  intptr_t fd() const;
  int32_t timeout_ms();
  Status turn_once();

  void turn(std::vector<Completion>& completions, Instant now) override;

 private:
  class Turn;

  // Takes what the engine logs: to the first queue that is open, or to be kept for it.
  class LogShelf final : public EventSink {
   public:
    explicit LogShelf(const std::vector<std::shared_ptr<Queue>>& queues) : queues_(queues) {}
    void deliver(std::vector<Event>& events) override;

   private:
    const std::vector<std::shared_ptr<Queue>>& queues_;
    std::vector<Event> kept_;  // At most Queue::kLogsMax.
  };

  uint32_t calls_max() const { return options_.calls_max ? options_.calls_max : kCallsMaxDefault; }
  std::optional<Error> assemble(std::string_view config);
  Result<std::shared_ptr<const Config>> parse(std::string_view config) const;
  static void run_thread(void* machine);
  bool in_turn() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

  // Within a turn.
  void settle();
  size_t run_commands();
  bool gathers(size_t work);
  void run(Command& command);
  void begin_call(Command& command, CallRecord* record);
  void drop_queue(const std::shared_ptr<Queue>& queue);
  std::optional<Error> apply(const std::shared_ptr<const Config>& config);
  void begin_close(uint64_t drain_ms);
  void advance_close(Instant now);
  void cut();
  void publish();
  void finish();

  const lb_engine_options options_;
  const ForkMark fork_mark_;

  std::mutex turn_mutex_;
  std::atomic<std::thread::id> owner_{};  // Who holds it.
  // Below: whoever holds the turn.
  std::vector<std::shared_ptr<Queue>> queues_;   // In the order of their opening.
  std::vector<std::shared_ptr<Queue>> retired_;  // Closed in this turn.
  LogShelf log_{queues_};
  Selector selector_;
  std::unique_ptr<Loop> loop_;                   // These three are gone after `finish`.
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Gateway> gateway_;
  std::vector<Command> commands_;                // Taken from the inbox ...
  size_t next_command_ = 0;                      // ... and run up to here.
  std::vector<lb_call> ended_;                   // Scratch of `publish`.
  std::vector<std::unique_ptr<CallSpec>> read_;  // In this turn, to be filled in again.
  Instant gather_until_ = Instant::never();
  bool closing_ = false;
  bool closed_ = false;
  bool freed_ = false;                           // Driven: within a turn.
  Instant drain_until_ = Instant::never();

  // Any thread.
  std::atomic<uint32_t> head_bytes_max_{0};
  std::atomic<uint64_t> body_bytes_max_{0};
  Inbox inbox_;
  EngineThread thread_;
};

}  // namespace lb
