// What a call will take, before anybody knows: from the characters of its prompt, from what earlier calls of its model
// took, or from what it allows. Told the truth afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "policy/quota.h"

namespace lb::policy {

enum class Estimate : uint8_t {
  learned,     // Characters / 4 times what that was wrong by before; output as it was before, at most what is allowed.
  characters,  // Characters / 4, and no output: azure-switchboard.
  history,     // The median of the last calls, in and out together: lbgpt.
  allowed,     // Characters / 4, and all the output that is allowed, for each choice: how Azure charges.
};

struct Prompt {
  uint64_t characters = 0;   // Unicode code points, all texts together.
  uint64_t images = 0;
  uint64_t output_max = 0;   // 0: the caller does not say.
  uint64_t choices = 1;
};

// Of one model. Each value learns from what is reported.
class Estimator {
 public:
  // Four characters a token, as all five systems and OpenAI's rule of thumb have it.
  static constexpr uint64_t kCharactersPerToken = 4;
  // An image of 1024 x 1024 in OpenAI's high detail: 85 + 4 tiles of 170.
  static constexpr uint64_t kTokensPerImage = 765;

  // `fallback` is what `history` says while there is none: lbgpt takes a tenth of the tokens a minute.
  Charge expect(Estimate how, const Prompt& prompt, uint64_t fallback) const;
  // A call of that prompt took this.
  void learn(const Prompt& prompt, std::optional<uint64_t> input, std::optional<uint64_t> output);
  double ratio() const { return ratio_; }

 private:
  static constexpr size_t kHistory = 64;      // Enough for a median, few enough to follow a change of use.
  static constexpr double kLearning = 0.1;    // Weight of the newest: the last twenty calls make nine tenths.
  static constexpr double kRatioMin = 0.1, kRatioMax = 10;  // Beyond is a provider that counts something else.

  static uint64_t plain_input(const Prompt& prompt);
  uint64_t median() const;

  double ratio_ = 1;           // Tokens in truth over tokens by characters.
  double output_ = 0;          // Mean; 0 before the first.
  std::array<uint64_t, kHistory> totals_{};
  size_t count_ = 0;           // Ever learnt.
};

}  // namespace lb::policy
