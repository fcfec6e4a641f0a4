// An answer of status 200 in whatever dialect its operation is asked in, and how lb's own errors are said there: the
// one place where the engine and the gateway meet dialects. Each reader answers the same questions (OpenAiAnswer has
// them); a further dialect is one more in the variant.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "wire/anthropic.h"
#include "wire/dialect/followed.h"
#include "wire/openai.h"
#include "wire/operation.h"

namespace lb {

class Answer {
 public:
  using Form = OpenAiAnswer::Form;
  using Sign = OpenAiAnswer::Sign;

  Answer(Form form, Operation operation);
  static Form form_of(std::string_view content_type) { return OpenAiAnswer::form_of(content_type); }

  Sign event(const SseEvent& event, SseParser* parser = nullptr) {
    return std::visit([&](auto& reader) { return reader.event(event, parser); }, reader_);
  }
  Sign bytes(std::string_view bytes) {
    return std::visit([&](auto& reader) { return reader.bytes(bytes); }, reader_);
  }
  bool finished() const {
    return std::visit([](const auto& reader) { return reader.finished(); }, reader_);
  }
  bool failed() const {
    return std::visit([](const auto& reader) { return reader.failed(); }, reader_);
  }
  std::string error_text() const {
    return std::visit([](const auto& reader) { return reader.error_text(); }, reader_);
  }
  uint32_t malformed() const {
    return std::visit([](const auto& reader) { return reader.malformed(); }, reader_);
  }
  const Usage& usage() const {
    return std::visit([](const auto& reader) -> const Usage& { return reader.usage(); }, reader_);
  }

 private:
  std::variant<OpenAiAnswer, AnthropicAnswer, FollowedAnswer> reader_;
};

// An error of lb's own, as the body of an answer with that HTTP status. `type` and `code` are OpenAI's; those of the
// others follow from the status.
std::string error_body(Operation operation, uint32_t status, std::string_view message, std::string_view type,
                       std::string_view code);
// What ends a stream that broke, in its protocol.
std::string broken_event(Operation operation, std::string_view message);

}  // namespace lb
