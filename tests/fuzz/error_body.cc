// What an error says. The input is the fields of an answer, a line each, a blank line, and its body; the status is the
// first choice. The verdict is within its bounds, the same twice, and does not hang on bytes behind the JSON; and lb's
// own error bodies read back as what they say.
#include "fuzz/field_lines.h"
#include "wire/escape.h"
#include "wire/json.h"
#include "wire/openai.h"
#include "wire/told_time.h"

namespace lb::fuzz {
namespace {

constexpr int64_t kNow = 1'795'244'835;
constexpr uint16_t kStatuses[] = {400, 200, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529, 599};

std::string text_of(const ErrorFacts& facts) {
  return std::string(error_class_name(facts.what)) + " " +
         (facts.retry_after ? std::to_string(facts.retry_after->ns) : "-") + " " + facts.message;
}

// Nothing in it has to be replaced by U+FFFD.
bool is_utf8(std::string_view text) {
  auto replaced = [](std::string_view in) {
    size_t count = 0;
    for (size_t at = 0; (at = in.find("\xef\xbf\xbd", at)) != in.npos; at++) count++;
    return count;
  };
  return replaced(json_quote(text)) == replaced(text);
}

void check_own(std::string_view message, std::string_view type, std::string_view code) {
  Head head;
  head.status = 400;
  std::string body = openai_error_body(message, type, code);
  Result<JsonDocument> document = JsonDocument::parse(body);
  // A NUL is escaped, and the reader of documents does not take that.
  if (message.find('\0') == message.npos && code.find('\0') == code.npos && type.find('\0') == type.npos) {
    require(document.ok(), "lb's own error is not JSON: " + body);
    JsonView error = document.value().root()["error"];
    require_same(json_quote(error["message"].string()), json_quote(message), "the message of lb's own error");
    require_same(json_quote(error["type"].string()), json_quote(type), "the type of lb's own error");
  }
  ErrorFacts facts = openai_error(head, body, kNow);
  require(facts.message.size() <= 300, "a message that is too long");
  std::string quoted = json_quote(message), told = json_quote(facts.message);
  if (quoted.size() < 300) require_same(told, quoted, "the message that is read back");

  std::string event = openai_error_event(message, type, code);
  SseParser parser;
  std::string_view bytes = event;
  SseEvent read;
  require(parser.next(bytes, read) && bytes.empty(), "lb's own error event is not one event");
  OpenAiAnswer answer(OpenAiAnswer::Form::events, false);
  require(answer.event(read) == OpenAiAnswer::Sign::error && answer.failed(), "lb's own error event is no error");
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  size_t blank = input.text.find("\n\n");
  std::string_view fields = blank == input.text.npos ? "" : input.text.substr(0, blank + 1);
  std::string_view body = blank == input.text.npos ? input.text : input.text.substr(blank + 2);
  lb::Head head = head_of_lines(fields);
  head.status = kStatuses[input.choices.below(std::size(kStatuses))];
  lb::ErrorFacts facts = lb::openai_error(head, body, kNow);
  require(head.status < 400 || facts.what != lb::ErrorClass::none, "an error of no class");
  require(facts.what != lb::ErrorClass::connect && facts.what != lb::ErrorClass::broken, "a class of connections");
  require(facts.message.size() <= 300, "a message that is too long");
  require(!is_utf8(body) || is_utf8(facts.message), "a message that is cut within a character");
  require(!facts.retry_after || (*facts.retry_after >= lb::Duration::zero() &&
                                 *facts.retry_after <= lb::kRetryAfterMax), "a wait out of bounds");
  require_same(text_of(lb::openai_error(head, body, kNow)), text_of(facts), "the same answer read twice");
  require(lb::retry_after(head, body, kNow) == facts.retry_after, "two opinions on the wait");
  lb::Result<lb::JsonDocument> document = lb::JsonDocument::parse(body);
  if (document.ok() && document.value().root().is_object())
    require_same(text_of(lb::openai_error(head, std::string(body) + " <html>", kNow)), text_of(facts),
                 "bytes behind the JSON change the verdict");
  check_own(body.substr(0, 200), head.get("type"), head.get("code"));
  return 0;
}
