#include "wire/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"

namespace lb {

namespace {

// AUTO_CALLOUT has PCRE2 report before each part that it tries: the only way to count a match as a whole.
// NEVER_BACKSLASH_C: \C would match half a character.
constexpr uint32_t kOptions = PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;

struct Free {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

struct Allowance {
  uint64_t left = 0;
  size_t last = 0;  // Where in the subject the step before was.
};

// A repeat of one character runs over many bytes in one step; eight of them take as long as a step.
int on_step(pcre2_callout_block* block, void* data) {
  constexpr size_t kBytesPerStep = 8;
  auto* allowance = static_cast<Allowance*>(data);
  size_t at = block->current_position;
  size_t cost = 1 + (std::max(at, allowance->last) - std::min(at, allowance->last)) / kBytesPerStep;
  allowance->last = at;
  if (allowance->left < cost) return PCRE2_ERROR_CALLOUT;  // Ends the match with this error.
  allowance->left -= cost;
  return 0;
}

// Views without bytes may have no address, which PCRE2 takes for a fault.
PCRE2_SPTR bytes_of(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data() ? text.data() : "");
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text) {
  if (text.size() > kTextMax)
    return Error{Status::CONFIG, "",
                 "a regular expression of " + std::to_string(text.size()) + " bytes; write at most " +
                     std::to_string(kTextMax)};
  std::unique_ptr<pcre2_compile_context, Free> context(pcre2_compile_context_create(nullptr));
  LB_CHECK(context != nullptr);
  // Whatever PCRE2 was built with.
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_bsr(context.get(), PCRE2_BSR_UNICODE);
  int fault = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(bytes_of(text), text.size(), kOptions, &fault, &at, context.get());
  if (code) return Pattern(code);
  PCRE2_UCHAR words[256] = {};  // pcre2api(3): enough for every message.
  pcre2_get_error_message(fault, words, sizeof words);
  return Error{Status::CONFIG, "",
               "not a regular expression, at byte " + std::to_string(at) + ": " +
                   reinterpret_cast<const char*>(words) + "; mend what stands there or just before"};
}

Pattern::Pattern(Pattern&& other) noexcept : code_(std::exchange(other.code_, nullptr)) {}
Pattern& Pattern::operator=(Pattern&& other) noexcept {
  std::swap(code_, other.code_);
  return *this;
}
Pattern::~Pattern() { pcre2_code_free(static_cast<pcre2_code*>(code_)); }

bool Pattern::matches(std::string_view subject) const {
  std::unique_ptr<pcre2_match_context, Free> context(pcre2_match_context_create(nullptr));
  std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
  if (!code_ || !context || !data) return false;
  Allowance allowance{std::max(kStepsMin, subject.size() * kStepsPerByte), 0};
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_depth_limit(context.get(), kDepthLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  pcre2_set_callout(context.get(), on_step, &allowance);
  return pcre2_match(static_cast<const pcre2_code*>(code_), bytes_of(subject), subject.size(), 0, 0, data.get(),
                     context.get()) >= 0;
}

Cutter::Cutter(std::string_view expression) {
  int fault = 0;
  PCRE2_SIZE at = 0;
  code_ = pcre2_compile(bytes_of(expression), expression.size(), PCRE2_UTF | PCRE2_UCP, &fault, &at, nullptr);
  LB_CHECK(code_ != nullptr);
}
Cutter::~Cutter() { pcre2_code_free(static_cast<pcre2_code*>(code_)); }

Cutter::Cut::Cut(const Cutter& cutter)
    : cutter_(cutter), match_(pcre2_match_data_create(1, nullptr)), limits_(pcre2_match_context_create(nullptr)) {
  LB_CHECK(match_ != nullptr && limits_ != nullptr);
  // PCRE2's own is reached by a run of ten million spaces, each of which is a step.
  pcre2_set_match_limit(static_cast<pcre2_match_context*>(limits_), std::numeric_limits<uint32_t>::max());
}
Cutter::Cut::~Cut() {
  pcre2_match_context_free(static_cast<pcre2_match_context*>(limits_));
  pcre2_match_data_free(static_cast<pcre2_match_data*>(match_));
}

size_t Cutter::Cut::size_at(std::string_view text, size_t at) {
  auto* match = static_cast<pcre2_match_data*>(match_);
  int matches = pcre2_match(static_cast<const pcre2_code*>(cutter_.code_), bytes_of(text), text.size(), at,
                            PCRE2_ANCHORED | PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK, match,
                            static_cast<pcre2_match_context*>(limits_));
  LB_CHECK(matches > 0);
  return pcre2_get_ovector_pointer(match)[1] - at;
}

}  // namespace lb
