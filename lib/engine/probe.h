// Active probes: while a fault keeps a deployment out, a small request asks from time to time whether it is back, so
// that no call has to find out (`probe_ms`). One at a time for each upstream. Any answer below 500 is life; what the
// answer says is not read. Belongs to the engine; one thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/link.h"
#include "engine/names.h"

namespace lb {

struct Context;

class Prober {
 public:
  explicit Prober(Context& context) : context_(context) {}
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // A target of this upstream may have gone out by a fault: begins to ask, if its deployment wants that.
  void watch(UpstreamIndex upstream);

  void on_timer(UpstreamIndex upstream);
  void on_addresses(Link& link, const Names::Answer& answer);
  void on_link(Link& link, const Completion& completion);

 private:
  struct Watch {
    Timer timer;
    uint64_t link = 0;  // Of the probe that is out; 0: none is.
  };

  bool wanted(UpstreamIndex upstream) const;
  void ask(UpstreamIndex upstream);
  void connect(Link& link);
  void send(Link& link);
  void end(Link& link, bool alive);

  Context& context_;
  std::vector<std::unique_ptr<Watch>> watches_;  // By upstream; null where none was ever needed.
};

}  // namespace lb
