#include "wire/openai.h"

#include <algorithm>
#include <initializer_list>

#include "base/text.h"
#include "wire/escape.h"
#include "wire/retry_after.h"

namespace lb {

namespace {

// Of the shapes of all providers at once, as prompt.h.
enum RequestPath : size_t {
  kModel, kStream, kMaxCompletion, kMaxOutput, kMax, kCacheKey, kUser, kUserId, kChoices, kGeminiMax, kGeminiChoices,
};
constexpr std::string_view kRequestPaths[] = {
    "model", "stream", "max_completion_tokens", "max_output_tokens", "max_tokens",
    "prompt_cache_key", "user", "metadata.user_id", "n", "generationConfig.maxOutputTokens",
    "generationConfig.candidateCount",
};

enum AnswerPath : size_t {
  kError, kType, kObject, kDelta, kIndex, kContent, kToolCalls, kFunctionCall, kRefusal, kAudio, kText, kFinish,
  kPrompt, kCompletion, kCachedPrompt, kInput, kOutput, kCachedInput,
  kResponseInput, kResponseOutput, kResponseCached, kResponseError,
};
constexpr std::string_view kAnswerPaths[] = {
    "error",
    "type",
    "object",
    "delta",
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

// The envelopes of errors: OpenAI's; Google's, which comes as an array of one at times; that of a failed response; and
// bare members, as of vLLM, Azure's gateway and FastAPI.
enum ErrorPath : size_t {
  kErrorMessage, kErrorCode, kErrorType, kErrorStatus, kErrorDelay, kErrorReason,
  kListedMessage, kListedCode, kListedStatus, kListedDelay, kListedReason,
  kResponseMessage, kResponseCode,
  kBareMessage, kBareCode, kBareType, kBareError, kBareDetail,
};
constexpr std::string_view kErrorPaths[] = {
    "error.message",
    "error.code",
    "error.type",
    "error.status",
    "error.details.*.retryDelay",
    "error.details.*.reason",
    "*.error.message",
    "*.error.code",
    "*.error.status",
    "*.error.details.*.retryDelay",
    "*.error.details.*.reason",
    "response.error.message",
    "response.error.code",
    "message",
    "code",
    "type",
    "error",
    "detail",
};

constexpr ScanPaths kRequestScan(kRequestPaths, Prompt::kPaths);
constexpr ScanPaths kAnswerScan(kAnswerPaths);
constexpr ScanPaths kErrorScan(kErrorPaths);

bool one_of(std::string_view text, std::initializer_list<std::string_view> known) {
  return std::find(known.begin(), known.end(), text) != known.end();
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// What the code, type or status inside an error says; none if it says nothing that is known.
ErrorClass class_of_code(std::string_view code) {
  if (code == "context_length_exceeded") return ErrorClass::context_length;
  if (one_of(code, {"content_filter", "content_policy_violation"})) return ErrorClass::content_filter;
  if (one_of(code, {"insufficient_quota", "billing_hard_limit_reached", "billing_error"})) return ErrorClass::billing;
  if (one_of(code, {"rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "requests", "tokens"}))
    return ErrorClass::rate_limit;
  if (one_of(code, {"overloaded_error", "overloaded", "UNAVAILABLE", "engine_overloaded"}))
    return ErrorClass::overloaded;
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

ErrorClass named_class(const JsonScan& scan) {
  for (size_t path : {kErrorCode, kErrorType, kErrorReason, kErrorStatus, kListedCode, kListedReason, kListedStatus,
                      kResponseCode, kBareCode, kBareType})
    if (ErrorClass named = class_of_code(scan.string(path)); named != ErrorClass::none) return named;
  return ErrorClass::none;
}

// Within 200 only the body speaks; a number for a code is an HTTP status there.
ErrorClass classify_success(const JsonScan& scan, ErrorClass named) {
  if (named != ErrorClass::none) return named;
  for (size_t path : {kErrorCode, kListedCode, kResponseCode, kBareCode}) {
    uint64_t code = parse_u64(scan.string(path)).value_or(0);
    scan.integer(path, code);
    if (code >= 400 && code < 600) return class_of_status(code);
  }
  for (size_t path : {kErrorType, kBareType})
    if (scan.string(path) == "invalid_request_error") return ErrorClass::bad_request;
  return ErrorClass::server;
}

// In the words of OpenAI, vLLM and Mistral; Anthropic, of the input and with the output; Gemini; llama.cpp.
bool says_too_long(std::string_view message) {
  for (std::string_view words : {"maximum context length", "prompt is too long", "exceed context limit",
                                 "exceeds the maximum number of tokens", "exceeds the available context size"})
    if (contains(message, words)) return true;
  return false;
}

ErrorClass classify(uint16_t status, const JsonScan& scan, std::string_view message) {
  ErrorClass named = named_class(scan);
  if (status < 400) return classify_success(scan, named);
  ErrorClass by_status = class_of_status(status);
  if (by_status == ErrorClass::rate_limit) return named == ErrorClass::billing ? named : by_status;
  if (by_status != ErrorClass::bad_request) return by_status;
  if (contains(message, "credit balance")) return ErrorClass::billing;
  if (says_too_long(message)) return ErrorClass::context_length;
  bool says_more = named == ErrorClass::context_length || named == ErrorClass::content_filter ||
                   named == ErrorClass::auth || named == ErrorClass::billing;
  return says_more ? named : by_status;
}

std::optional<Duration> told(const Head& head, const JsonScan& body, int64_t unix_now_s) {
  return told_wait(head, first_string(body, {kErrorDelay, kListedDelay}), unix_now_s);
}

// An error is an object, or the text of one; some servers say "error": false in every chunk. If there are several, one
// suffices: what an answer is must not depend on how much of it had come when it was looked at.
bool says_error(const JsonScan::Found& found) { return found.spoken; }

// A string as it stands, without its quotes.
std::string_view raw_string(const JsonScan& scan, size_t path) {
  const JsonScan::Found& found = scan[path];
  if (found.type != JsonType::string || found.end == 0 || found.cut) return {};
  return scan.text(path).substr(1, found.text_size - 2u);
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
  for (size_t path : {kMaxCompletion, kMaxOutput, kMax, kGeminiMax})
    if (scan_.integer(path, tokens)) return tokens;
  return 0;
}
std::string OpenAiRequest::prompt_cache_key() const { return whole_string(kCacheKey); }
std::string OpenAiRequest::user() const {
  std::string user = whole_string(kUser);
  return user.empty() ? whole_string(kUserId) : user;
}
uint64_t OpenAiRequest::choices() const {
  for (size_t path : {kChoices, kGeminiChoices})
    if (uint64_t choices = 0; scan_.integer(path, choices) && choices > 0) return choices;
  return 1;
}
std::string OpenAiRequest::whole_string(size_t path) const { return scan_[path].end != 0 ? scan_.string(path) : ""; }

ErrorFacts openai_error(const Head& head, std::string_view body, int64_t unix_now_s) {
  constexpr size_t kMessageMax = 300;
  JsonScan scan(kErrorScan);
  scan.feed(body);
  ErrorFacts facts;
  facts.message = first_string(
      scan, {kErrorMessage, kListedMessage, kResponseMessage, kBareMessage, kBareError, kBareDetail});
  facts.what = classify(head.status, scan, facts.message);
  facts.message.resize(cut_text(facts.message, kMessageMax).size());
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

OpenAiAnswer::Sign OpenAiAnswer::event(const SseEvent& event, SseParser* parser) {
  if (event.expected) return Sign::content;
  std::string_view data = trim(event.data);
  if (data == "[DONE]") {
    done_ = true;
    return Sign::life;
  }
  if (event.name == "error") return fail(event.data);
  if (data.empty()) return Sign::life;
  scan_.reset();
  if (!scan_.feed(data) || !scan_.complete()) {
    malformed_++;
    return Sign::malformed;
  }
  read_usage();
  std::string_view type = raw_string(scan_, kType);
  if (type.empty()) type = event.name;
  if (says_error(scan_[kError]) || type == "error" || raw_string(scan_, kObject) == "error") return fail(event.data);
  if (!responses_) {
    Sign sign = chunk();
    if (sign == Sign::content && parser) expect_like(data, *parser);
    return sign;
  }
  if (says_error(scan_[kResponseError]) || type == "response.failed") return fail(event.data);
  return typed_event(type);
}

OpenAiAnswer::Sign OpenAiAnswer::fail(std::string_view text) {
  failed_ = true;
  error_text_.assign(text);
  return Sign::error;
}

// Of /v1/responses: what an event is stands in its type.
OpenAiAnswer::Sign OpenAiAnswer::typed_event(std::string_view type) {
  if (type == "response.completed" || type == "response.incomplete") {
    done_ = true;
    return Sign::content;
  }
  bool content = type.ends_with(".delta") && !contains(type, "reasoning") && scan_[kDelta].nonempty;
  return content ? Sign::content : Sign::life;
}

OpenAiAnswer::Sign OpenAiAnswer::chunk() {
  bool finish = scan_[kFinish].nonempty;
  bool content = finish;
  for (size_t path : {kContent, kToolCalls, kFunctionCall, kRefusal, kAudio, kText})
    content = content || scan_[path].nonempty;
  if (scan_[kIndex].times > 1 || scan_[kFinish].times > 1) {
    several_ = true;
  } else if (content || scan_[kIndex].times > 0 || scan_[kFinish].times > 0) {
    uint64_t index = 0;
    scan_.integer(kIndex, index);
    uint64_t bit = uint64_t{1} << std::min<uint64_t>(index, 63);
    begun_ |= bit;
    if (finish) finished_ |= bit;
    several_ = several_ || index >= 63;
  }
  return content ? Sign::content : Sign::life;
}

// Most events of a stream differ from the one before in nothing but their text. If that is all that the event which has
// been scanned says, its like says the same.
void OpenAiAnswer::expect_like(std::string_view data, SseParser& parser) const {
  for (size_t path : {kToolCalls, kFunctionCall, kRefusal, kAudio})
    if (scan_[path].nonempty) return;
  for (size_t path : {kPrompt, kCompletion, kCachedPrompt, kInput, kOutput, kCachedInput, kResponseInput,
                      kResponseOutput, kResponseCached})
    if (scan_[path].times > 0) return;
  const JsonScan::Found& text = scan_[kContent].nonempty ? scan_[kContent] : scan_[kText];
  if (text.type != JsonType::string || text.times != 1 || scan_[kFinish].nonempty) return;
  parser.expect(data.substr(text.begin + 1, text.end - text.begin - 2));
}

// The last one that says something holds: values are cumulative, and zeros throughout stand for "not known yet".
void OpenAiAnswer::read_usage() {
  auto read = [&](std::initializer_list<size_t> paths) {
    std::optional<uint64_t> out;
    uint64_t value = 0;
    for (size_t path : paths)
      if (scan_.integer(path, value)) out = value;
    return out;
  };
  Usage now{read({kPrompt, kInput, kResponseInput}), read({kCompletion, kOutput, kResponseOutput}),
            read({kCachedPrompt, kCachedInput, kResponseCached})};
  if (now.input.value_or(0) == 0 && now.output.value_or(0) == 0) return;
  if (now.input) usage_.input = now.input;
  if (now.output) usage_.output = now.output;
  if (now.cached) usage_.cached = now.cached;
}

OpenAiAnswer::Sign OpenAiAnswer::bytes(std::string_view bytes) {
  scan_.feed(bytes);
  bool whole = scan_.ended();  // Whatever follows: garbage may come with it or later.
  if (whole) read_usage();
  failed_ = failed_ || says_error(scan_[kError]) || (whole && raw_string(scan_, kObject) == "error");
  if (failed_) return Sign::error;
  return scan_.complete() ? Sign::content : Sign::life;
}

bool OpenAiAnswer::finished() const {
  if (form_ != Form::events) return scan_.complete();
  return done_ || (begun_ != 0 && !several_ && (begun_ & ~finished_) == 0);
}
bool OpenAiAnswer::failed() const { return failed_; }
std::string OpenAiAnswer::error_text() const { return error_text_; }
uint32_t OpenAiAnswer::malformed() const { return malformed_; }
const Usage& OpenAiAnswer::usage() const { return usage_; }

std::string openai_error_body(std::string_view message, std::string_view type, std::string_view code) {
  return "{\"error\":{\"message\":" + json_quote(message) + ",\"type\":" + json_quote(type) +
         ",\"param\":null,\"code\":" + (code.empty() ? "null" : json_quote(code)) + "}}";
}

std::string openai_error_event(std::string_view message, std::string_view type, std::string_view code) {
  return "data: " + openai_error_body(message, type, code) + "\n\n";
}

}  // namespace lb
