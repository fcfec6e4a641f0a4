#include "config/vendor.h"

namespace lb {

namespace {

constexpr Operations without(std::initializer_list<Operation> operations) {
  Operations out;
  for (Operation operation : operations) out.add(operation);
  return out;
}

// Only OpenAI itself is known to count tokens of requests.
constexpr Operations kNoCount = without({Operation::count_responses});
constexpr Operations kChatAndEmbeddings =
    without({Operation::count_responses, Operation::responses, Operation::completions});

constexpr Vendor kVendors[] = {
    {"other", "", Api::openai, "", kNoCount},
    {"openai", "https://api.openai.com/v1", Api::openai, "", {}},
    {"azure", "", Api::openai, "api-key: ", kNoCount},
    {"deepseek", "https://api.deepseek.com/v1", Api::openai, "",
     without({Operation::count_responses, Operation::embeddings}), true, true},
    {"zhipu", "https://open.bigmodel.cn/api/paas/v4", Api::openai, "", kChatAndEmbeddings, true},
    {"siliconflow", "https://api.siliconflow.cn/v1", Api::openai, "", kChatAndEmbeddings, true},
    {"groq", "https://api.groq.com/openai/v1", Api::openai, "",
     without({Operation::count_responses, Operation::completions, Operation::embeddings})},
    {"mistral", "https://api.mistral.ai/v1", Api::openai, "", kChatAndEmbeddings, true},
    {"openrouter", "https://openrouter.ai/api/v1", Api::openai, "", kNoCount, true, true},
    {"ollama", "http://127.0.0.1:11434/v1", Api::openai, "", kNoCount, true},
    {"vllm", "", Api::openai, "", kNoCount},
    {"anthropic", "https://api.anthropic.com/v1", Api::anthropic, "", {}},
    {"gemini", "https://generativelanguage.googleapis.com/v1beta", Api::gemini, "", {}},
};

}  // namespace

std::span<const Vendor> vendors() { return kVendors; }

}  // namespace lb
