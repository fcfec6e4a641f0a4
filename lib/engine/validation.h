// What a call keeps whose answers are checked before any of them is passed on (Route::rules): by which rules, how often
// the model has been asked, and what that has cost. The check itself is wire/validate's.
#pragma once

#include <memory>

#include "config/config.h"
#include "wire/dialect/neutral.h"
#include "wire/openai.h"

namespace lb {

struct Validation {
  std::shared_ptr<const AnswerRules> rules;  // Of the route by which the call came, whatever route it goes on with.
  Dialect dialect;                           // The caller's.
  uint32_t asks = 0;                         // After the first.
  Usage usage = {};                          // Of answers that were not valid, together.
};

// Absent is absent, where both are.
Usage sum(const Usage& a, const Usage& b);

}  // namespace lb
