// The port of the engine over virtual time, without any delay of its own: hosts that do what a case says. Times come
// out exactly, so that one case holds for the engine and for the policies by themselves (tests/sim has the port with
// all the faults and delays).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cases/answer.h"
#include "config/config.h"
#include "engine/ports.h"
#include "sim/schedule.h"

namespace lb::cases {

class CaseNet final : public Net {
 public:
  // `asked`: a request of that call has come to that deployment. True: it is to be held until `answer`.
  using Asked = std::function<bool(uint64_t call, const std::string& deployment)>;
  CaseNet(sim::Schedule& schedule, Upstreams& upstreams, Asked asked)
      : schedule_(schedule), upstreams_(upstreams), asked_(std::move(asked)) {}
  void configure(std::shared_ptr<const Config> config) { config_ = std::move(config); }

  void resolve(uint64_t tag, std::string_view host, uint16_t port) override;
  ConnId connect(uint64_t tag, const ConnectSpec& spec) override;
  size_t write(ConnId conn, Chain&& bytes) override;
  void read(ConnId, bool) override {}
  void close(ConnId conn, bool) override { conns_.erase(conn); }
  Result<ListenerId> listen(uint64_t, const Address&) override { return Error{Status::UNSUPPORTED, "", "none here"}; }
  Address bound(ListenerId) override { return {}; }
  void unlisten(ListenerId) override {}
  void accept(ListenerId, bool) override {}
  void adopt(ConnId, uint64_t) override {}
  void wake_at(Instant when) override { wake_ = when; }

  Instant wake() const { return wake_; }
  std::vector<Completion>& completions() { return completions_; }
  size_t open() const { return conns_.size(); }
  // The request of that call, which is held, is answered: with this, or as others are.
  void answer(uint64_t call, const Answer* answer);

 private:
  struct Conn {
    uint64_t tag = 0;
    Http1Parser parser{Http1Parser::Kind::request, {}};
    Head head;
    std::string body;
    std::string deployment;
    uint64_t call = 0;
  };
  void complete(ConnId id, Completion::Kind kind, Status status = Status::OK, std::string_view bytes = "");
  void requested(ConnId id, Conn& conn);
  void play(ConnId id, const Answer& answer);
  const Deployment* find(const Head& head) const;

  sim::Schedule& schedule_;
  Upstreams& upstreams_;
  Asked asked_;
  std::shared_ptr<const Config> config_;
  std::vector<std::string> hosts_;
  std::map<ConnId, Conn> conns_;
  ConnId ids_ = 0;
  Instant wake_ = Instant::never();
  std::vector<Completion> completions_;
};

}  // namespace lb::cases
