#include "abi/queue.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/batch.h"

namespace lb {

lb_event view_of(const Event& event) {
  lb_event view = {};
  view.call = event.call;
  view.user_data = event.user_data;
  view.time_ns = static_cast<uint64_t>(event.time.ns);
  view.data = event.data.data();
  view.size = event.data.size();
  view.detail = event.detail.get();
  view.kind = static_cast<uint32_t>(event.kind);
  view.status = static_cast<lb_status>(event.status);
  view.code = event.code;
  return view;
}

// --- The engine's thread ---

void Queue::deliver(std::vector<Event>& events) {
  staged_.insert(staged_.end(), std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
}

void Queue::name_staged(std::vector<lb_call>& ended) {
  for (Event& event : staged_) {
    if (event.call == 0) continue;  // LOG and CLOSED belong to no call.
    const auto* record = reinterpret_cast<const CallRecord*>(event.user_data);
    event.call = record->id;
    event.user_data = record->user_data;
    if (event.kind == Event::Kind::done) ended.push_back(event.call);
  }
}

void Queue::publish() {
  if (staged_.empty()) return;
  if (options_.deliver) return push_to_host();
  std::unique_lock lock(mutex_);
  if (!closed_) shelve();
  const bool sleeps = sleeping_ && !waiting_.empty();
  const bool wakes = !waiting_.empty() && std::exchange(armed_, false) && !sleeps;
  const int bell = wakes ? bell_.about_to_ring() : -1;
  ringing_.store(bell >= 0, std::memory_order_relaxed);
  const bool calls = wakes && options_.wake;
  if (calls) begin_calling();
  lock.unlock();
  // Who is woken wants the lock, and would sleep again if it were still held.
  if (sleeps) changed_.notify_all();
  if (bell >= 0) Bell::ring(bell);
  ringing_.store(false, std::memory_order_release);
  if (calls) {
    options_.wake(options_.ctx);
    end_calling();
  }
  empty_batch(staged_);
}

// Puts what is staged behind what waits. Mostly nothing does.
void Queue::shelve() {
  bool logs = std::any_of(staged_.begin(), staged_.end(), [](const Event& it) { return it.kind == Event::Kind::log; });
  if (waiting_.empty() && !logs) return waiting_.swap(staged_);
  for (Event& event : staged_)
    if (event.kind != Event::Kind::log || keep_log(event)) waiting_.push_back(std::move(event));
}

// False: there is no room. What was dropped before is told ahead of the first line that fits again.
bool Queue::keep_log(const Event& event) {
  if (logs_waiting_ >= kLogsMax) {
    logs_dropped_++;
    return false;
  }
  logs_waiting_++;
  if (logs_dropped_ == 0) return true;
  Event note;
  note.kind = Event::Kind::log;
  note.code = 2;  // warn
  note.time = event.time;
  note.data = Chunk::copy("{\"level\":\"warn\",\"msg\":\"log lines were dropped, nobody polled\",\"count\":" +
                          std::to_string(std::exchange(logs_dropped_, 0)) + "}");
  logs_waiting_++;
  waiting_.push_back(std::move(note));
  return true;
}

void Queue::push_to_host() {
  empty_batch(batch_);
  for (const Event& event : staged_) batch_.push_back(view_of(event));
  std::unique_lock lock(mutex_);
  bool calls = !closed_;
  if (calls) begin_calling();
  lock.unlock();
  if (calls) {
    options_.deliver(options_.ctx, batch_.data(), batch_.size());
    end_calling();
  }
  empty_batch(staged_);
}

// Under mutex_.
void Queue::begin_calling() {
  calling_ = true;
  caller_ = std::this_thread::get_id();
}

void Queue::end_calling() {
  std::lock_guard lock(mutex_);
  calling_ = false;
  changed_.notify_all();
}

// --- The host's threads ---

int32_t Queue::poll(lb_event* out, size_t cap, int32_t timeout_ms) {
  std::unique_lock lock(mutex_);
  if (closed_) return LB_CLOSED;
  polls_++;
  lock.unlock();
  end_loan();
  lock.lock();
  if (timeout_ms != 0 && !ended_ && !left_ && waiting_.empty()) {
    sleeping_ = true;
    auto ready = [this] { return closed_ || !waiting_.empty(); };
    if (timeout_ms < 0)
      changed_.wait(lock, ready);
    else
      changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready);
    sleeping_ = false;
  }
  int32_t count = closed_ || ended_ ? int32_t{LB_CLOSED} : take(out, cap);
  polls_--;
  if (closed_) changed_.notify_all();
  return count;
}

// What was lent is freed, with no lock held.
void Queue::end_loan() {
  for (; lent_ < next_; lent_++) {
    taken_[lent_].data = Chunk();
    taken_[lent_].detail.reset();
  }
  if (next_ < taken_.size()) return;
  empty_batch(taken_);
  lent_ = next_ = 0;
}

int32_t Queue::take(lb_event* out, size_t cap) {
  if (!left_) taken_.swap(waiting_);
  size_t count = std::min({cap, size_t{INT32_MAX}, taken_.size() - next_});
  for (size_t i = 0; i < count; i++) {
    const Event& event = taken_[next_++];
    if (event.kind == Event::Kind::log) logs_waiting_--;
    if (event.kind == Event::Kind::closed) ended_ = true;
    out[i] = view_of(event);
  }
  left_ = next_ < taken_.size();
  bell_.silence(ringing_.load(std::memory_order_acquire));
  if (count == 0 && !left_) armed_ = true;
  return static_cast<int32_t>(count);
}

intptr_t Queue::fd() {
  if (options_.deliver) return -1;
  std::lock_guard lock(mutex_);
  if (closed_) return -1;
  bool opened = bell_.open();
  intptr_t fd = bell_.fd();
  // Events that came before there was a descriptor to ring.
  if (!opened && fd >= 0 && (left_ || !waiting_.empty())) Bell::ring(bell_.about_to_ring());
  return fd;
}

void Queue::close() {
  std::vector<Event> waiting, taken;  // Freed after the lock is.
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] {
    return polls_ == 0 && (!calling_ || caller_ == std::this_thread::get_id());
  });
  while (ringing_.load(std::memory_order_acquire)) std::this_thread::yield();  // One write.
  waiting.swap(waiting_);
  taken.swap(taken_);
  lent_ = next_ = 0;
  bell_.close();
}

}  // namespace lb
