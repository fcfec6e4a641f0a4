// What a mock saw: the last calls and closed connections in rings whose texts keep their room, and counts of
// everything. Owned and used by the mock's thread. Times are milliseconds of CLOCK_MONOTONIC, which other
// processes share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lb::mock {

enum class End : uint8_t { open, answered, client_closed, cut, reset, stopped, bad_request };

struct Call {
  uint64_t number = 0, connection = 0;
  std::string method, path, model, headers, body, behaviour;
  double start_ms = 0, received_ms = 0, last_write_ms = 0, end_ms = 0;
  uint64_t body_bytes = 0, sent_bytes = 0, events = 0;
  uint32_t status = 0;
  bool stream = false;
  End end = End::open;
};

struct Close {
  uint64_t connection = 0, calls = 0;
  double open_ms = 0, close_ms = 0;
  bool by_client = false, by_reset = false;
};

struct Counts {
  uint64_t requests = 0, answered = 0, client_closed = 0, cut = 0, limited = 0, errors = 0;
  uint64_t connections = 0, connections_open = 0, connections_open_max = 0;
};

class Journal {
 public:
  Journal(uint32_t calls, uint32_t body_bytes) : calls_(calls), closes_(calls), body_max_(body_bytes) {}

  // The entry of the next call, cleared; valid until as many others have begun. A journal of no calls lends a spare.
  Call& begin();
  // Null when the entry has gone to a later call.
  Call* find(uint64_t number);
  void end(Call& call, End how, double now_ms);
  void closed(const Close& close);
  void clear();
  void keep_body(Call& call, std::string_view data) const;

  Counts& counts() { return counts_; }
  std::string json(std::string_view name, double now_ms) const;

 private:
  std::vector<Call> calls_;
  std::vector<Close> closes_;
  Call spare_;
  uint32_t body_max_;
  uint64_t last_ = 0, closed_ = 0;
  Counts counts_;
  uint64_t first_ = 1, first_closed_ = 1;  // Older ones were cleared.
};

}  // namespace lb::mock
