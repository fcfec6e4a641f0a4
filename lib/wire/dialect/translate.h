// From one dialect to another: requests, answers, streams and errors, by way of neutral.h. Pure: ids and times are
// arguments. Each dialect has a file or two beside this one, with what is declared in its header; this is the one place
// that knows them all. Within one dialect nothing is translated: bytes stay bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/dialect/neutral.h"
#include "wire/openai.h"
#include "wire/sse.h"

namespace lb {

// What a dialect's writer has to know besides.
struct WriteRequest {
  std::string_view model;         // As the target calls it: bytes.
  uint64_t output_max_default = 4096;  // For Anthropic, which must be told one, where the caller said none.
  bool classic_max_tokens = false;     // OpenAI-style servers that only know `max_tokens`.
  bool thinking_back = false;          // OpenAI-style servers that want to see again what they thought (DeepSeek,
                                       // OpenRouter); others refuse members that they do not know.
  bool classic_thinking = false;       // Claude models before `thinking: {"type":"adaptive"}`: a budget of tokens.
};

// A request as it goes upstream. Where the model and streaming stand in the path (Gemini), `body` does not have them.
struct WrittenRequest {
  std::string body;
  Losses losses;
};

// What the answer is written with.
struct WriteAnswer {
  std::string_view model;      // As the caller called it: bytes. "" takes the answer's.
  std::string_view id;         // The answer's id, bytes without the dialect's prefix; used where the answer has none or
                               // another dialect's.
  uint64_t created = 0;        // Unix time, seconds; where the answer says none.
  bool stream_usage = false;   // Request::stream_usage.
};

// Errors: INVALID with `where` ("messages.3.content"), for what is no request of that dialect, or asks for what no
// other can do (then the message says so).
Result<Request> read_request(Dialect dialect, std::string_view body, Store& store);
Result<WrittenRequest> write_request(Dialect dialect, const Request& request, const WriteRequest& how, Store& store);

// PROTOCOL errors: no answer of that dialect.
Result<Reply> read_answer(Dialect dialect, std::string_view body, Store& store);
std::string write_answer(Dialect dialect, const Reply& reply, const WriteAnswer& how, Losses& losses);

// The error of `from`'s envelope in that of `to`; `status` is the HTTP status. The type follows from status and class.
std::string translate_error(Dialect to, uint32_t status, const ErrorFacts& facts);

// The events of that dialect's streams, as deltas.
std::unique_ptr<StreamReader> stream_reader(Dialect dialect);
// And deltas as its events. `how` holds while the writer lives.
std::unique_ptr<StreamWriter> stream_writer(Dialect dialect, const WriteAnswer& how);

// A stream, event by event. No allocation per event once its buffers have grown.
class StreamTranslator {
 public:
  StreamTranslator(Dialect from, Dialect to, const WriteAnswer& how);
  ~StreamTranslator();
  // One whole event of the upstream. What it becomes is appended to `out`, in whole events. False: it was no JSON, and
  // is left out.
  bool event(const SseEvent& event, std::string& out);
  // The upstream's body is at its end: what is still owed (a terminal marker, held-back usage) is appended; false, and
  // nothing appended, if the stream is not whole or has failed.
  bool end(std::string& out);
  bool failed() const;   // An error event came: it has been translated, nothing more follows.
  const Tokens& usage() const;
  const Losses& losses() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lb
