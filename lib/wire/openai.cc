#include "wire/openai.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/text.h"

namespace lb {

namespace {

enum RequestPath : size_t { kModel, kStream, kMaxCompletion, kMaxOutput, kMax };
constexpr std::string_view kRequestPaths[] = {"model", "stream", "max_completion_tokens", "max_output_tokens",
                                              "max_tokens"};

enum AnswerPath : size_t {
  kError, kType, kIndex, kContent, kToolCalls, kFunctionCall, kRefusal, kAudio, kText, kFinish,
  kPrompt, kCompletion, kCachedPrompt, kInput, kOutput, kCachedInput,
  kResponseInput, kResponseOutput, kResponseCached, kResponseError,
};
constexpr std::string_view kAnswerPaths[] = {
    "error",
    "type",
    "choices.*.index",
    "choices.*.delta.content",
    "choices.*.delta.tool_calls",
    "choices.*.delta.function_call",
    "choices.*.delta.refusal",
    "choices.*.delta.audio",
    "choices.*.text",
    "choices.*.finish_reason",
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "usage.prompt_tokens_details.cached_tokens",
    "usage.input_tokens",
    "usage.output_tokens",
    "usage.input_tokens_details.cached_tokens",
    "response.usage.input_tokens",
    "response.usage.output_tokens",
    "response.usage.input_tokens_details.cached_tokens",
    "response.error",
};

enum ErrorPath : size_t { kErrorMessage, kErrorCode, kErrorType, kErrorStatus, kRetryDelay, kPlainMessage, kPlainError };
constexpr std::string_view kErrorPaths[] = {
    "error.message", "error.code", "error.type", "error.status", "error.details.*.retryDelay", "message", "error",
};

constexpr ScanPaths kRequestScan(kRequestPaths);
constexpr ScanPaths kAnswerScan(kAnswerPaths);
constexpr ScanPaths kErrorScan(kErrorPaths);

// reference/wire.md §9: longer waits than a day are mistakes.
constexpr Duration kRetryAfterMax = Duration::from_s(86'400);

bool one_of(std::string_view text, std::initializer_list<std::string_view> known) {
  return std::find(known.begin(), known.end(), text) != known.end();
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// What the code, type or status inside an error says; none if it says nothing that is known.
ErrorClass class_of_code(std::string_view code) {
  if (one_of(code, {"context_length_exceeded", "string_above_max_length"})) return ErrorClass::context_length;
  if (one_of(code, {"content_filter", "content_policy_violation"})) return ErrorClass::content_filter;
  if (one_of(code, {"insufficient_quota", "billing_hard_limit_reached", "billing_error"})) return ErrorClass::billing;
  if (one_of(code, {"rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "requests", "tokens"}))
    return ErrorClass::rate_limit;
  if (one_of(code, {"overloaded_error", "overloaded", "UNAVAILABLE", "engine_overloaded"})) return ErrorClass::overloaded;
  if (one_of(code, {"authentication_error", "permission_error", "invalid_api_key", "API_KEY_INVALID"}))
    return ErrorClass::auth;
  if (one_of(code, {"model_not_found", "DeploymentNotFound", "not_found_error"})) return ErrorClass::not_found;
  if (one_of(code, {"timeout_error", "timeout"})) return ErrorClass::timeout;
  return ErrorClass::none;
}

ErrorClass class_of_status(uint64_t status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorClass::auth;
    case 402:
      return ErrorClass::billing;
    case 404:
      return ErrorClass::not_found;
    case 408:
    case 409:
      return ErrorClass::timeout;
    case 429:
      return ErrorClass::rate_limit;
    case 503:
    case 529:
      return ErrorClass::overloaded;
    default:
      return status >= 400 && status < 500 ? ErrorClass::bad_request : ErrorClass::server;
  }
}

std::string first_string(const JsonScan& scan, std::initializer_list<size_t> paths) {
  for (size_t path : paths)
    if (std::string text = scan.string(path); !text.empty()) return text;
  return "";
}

ErrorClass classify(uint16_t status, const JsonScan& scan, std::string_view message) {
  ErrorClass named = class_of_code(scan.string(kErrorCode));
  if (named == ErrorClass::none) named = class_of_code(scan.string(kErrorType));
  if (named == ErrorClass::none) named = class_of_code(scan.string(kErrorStatus));
  // Within 200 only the body speaks; a number there is an HTTP status.
  if (status < 400) {
    uint64_t code = 0;
    if (named != ErrorClass::none) return named;
    if (scan.integer(kErrorCode, code) && code >= 400 && code < 600) return class_of_status(code);
    return scan.string(kErrorType) == "invalid_request_error" ? ErrorClass::bad_request : ErrorClass::server;
  }
  ErrorClass by_status = class_of_status(status);
  switch (by_status) {
    case ErrorClass::rate_limit:
      return named == ErrorClass::billing ? named : by_status;
    case ErrorClass::bad_request:
      if (one_of(scan.string(kErrorStatus), {"API_KEY_INVALID"})) return ErrorClass::auth;
      if (contains(message, "credit balance")) return ErrorClass::billing;
      if (contains(message, "maximum context length") || contains(message, "prompt is too long"))
        return ErrorClass::context_length;
      return named == ErrorClass::context_length || named == ErrorClass::content_filter ||
                     named == ErrorClass::auth || named == ErrorClass::billing
                 ? named
                 : by_status;
    default:
      return by_status;
  }
}

// --- Retry-After ---

std::optional<Duration> clamp_wait(double seconds) {
  if (!(seconds >= 0)) return Duration::zero();
  if (seconds >= static_cast<double>(kRetryAfterMax.ns) / 1e9) return kRetryAfterMax;
  return Duration{static_cast<int64_t>(seconds * 1e9)};
}

// "6m0s", "7.66s", "12ms", "2h3m4s", "1d2h".
std::optional<double> parse_span(std::string_view text) {
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    size_t digits = text.find_first_not_of("0123456789.");
    if (digits == 0 || digits == text.npos) return std::nullopt;
    std::optional<double> number = parse_double(text.substr(0, digits));
    text.remove_prefix(digits);
    size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    std::string_view unit = text.substr(0, letters);
    text.remove_prefix(letters);
    double seconds = unit == "ms" ? 1e-3 : unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : unit == "us" ? 1e-6 : 0;
    if (!number || seconds == 0) return std::nullopt;
    total += *number * seconds;
  }
  return total;
}

// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// "Sun, 06 Nov 1994 08:49:37 GMT": the one form that RFC 9110 §5.6.7 lets senders use. Seconds since 1970.
std::optional<int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text[3] != ',' || !text.ends_with(" GMT")) return std::nullopt;
  auto number = [&](size_t at, size_t size) { return parse_u64(text.substr(at, size)); };
  size_t month = kMonths.find(text.substr(8, 3));
  auto day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2), second = number(23, 2);
  if (month == kMonths.npos || month % 3 || !day || !year || !hour || !minute || !second) return std::nullopt;
  int64_t days = days_of(static_cast<int64_t>(*year), static_cast<int64_t>(month / 3 + 1), static_cast<int64_t>(*day));
  return days * 86400 + static_cast<int64_t>(*hour * 3600 + *minute * 60 + *second);
}

std::optional<Duration> parse_wait(std::string_view text, const Head& head, int64_t unix_now_s) {
  text = trim(text);
  if (std::optional<double> seconds = parse_double(text)) return clamp_wait(*seconds);
  if (std::optional<double> span = parse_span(text)) return clamp_wait(*span);
  std::optional<int64_t> date = parse_http_date(text);
  if (!date) return std::nullopt;
  int64_t now = parse_http_date(trim(head.get("date"))).value_or(unix_now_s);
  if (now == 0) return std::nullopt;
  return clamp_wait(static_cast<double>(*date - now));
}

// The longest reset among the dimensions of which nothing is left.
std::optional<Duration> exhausted_reset(const Head& head, int64_t unix_now_s) {
  std::optional<Duration> longest;
  for (const Head::Field& field : head.fields) {
    constexpr std::string_view kPrefix = "x-ratelimit-remaining-";
    if (!istarts_with(field.name, kPrefix) || trim(field.value) != "0") continue;
    std::string reset = "x-ratelimit-reset-" + field.name.substr(kPrefix.size());
    std::optional<Duration> wait = parse_wait(head.get(reset), head, unix_now_s);
    if (wait && (!longest || *wait > *longest)) longest = wait;
  }
  return longest;
}

// The fields of an answer that name a wait, without looking at its body.
std::optional<Duration> told_by_fields(const Head& head, int64_t unix_now_s) {
  if (std::optional<double> ms = parse_double(trim(head.get("retry-after-ms")))) return clamp_wait(*ms / 1000);
  return parse_wait(head.get("retry-after"), head, unix_now_s);
}

std::optional<Duration> told(const Head& head, const JsonScan& body, int64_t unix_now_s) {
  if (std::optional<Duration> wait = told_by_fields(head, unix_now_s)) return wait;
  if (std::optional<double> span = parse_span(body.string(kRetryDelay))) return clamp_wait(*span);
  return exhausted_reset(head, unix_now_s);
}

}  // namespace

const char* error_class_name(ErrorClass value) {
  switch (value) {
    case ErrorClass::none:
      return "none";
    case ErrorClass::bad_request:
      return "bad_request";
    case ErrorClass::context_length:
      return "context_length";
    case ErrorClass::content_filter:
      return "content_filter";
    case ErrorClass::auth:
      return "auth";
    case ErrorClass::billing:
      return "billing";
    case ErrorClass::rate_limit:
      return "rate_limit";
    case ErrorClass::overloaded:
      return "overloaded";
    case ErrorClass::server:
      return "server";
    case ErrorClass::not_found:
      return "not_found";
    case ErrorClass::timeout:
      return "timeout";
    case ErrorClass::connect:
      return "connect";
    case ErrorClass::broken:
      return "broken";
  }
  return "none";
}

OpenAiRequest::OpenAiRequest() : scan_(kRequestScan) {}
bool OpenAiRequest::has_model() const { return scan_[kModel].end != 0; }
std::string OpenAiRequest::model() const { return scan_.string(kModel); }
uint64_t OpenAiRequest::model_begin() const { return scan_[kModel].begin; }
uint64_t OpenAiRequest::model_end() const { return scan_[kModel].end; }
bool OpenAiRequest::model_repeated() const { return scan_[kModel].times > 1; }
bool OpenAiRequest::stream() const { return scan_.is_true(kStream); }
uint64_t OpenAiRequest::output_tokens_max() const {
  uint64_t tokens = 0;
  for (size_t path : {kMaxCompletion, kMaxOutput, kMax})
    if (scan_.integer(path, tokens)) return tokens;
  return 0;
}

ErrorFacts openai_error(const Head& head, std::string_view body, int64_t unix_now_s) {
  constexpr size_t kMessageMax = 300;
  JsonScan scan(kErrorScan);
  scan.feed(body);
  ErrorFacts facts;
  facts.message = first_string(scan, {kErrorMessage, kPlainMessage, kPlainError});
  facts.what = classify(head.status, scan, facts.message);
  if (facts.message.size() > kMessageMax) facts.message.resize(kMessageMax);
  facts.retry_after = told(head, scan, unix_now_s);
  return facts;
}

std::optional<Duration> retry_after(const Head& head, std::string_view body, int64_t unix_now_s) {
  JsonScan scan(kErrorScan);
  scan.feed(body);
  return told(head, scan, unix_now_s);
}

OpenAiAnswer::OpenAiAnswer(Form form, bool responses) : form_(form), responses_(responses), scan_(kAnswerScan) {}

OpenAiAnswer::Form OpenAiAnswer::form_of(std::string_view content_type) {
  std::string_view rest = content_type;
  std::string_view type = trim(split_off(rest, ';'));
  if (iequals(type, "text/event-stream")) return Form::events;
  if (iequals(type, "application/json") || (type.size() > 5 && iequals(type.substr(type.size() - 5), "+json")))
    return Form::json;
  return Form::other;
}

OpenAiAnswer::Sign OpenAiAnswer::event(const SseEvent& event) {
  if (event.data == "[DONE]") {
    done_ = true;
    return Sign::life;
  }
  if (event.data.empty()) return Sign::life;
  scan_.reset();
  if (!scan_.feed(event.data) || !scan_.complete()) {
    malformed_++;
    return Sign::life;
  }
  read_usage();
  if (scan_[kError].nonempty || event.name == "error" || (responses_ && scan_[kResponseError].nonempty)) {
    failed_ = true;
    error_text_.assign(event.data);
    return Sign::error;
  }
  return responses_ ? typed_event(scan_.string(kType)) : chunk();
}

// Of /v1/responses: what an event is stands in its type.
OpenAiAnswer::Sign OpenAiAnswer::typed_event(std::string_view type) {
  if (type == "response.failed" || type == "error") {
    failed_ = true;
    return Sign::error;
  }
  if (type == "response.completed" || type == "response.incomplete") {
    done_ = true;
    return Sign::content;
  }
  return type.ends_with(".delta") && !contains(type, "reasoning") ? Sign::content : Sign::life;
}

OpenAiAnswer::Sign OpenAiAnswer::chunk() {
  // A choice beyond the sixty-fourth shares the last bit.
  uint64_t index = 0;
  scan_.integer(kIndex, index);
  uint64_t bit = uint64_t{1} << std::min<uint64_t>(index, 63);
  bool finish = scan_[kFinish].nonempty;
  bool content = finish;
  for (size_t path : {kContent, kToolCalls, kFunctionCall, kRefusal, kAudio, kText}) content = content || scan_[path].nonempty;
  if (finish) finished_ |= bit;
  if (content) begun_ |= bit;
  return content ? Sign::content : Sign::life;
}

void OpenAiAnswer::read_usage() {
  auto take = [&](std::optional<uint64_t>& to, std::initializer_list<size_t> paths) {
    uint64_t value = 0;
    for (size_t path : paths)
      if (scan_.integer(path, value)) to = value;
  };
  take(usage_.input, {kPrompt, kInput, kResponseInput});
  take(usage_.output, {kCompletion, kOutput, kResponseOutput});
  take(usage_.cached, {kCachedPrompt, kCachedInput, kResponseCached});
}

OpenAiAnswer::Sign OpenAiAnswer::bytes(std::string_view bytes) {
  scan_.feed(bytes);
  if (scan_.complete()) {
    done_ = true;
    read_usage();
  }
  const JsonScan::Found& error = scan_[kError];
  if (error.end != 0 && error.nonempty) {
    failed_ = true;
    return Sign::error;
  }
  return scan_.complete() ? Sign::content : Sign::life;
}

bool OpenAiAnswer::finished() const { return done_ || (begun_ != 0 && (begun_ & ~finished_) == 0); }
bool OpenAiAnswer::failed() const { return failed_; }
std::string OpenAiAnswer::error_text() const { return error_text_; }
uint32_t OpenAiAnswer::malformed() const { return malformed_; }
const Usage& OpenAiAnswer::usage() const { return usage_; }

std::optional<Operation> openai_operation(std::string_view path) {
  if (path == "/v1/chat/completions") return Operation::chat;
  if (path == "/v1/completions") return Operation::completions;
  if (path == "/v1/embeddings") return Operation::embeddings;
  if (path == "/v1/responses") return Operation::responses;
  return std::nullopt;
}

std::string_view openai_operation_path(Operation operation) {
  switch (operation) {
    case Operation::chat:
      return "/chat/completions";
    case Operation::completions:
      return "/completions";
    case Operation::embeddings:
      return "/embeddings";
    case Operation::responses:
      return "/responses";
  }
  return "";
}

std::string openai_error_body(std::string_view message, std::string_view type, std::string_view code) {
  return "{\"error\":{\"message\":" + json_quote(message) + ",\"type\":" + json_quote(type) +
         ",\"param\":null,\"code\":" + (code.empty() ? "null" : json_quote(code)) + "}}";
}

std::string openai_error_event(std::string_view message, std::string_view type, std::string_view code) {
  return "data: " + openai_error_body(message, type, code) + "\n\n";
}

}  // namespace lb
