#include "wire/answer.h"

namespace lb {

Answer::Answer(Form form, Operation operation)
    : reader_(std::in_place_type<OpenAiAnswer>, form, operation == Operation::responses) {
  if (api_of(operation) == Api::anthropic) reader_.emplace<AnthropicAnswer>(form);
  if (api_of(operation) == Api::gemini) reader_.emplace<FollowedAnswer>(form, Dialect::gemini);
}

std::string error_body(Operation operation, uint32_t status, std::string_view message, std::string_view type,
                       std::string_view code) {
  if (api_of(operation) == Api::openai) return openai_error_body(message, type, code);
  if (api_of(operation) == Api::anthropic) return anthropic_error_body(message, anthropic_error_type(status));
  ErrorFacts facts;
  facts.message = message;
  return translate_error(dialect_of(operation), status, facts);
}

std::string broken_event(Operation operation, std::string_view message) {
  // 500: what Anthropic's own streams say when something broke behind their 200.
  if (operation == Operation::messages) return anthropic_error_event(message, anthropic_error_type(500));
  if (operation == Operation::generate) return "data: " + error_body(operation, 500, message, "", "") + "\n\n";
  return openai_error_event(message, "upstream_error", "stream_broken");
}

}  // namespace lb
