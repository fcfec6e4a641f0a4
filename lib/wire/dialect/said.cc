#include "wire/dialect/said.h"

#include <algorithm>

#include "wire/dialect/json_text.h"
#include "wire/escape.h"

namespace lb {

namespace {

Said& choice_of(std::vector<Said>& all, size_t index) {
  // As many as a provider gives; a number beyond is taken for the last.
  constexpr size_t kChoicesMax = 128;
  index = std::min(index, kChoicesMax - 1);
  if (index >= all.size()) all.resize(index + 1);
  return all[index];
}

// Gathers the texts of a stream.
struct Listener final : DeltaSink {
  void on(const Delta& delta) override {
    using Kind = Delta::Kind;
    if (delta.kind == Kind::text) choice_of(said, delta.choice).text.append(delta.text);
    if (delta.kind == Kind::stop) choice_of(said, delta.choice);
    if (delta.kind == Kind::tool || delta.kind == Kind::refusal) choice_of(said, delta.choice).only = false;
    usage = usage || delta.kind == Kind::usage;
    failed = failed || delta.kind == Kind::error;
  }

  std::vector<Said> said;  // Texts are inners: half of a surrogate pair may be all of a piece.
  bool usage = false;
  bool failed = false;
};

// Passes on what it hears, but for texts that are given: they come in place of the first, and the rest is left out.
class OneText final : public DeltaSink {
 public:
  OneText(StreamWriter& to, const Texts& texts) : to_(to), texts_(texts), written_(texts.size()) {}

  void on(const Delta& delta) override {
    if (delta.kind == Delta::Kind::lost) return;
    bool stays = delta.choice >= texts_.size() || !texts_[delta.choice];
    if (delta.kind != Delta::Kind::text || stays) return to_.on(delta);
    if (written_[delta.choice]) return;
    written_[delta.choice] = true;
    std::string inner = encode_inner(*texts_[delta.choice]);
    Delta text = delta;
    text.text = inner;
    to_.on(text);
  }

 private:
  StreamWriter& to_;
  const Texts& texts_;
  std::vector<bool> written_;
};

// False: the stream is not whole.
bool read_stream(Dialect dialect, std::string_view events, DeltaSink& to) {
  std::unique_ptr<StreamReader> reader = stream_reader(dialect);
  SseParser parser;
  SseEvent event;
  while (parser.next(events, event))
    if (!event.comment) reader->event(event, to);
  return reader->end(to);
}

std::string_view conversation_name(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai:
    case Dialect::anthropic: return "messages";
    case Dialect::responses: return "input";
    case Dialect::gemini: return "contents";
  }
  return "messages";
}

void append_turn(std::string& out, Dialect dialect, bool model, std::string_view text) {
  JsonText json(out);
  json.begin_object();
  if (dialect == Dialect::gemini) {
    json.inner("role", model ? "model" : "user").key("parts").begin_array();
    json.begin_object().bytes("text", text).end_object().end_array();
  } else {
    json.inner("role", model ? "assistant" : "user").bytes("content", text);
  }
  json.end_object();
}

}  // namespace

Result<std::vector<Said>> said_in(Dialect dialect, std::string_view answer) {
  Store store;
  Result<Reply> reply = read_answer(dialect, answer, store);
  if (!reply.ok()) return reply.error();
  std::vector<Said> out;
  for (const Choice& choice : reply.value().choices) {
    Said& said = out.emplace_back();
    for (const Part& part : choice.parts) {
      if (part.kind == Part::Kind::text) said.text.append(part.text);
      if (part.kind == Part::Kind::tool_call || part.kind == Part::Kind::refusal) said.only = false;
    }
    said.text = decode_inner(said.text);
  }
  return out;
}

Result<std::vector<Said>> said_in_stream(Dialect dialect, std::string_view events) {
  Listener listener;
  if (!read_stream(dialect, events, listener) || listener.failed)
    return Error{Status::PROTOCOL, "", "the stream is not whole"};
  for (Said& said : listener.said) said.text = decode_inner(said.text);
  return std::move(listener.said);
}

std::string answer_with(Dialect dialect, std::string_view answer, const Texts& texts) {
  Store store;
  Result<Reply> reply = read_answer(dialect, answer, store);
  struct Place {
    size_t begin, size;
    std::string inner;
  };
  std::vector<Place> places;
  for (size_t i = 0; i < std::min(reply.value().choices.size(), texts.size()); i++) {
    bool written = false;
    if (!texts[i]) continue;
    for (const Part& part : reply.value().choices[i].parts) {
      if (part.kind != Part::Kind::text || part.text.empty()) continue;
      auto begin = static_cast<size_t>(part.text.data() - answer.data());
      places.push_back({begin, part.text.size(), written ? "" : encode_inner(*texts[i])});
      written = true;
    }
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.begin < b.begin; });
  std::string out;
  size_t at = 0;
  for (const Place& place : places) {
    LB_CHECK(place.begin >= at && place.begin + place.size <= answer.size());  // Texts are slices of the answer.
    out.append(answer.substr(at, place.begin - at)).append(place.inner);
    at = place.begin + place.size;
  }
  return out.append(answer.substr(at));
}

std::string stream_with(Dialect dialect, std::string_view events, const Texts& texts, WriteAnswer how) {
  Listener listener;
  read_stream(dialect, events, listener);
  how.stream_usage = listener.usage;  // As it was there.
  std::unique_ptr<StreamWriter> writer = stream_writer(dialect, how);
  std::string out;
  Losses losses;
  writer->to(out, losses);
  OneText filter(*writer, texts);
  read_stream(dialect, events, filter);
  return out;
}

Result<std::string> request_with(Dialect dialect, std::string_view request, std::string_view said,
                                 std::string_view next) {
  Result<Raw> top = Raw::parse(request);
  if (!top.ok()) return top.error();
  std::string_view name = conversation_name(dialect);
  Raw turns;
  for (RawWalk at = top.value().walk(); at.next();)
    if (at.is(name)) turns = at.value();
  std::string more;
  if (said.find_first_not_of(" \t\r\n") != said.npos) {
    append_turn(more, dialect, true, said);
    more += ',';
  }
  append_turn(more, dialect, false, next);
  std::string list;
  if (turns.is_array())
    list = std::string(turns.text().substr(0, turns.text().size() - 1)) + (turns.size() > 0 ? "," : "") + more + "]";
  else if (turns.is_string() && dialect == Dialect::responses)
    list = "[{\"role\":\"user\",\"content\":" + std::string(turns.text()) + "}," + more + "]";
  else
    return Error{Status::INVALID, std::string(name), "is no list; write one"};
  auto begin = static_cast<size_t>(turns.text().data() - request.data());
  return std::string(request.substr(0, begin)) + list + std::string(request.substr(begin + turns.text().size()));
}

}  // namespace lb
