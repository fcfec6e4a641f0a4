#include "wire/operation.h"

#include <algorithm>

#include "base/text.h"

namespace lb {

namespace {

struct Fixed {
  Operation operation;
  std::string_view path;  // Behind "/v1", and behind the URL of a deployment.
};
constexpr Fixed kFixed[] = {
    {Operation::chat, "/chat/completions"},
    {Operation::completions, "/completions"},
    {Operation::embeddings, "/embeddings"},
    {Operation::responses, "/responses"},
    {Operation::count_responses, "/responses/input_tokens"},
    {Operation::messages, "/messages"},
    {Operation::count_messages, "/messages/count_tokens"},
};

// Gemini's, behind the model (reference/wire.md §1).
struct Method {
  Operation operation;
  std::string_view name;
  bool stream;
};
constexpr Method kMethods[] = {
    {Operation::generate, ":generateContent", false},     {Operation::generate, ":streamGenerateContent", true},
    {Operation::count_generate, ":countTokens", false},   {Operation::embed, ":embedContent", false},
    {Operation::batch_embed, ":batchEmbedContents", false},
};

// Azure's classic paths name the deployment, which is the model here; its newer ones are as OpenAI's behind a prefix
// (reference/wire.md §1).
constexpr std::string_view kAzure = "/openai/deployments/", kAzureV1 = "/openai/v1/";

std::optional<Operation> fixed(std::string_view path) {
  for (const Fixed& one : kFixed)
    if (one.path == path) return one.operation;
  return std::nullopt;
}

bool has_parameter(std::string_view query, std::string_view parameter) {
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    if (query.substr(0, end) == parameter) return true;
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return false;
}

std::optional<Asked> asked_in_path(std::string_view rest, std::string_view query) {
  for (const Method& method : kMethods) {
    if (!rest.ends_with(method.name) || rest.size() == method.name.size()) continue;
    std::string model = percent_decode(rest.substr(0, rest.size() - method.name.size()));
    bool array = method.stream && !has_parameter(query, "alt=sse");
    return Asked{method.operation, std::move(model), true, method.stream, array};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Asked> asked_by(std::string_view path, std::string_view query) {
  if (path.starts_with(kAzureV1)) path = path.substr(kAzureV1.size() - std::string_view("/v1/").size());
  if (path.starts_with("/v1/")) {
    if (std::optional<Operation> operation = fixed(path.substr(3))) return Asked{.operation = *operation};
  }
  for (std::string_view version : {"/v1beta/models/", "/v1/models/"})
    if (path.starts_with(version)) return asked_in_path(path.substr(version.size()), query);
  if (!path.starts_with(kAzure)) return std::nullopt;
  std::string_view rest = path.substr(kAzure.size());
  size_t slash = rest.find('/');
  if (slash == rest.npos || slash == 0) return std::nullopt;
  std::optional<Operation> operation = fixed(rest.substr(slash));
  if (!operation || api_of(*operation) != Api::openai) return std::nullopt;
  // The body says whether to stream, and may name a model, which Azure does not read.
  return Asked{.operation = *operation, .model = percent_decode(rest.substr(0, slash))};
}

std::string_view operations_known() {
  return "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/responses/input_tokens, "
         "/v1/messages, /v1/messages/count_tokens, /v1beta/models/MODEL:generateContent, :streamGenerateContent, "
         ":countTokens, :embedContent and :batchEmbedContents, and /openai/deployments/MODEL/chat/completions";
}

Api api_of(Operation operation) {
  switch (operation) {
    case Operation::chat:
    case Operation::completions:
    case Operation::embeddings:
    case Operation::responses:
    case Operation::count_responses: return Api::openai;
    case Operation::messages:
    case Operation::count_messages: return Api::anthropic;
    case Operation::generate:
    case Operation::count_generate:
    case Operation::embed:
    case Operation::batch_embed: return Api::gemini;
  }
  return Api::openai;
}

OperationKind kind_of(Operation operation) {
  switch (operation) {
    case Operation::chat:
    case Operation::responses:
    case Operation::messages:
    case Operation::generate: return OperationKind::conversation;
    case Operation::completions: return OperationKind::completion;
    case Operation::embeddings:
    case Operation::embed:
    case Operation::batch_embed: return OperationKind::embedding;
    case Operation::count_responses:
    case Operation::count_messages:
    case Operation::count_generate: return OperationKind::count;
  }
  return OperationKind::completion;
}

Dialect dialect_of(Operation operation) {
  switch (api_of(operation)) {
    case Api::openai:
      return operation == Operation::responses || operation == Operation::count_responses ? Dialect::responses
                                                                                          : Dialect::openai;
    case Api::anthropic: return Dialect::anthropic;
    case Api::gemini: return Dialect::gemini;
  }
  return Dialect::openai;
}

std::optional<Operation> operation_at(Api api, Operations lacks, Operation operation) {
  if (api_of(operation) == api && !lacks.has(operation)) return operation;
  // What others are translated into: of each kind the one that most servers have.
  constexpr Operation kInto[] = {Operation::chat,           Operation::embeddings, Operation::count_responses,
                                 Operation::messages,       Operation::count_messages,
                                 Operation::generate,       Operation::batch_embed, Operation::count_generate};
  for (Operation into : kInto)
    if (api_of(into) == api && kind_of(into) == kind_of(operation) && !lacks.has(into)) return into;
  return std::nullopt;
}

std::string operation_path(Operation operation, std::string_view model, bool stream) {
  for (const Fixed& one : kFixed)
    if (one.operation == operation) return std::string(one.path);
  // Without alt=sse the stream would be an array (reference/wire.md §7).
  for (const Method& method : kMethods)
    if (method.operation == operation && method.stream == (stream && operation == Operation::generate))
      return "/models/" + percent_encode(model) + std::string(method.name) + (method.stream ? "?alt=sse" : "");
  return "";
}

}  // namespace lb
