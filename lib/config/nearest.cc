#include "config/nearest.h"

#include <algorithm>
#include <array>

namespace lb {

// Optimal string alignment, three rows on the stack.
size_t edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > kNearestBytes || b.size() > kNearestBytes) return std::max(a.size(), b.size());
  using Line = std::array<size_t, kNearestBytes + 1>;
  Line before{}, last{}, line{};
  for (size_t j = 0; j <= b.size(); j++) last[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    line[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t substituted = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      line[j] = std::min({last[j] + 1, line[j - 1] + 1, substituted});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) line[j] = std::min(line[j], before[j - 2] + 1);
    }
    before = last;
    last = line;
  }
  return last[b.size()];
}

void Nearest::offer(std::string_view candidate) {
  size_t distance = edit_distance(word_, candidate);
  // A third of the letters may differ: beyond that a hint misleads more often than it helps.
  size_t limit = (std::max(word_.size(), candidate.size()) + 2) / 3;
  if (distance > limit || distance >= distance_) return;
  best_ = candidate;
  distance_ = distance;
}

std::string Nearest::hint(std::string_view otherwise) const {
  if (best_.empty()) return std::string(otherwise);
  return "; did you mean \"" + std::string(best_) + "\"?";
}

}  // namespace lb
