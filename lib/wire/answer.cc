#include "wire/answer.h"

namespace lb {

Answer::Answer(Form form, Operation operation)
    : reader_(std::in_place_type<OpenAiAnswer>, form, operation == Operation::responses) {
  if (speaks_anthropic(operation)) reader_.emplace<AnthropicAnswer>(form);
}

std::string error_body(Operation operation, uint32_t status, std::string_view message, std::string_view type,
                       std::string_view code) {
  if (speaks_anthropic(operation)) return anthropic_error_body(message, anthropic_error_type(status));
  return openai_error_body(message, type, code);
}

std::string broken_event(Operation operation, std::string_view message) {
  // 500: what Anthropic's own streams say when something broke behind their 200.
  if (speaks_anthropic(operation)) return anthropic_error_event(message, anthropic_error_type(500));
  return openai_error_event(message, "upstream_error", "stream_broken");
}

}  // namespace lb
