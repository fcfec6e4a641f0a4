// The known word that somebody most likely meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lb {

// Insertions, deletions, substitutions and swaps of neighbours that turn one into the other; words
// beyond kNearestBytes count as entirely different.
inline constexpr size_t kNearestBytes = 64;
size_t edit_distance(std::string_view a, std::string_view b);

// Collects candidates and keeps the best.
class Nearest {
 public:
  explicit Nearest(std::string_view word) : word_(word) {}
  void offer(std::string_view candidate);
  // `; did you mean "models"?`, or `otherwise` when nothing is near enough.
  std::string hint(std::string_view otherwise) const;

 private:
  std::string_view word_;
  std::string_view best_;
  size_t distance_ = kNearestBytes;
};

}  // namespace lb
