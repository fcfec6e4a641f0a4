// What routing needs to know of a request's prompt, read while the bytes go by: how long its text is, how many images
// there are, and a hash of how its conversation begins. It listens to a JsonScan with the paths below, which are those
// of all shapes at once: chat (`messages`), responses (`input`, `instructions`), completions (`prompt`), embeddings
// (`input`), Anthropic's (`system`, `messages`) and Gemini's (`systemInstruction`, `contents`, `requests`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/characters.h"
#include "wire/scan.h"

namespace lb {

// A hash of bytes that come in pieces of any size, the same on every run and machine of one byte order. Not for
// secrets: who wants two texts to hash alike can have that.
class PrefixHash {
 public:
  // How much of each part of a conversation's beginning is hashed. What differs only after that has some 4 000 tokens
  // in common, which a provider's cache serves to both if both go to one target; and hashing costs little beside
  // sending.
  static constexpr size_t kHashedMax = 16 * 1024;

  void add(std::string_view bytes);
  bool full() const { return size_ == kHashedMax; }
  uint64_t value() const;  // 0 if there were no bytes.

 private:
  static constexpr size_t kStep = 16;
  void step(const char* bytes);

  uint64_t state_ = 0;
  size_t size_ = 0;
  std::array<char, kStep> rest_{};  // The last size_ % kStep bytes.
};

class Prompt final : public ScanListener {
 public:
  // What a path below leads to.
  enum Kind : int16_t {
    kSystem,     // A string, or a list of parts.
    kTools,      // Counted and hashed as it stands.
    kOnlyTurn,   // A string that is all the user says. If it is a list, its elements are told of.
    kTurn,       // An object: a message. In lists of other things: a string, or a token.
    kRole,
    kText,       // Counted, and hashed with the turn or system prompt that it is in; or a list, which is told of.
    kArguments,  // Counted: a string, or an object as it stands.
    kType,       // Of a part: is it an image?
    kMedia,      // Not counted, but hashed with the turn that it is in.
  };
  // How many characters a token stands for where a prompt is a list of tokens: as many as the callers of
  // text_characters() take for one.
  static constexpr uint64_t kTokenCharacters = 4;

  static constexpr HeardPath kPaths[] = {
      {"system", kSystem},
      {"system.*.text", kText},
      {"instructions", kSystem},
      {"tools", kTools},
      {"prompt", kOnlyTurn},
      {"prompt.*", kTurn},
      {"prompt.*.*", kTurn},

      {"messages.*", kTurn},
      {"messages.*.tool_calls.*.function.arguments", kArguments},
      {"messages.*.tool_calls.*.custom.input", kArguments},
      {"messages.*.function_call.arguments", kArguments},
      {"messages.*.role", kRole},
      {"messages.*.content", kText},
      {"messages.*.content.*.image_url", kMedia},
      {"messages.*.content.*.input_audio", kMedia},
      {"messages.*.content.*.file", kMedia},
      {"messages.*.content.*.source", kMedia},
      {"messages.*.content.*.input", kArguments},
      {"messages.*.content.*.content", kText},  // What a tool of Anthropic's shape gave.
      {"messages.*.content.*.content.*.type", kType},
      {"messages.*.content.*.content.*.text", kText},
      {"messages.*.content.*.content.*.source", kMedia},
      {"messages.*.content.*.type", kType},
      {"messages.*.content.*.text", kText},

      {"input", kOnlyTurn},
      {"input.*", kTurn},
      {"input.*.*", kTurn},
      {"input.*.arguments", kArguments},
      {"input.*.input", kArguments},  // Of a custom tool.
      {"input.*.output", kText},      // What a tool gave.
      {"input.*.output.*.type", kType},
      {"input.*.output.*.text", kText},
      {"input.*.role", kRole},
      {"input.*.content", kText},
      {"input.*.content.*.image_url", kMedia},
      {"input.*.content.*.file_data", kMedia},
      {"input.*.content.*.file_url", kMedia},
      {"input.*.content.*.file_id", kMedia},
      {"input.*.content.*.type", kType},
      {"input.*.content.*.text", kText},

      {"systemInstruction", kSystem},
      {"systemInstruction.parts.*.text", kText},
      {"system_instruction", kSystem},
      {"system_instruction.parts.*.text", kText},
      {"contents.*", kTurn},
      {"contents.*.role", kRole},
      {"contents.*.parts.*.text", kText},
      {"contents.*.parts.*.functionCall.args", kArguments},
      {"contents.*.parts.*.functionResponse.response", kArguments},
      {"contents.*.parts.*.inlineData.mimeType", kType},
      {"contents.*.parts.*.inlineData.data", kMedia},
      {"contents.*.parts.*.fileData.mimeType", kType},
      {"contents.*.parts.*.fileData.fileUri", kMedia},
      {"content.parts.*.text", kText},  // Of embedContent, and of each in a batch of them.
      {"requests.*.content.parts.*.text", kText},
      {"systemInstruction.parts.text", kText},  // One for a list of one: as dialect/gemini_content.cc reads it.
      {"system_instruction.parts.text", kText},
      {"contents.*.parts.text", kText},
      {"contents.parts.*.text", kText},
      {"contents.parts.text", kText},
      {"content.parts.text", kText},
      {"requests.*.content.parts.text", kText},
  };

  // Of what has come so far, as OpenAiRequest has them.
  uint64_t text_characters() const { return text_.total() + other_characters_; }
  uint32_t images() const { return images_; }
  uint64_t prefix_hash() const;

  bool begin(int16_t as, JsonType type) override;
  bool bytes(int16_t as, std::string_view raw) override;
  void end(int16_t as) override;

 private:
  enum class Open : uint8_t { nothing, system, tools, only_turn, turn };
  enum class Role : uint8_t { other, system, user };

  void open(Open what);
  void close();
  void end_turn(uint64_t hash);
  void end_word(int16_t as);
  // Whether the bytes of what is open matter to the prefix.
  bool hashes() const { return open_ != Open::nothing && (open_ != Open::turn || leading_ || !user_found_); }

  CharacterCount text_;
  uint64_t other_characters_ = 0;  // Of what is counted as it stands, and of tokens.
  uint32_t images_ = 0;

  PrefixHash hash_;      // Of what is open.
  Open open_ = Open::nothing;
  Role role_ = Role::other;
  bool in_string_ = false;
  bool leading_ = true;  // There has been no turn but those of the system.
  bool user_found_ = false;
  uint8_t word_size_ = 0;
  std::array<char, 16> word_{};  // A role or type, as far as it may be one that is known.

  // The parts of the prefix; 0 while they have not come.
  uint64_t system_ = 0;          // At the top level.
  uint64_t leading_system_ = 0;  // In leading turns.
  uint64_t tools_ = 0;
  uint64_t user_ = 0;
};

}  // namespace lb
