#include "engine/names.h"

#include <algorithm>

#include "engine/engine.h"

namespace lb {

const std::vector<Address>* Names::look_up(const std::string& host, uint16_t port, Instant now,
                                           uint64_t waiter) {
  auto [place, fresh] = index_.try_emplace(Key{host, port}, entries_.size());
  if (fresh) {
    Entry& entry = entries_.emplace_back();
    Address address;
    if (parse_ip(host, port, address)) {
      entry.addresses.push_back(address);
      entry.fresh_until = Instant::never();
    }
  }
  Entry& entry = entries_[place->second];
  if (!entry.addresses.empty() && now < entry.fresh_until) return &entry.addresses;
  entry.waiters.push_back(waiter);
  if (!entry.asking) {
    entry.asking = true;
    net_.resolve(make_tag(Owner::name, place->second), host, port);
  }
  return nullptr;
}

void Names::doubt(const std::string& host, uint16_t port, Instant now) {
  auto place = index_.find(Key{host, port});
  if (place == index_.end()) return;
  Entry& entry = entries_[place->second];
  // An address in text is what it is.
  if (entry.fresh_until != Instant::never()) entry.fresh_until = std::min(entry.fresh_until, now);
}

Names::Answer Names::complete(Completion& completion, Duration ttl, Instant now) {
  Entry& entry = entries_[tag_id(completion.tag)];
  entry.asking = false;
  Answer answer;
  answer.waiters = std::exchange(entry.waiters, {});
  if (completion.status == Status::OK) {
    entry.addresses = std::move(completion.addresses);
    entry.fresh_until = now + ttl;
  }
  if (!entry.addresses.empty()) answer.addresses = &entry.addresses;
  answer.message = std::move(completion.message);
  return answer;
}

}  // namespace lb
