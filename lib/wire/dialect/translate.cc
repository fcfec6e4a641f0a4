#include "wire/dialect/translate.h"

#include "base/text.h"
#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/gemini_content.h"
#include "wire/dialect/openai_chat.h"
#include "wire/dialect/openai_responses.h"
#include "wire/dialect/table.h"

namespace lb {

namespace {

const DialectTable& table(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai: return kOpenAiChat;
    case Dialect::anthropic: return kAnthropicMessages;
    case Dialect::responses: return kOpenAiResponses;
    case Dialect::gemini: return kGeminiContent;
  }
  return kOpenAiChat;
}

// A type and a subtype of RFC 6838 §4.2, so that it fits into a data URL.
bool is_media_type(Inner text) {
  size_t slash = text.find('/');
  if (slash == 0 || slash == text.npos || slash + 1 == text.size()) return false;
  for (char c : text) {
    bool letter = (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view("!#$&-^_.+/").find(c) == std::string_view::npos) return false;
  }
  return true;
}

// What every dialect wants of a part, so that what is written can be read.
std::optional<Error> check(const Request& request, const Part& part) {
  using Kind = Part::Kind;
  auto invalid = [&](std::string message) { return Error{Status::INVALID, place(request, part), std::move(message)}; };
  bool media = part.kind == Kind::image || part.kind == Kind::document || part.kind == Kind::audio;
  if (media && part.source.data.empty()) return invalid("has no data; write them, or leave the part out");
  if (media && part.source.kind == Source::Kind::base64 && !is_media_type(part.source.media_type))
    return invalid("says no media type; write one, such as image/png");
  if (part.kind == Kind::tool_call && part.name.empty()) return invalid("is a call of no function; name it");
  if (part.kind == Kind::tool_call && part.id.empty()) return invalid("is a call without an id; write one");
  if (part.kind == Kind::tool_result && part.id.empty()) return invalid("is the result of no call; write its id");
  for (const Part& inside : part.content)
    if (std::optional<Error> error = check(request, inside)) return error;
  return std::nullopt;
}

std::optional<Error> check(const Request& request) {
  for (size_t i = 0; i < request.tools.size(); i++)
    if (!request.tools[i].foreign.present() && request.tools[i].name.empty())
      return Error{Status::INVALID, "tools." + std::to_string(i), "has no name; write one"};
  for (const Turn& turn : request.turns)
    for (const Part& part : turn.parts)
      if (std::optional<Error> error = check(request, part)) return error;
  return std::nullopt;
}

}  // namespace

Result<Request> read_request(Dialect dialect, std::string_view body, Store& store) {
  Result<Request> request = table(dialect).read_request(body, store);
  if (!request.ok()) return request;
  std::optional<Error> error = check(request.value());
  return error ? Result<Request>(*error) : std::move(request);
}

Result<WrittenRequest> write_request(Dialect dialect, const Request& request, const WriteRequest& how, Store& store) {
  return table(dialect).write_request(request, how, store);
}

Result<Reply> read_answer(Dialect dialect, std::string_view body, Store& store) {
  return table(dialect).read_answer(body, store);
}

std::string write_answer(Dialect dialect, const Reply& reply, const WriteAnswer& how, Losses& losses) {
  return table(dialect).write_answer(reply, how, losses);
}

std::string translate_error(Dialect to, uint32_t status, const ErrorFacts& facts) {
  return table(to).error_body(status, facts);
}

std::unique_ptr<StreamReader> stream_reader(Dialect dialect) { return table(dialect).stream_reader(); }
std::unique_ptr<StreamWriter> stream_writer(Dialect dialect, const WriteAnswer& how) {
  return table(dialect).stream_writer(how);
}

// Stands between reader and writer, and keeps what the stream's owner asks for.
struct StreamTranslator::State final : DeltaSink {
  State(Dialect from, Dialect to, const WriteAnswer& with)
      : model(with.model), id(with.id), how(with), reader(table(from).stream_reader()) {
    how.model = model;
    how.id = id;
    writer = table(to).stream_writer(how);
  }

  void on(const Delta& delta) override {
    if (failed || ended) return;
    if (delta.kind == Delta::Kind::lost) return losses.add(delta.text);
    if (delta.kind == Delta::Kind::begin || delta.kind == Delta::Kind::usage) usage.take(delta.usage);
    failed = delta.kind == Delta::Kind::error;
    ended = delta.kind == Delta::Kind::end;
    writer->on(delta);
  }

  std::string model, id;  // What `how` shows.
  WriteAnswer how;
  std::unique_ptr<StreamReader> reader;
  std::unique_ptr<StreamWriter> writer;
  Tokens usage;
  Losses losses;
  bool failed = false;
  bool ended = false;
};

StreamTranslator::StreamTranslator(Dialect from, Dialect to, const WriteAnswer& how)
    : state_(std::make_unique<State>(from, to, how)) {}
StreamTranslator::~StreamTranslator() = default;

bool StreamTranslator::event(const SseEvent& event, std::string& out) {
  if (state_->failed || state_->ended || event.comment) return true;
  state_->writer->to(out, state_->losses);
  return state_->reader->event(event, *state_);
}

bool StreamTranslator::end(std::string& out) {
  if (state_->failed) return false;
  if (state_->ended) return true;
  state_->writer->to(out, state_->losses);
  return state_->reader->end(*state_) && !state_->failed;
}

bool StreamTranslator::failed() const { return state_->failed; }
const Tokens& StreamTranslator::usage() const { return state_->usage; }
const Losses& StreamTranslator::losses() const { return state_->losses; }

}  // namespace lb
