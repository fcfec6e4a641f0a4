// What an error of an upstream means to the policies: the built-in table of reference/wire.md §9, and the rules of the
// configuration over it. Pure; for the engine and for the balancer door.
#pragma once

#include <optional>
#include <string_view>

#include "config/config.h"
#include "policy/balancer.h"
#include "wire/openai.h"
#include "wire/rate_limits.h"

namespace lb {

policy::Verdict verdict_of(ErrorClass what);
policy::Outcome outcome_of(ErrorClass what);
policy::Statement statement_of(const StatedLimit& limit);

struct Judgement {
  ErrorClass what = ErrorClass::none;
  std::optional<Duration> told;     // Retry-After, in any of its forms.
  const ErrorRule* rule = nullptr;  // The first of the configuration that fits, if one does.

  // Should another target be asked?
  policy::Outcome outcome() const;
  // What it does to health, besides how it was taken: `out` as it goes to Balancer::settle.
  void mark(policy::Ended& out) const;
};

// What took a deployment out, in a word: one that only answers too slowly has no error.
inline const char* cause_name(ErrorClass what) { return what == ErrorClass::none ? "slow" : error_class_name(what); }

// `status` is 0 and `text` our own message where there was no answer.
Judgement judgement_of(const Config& config, ErrorClass what, std::optional<Duration> told, uint16_t status,
                      std::string_view text);

}  // namespace lb
