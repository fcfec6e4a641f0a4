#include "wire/decimal.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/text.h"

namespace lb {

Decimal::Decimal(std::string_view text) {
  negative_ = text.starts_with('-');
  if (negative_) text.remove_prefix(1);
  if (size_t at = text.find_first_of("eE"); at != text.npos) {
    std::string_view power = text.substr(at + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    bool below = power.starts_with('-');
    bool fits = std::from_chars(power.data(), power.data() + power.size(), exponent_).ec == std::errc();
    if (!fits) exponent_ = below ? -kExponentMax : kExponentMax;
    exponent_ = std::clamp(exponent_, -kExponentMax, kExponentMax);
    text = text.substr(0, at);
  }
  size_t point = std::min(text.find('.'), text.size());
  digits_.append(text.substr(0, point));
  if (point < text.size()) {
    digits_.append(text.substr(point + 1));
    exponent_ -= static_cast<int64_t>(text.size() - point - 1);
  }
  digits_.erase(0, std::min(digits_.find_first_not_of('0'), digits_.size()));
  size_t last = digits_.find_last_not_of('0');
  size_t kept = last == digits_.npos ? 0 : last + 1;
  exponent_ += static_cast<int64_t>(digits_.size() - kept);
  digits_.resize(kept);
  if (!zero()) return;
  negative_ = false;
  exponent_ = 0;
}

std::optional<uint64_t> Decimal::count() const {
  // 2^64 has twenty digits.
  if (negative_ || !integer() || exponent_ > 20) return std::nullopt;
  return zero() ? 0 : parse_u64(digits_ + std::string(static_cast<size_t>(exponent_), '0'));
}

int Decimal::compare(const Decimal& other) const {
  if (negative_ != other.negative_) return negative_ ? -1 : 1;
  int sign = negative_ ? -1 : 1;
  if (zero() || other.zero()) return zero() && other.zero() ? 0 : zero() ? -sign : sign;
  // Where the point stands, then digit by digit.
  int64_t ours = exponent_ + static_cast<int64_t>(digits_.size());
  int64_t theirs = other.exponent_ + static_cast<int64_t>(other.digits_.size());
  if (ours != theirs) return ours < theirs ? -sign : sign;
  return sign * digits_.compare(other.digits_);
}

bool Decimal::multiple_of(const Decimal& divisor) const {
  LB_CHECK(!divisor.zero() && divisor.digits_.size() <= kDivisorDigitsMax);
  if (zero()) return true;
  // Its last digit is not 0, as it would be.
  if (exponent_ < divisor.exponent_) return false;
  uint64_t by = parse_u64(divisor.digits_).value(), rest = 0;
  for (char digit : digits_) rest = (rest * 10 + static_cast<uint64_t>(digit - '0')) % by;
  // A power of ten is made of twos and fives, of which `by` has fewer than 64.
  for (int64_t i = std::min<int64_t>(exponent_ - divisor.exponent_, 64); i > 0; i--) rest = rest * 10 % by;
  return rest == 0;
}

std::string Decimal::text() const {
  return (negative_ ? "-" : "") + (zero() ? "0" : digits_) + "e" + std::to_string(exponent_);
}

}  // namespace lb
