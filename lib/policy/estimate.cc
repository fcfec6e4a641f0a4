#include "policy/estimate.h"

#include <algorithm>

namespace lb::policy {

namespace {

uint64_t bounded(uint64_t tokens) { return std::min(tokens, Charge::kTokensMax); }

}  // namespace

uint64_t Estimator::plain_input(const Prompt& prompt) {
  // Summed first, divided once: rounding each message down would lose a token a message.
  uint64_t images = std::min(prompt.images, uint64_t{1} << 20);
  return bounded(prompt.characters / kCharactersPerToken + images * kTokensPerImage);
}

Charge Estimator::expect(Estimate how, const Prompt& prompt, uint64_t fallback) const {
  Charge charge;
  charge.input = plain_input(prompt);
  uint64_t choices = std::clamp(prompt.choices, uint64_t{1}, uint64_t{1024});
  uint64_t allowed = std::min(bounded(prompt.output_max), Charge::kTokensMax / choices) * choices;
  switch (how) {
    case Estimate::learned: {
      charge.input = static_cast<uint64_t>(static_cast<double>(charge.input) * ratio_);
      auto before = static_cast<uint64_t>(output_) * choices;
      charge.output = output_ == 0 ? allowed : allowed ? std::min(before, allowed) : before;
      break;
    }
    case Estimate::characters:
      break;
    case Estimate::history:
      charge.input = count_ ? median() : fallback;
      break;
    case Estimate::allowed:
      charge.output = allowed;
      break;
  }
  return charge;
}

void Estimator::learn(const Prompt& prompt, std::optional<uint64_t> input, std::optional<uint64_t> output) {
  uint64_t plain = plain_input(prompt);
  if (input && plain > 0) {
    double ratio = static_cast<double>(bounded(*input)) / static_cast<double>(plain);
    ratio_ += kLearning * (std::clamp(ratio, kRatioMin, kRatioMax) - ratio_);
  }
  if (output) {
    double each = static_cast<double>(bounded(*output)) / static_cast<double>(std::max(prompt.choices, uint64_t{1}));
    output_ += output_ == 0 ? each : kLearning * (each - output_);
  }
  if (!input && !output) return;
  totals_[count_++ % kHistory] = bounded(input.value_or(0)) + bounded(output.value_or(0));
}

uint64_t Estimator::median() const {
  std::array<uint64_t, kHistory> sorted = totals_;
  size_t size = std::min(count_, kHistory);
  auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(size / 2);
  std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(size));
  return *middle;
}

}  // namespace lb::policy
