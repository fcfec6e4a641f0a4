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

// Most events of a stream say what the last one said, with another text: what its reader made of that holds for them.
class LastEvent {
 public:
  // What `event` says, if it is like the last one; null if it has to be read.
  const Delta* again(const SseEvent& event) {
    size_t around = before_.size() + after_.size();
    std::string_view data = event.data;
    if (around == 0 || data.size() <= around || event.name != name_) return nullptr;
    if (!data.starts_with(before_) || !data.ends_with(after_)) return nullptr;
    delta_.text = data.substr(before_.size(), data.size() - around);
    // What may end the string, or is none.
    for (char c : delta_.text)
      if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) return nullptr;
    return &delta_;
  }
  void begin() { told_ = 0; }
  void on(const Delta& delta) {
    if (++told_ == 1) delta_ = delta;
  }
  // The event has been read: its like need not be, if it is one text and nothing else.
  void end(const SseEvent& event) {
    before_.clear();
    after_.clear();
    // Of calls more is kept than of texts, so their like may mean something else.
    bool text = delta_.kind == Delta::Kind::text || delta_.kind == Delta::Kind::thinking;
    if (told_ != 1 || !text || !delta_.id.empty() || !delta_.name.empty()) return;
    std::string_view data = event.data;
    // Huge where it is no part of the data.
    size_t from = reinterpret_cast<uintptr_t>(delta_.text.data()) - reinterpret_cast<uintptr_t>(data.data());
    if (from == 0 || from >= data.size() || data.size() - from <= delta_.text.size()) return;
    if (data[from - 1] != '"' || data[from + delta_.text.size()] != '"') return;
    name_.assign(event.name);
    before_.assign(data.substr(0, from));
    after_.assign(data.substr(from + delta_.text.size()));
  }

 private:
  uint32_t told_ = 0;
  Delta delta_{.kind = Delta::Kind::end};
  std::string name_, before_, after_;  // Around its text; empty where there is none.
};

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
    last.on(delta);
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
  LastEvent last;
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
  if (const Delta* delta = state_->last.again(event)) {
    state_->writer->on(*delta);
    return true;
  }
  state_->last.begin();
  bool read = state_->reader->event(event, *state_);
  state_->last.end(event);
  return read;
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
