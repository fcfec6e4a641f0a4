// The streams that one side of the load test waits for: which have begun, how far each has come, and what was wrong.
// All memory is taken and touched at the start, so that what a process grows by later is not the test's own.
#pragma once

#include <algorithm>
#include <vector>

#include "orders.h"
#include "script.h"

namespace load {

struct Stream {
  enum class State : uint8_t { none, started, open, ended, wrong };
  Progress progress;
  State state = State::none;
};

class Crowd {
 public:
  // No more than so many are between their start and their first event: under the backlog of any listener.
  static constexpr size_t kOpeningMax = 200;

  Crowd(size_t streams_max, uint32_t events) : events_(events), streams_(streams_max + 1, Stream()) {}

  Stream& operator[](uint64_t id) { return streams_[id]; }
  bool knows(uint64_t id) const { return id > 0 && id < streams_.size(); }

  // Order "start FIRST COUNT".
  void plan(uint64_t first, uint64_t count) {
    next_ = first;
    end_ = std::min<uint64_t>(first + count, streams_.size());
  }
  // The next stream to start now; 0: none.
  uint64_t take_next() {
    if (next_ >= end_ || opening_ >= kOpeningMax) return 0;
    opening_++;
    streams_[next_].state = Stream::State::started;
    return next_++;
  }

  void take_bytes(uint64_t id, std::string_view bytes) {
    note(id, streams_[id].progress.take_bytes(id, events_, bytes, tally_), "other bytes than were sent");
  }
  void take_data(uint64_t id, std::string_view data) {
    note(id, streams_[id].progress.take_data(id, events_, data, tally_), "another event than was sent");
  }
  // The stream is over, with `events` of them expected, for [DONE] is left out where events are delivered.
  void end(uint64_t id, bool well, uint32_t events, const char* why) {
    Stream& stream = streams_[id];
    if (stream.state == Stream::State::wrong) return;
    if (stream.state == Stream::State::started) opening_--;
    if (stream.state == Stream::State::open) open_--;
    well = well && stream.progress.next == events && stream.progress.offset == 0;
    stream.state = well ? Stream::State::ended : Stream::State::wrong;
    (well ? ended_ : wrong_)++;
    if (!well && wrong_ <= 3)
      std::fprintf(stderr, "stream %llu ended at event %u: %s\n", static_cast<unsigned long long>(id),
                   stream.progress.next, why);
  }
  bool over(uint64_t id) const { return streams_[id].state >= Stream::State::ended; }

  void report() const {
    say("{\"open\":%zu,\"ended\":%zu,\"wrong\":%zu,\"events\":%llu,\"bytes\":%llu,\"sum\":\"%llx\"}", open_, ended_,
        wrong_, static_cast<unsigned long long>(tally_.events), static_cast<unsigned long long>(tally_.bytes),
        static_cast<unsigned long long>(tally_.sum));
  }

 private:
  void note(uint64_t id, bool fine, const char* why) {
    Stream& stream = streams_[id];
    if (stream.state == Stream::State::started) {
      stream.state = Stream::State::open;
      opening_--;
      open_++;
    }
    if (!fine) end(id, false, 0, why);
  }

  const uint32_t events_;
  std::vector<Stream> streams_;  // By id, from 1.
  uint64_t next_ = 0;
  uint64_t end_ = 0;
  size_t opening_ = 0;
  size_t open_ = 0;
  size_t ended_ = 0;
  size_t wrong_ = 0;
  Tally tally_;
};

}  // namespace load
