// How each dialect says what the simulator says: what callers ask, what upstreams answer, and what an oracle reads in
// an answer. Written down from the references of the vendors, and compared as text: it shares no code with
// lib/wire/dialect, so that an error there is not invisible here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/operation.h"

namespace lb::sim {

Dialect dialect_of(Api api);
// By the path of a request that an upstream got.
Dialect dialect_at(std::string_view target);
const char* dialect_name(Dialect dialect);

// --- What callers ask ---

// Where they POST to; and where lb does, to an upstream whose URL ends in /v1.
std::string target_of(Dialect dialect, const std::string& model, bool stream);
std::string upstream_target(Dialect dialect, const std::string& model, bool stream);
struct Field {
  std::string name, value;
};
// Their credentials, and a field that means something to a provider of that dialect only.
std::vector<Field> caller_fields(Dialect dialect);
// What an upstream of that dialect is sent as its key.
Field key_field(Dialect dialect, const std::string& key);
// One question, as the members behind the model; `text` is the inner of a string, which begins with kPrompt.
constexpr std::string_view kPrompt = R"(\"model\":\"no\" )";
std::string question(Dialect dialect, const std::string& text);
std::string output_max(Dialect dialect, uint64_t tokens);
// In the request that an upstream got: the size of the inner that begins with `text`, and the output limit.
size_t asked_size(std::string_view body, std::string_view text);
uint64_t asked_max(std::string_view body);

// --- What upstreams answer ---

// One event: its data; for people who read a log its name stands there too where the dialect has names.
struct SaidEvent {
  std::string name, data;
  std::string bytes() const;
};
struct Answering {
  Dialect dialect = Dialect::openai;
  uint64_t id = 0;
  uint64_t input = 0, output = 0;  // Tokens.
};
std::vector<SaidEvent> stream_begin(const Answering& answer);
SaidEvent stream_text(const Answering& answer, const std::string& text);
// All that stands behind the last text; `marker`: also what only says that it is over, where a finish reason does too.
std::vector<SaidEvent> stream_end(const Answering& answer, bool marker);
std::string whole_answer(const Answering& answer, const std::string& text);
std::string error_answer(Dialect dialect, uint32_t status, const std::string& message);
SaidEvent error_event(Dialect dialect, const std::string& message);

// --- What an answer says ---

// All of its content.
std::string text_in(Dialect dialect, std::string_view body);
// It says that it is whole: a stream of bytes, events without what is no JSON, or a document.
enum class Shape : uint8_t { bytes, events, document };
bool has_end(Dialect dialect, std::string_view body, Shape shape);
// Something in it says so, wherever.
bool says_end(Dialect dialect, std::string_view body);
// Where its last error event begins; npos: it has none.
size_t error_event_at(Dialect dialect, std::string_view body);
// Of a body with a status of 400 or more.
bool is_error(Dialect dialect, std::string_view body);
// "", or what is wrong with the beginning of a stream as far as it goes: whole events, in their order.
std::string wrong_with_events(Dialect dialect, std::string_view bytes);

}  // namespace lb::sim
