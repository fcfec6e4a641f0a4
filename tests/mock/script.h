// Decides what a mock makes of each call: whose turn it is among the overrides, and whether it is refused,
// limited, failed, cut or stalled. Counts calls and windows; the clock is an argument, randomness is seeded. Owned
// by the mock's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "mock/options.h"
#include "mock/request.h"

namespace lb::mock {

struct Clock {
  double ms = 0;      // Monotonic.
  int64_t wall_s = 0;
  std::string_view date;  // The same as HTTP says it.
};

struct Verdict {
  std::shared_ptr<const Options> options;  // Keeps the behaviour while the call lasts.
  const Behaviour* behaviour = nullptr;
  uint32_t status = 200;
  std::string headers;                 // More lines of this answer.
  std::string content_type, body;      // Of an answer that is not Wording's.
  bool ready = false;                  // `body` is the answer.
  bool cut = false, stall = false, limited = false, die = false;
};

class Script {
 public:
  Script(std::shared_ptr<const Options> options, double now_ms);

  void judge(const Ask& ask, std::string_view header_lines, const Clock& now, Verdict* out);
  // Whether the key, if one is wanted, is there; for lists of models.
  bool admits(std::string_view path, std::string_view header_lines) const;
  const std::shared_ptr<const Options>& options() const { return options_; }
  uint64_t id() { return ids_.next(); }
  double jitter(const Behaviour& behaviour) {
    return behaviour.jitter_ms > 0 ? jitter_.unit() * behaviour.jitter_ms : 0;
  }

 private:
  struct Minute {
    const Behaviour* behaviour;
    double start_ms;
    uint32_t calls;
  };

  const Behaviour* choose(std::string_view model);
  bool refused(const Ask& ask, std::string_view header_lines, Verdict* out) const;
  // Milliseconds that a call has to wait, or less than 0.
  double wait_ms(const Behaviour& behaviour, double now_ms);
  void limit(Voice voice, double wait_ms, const Clock& now, Verdict* out) const;
  void fail(Voice voice, Verdict* out);
  bool share(double rate) { return rate >= 1 || (rate > 0 && faults_.unit() < rate); }

  std::shared_ptr<const Options> options_;
  double start_ms_;
  Rng ids_, jitter_, faults_;
  uint32_t calls_ = 0;
  std::vector<uint32_t> rule_calls_;
  std::vector<Minute> minutes_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(int64_t wall_s);

}  // namespace lb::mock
