#include "wire/operation.h"

#include "base/text.h"

namespace lb {

namespace {

struct Fixed {
  Operation operation;
  std::string_view path;  // Behind "/v1", and behind the URL of a deployment.
};
constexpr Fixed kFixed[] = {
    {Operation::chat, "/chat/completions"}, {Operation::completions, "/completions"},
    {Operation::embeddings, "/embeddings"}, {Operation::responses, "/responses"},
    {Operation::messages, "/messages"},
};

// Azure's classic paths name the deployment, which is the model here (reference/wire.md §1).
constexpr std::string_view kAzure = "/openai/deployments/";
constexpr std::string_view kGenerate = ":generateContent", kStream = ":streamGenerateContent";

std::optional<Operation> fixed(std::string_view path) {
  for (const Fixed& one : kFixed)
    if (one.path == path) return one.operation;
  return std::nullopt;
}

std::optional<Asked> asked_in_path(Operation operation, std::string_view model, bool stream) {
  Asked asked{operation, percent_decode(model), true, stream};
  if (asked.model.empty()) return std::nullopt;
  return asked;
}

}  // namespace

std::optional<Asked> asked_by(std::string_view path) {
  if (path.starts_with("/v1/")) {
    if (std::optional<Operation> operation = fixed(path.substr(3))) return Asked{*operation, "", false, false};
  }
  for (std::string_view version : {"/v1beta/models/", "/v1/models/"}) {
    if (!path.starts_with(version)) continue;
    std::string_view rest = path.substr(version.size());
    for (std::string_view method : {kGenerate, kStream})
      if (rest.ends_with(method))
        return asked_in_path(Operation::generate, rest.substr(0, rest.size() - method.size()), method == kStream);
  }
  if (!path.starts_with(kAzure)) return std::nullopt;
  std::string_view rest = path.substr(kAzure.size());
  size_t slash = rest.find('/');
  if (slash == rest.npos) return std::nullopt;
  std::optional<Operation> operation = fixed(rest.substr(slash));
  if (!operation || api_of(*operation) != Api::openai || slash == 0) return std::nullopt;
  // The body says whether to stream, and may name a model, which Azure does not read.
  return Asked{*operation, percent_decode(rest.substr(0, slash)), false, false};
}

std::string_view operations_known() {
  return "POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/messages, "
         "/v1beta/models/MODEL:generateContent and :streamGenerateContent, and "
         "/openai/deployments/MODEL/chat/completions";
}

Api api_of(Operation operation) {
  switch (operation) {
    case Operation::chat:
    case Operation::completions:
    case Operation::embeddings:
    case Operation::responses: return Api::openai;
    case Operation::messages: return Api::anthropic;
    case Operation::generate: return Api::gemini;
  }
  return Api::openai;
}

std::optional<Dialect> dialect_of(Operation operation) {
  switch (operation) {
    case Operation::chat: return Dialect::openai;
    case Operation::responses: return Dialect::responses;
    case Operation::messages: return Dialect::anthropic;
    case Operation::generate: return Dialect::gemini;
    case Operation::completions:
    case Operation::embeddings: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Operation> operation_at(Api api, Operation operation) {
  if (api_of(operation) == api) return operation;
  if (!dialect_of(operation)) return std::nullopt;
  switch (api) {
    case Api::openai: return Operation::chat;
    case Api::anthropic: return Operation::messages;
    case Api::gemini: return Operation::generate;
  }
  return std::nullopt;
}

std::string operation_path(Operation operation, std::string_view model, bool stream) {
  for (const Fixed& one : kFixed)
    if (one.operation == operation) return std::string(one.path);
  // Without alt=sse the stream would be an array (reference/wire.md §7).
  return "/models/" + percent_encode(model) + std::string(stream ? kStream : kGenerate) + (stream ? "?alt=sse" : "");
}

}  // namespace lb
