// What a configuration says to the policies, as values.
#pragma once

#include <vector>

#include "policy/health.h"
#include "policy/quota.h"
#include "policy/retry.h"

namespace lb::policy {

// Limits that calls are counted against together.
struct ScopeSpec {
  uint32_t concurrency = 0;  // Calls at a time; 0: no limit.
  std::vector<QuotaSpec> quotas;
};

// In nano-dollars a token.
struct Price {
  uint64_t input = 0;
  uint64_t output = 0;
  uint64_t cached = 0;  // Of input tokens that came from the provider's cache.
};

struct Settings {
  HealthRules health;
  BudgetSpec budget;
  bool refund_failed = true;   // Tokens of attempts that failed with an answer are given back; the request is not.
  uint32_t bindings = 16'384;  // Sessions and prompts that affinity remembers.
};

}  // namespace lb::policy
