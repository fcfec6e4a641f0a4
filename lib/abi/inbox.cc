#include "abi/inbox.h"

#include <string>
#include <thread>
#include <utility>

#include "abi/brief_lock.h"
#include "base/batch.h"
#include "engine/engine.h"

namespace lb {

void Inbox::set_loop(Loop* loop) {
  {
    std::unique_lock lock = brief_lock(mutex_);
    loop_ = loop;
  }
  while (poking_.load(std::memory_order_acquire) != 0) std::this_thread::yield();  // Each is one write.
}

void Inbox::add(Command&& command, std::unique_lock<std::mutex>& lock) {
  commands_.push_back(std::move(command));
  if (std::exchange(poked_, true)) return;
  Loop* loop = loop_;
  poking_.fetch_add(1, std::memory_order_relaxed);
  lock.unlock();  // The engine, which this wakes, wants it.
  loop->poke();
  poking_.fetch_sub(1, std::memory_order_release);
}

Status Inbox::push(Command&& command) {
  std::unique_lock lock = brief_lock(mutex_);
  // A queue may go at any time before the end; everything else needs an engine that still works.
  bool always = command.kind == Command::Kind::detach || command.kind == Command::Kind::close;
  if (shut_ || (closed_ && !always)) return Status::CLOSED;
  if (command.kind == Command::Kind::close) closed_ = true;
  add(std::move(command), lock);
  return Status::OK;
}

std::optional<Error> Inbox::refusal_locked() const {
  if (closed_ || shut_) return Error{Status::CLOSED, "", "the engine is closed"};
  if (calls_.size() >= calls_max_)
    return Error{Status::FULL, "", "calls_max (" + std::to_string(calls_max_) + ") calls are in flight"};
  return std::nullopt;
}

Result<std::unique_ptr<CallSpec>> Inbox::blank() {
  std::unique_lock lock = brief_lock(mutex_);
  if (std::optional<Error> error = refusal_locked()) return std::move(*error);
  if (blank_.empty()) return std::make_unique<CallSpec>();
  std::unique_ptr<CallSpec> spec = std::move(blank_.back());
  blank_.pop_back();
  return spec;
}

Result<lb_call> Inbox::start(std::unique_ptr<CallSpec> spec) {
  std::unique_lock lock = brief_lock(mutex_);
  if (std::optional<Error> error = refusal_locked()) return std::move(*error);
  lb_call id = calls_.add();
  CallRecord* record = calls_.find(id);
  *record = {id, spec->user_data, spec->sink, 0, !spec->body_complete};
  // The engine carries the record in place of the host's value; Queue::name_staged turns it back.
  spec->user_data = reinterpret_cast<uint64_t>(record);
  Command command;
  command.kind = Command::Kind::start;
  command.call = id;
  command.spec = std::move(spec);
  add(std::move(command), lock);
  return id;
}

Status Inbox::push_for(lb_call call, Command&& command) {
  std::unique_lock lock = brief_lock(mutex_);
  CallRecord* record = calls_.find(call);
  if (!record) return Status::GONE;
  if (shut_) return Status::CLOSED;
  if (command.kind == Command::Kind::append) {
    if (!record->body_open) return Status::INVALID;
    record->body_open = !command.last;
  }
  command.call = call;
  add(std::move(command), lock);
  return Status::OK;
}

void Inbox::shut() {
  std::unique_lock lock = brief_lock(mutex_);
  closed_ = shut_ = true;
}

void Inbox::stop_loop() {
  std::unique_lock lock = brief_lock(mutex_);
  if (loop_) loop_->stop();
}

void Inbox::take(std::vector<Command>& out) {
  empty_batch(out);
  std::unique_lock lock = brief_lock(mutex_);
  out.swap(commands_);
  poked_ = false;
}

CallRecord* Inbox::find(lb_call call) {
  std::unique_lock lock = brief_lock(mutex_);
  return calls_.find(call);
}

void Inbox::end(const std::vector<lb_call>& calls, std::vector<std::unique_ptr<CallSpec>>& read) {
  if (calls.empty() && read.empty()) return;
  std::unique_lock lock = brief_lock(mutex_);
  for (lb_call call : calls) calls_.remove(call);
  for (std::unique_ptr<CallSpec>& spec : read)
    if (blank_.size() < Engine::kBlankHeadsMax) blank_.push_back(std::move(spec));
}

void Inbox::end_all_of(const EventSink& queue) {
  std::unique_lock lock = brief_lock(mutex_);
  for (uint64_t id : calls_.ids())
    if (calls_.find(id)->queue == &queue) calls_.remove(id);
}

}  // namespace lb
