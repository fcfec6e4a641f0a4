#include "abi/inbox.h"

#include <string>
#include <utility>

#include "base/batch.h"
#include "engine/engine.h"

namespace lb {

void Inbox::set_loop(Loop* loop) {
  std::lock_guard lock(mutex_);
  loop_ = loop;
}

void Inbox::add_locked(Command&& command) {
  commands_.push_back(std::move(command));
  if (!std::exchange(poked_, true)) loop_->poke();
}

Status Inbox::push(Command&& command) {
  std::lock_guard lock(mutex_);
  // A queue may go at any time before the end; everything else needs an engine that still works.
  bool always = command.kind == Command::Kind::detach || command.kind == Command::Kind::close;
  if (shut_ || (closed_ && !always)) return Status::CLOSED;
  if (command.kind == Command::Kind::close) closed_ = true;
  add_locked(std::move(command));
  return Status::OK;
}

std::optional<Error> Inbox::refusal_locked() const {
  if (closed_ || shut_) return Error{Status::CLOSED, "", "the engine is closed"};
  if (calls_.size() >= calls_max_)
    return Error{Status::FULL, "", "calls_max (" + std::to_string(calls_max_) + ") calls are in flight"};
  return std::nullopt;
}

Result<std::unique_ptr<CallSpec>> Inbox::blank() {
  std::lock_guard lock(mutex_);
  if (std::optional<Error> error = refusal_locked()) return std::move(*error);
  if (blank_.empty()) return std::make_unique<CallSpec>();
  std::unique_ptr<CallSpec> spec = std::move(blank_.back());
  blank_.pop_back();
  return spec;
}

Result<lb_call> Inbox::start(std::unique_ptr<CallSpec> spec) {
  std::lock_guard lock(mutex_);
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
  add_locked(std::move(command));
  return id;
}

Status Inbox::push_for(lb_call call, Command&& command) {
  std::lock_guard lock(mutex_);
  CallRecord* record = calls_.find(call);
  if (!record) return Status::GONE;
  if (shut_) return Status::CLOSED;
  if (command.kind == Command::Kind::append) {
    if (!record->body_open) return Status::INVALID;
    record->body_open = !command.last;
  }
  command.call = call;
  add_locked(std::move(command));
  return Status::OK;
}

void Inbox::shut() {
  std::lock_guard lock(mutex_);
  closed_ = shut_ = true;
}

void Inbox::stop_loop() {
  std::lock_guard lock(mutex_);
  if (loop_) loop_->stop();
}

void Inbox::take(std::vector<Command>& out) {
  empty_batch(out);
  std::lock_guard lock(mutex_);
  out.swap(commands_);
  poked_ = false;
}

CallRecord* Inbox::find(lb_call call) {
  std::lock_guard lock(mutex_);
  return calls_.find(call);
}

void Inbox::end(const std::vector<lb_call>& calls, std::vector<std::unique_ptr<CallSpec>>& read) {
  if (calls.empty() && read.empty()) return;
  std::lock_guard lock(mutex_);
  for (lb_call call : calls) calls_.remove(call);
  for (std::unique_ptr<CallSpec>& spec : read)
    if (blank_.size() < Engine::kBlankHeadsMax) blank_.push_back(std::move(spec));
}

void Inbox::end_all_of(const EventSink& queue) {
  std::lock_guard lock(mutex_);
  for (uint64_t id : calls_.ids())
    if (calls_.find(id)->queue == &queue) calls_.remove(id);
}

}  // namespace lb
