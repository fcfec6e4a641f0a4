#include "wire/dialect/followed.h"

#include "wire/scan.h"

namespace lb {

namespace {

enum : size_t { kError, kInput, kOutput, kThoughts, kCached };
constexpr ScanPaths kAnswerPaths({"error", "usageMetadata.promptTokenCount", "usageMetadata.candidatesTokenCount",
                                  "usageMetadata.thoughtsTokenCount", "usageMetadata.cachedContentTokenCount"});

}  // namespace

struct FollowedAnswer::State final : DeltaSink {
  State(Form form_, Dialect dialect) : form(form_), reader(stream_reader(dialect)), scan(kAnswerPaths) {}

  void on(const Delta& delta) override {
    switch (delta.kind) {
      case Delta::Kind::text:
      case Delta::Kind::refusal:
      case Delta::Kind::tool:
      case Delta::Kind::input:
      case Delta::Kind::stop: sign = Sign::content; break;
      case Delta::Kind::error:
        sign = Sign::error;
        failed = true;
        break;
      case Delta::Kind::begin:
      case Delta::Kind::usage: tokens.take(delta.usage); break;
      case Delta::Kind::end:
      case Delta::Kind::thinking:
      case Delta::Kind::signature:
      case Delta::Kind::redacted:
      case Delta::Kind::lost: break;
    }
  }

  void take_usage() { usage = {tokens.input, tokens.output, tokens.cached}; }

  const Form form;
  std::unique_ptr<StreamReader> reader;
  JsonScan scan;  // Of a whole answer.
  Sign sign = Sign::life;
  Tokens tokens;
  Usage usage;
  bool whole = false, failed = false;
  uint32_t malformed = 0;
  std::string error_text;
};

FollowedAnswer::FollowedAnswer(Form form, Dialect dialect) : state_(std::make_unique<State>(form, dialect)) {}
FollowedAnswer::FollowedAnswer(FollowedAnswer&&) noexcept = default;
FollowedAnswer& FollowedAnswer::operator=(FollowedAnswer&&) noexcept = default;
FollowedAnswer::~FollowedAnswer() = default;

OpenAiAnswer::Sign FollowedAnswer::event(const SseEvent& event, SseParser*) {
  state_->sign = Sign::life;
  if (event.comment) return Sign::life;
  bool read = state_->reader->event(event, *state_);
  if (!read) state_->malformed++;
  if (!state_->failed) state_->whole = state_->reader->end(*state_);  // A reason to stop is told then.
  state_->take_usage();
  if (state_->sign == Sign::error) state_->error_text = event.data;
  return read ? state_->sign : Sign::malformed;
}

OpenAiAnswer::Sign FollowedAnswer::bytes(std::string_view bytes) {
  JsonScan& scan = state_->scan;
  scan.feed(bytes);
  const JsonScan::Found& error = scan[kError];
  state_->failed = error.type != JsonType::absent && error.type != JsonType::null;
  if (state_->failed) return Sign::error;
  if (!scan.complete()) return Sign::life;
  auto number = [&](size_t path, std::optional<uint64_t>& out) {
    uint64_t value = 0;
    if (scan.integer(path, value)) out = out.value_or(0) + value;
  };
  state_->tokens = {};
  number(kInput, state_->tokens.input);
  number(kOutput, state_->tokens.output);
  number(kThoughts, state_->tokens.output);
  number(kCached, state_->tokens.cached);
  state_->take_usage();
  return Sign::content;
}

bool FollowedAnswer::finished() const {
  return state_->form == Form::json ? state_->scan.complete() && state_->scan.is_object() : state_->whole;
}
bool FollowedAnswer::failed() const { return state_->failed; }
std::string FollowedAnswer::error_text() const { return state_->error_text; }
uint32_t FollowedAnswer::malformed() const { return state_->malformed; }
const Usage& FollowedAnswer::usage() const { return state_->usage; }

}  // namespace lb
