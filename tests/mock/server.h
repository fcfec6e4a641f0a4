// The mock itself: a loop on a thread of its own with a listener, its connections, the script and the journal.
// Other threads reach it by `ask`, which waits for the loop to do it.
#pragma once

#include <uv.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mock/connection.h"
#include "mock/journal.h"
#include "mock/options.h"
#include "mock/script.h"

namespace lb::mock {

class Server {
 public:
  static constexpr int kBacklog = 1024;              // Bursts of test clients.
  static constexpr size_t kReadBuffer = 256 * 1024;  // One read for most bodies; shared, for reads are used at once.

  // Null and a sentence in `error` when it cannot listen.
  static std::unique_ptr<Server> start(Options options, std::string* error);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Of any thread.
  uint16_t port() const { return port_; }
  bool alive() const { return alive_.load(); }
  enum class Request : uint8_t { none, journal, control, stop, quit };
  // The journal's text, or an error's, or nothing.
  std::string ask(Request request, std::string_view text);

  // Of the loop's thread.
  uv_loop_t* loop() { return &loop_; }
  Script& script() { return *script_; }
  Journal& journal() { return journal_; }
  std::string journal_text();
  std::optional<std::string> control(std::string_view json);
  Clock now();
  char* read_buffer() { return read_buffer_.get(); }
  const llhttp_settings_t* settings() const { return &settings_; }
  void left(Connection& connection);
  // Closes the listener and resets every connection.
  void fall_silent(End how);

 private:
  explicit Server(Options options);
  bool listen(std::string* error);
  static void run(void* self);
  void on_wake();
  void on_connection();

  uv_loop_t loop_{};
  uv_async_t wake_{};
  uv_tcp_t* listener_ = nullptr;  // Frees itself when closed.
  uv_thread_t thread_{};
  bool threaded_ = false;
  std::string address_;
  uint16_t port_ = 0;
  std::atomic<bool> alive_{false};
  std::unique_ptr<Script> script_;
  Journal journal_;
  std::vector<Connection*> connections_;
  uint64_t last_id_ = 0;
  int64_t date_s_ = 0;
  std::string date_;
  std::unique_ptr<char[]> read_buffer_;
  llhttp_settings_t settings_{};

  std::mutex one_;  // Askers wait for one another.
  std::mutex mutex_;
  std::condition_variable answered_;
  Request request_ = Request::none;
  std::string text_;
};

}  // namespace lb::mock
