#include "engine/judgement.h"

namespace lb {

policy::Verdict verdict_of(ErrorClass what) {
  switch (what) {
    case ErrorClass::none:
      return policy::Verdict::good;
    case ErrorClass::bad_request:
    case ErrorClass::context_length:
    case ErrorClass::content_filter:
      return policy::Verdict::no_fault;
    case ErrorClass::auth:
      return policy::Verdict::key_refused;
    case ErrorClass::billing:
      return policy::Verdict::exhausted;
    case ErrorClass::rate_limit:
      return policy::Verdict::limited;
    case ErrorClass::overloaded:
      return policy::Verdict::overloaded;
    case ErrorClass::server:
    case ErrorClass::broken:
      return policy::Verdict::faulty;
    case ErrorClass::connect:
      return policy::Verdict::unreachable;
    case ErrorClass::not_found:
      return policy::Verdict::not_found;
    case ErrorClass::timeout:
      return policy::Verdict::timed_out;
  }
  return policy::Verdict::faulty;
}

policy::Outcome outcome_of(ErrorClass what) {
  switch (verdict_of(what)) {
    case policy::Verdict::good:
    case policy::Verdict::no_fault:
      return policy::Outcome::caller_fault;
    case policy::Verdict::limited:
    case policy::Verdict::overloaded:
    case policy::Verdict::faulty:
    case policy::Verdict::unreachable:
    case policy::Verdict::timed_out:
    case policy::Verdict::key_refused:
    case policy::Verdict::exhausted:
    case policy::Verdict::not_found:
      return policy::Outcome::target_fault;
  }
  return policy::Outcome::target_fault;
}

policy::Statement statement_of(const StatedLimit& limit) {
  policy::Metric metric = policy::Metric::requests;
  switch (limit.metric) {
    case StatedLimit::Metric::requests: break;
    case StatedLimit::Metric::tokens: metric = policy::Metric::tokens; break;
    case StatedLimit::Metric::input_tokens: metric = policy::Metric::input_tokens; break;
    case StatedLimit::Metric::output_tokens: metric = policy::Metric::output_tokens; break;
  }
  return {metric, limit.limit, limit.remaining, limit.reset, limit.continuous};
}

policy::Outcome Judgement::outcome() const {
  if (!rule || !rule->fail_over) return outcome_of(what);
  return *rule->fail_over ? policy::Outcome::target_fault : policy::Outcome::caller_fault;
}

void Judgement::mark(policy::Ended& out) const {
  out.verdict = verdict_of(what);
  out.told = told;
  if (!rule) return;
  out.mark = rule->mark;
  out.cool = rule->cool;
}

Judgement judgement_of(const Config& config, ErrorClass what, std::optional<Duration> told, uint16_t status,
                      std::string_view text) {
  for (const ErrorRule& rule : config.errors) {
    bool fits = (rule.status == 0 || rule.status == status) &&
                (rule.contains.empty() || text.find(rule.contains) != text.npos) &&
                (!rule.pattern || rule.pattern->matches(text));
    if (fits) return {rule.as.value_or(what), told, &rule};
  }
  return {what, told, nullptr};
}

}  // namespace lb
