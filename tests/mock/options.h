// What a mock is told to do: one JSON object in, values that are checked out. help.cc says what each key means. Read on
// the thread that starts or controls the mock, then owned by the mock's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::mock {

// Bounds of what may be asked for; over them is an error that names the bound.
constexpr double kMillisecondsMax = 86'400'000;     // A day.
constexpr uint32_t kTokensMax = 1'000'000;          // Longer than any model answers.
constexpr uint32_t kTokenBytesMax = 65'536;
constexpr uint64_t kContentMax = 64u << 20;         // Of one answer, in memory.
constexpr uint32_t kDimensionsMax = 16'384;         // Four times what providers have today.
constexpr uint32_t kJournalCallsMax = 65'536;
constexpr uint32_t kJournalBodyMax = 65'536;
constexpr uint32_t kToolCallsMax = 128;             // As many tools as OpenAI lets one offer.
constexpr size_t kRulesMax = 256;                   // Overrides by model, and by call.
constexpr size_t kNameMax = 64;

enum class LimitForm : uint8_t { seconds, ms, date, ratelimit, body, none };
enum class ErrorBody : uint8_t { json, html, text, empty };
enum class Framing : uint8_t { automatic, length, chunked, close };
enum class Spot : uint8_t { nowhere, before_head, after_events, after_bytes };

struct Limit {
  double every_ms = 0, for_ms = 0;
  uint32_t rpm = 0;  // 0: none.
  LimitForm form = LimitForm::seconds;
  std::optional<double> retry_after_s;
};

struct Fault {  // What a cut and a stall have in common.
  double rate = 0;
  Spot spot = Spot::nowhere;
  uint32_t after = 0;
};

struct Cut : Fault {
  bool reset = false;
};

struct Stall : Fault {
  std::optional<double> for_ms;  // Without: for ever.
};

struct Error {
  double rate = 0;
  std::vector<uint32_t> status{500};
  ErrorBody body = ErrorBody::json;
  std::string code, message;
  std::optional<double> retry_after_s;
};

struct ErrorEvent {
  bool wanted = false;
  uint32_t at = 0;
  std::string code, message;
};

struct Behaviour {
  std::string label = "default";  // How the journal calls it.
  std::string name = "mock", key, content_type, trailing;
  std::string headers;  // Lines, ready to send.
  std::vector<std::string> models{"mock-model"};
  double latency_ms = 0, jitter_ms = 0, first_token_ms = 0, event_gap_ms = 0, ping_ms = 0;
  uint32_t tokens = 16, token_bytes = 0, body_bytes = 0, dimensions = 8, pings = 0, answers_per_connection = 0;
  uint32_t thinking = 0, tool_calls = 0;
  bool interleave = false, usage = true, only_models = false, empty = false, finish = true, done = true;
  bool announce_close = true;
  Framing framing = Framing::automatic;
  std::optional<uint32_t> malformed_at, die_after_calls;
  Limit limit;
  Error error;
  ErrorEvent error_event;
  Cut cut;
  Stall stall;
  std::vector<std::string> pieces;  // Of `text`, each an inner of a JSON string; empty: tokens are made.
  std::string content;              // All tokens; made once.
};

struct Rule {  // One of per_call.
  std::string model;
  std::vector<uint32_t> nth;
  uint32_t from = 1, to = UINT32_MAX, every = 1;
  Behaviour behaviour;

  bool takes(uint32_t call) const;
};

struct Options {
  std::string address = "127.0.0.1";
  uint32_t port = 0;
  uint64_t seed = 1;
  uint32_t journal_calls = 1024, journal_body = 0;
  bool clear_journal = false;
  bool calls_tools = false;  // Some behaviour does, so bodies have to be kept.
  Behaviour behaviour;
  std::vector<std::pair<std::string, Behaviour>> per_model;
  std::vector<Rule> per_call;
};

// Fills `out`, or says in one sentence what is wrong and where. With `running`, keys that only a start may have are
// errors.
std::optional<std::string> read_options(std::string_view json, bool running, Options* out);

std::string_view word(uint32_t index);
// Token `index` of an answer: a piece of its text; or the name first, then words; exactly `token_bytes` long unless
// that is 0.
void add_token(const Behaviour& behaviour, uint32_t index, std::string* out);

}  // namespace lb::mock
