#include "lb_mock.h"

namespace {

// The reference of the options; options_test.cc checks that no key is missing here.
constexpr char kHelp[] =
    R"(Options of a mock: one JSON object. Times are in milliseconds and may be fractions.

 In whose dialect it answers, the path says
  OpenAI            */chat/completions, */completions, */embeddings, */responses, */responses/input_tokens; the model
                    may stand in the path, as Azure has it: */deployments/MODEL/...
  Anthropic         */messages, */messages/count_tokens; 400 without the header anthropic-version
  Gemini            */models/MODEL:generateContent, :streamGenerateContent (a JSON array, or events with ?alt=sse),
                    :countTokens, :embedContent, :batchEmbedContents

 Only at the start
  address           "127.0.0.1"; an IPv4 or IPv6 address
  port              0: any free one
  journal_calls     1024; the calls (and as many closed connections) that the journal keeps, 0 to 65536
  journal_body      0; how many bytes of each request body it keeps, up to 65536

 Who answers, and what
  name              "mock"; in the text of answers and in the header x-mock-name
  seed              1; of all that is random
  models            ["mock-model"]; what GET */models lists: as Gemini if the path has /v1beta/, as Anthropic if there
                    is the header anthropic-version
  only_models       false; true: 404 for a model that is not listed
  key               none; 401 for calls without it (as a bearer, api-key, x-api-key, x-goog-api-key, or ?key=)
  tokens            16; content events of a stream, words of an answer
  text              none; the exact text of an answer, instead of so many words; of a stream an event for each word
  thinking          0; events, and words, of thinking before the text
  tool_calls        0; so many calls, behind the text, of the tools that a request offers; none once it has results.
                    In a stream a call is an event, and three more with its arguments; in Gemini's one. To read
                    the tools, bodies are kept whole, up to 16 MiB
  interleave        false; true: the events of a chat's calls take turns
  token_bytes       0: words of natural length, else the size of each
  body_bytes        0; plain answers, but of responses and embeddings, are filled up to this size
  dimensions        8; of embeddings, when the request does not say
  usage             true; false: answers without usage
  headers           {}; more header fields of each answer

 How fast
  latency_ms        0; before the head
  jitter_ms         0; up to so much more, at random
  first_token_ms    0; between the head of a stream and its first event
  event_gap_ms      0; between content events
  tokens_per_second 0; the same, said the other way
  ping_ms           0; a comment (Anthropic's ping) after each such time of silence in a stream
  pings             0; the same before every n-th content event

 Limits: 429
  limit             {every_ms, for_ms, rpm, form, retry_after_s}
                    every_ms, for_ms: the last for_ms of each every_ms, counted from the start, answer 429
                    rpm: calls a minute (fixed windows of 60 s)
                    form: how the wait is told: "seconds" (rounded up), "ms" (retry-after-ms), "date",
                    "ratelimit" (x-ratelimit-reset-requests), "body" (RetryInfo in OpenAI's and Gemini's), "none"
                    retry_after_s: what is told, instead of the true time

 Faults. Those with a rate (default 1) happen to that share of the calls
  error             {rate, status, body, code, message, retry_after_s}
                    status: 500, or a list to take one of; body: "json", "html", "text", "empty"; code: OpenAI's
                    code, Anthropic's type, Gemini's status, instead of the usual one
  cut               {rate, before_head | after_events | after_bytes, reset}: the connection closes there; of a plain
                    answer, after_events cuts in the middle of the body. reset: true closes by RST
  stall             {rate, before_head | after_events, for_ms}: silence there; for_ms left out is for ever. 0 events
                    is before the first content
  error_event       {rate, at, code, message}: an error event before content event `at` (default 0), then the end
  malformed_at      none; an event that is no JSON before this content event
  empty             false; true: 200 with nothing in it
  finish            true; false: a stream without its finish_reason (or terminal event) and without [DONE]
  done              true; false: a stream without [DONE], or Anthropic's message_stop
  content_type      none; instead of the right one
  trailing          none; text after the end of the answer, on the same connection
  framing           "auto", "length", "chunked", "close"; of a plain answer; streams are chunked, or "close"
  answers_per_connection  0: no end; the connection closes after so many
  announce_close    true; false: it closes then without having said "connection: close"
  die_after_calls   none; after so many calls the next one finds the listener closed and all connections reset

 Overrides, each with any key from "Who answers" on
  per_model         {"MODEL": {...}}
  per_call          [{model, nth, from, to, every, ...}]: for calls by number, from 1; nth is a number or a list;
                    with `model` only its calls match and count. The first rule that matches wins over per_model
  clear_journal     false; true, in a control: the journal starts anew
)";

}  // namespace

const char* lb_mock_help(void) { return kHelp; }
