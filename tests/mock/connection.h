// One accepted connection: reads requests with llhttp, unfolds one answer at a time, notices the client's close at
// once, also in the middle of an answer. Owned by itself between accept and the close of its handles; on the
// mock's thread.
#pragma once

#include <llhttp.h>
#include <uv.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mock/exchange.h"
#include "mock/journal.h"
#include "mock/request.h"

namespace lb::mock {

class Server;

class Connection {
 public:
  static constexpr size_t kHeadMax = 64 * 1024;       // Path and fields; twice what servers usually take.
  static constexpr size_t kPendingMax = 1024 * 1024;  // Of requests that wait for their turn.

  Connection(Server& server, uint64_t id) : server_(server), id_(id) {}
  static llhttp_settings_t settings();
  // Takes the next connection of `listener`; false, and it deletes itself, when there is none.
  bool accept(uv_stream_t* listener);
  void close(End how, bool by_client, bool by_reset);

  size_t place = 0;  // In the server's list.

 private:
  struct Write;

  // 0, or what makes llhttp stop.
  int head_fits() const { return path_.size() + fields_.size() > kHeadMax ? -1 : 0; }
  int on_begin();
  int on_headers();
  int on_body(std::string_view data);

  void feed(std::string_view data);
  void bad_request(uint32_t status);
  void answer();
  void answer_other(Endpoint endpoint, bool last);
  void drive();
  void flush();
  void on_drained();
  void settle(Step step);
  void finish_answer();
  void on_read(ssize_t count, const uv_buf_t* buf);
  Call* entry();

  Server& server_;
  const uint64_t id_;
  uv_tcp_t tcp_{};
  uv_timer_t timer_{};
  llhttp_t parser_{};
  int handles_ = 2;
  bool closed_ = false, answering_ = false, keep_alive_ = true, http10_ = false, too_large_ = false;
  std::string method_, path_, fields_, pending_, out_;
  Body body_;
  Ask ask_;
  Endpoint endpoint_ = Endpoint::unknown;
  Exchange exchange_;
  Step::Kind then_ = Step::Kind::hang;  // When all is written.
  uint64_t call_ = 0;
  uint64_t answers_ = 0;
  double open_ms_ = 0;
};

}  // namespace lb::mock
