#include "policy/alias.h"

#include <algorithm>

#include "base/check.h"

namespace lb::policy {

AliasTable::AliasTable(std::span<const double> weights) : size_(weights.size()) {
  double sum = 0;
  for (double weight : weights) {
    LB_CHECK(weight > 0);
    sum += weight;
  }
  if (std::all_of(weights.begin(), weights.end(), [&](double w) { return w == weights[0]; })) return;
  columns_.resize(size_);
  std::vector<double> left(size_);  // Of each column: its weight in columns, 1 being the mean.
  std::vector<uint32_t> small, large;
  for (uint32_t i = 0; i < size_; i++) {
    left[i] = weights[i] / sum * static_cast<double>(size_);
    (left[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    uint32_t poor = small.back(), rich = large.back();
    small.pop_back();
    columns_[poor] = {left[poor], rich};
    left[rich] -= 1 - left[poor];
    if (left[rich] >= 1) continue;
    large.pop_back();
    small.push_back(rich);
  }
  // What rounding leaves keeps its whole column.
}

}  // namespace lb::policy
