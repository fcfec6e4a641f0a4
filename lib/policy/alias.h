// Draws one of n by weight in constant time: Walker's alias method, in Vose's form (1991). Immutable once built.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"

namespace lb::policy {

class AliasTable {
 public:
  AliasTable() = default;
  // Weights are positive.
  explicit AliasTable(std::span<const double> weights);

  size_t size() const { return size_; }
  // In [0, size()); size() > 0.
  size_t draw(Rng& rng) const {
    uint64_t place = rng.below(size_);
    if (columns_.empty()) return place;  // All weights are equal.
    const Column& column = columns_[place];
    return rng.unit() < column.keeps ? place : column.other;
  }

 private:
  struct Column {
    double keeps = 1;    // Probability of staying in this column.
    uint32_t other = 0;  // Where to go otherwise.
  };
  size_t size_ = 0;
  std::vector<Column> columns_;
};

}  // namespace lb::policy
