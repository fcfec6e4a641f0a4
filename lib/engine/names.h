// A cache of the resolver's answers. Look-ups of one name are shared; an answer is used for `ttl`; a failed refresh
// falls back on the last answer, for an upstream does not move because the resolver is ill.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/ports.h"

namespace lb {

class Names {
 public:
  explicit Names(Net& net) : net_(net) {}

  // The addresses, or null: then `waiter` will be among those that `complete` returns.
  const std::vector<Address>* look_up(const std::string& host, uint16_t port, Instant now,
                                      uint64_t waiter);

  struct Answer {
    std::vector<uint64_t> waiters;
    const std::vector<Address>* addresses = nullptr;  // Null: the look-up failed and there is no older answer.
    std::string message;
  };
  Answer complete(Completion& completion, Duration ttl, Instant now);
  // Nobody answers at these addresses: the next look-up asks anew.
  void doubt(const std::string& host, uint16_t port, Instant now);

 private:
  struct Entry {
    std::vector<Address> addresses;
    Instant fresh_until;
    bool asking = false;
    std::vector<uint64_t> waiters;
  };
  using Key = std::pair<std::string, uint16_t>;

  Net& net_;
  std::map<Key, uint64_t> index_;  // Bounded by the hosts that configurations name.
  std::vector<Entry> entries_;
};

}  // namespace lb
