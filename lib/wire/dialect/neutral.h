// What the dialects have in common, as values: a request, an answer, the deltas of a stream. It holds the union of what
// they can say; what a dialect cannot, its writer names as lost (Losses), never drops in silence.
//
// Texts are the inners of JSON strings (wire/escape.h): slices of the document that was read, escapes as they stand, so
// that they go into another document byte for byte. What has to be made anew is kept by the Store. So a value is valid
// while the text that was read and its Store are.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/error_class.h"
#include "wire/raw.h"
#include "wire/sse.h"

namespace lb {

enum class Dialect : uint8_t { openai, responses, anthropic, gemini };

// An inner of a JSON string.
using Inner = std::string_view;

// Owns what no document has. Addresses stay.
class Store {
 public:
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  // A value made anew; `json` is valid JSON.
  Raw keep_json(std::string json) { return Raw::parse(keep(std::move(json))).value(); }

 private:
  std::deque<std::string> texts_;
};

// What could not be carried over: names as the caller wrote them ("logit_bias", "messages.3.name"), each once.
class Losses {
 public:
  // Field names beyond these are counted, not named: the list goes into a header.
  static constexpr size_t kNamedMax = 16;
  static constexpr size_t kNameMax = 64;  // Bytes; for the same reason, what a header cannot hold becomes "?".
  void add(std::string_view what);
  void add(const Losses& others);
  bool empty() const { return names_.empty(); }
  // "logit_bias, seed"; "..., and 3 more" at the end if there were too many.
  std::string text() const;

 private:
  std::vector<std::string> names_;
  size_t more_ = 0;
};

// --- Messages ---

struct Source {
  enum class Kind : uint8_t { none, base64, url, file_id, text } kind = Kind::none;
  Inner media_type;  // "image/png"; of audio the format with "audio/" before it.
  Inner data;        // Base64, the URL, the id, or plain text.
  Inner filename;
  Inner detail;      // OpenAI's image_url.detail.
};

struct Part {
  enum class Kind : uint8_t {
    text,
    image,
    document,
    audio,
    tool_call,    // id, name, input.
    tool_result,  // id, (name), content, is_error.
    thinking,     // text, signature.
    redacted,     // text: opaque data.
    refusal,      // text.
    foreign,      // Of its own dialect only: raw.
  };
  Kind kind = Kind::text;
  // Where it stands in what was read: of which message, and which of its parts. See place().
  uint32_t message = 0, index = 0;
  Inner text;
  Source source;
  Inner id, name;
  Raw input;                  // An object; absent where `text` has arguments that are none.
  std::vector<Part> content;  // Of a tool_result: text, images, documents.
  bool is_error = false;
  // Opaque, and valid only where it was made: Anthropic's signature of thinking; Gemini's thoughtSignature, of any
  // part; `origin` says whose it is, so that no other is sent it.
  Inner signature;
  std::optional<Dialect> origin;
  Raw cache_control;          // Anthropic's, as it stands.
  Raw citations;              // Anthropic's: of a text its citations, of a document whether they are wanted.
  Raw raw;                    // Of a foreign part: all of it.
  bool apart = false;         // In no message: a foreign item of the Responses API, or what a tool's output holds.
};

struct Turn {
  // system: one that stands among the others (OpenAI); the leading ones are Request::system.
  enum class Role : uint8_t { user, assistant, system } role = Role::user;
  // As they were said; a writer that needs turns to alternate, or results of tools first, uses merged_turns().
  std::vector<Part> parts;
  Inner name;               // OpenAI's name of a participant.
};

struct Tool {
  Inner name, description;
  Raw schema;                  // JSON Schema of the input; absent: none.
  std::optional<bool> strict;
  Raw cache_control;
  Raw foreign;                 // A tool of the provider's own (web search, computer use): all of it.
};

struct ToolChoice {
  enum class Kind : uint8_t { absent, automatic, none, any, named } kind = Kind::absent;
  std::vector<Inner> names;      // named: one; any and automatic: those that are allowed, none if all are.
  std::optional<bool> parallel;
};

struct Format {
  enum class Kind : uint8_t { absent, text, json, schema } kind = Kind::absent;
  Inner name;
  Raw schema;
  std::optional<bool> strict;
};

struct Reasoning {
  enum class Effort : uint8_t { absent, none, minimal, low, medium, high, xhigh, max } effort = Effort::absent;
  std::optional<int64_t> budget;  // Tokens; -1: as the model sees fit. 0: off.
  bool adaptive = false;          // Anthropic's thinking {"type":"adaptive"}.
  std::optional<bool> shown;      // Thoughts are wanted in the answer.
  bool asked() const { return effort != Effort::absent || budget || adaptive; }
};

// A member that the reader does not know: carried only within its own dialect.
struct Extra {
  std::string_view name;
  Raw value;
};

struct Request {
  Dialect dialect = Dialect::openai;  // In which it was asked.
  Inner model;
  bool stream = false;
  bool stream_usage = false;          // OpenAI: stream_options.include_usage.
  std::vector<Part> system;           // Texts.
  std::vector<Turn> turns;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  Format format;
  Reasoning reasoning;
  // Numbers as they stand; absent where nothing, or null, was said.
  Raw output_max, temperature, top_p, top_k, seed, presence_penalty, frequency_penalty, choices, top_logprobs;
  Raw logit_bias;                     // An object.
  bool logprobs = false;
  std::vector<Inner> stop;
  Inner user;
  Inner tier;                         // OpenAI's and Anthropic's service_tier.
  Inner cache_key;                    // OpenAI's prompt_cache_key, Gemini's cachedContent.
  Raw metadata;                       // OpenAI's: an object of strings.
  std::vector<Extra> extras;
  Losses lost;                        // Deeper within it, what has no place here.
};

// "messages.3.content.1": where a part stands, in the words of the dialect in which it was asked; of a system prompt
// "system.1".
std::string place(const Request& request, const Part& part);
std::string message_place(const Request& request, const Part& part);  // "messages.3"

// What only the dialect of the request has: `extras`, and tools of the provider's own. In another they are named as
// lost; those without which the answer would be about something else are refused.
std::optional<Error> leave_behind(const Request& request, Dialect to, Losses& losses);

// Turns as dialects want them that alternate: those of one role that follow each other are one, and in a user's the
// results of tools stand first (reference/wire.md §2). System prompts that stand among them keep their place.
struct MergedTurn {
  Turn::Role role = Turn::Role::user;
  std::vector<const Part*> parts;
};
std::vector<MergedTurn> merged_turns(const Request& request);

// --- Answers ---

// What was used. Absent is absent, never zero.
struct Tokens {
  std::optional<uint64_t> input;    // All of it, what came from the cache and went into it included.
  std::optional<uint64_t> cached;   // Read from the cache.
  std::optional<uint64_t> written;  // Into the cache.
  std::optional<uint64_t> output;   // All of it, reasoning included.
  std::optional<uint64_t> reasoning;
  bool any() const { return input || output; }
  // Later values are set, not added (reference/wire.md §4).
  void take(const Tokens& later);
};

// Of a member `error`: there is one. Some servers say "error": false, or null, in every answer.
bool says_error(Raw error);

enum class Stop : uint8_t {
  absent,
  end,        // The model had said all.
  length,     // output_max, or the model's own bound.
  sequence,   // One of `stop`.
  tools,
  filter,     // Stopped by the provider, or refused.
  pause,      // Anthropic's pause_turn.
  context,    // The context was full.
};

struct Choice {
  std::vector<Part> parts;
  Stop stop = Stop::absent;
  Inner stop_sequence;
  Raw logprobs;
};

struct Reply {
  Inner id, model;
  std::optional<uint64_t> created;  // Unix time, seconds.
  std::vector<Choice> choices;
  Tokens usage;
  Inner tier, fingerprint;          // OpenAI's service_tier and system_fingerprint.
  Losses lost;                      // What has no place here.
};

// One step of a streamed answer. Views are valid during the call that is told of it.
struct Delta {
  enum class Kind : uint8_t {
    begin,       // id, model, usage (as far as it is known).
    text,        // text.
    refusal,     // text.
    thinking,    // text.
    signature,   // text: of the thinking before it, or with an `id` of the tool call that follows; `origin` whose.
    redacted,    // text: opaque data.
    tool,        // A call begins: index, id (may be empty), name.
    input,       // text: a fragment of the input of call `index`: an inner whose decoded pieces together are JSON;
                 // of a call without any, {}.
    stop,        // stop, stop_sequence; of one choice.
    usage,       // usage: all that is known now.
    error,       // text: the message; error: its class. The stream has failed.
    end,         // The stream is whole.
    lost,        // text: the name of what was left out. For Losses; writers do not see it.
  };
  Kind kind;
  uint32_t choice = 0;
  uint32_t index = 0;      // Of a tool call within its choice, counted from 0 in order of appearance.
  Inner text, id, name, model;
  Inner stop_sequence;
  ErrorClass error = ErrorClass::server;
  Stop stop = Stop::absent;
  Tokens usage;
  Dialect origin = Dialect::openai;
};

class DeltaSink {
 public:
  virtual ~DeltaSink() = default;
  virtual void on(const Delta& delta) = 0;
};

// Tells of the error that an event with an `error` member is: its class, and its message.
void tell_error(std::string_view data, DeltaSink& to);

// Reads the events of one dialect's streams.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  // False: its data is no JSON; it is left out. Comments do not come here.
  virtual bool event(const SseEvent& event, DeltaSink& to) = 0;
  // The body is at its end. False if the stream was not whole.
  virtual bool end(DeltaSink& to) = 0;
};

// Writes them: appends whole events to what to() named.
class StreamWriter : public DeltaSink {
 public:
  void to(std::string& out, Losses& losses) {
    out_ = &out;
    losses_ = &losses;
  }

 protected:
  std::string& out() { return *out_; }
  Losses& losses() { return *losses_; }

 private:
  std::string* out_ = nullptr;
  Losses* losses_ = nullptr;
};

}  // namespace lb
