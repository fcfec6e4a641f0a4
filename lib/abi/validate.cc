// lb_validate: the rules of a route's `validate`, for hosts that send requests themselves.
#include <cstddef>

#include "abi/arguments.h"
#include "config/config.h"
#include "lb.h"

namespace {

void fill(const lb::AnswerRules& rules, std::string_view text, lb_verdict& out) {
  lb::Validator::Verdict verdict = rules.validator.check(text);
  out = {};
  out.struct_size = sizeof out;
  out.valid = verdict.valid;
  out.asks = rules.asks;
  if (verdict.valid) {
    out.begin = static_cast<uint64_t>(verdict.kept.data() - text.data());
    out.size = verdict.kept.size();
  } else {
    out.error = lb::allocated(verdict.error, nullptr);
    out.next = lb::allocated(rules.validator.ask_again(verdict.error), nullptr);
  }
}

}  // namespace

extern "C" {

lb_status lb_validate(const char* rules, size_t rules_len, const char* text, size_t text_len, lb_verdict* out,
                      lb_error* err) {
  // Texts that a host has no room for it could not free.
  if (!rules || (!text && text_len > 0) || !out || out->struct_size < sizeof(lb_verdict))
    return lb::report(err, lb::Status::INVALID, "rules, text or out is NULL, or struct_size of out is not set");
  auto known = lb::parse_answer_rules({rules, rules_len});
  if (!known.ok()) return lb::report(err, known.error());
  lb_status status = lb::write_struct(out, sizeof *out, [&](lb_verdict& verdict) {
    fill(*known.value(), {text ? text : "", text_len}, verdict);
    return lb_status{LB_OK};
  });
  return status == LB_OK ? lb::report_ok(err) : lb::report(err, lb::Status::INVALID, "struct_size of out is wrong");
}

}  // extern "C"
