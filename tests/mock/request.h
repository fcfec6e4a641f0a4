// What a mock reads of a request: the endpoint by the end of the path, and model, stream and a few more by a
// search of the body, without a tree. Bodies of chat calls are kept in part only, so that 64 MiB cost nothing; unless
// tools are to be called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mock/tools.h"

namespace lb::mock {

enum class Endpoint : uint8_t {
  chat, completions, embeddings, responses, count_input,  // OpenAI's.
  messages, count_messages,                               // Anthropic's.
  generate, count_contents, embed, embed_batch,           // Gemini's.
  models, model, journal, control, about, unknown
};

// Whose dialect answers and errors are in.
enum class Voice : uint8_t { openai, anthropic, gemini };

Endpoint endpoint_of(std::string_view method, std::string_view path);
bool counts_as_call(Endpoint endpoint);
Voice voice_of(Endpoint endpoint);
// Embeddings and controls: every byte of their bodies counts.
bool reads_all(Endpoint endpoint);

// The first and last bytes of a body; clients write model and stream before or after the long parts.
class Body {
 public:
  static constexpr size_t kEndKept = 32 * 1024;       // At each end; heads and tails of SDK requests are under 4 KiB.
  static constexpr size_t kWholeMax = 16 * 1024 * 1024;  // Of bodies that are kept whole.

  void reset(bool whole);
  // False when a whole body is over its bound.
  bool add(std::string_view data);
  uint64_t size() const { return size_; }
  std::string_view kept() const { return kept_; }

 private:
  std::string kept_;
  uint64_t size_ = 0;
  bool whole_ = false;
};

struct Ask {
  std::string model;  // As it is written in the body, still escaped.
  Voice voice = Voice::openai;
  bool stream = false, include_usage = false, base64 = false, is_object = false;
  bool array = false;       // Gemini's stream without alt=sse.
  std::string_view key;     // Of the path's ?key=.
  uint32_t dimensions = 0, inputs = 1;
  std::vector<ToolCall> calls;  // That the answer is to make.
};

void read_ask(Endpoint endpoint, std::string_view path, const Body& body, Ask* out);

// The raw text of the string, or the first byte of any other value, after "key": in `json`; empty when there is none.
std::string_view find_text(std::string_view json, std::string_view quoted_key);
char find_first(std::string_view json, std::string_view quoted_key);

// The value of `name` in the query of `path`, as it stands; empty when there is none.
std::string_view query(std::string_view path, std::string_view name);

// The value of a field in lines of "name: value\r\n" with lower-case names; empty when there is none.
std::string_view find_field(std::string_view lines, std::string_view name);

}  // namespace lb::mock
