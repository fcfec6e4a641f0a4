// Bytes that are taken from the front a few at a time, without moving what is behind them each time.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lb::sim {

class Bytes {
 public:
  size_t size() const { return all_.size() - at_; }
  bool empty() const { return size() == 0; }
  void append(std::string_view bytes) { all_ += bytes; }
  void clear() {
    all_.clear();
    at_ = 0;
  }
  // Up to `most` from the front.
  std::string take(size_t most) {
    std::string out = all_.substr(at_, most);
    at_ += out.size();
    if (at_ > all_.size() / 2) {
      all_.erase(0, at_);
      at_ = 0;
    }
    return out;
  }

 private:
  std::string all_;
  size_t at_ = 0;
};

}  // namespace lb::sim
