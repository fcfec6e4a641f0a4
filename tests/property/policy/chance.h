// Whether counts are what a distribution gives: Pearson's chi-square.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lb {

// In standard deviations (Wilson, Hilferty 1931).
inline double deviations(double chi_square, size_t freedom) {
  if (freedom == 0) return 0;
  double k = static_cast<double>(freedom), spread = 2 / (9 * k);
  return (std::cbrt(chi_square / k) - (1 - spread)) / std::sqrt(spread);
}

// Above six by chance once in a thousand million times.
inline constexpr double kSurprising = 6;

// Counts against the shares that they should have.
inline bool follows(const std::vector<uint64_t>& counts, const std::vector<double>& shares) {
  double drawn = 0, sum = 0, chi_square = 0;
  for (uint64_t count : counts) drawn += static_cast<double>(count);
  for (double share : shares) sum += share;
  size_t places = 0;
  for (size_t i = 0; i < counts.size(); i++) {
    double expected = shares[i] / sum * drawn, off = static_cast<double>(counts[i]) - expected;
    if (shares[i] <= 0 && counts[i] > 0) return false;
    if (shares[i] <= 0) continue;
    chi_square += off * off / expected;
    places++;
  }
  return deviations(chi_square, places - 1) < kSurprising;
}

// Two samples of one size against each other.
inline bool alike(const std::vector<uint64_t>& one, const std::vector<uint64_t>& two) {
  double chi_square = 0;
  size_t places = 0;
  for (size_t i = 0; i < one.size(); i++) {
    auto a = static_cast<double>(one[i]), b = static_cast<double>(two[i]);
    if (a + b <= 0) continue;
    chi_square += (a - b) * (a - b) / (a + b);
    places++;
  }
  return places < 2 || deviations(chi_square, places - 1) < kSurprising;
}

}  // namespace lb
