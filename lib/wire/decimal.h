// A number of JSON as it was written, compared without loss: neither 64-bit ids nor 0.1 survive a double.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lb {

class Decimal {
 public:
  // Exponents beyond are taken for these: 1e999999999999 is as good as any number of its kind.
  static constexpr int64_t kExponentMax = 1'000'000'000'000'000;
  // Of a divisor: so that a remainder and ten times more fit into 64 bits.
  static constexpr size_t kDivisorDigitsMax = 18;

  Decimal() = default;  // Zero.
  // `text` is a number by RFC 8259.
  explicit Decimal(std::string_view text);

  bool negative() const { return negative_; }
  bool zero() const { return digits_.empty(); }
  bool integer() const { return exponent_ >= 0; }
  size_t digits() const { return digits_.size(); }  // Significant ones.
  // If it is a whole one that is not negative and fits.
  std::optional<uint64_t> count() const;
  int compare(const Decimal& other) const;  // Below, at or above zero.
  // `divisor` is not zero and has at most kDivisorDigitsMax digits.
  bool multiple_of(const Decimal& divisor) const;
  // The same text for the same number: "15e-1".
  std::string text() const;

 private:
  bool negative_ = false;
  std::string digits_;    // Without zeros at its ends; times ten to the power of:
  int64_t exponent_ = 0;  // 0 of zero.
};

}  // namespace lb
