// What may be asked of lb and of a deployment: whose API, which of its operations, at which path. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/dialect/neutral.h"

namespace lb {

// Whose API a deployment has.
enum class Api : uint8_t { openai, anthropic, gemini };

enum class Operation : uint8_t {
  chat,             // OpenAI's, as those below.
  completions,
  embeddings,
  responses,
  count_responses,  // /responses/input_tokens
  messages,         // Anthropic's.
  count_messages,   // /messages/count_tokens
  generate,         // Gemini's generateContent and streamGenerateContent.
  count_generate,   // countTokens
  embed,            // embedContent
  batch_embed,      // batchEmbedContents
};
inline constexpr size_t kOperations = 11;

// Operations of one kind are translated into each other.
enum class OperationKind : uint8_t { conversation, completion, embedding, count };

// What the path of a request says.
struct Asked {
  Operation operation = Operation::chat;
  std::string model;     // Where it stands in the path, percent-decoded; else "".
  bool in_path = false;  // It does stand there, and whether to stream too: the body says nothing of both.
  bool stream = false;
  bool array = false;    // Gemini's stream as one JSON array, not as events: without alt=sse.
};

// A set of operations.
class Operations {
 public:
  constexpr void add(Operation operation) { bits_ |= 1u << static_cast<uint32_t>(operation); }
  constexpr bool has(Operation operation) const { return bits_ & (1u << static_cast<uint32_t>(operation)); }

 private:
  uint32_t bits_ = 0;
};

// "/v1/chat/completions", "/v1beta/models/m:generateContent", "/openai/deployments/m/chat/completions", ...
// `query`: what follows the "?", if anything does.
std::optional<Asked> asked_by(std::string_view path, std::string_view query = "");
// "POST /v1/..., ... and ...": for the errors of those who ask for something else.
std::string_view operations_known();

Api api_of(Operation operation);
OperationKind kind_of(Operation operation);
// In which it is asked and answered.
Dialect dialect_of(Operation operation);
// As which operation a deployment of that API, but for what it lacks, serves it: the same one, or that into which it is
// translated. Nothing if it has no such thing.
std::optional<Operation> operation_at(Api api, Operations lacks, Operation operation);
// Behind the path of the deployment's URL. `model`: bytes.
std::string operation_path(Operation operation, std::string_view model, bool stream);

}  // namespace lb
