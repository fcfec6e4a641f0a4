// A new configuration on its way from a thread of the host to the engine's, and the answer back. Shared by the two.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "config/config.h"

namespace lb {

class Change {
 public:
  // The engine takes commands in each turn, so only a function of the host that blocks it can take this long. Ours:
  // longer than any debugger-free pause, short enough for a person to see why.
  static constexpr std::chrono::seconds kPatience{10};

  explicit Change(std::shared_ptr<const Config> config) : config_(std::move(config)) {}

  // The host: the engine's answer; or an error, and the engine will find it withdrawn.
  std::optional<Error> wait() {
    std::unique_lock lock(mutex_);
    answered_.wait_for(lock, kPatience, [this] { return state_ != State::waiting; });
    if (state_ == State::waiting) {
      state_ = State::withdrawn;
      return Error{Status::INTERNAL, "",
                   "the engine did not take the configuration within 10 s; a wake or deliver function blocks it"};
    }
    answered_.wait(lock, [this] { return state_ == State::answered; });
    return std::move(error_);
  }

  // The engine: null when it has been withdrawn. Then one `answer` must follow.
  std::shared_ptr<const Config> take() {
    std::lock_guard lock(mutex_);
    if (state_ != State::waiting) return nullptr;
    state_ = State::taken;
    answered_.notify_all();
    return std::move(config_);
  }
  void answer(std::optional<Error> error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
    state_ = State::answered;
    answered_.notify_all();
  }

 private:
  enum class State : uint8_t { waiting, taken, withdrawn, answered };
  std::mutex mutex_;
  std::condition_variable answered_;
  State state_ = State::waiting;
  std::shared_ptr<const Config> config_;
  std::optional<Error> error_;
};

}  // namespace lb
