#include "mock/options.h"

#include <algorithm>
#include <memory>

#include "mock/reader.h"
#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr const char* kLimitForms[] = {"seconds", "ms", "date", "ratelimit", "body", "none"};
constexpr const char* kErrorBodies[] = {"json", "html", "text", "empty"};
constexpr const char* kFramings[] = {"auto", "length", "chunked", "close"};

bool field_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\t'; });
}

// The text in pieces of a word each, with the space before it: joined they are the text.
std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find(' ', from + 1), text.size());
    std::string piece;
    add_inner(&piece, std::string_view(text).substr(from, end - from));
    out.push_back(std::move(piece));
    from = end;
  }
  return out;
}

// Goes into header fields and into JSON as it is.
bool plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

void read_limit(const cJSON* item, const std::string& place, Complaint& complaint, Limit* out) {
  if (!item) return;
  *out = Limit();
  Reader reader(item, place, complaint);
  reader.number("every_ms", &out->every_ms, 1, kMillisecondsMax);
  reader.number("for_ms", &out->for_ms, 0, kMillisecondsMax);
  reader.whole("rpm", &out->rpm, 1, UINT32_MAX);
  reader.choice("form", kLimitForms, &out->form);
  reader.number("retry_after_s", &out->retry_after_s, 0, kMillisecondsMax / 1000);
  reader.finish();
  if (reader.has("every_ms") != reader.has("for_ms"))
    complaint.say(place, "needs both every_ms and for_ms, or neither");
  if (out->for_ms > out->every_ms) reader.wrong("for_ms", "must not be more than every_ms");
}

void read_error(const cJSON* item, const std::string& place, Complaint& complaint, Error* out) {
  if (!item) return;
  *out = Error();
  out->rate = 1;
  Reader reader(item, place, complaint);
  reader.number("rate", &out->rate, 0, 1);
  reader.wholes("status", &out->status, 200, 599);
  reader.choice("body", kErrorBodies, &out->body);
  reader.text("code", &out->code);
  reader.text("message", &out->message);
  reader.number("retry_after_s", &out->retry_after_s, 0, kMillisecondsMax / 1000);
  reader.finish();
}

// The keys that cut and stall share. `spots` keys are looked for; exactly one must be there.
void read_fault(Reader& reader, bool bytes, Fault* out) {
  bool before_head = false;
  std::optional<uint32_t> events, after;
  out->rate = 1;
  reader.number("rate", &out->rate, 0, 1);
  reader.flag("before_head", &before_head);
  reader.whole("after_events", &events, 0, kTokensMax);
  if (bytes) reader.whole("after_bytes", &after, 0, UINT32_MAX);
  if ((before_head ? 1 : 0) + (events ? 1 : 0) + (after ? 1 : 0) != 1)
    reader.complaint().say(reader.place(), std::string("needs one of before_head, after_events") +
                                               (bytes ? ", after_bytes" : ""));
  out->spot = before_head ? Spot::before_head : events ? Spot::after_events : Spot::after_bytes;
  out->after = events ? *events : after.value_or(0);
}

void read_faults(Reader& reader, Behaviour* out) {
  const std::string& place = reader.place();
  Complaint& complaint = reader.complaint();
  read_limit(reader.object("limit"), place + "/limit", complaint, &out->limit);
  read_error(reader.object("error"), place + "/error", complaint, &out->error);
  if (const cJSON* item = reader.object("cut")) {
    out->cut = Cut();
    Reader cut(item, place + "/cut", complaint);
    read_fault(cut, true, &out->cut);
    cut.flag("reset", &out->cut.reset);
    cut.finish();
  }
  if (const cJSON* item = reader.object("stall")) {
    out->stall = Stall();
    Reader stall(item, place + "/stall", complaint);
    read_fault(stall, false, &out->stall);
    stall.number("for_ms", &out->stall.for_ms, 0, kMillisecondsMax);
    stall.finish();
  }
  if (const cJSON* item = reader.object("error_event")) {
    out->error_event = ErrorEvent();
    out->error_event.wanted = true;
    Reader event(item, place + "/error_event", complaint);
    event.whole("at", &out->error_event.at, 0, kTokensMax);
    event.text("code", &out->error_event.code);
    event.text("message", &out->error_event.message);
    event.finish();
  }
  reader.whole("malformed_at", &out->malformed_at, 0, kTokensMax);
  reader.flag("empty", &out->empty);
  reader.flag("finish", &out->finish);
  reader.flag("done", &out->done);
  reader.text("content_type", &out->content_type);
  if (!field_text(out->content_type)) reader.wrong("content_type", "must be printable ASCII");
  reader.text("trailing", &out->trailing);
  reader.choice("framing", kFramings, &out->framing);
  reader.whole("answers_per_connection", &out->answers_per_connection, 0, UINT32_MAX);
  reader.flag("announce_close", &out->announce_close);
  reader.whole("die_after_calls", &out->die_after_calls, 0, UINT32_MAX);
}

void read_pace(Reader& reader, Behaviour* out) {
  reader.number("latency_ms", &out->latency_ms, 0, kMillisecondsMax);
  reader.number("jitter_ms", &out->jitter_ms, 0, kMillisecondsMax);
  reader.number("first_token_ms", &out->first_token_ms, 0, kMillisecondsMax);
  reader.number("event_gap_ms", &out->event_gap_ms, 0, kMillisecondsMax);
  std::optional<double> rate;
  reader.number("tokens_per_second", &rate, 0.001, 1e6);
  if (rate && reader.has("event_gap_ms")) reader.wrong("tokens_per_second", "says the same as event_gap_ms; give one");
  if (rate) out->event_gap_ms = 1000 / *rate;
  reader.number("ping_ms", &out->ping_ms, 0, kMillisecondsMax);
  reader.whole("pings", &out->pings, 0, kTokensMax);
}

void read_models(Reader& reader, Behaviour* out) {
  const cJSON* list = reader.list("models");
  if (!list) return;
  out->models.clear();
  for (const cJSON* item = list->child; item; item = item->next) {
    const std::string model = cJSON_IsString(item) ? item->valuestring : "";
    if (model.empty() || !field_text(model) || model.find_first_of("\"\\") != model.npos)
      return reader.wrong("models", "must have names of printable ASCII without quotes");
    out->models.push_back(model);
  }
}

void read_headers(Reader& reader, Behaviour* out) {
  const cJSON* headers = reader.object("headers");
  if (!headers) return;
  out->headers.clear();
  for (const cJSON* item = headers->child; item; item = item->next) {
    const std::string_view name = item->string;
    if (!plain_name(name) || !cJSON_IsString(item) || !field_text(item->valuestring))
      return reader.wrong("headers", "must be names with texts of printable ASCII");
    out->headers += std::string(name) + ": " + item->valuestring + "\r\n";
  }
}

// The words of an answer: so many, or those of a text. What is said here wins over what is inherited.
void read_text(Reader& reader, Behaviour* out) {
  reader.whole("tokens", &out->tokens, 0, kTokensMax);
  std::string text;
  reader.text("text", &text);
  if (reader.has("tokens") && reader.has("text")) return reader.wrong("tokens", "says how long the text is; give one");
  if (reader.has("tokens")) out->pieces.clear();
  if (!reader.has("text")) return;
  out->pieces = pieces_of(text);
  out->tokens = static_cast<uint32_t>(out->pieces.size());
}

void read_behaviour(Reader& reader, Behaviour* out) {
  reader.text("name", &out->name);
  if (!plain_name(out->name)) reader.wrong("name", "must be 1 to 64 of the letters A-Z a-z 0-9 . _ -");
  reader.text("key", &out->key);
  reader.flag("only_models", &out->only_models);
  read_text(reader, out);
  reader.whole("thinking", &out->thinking, 0, kTokensMax);
  reader.whole("tool_calls", &out->tool_calls, 0, kToolCallsMax);
  reader.flag("interleave", &out->interleave);
  reader.whole("token_bytes", &out->token_bytes, 0, kTokenBytesMax);
  reader.whole("body_bytes", &out->body_bytes, 0, kContentMax);
  reader.whole("dimensions", &out->dimensions, 1, kDimensionsMax);
  reader.flag("usage", &out->usage);
  read_models(reader, out);
  read_headers(reader, out);
  read_pace(reader, out);
  read_faults(reader, out);
  if (uint64_t{out->tokens} * out->token_bytes > kContentMax)
    return reader.wrong("tokens", "times token_bytes must not be over 67108864");
  out->content.clear();
  for (uint32_t i = 0; i < out->tokens; i++) add_token(*out, i, &out->content);
}

void read_rules(Reader& reader, Options* out) {
  if (const cJSON* object = reader.object("per_model")) {
    for (const cJSON* item = object->child; item; item = item->next) {
      if (out->per_model.size() == kRulesMax) return reader.wrong("per_model", "must not have more than 256 models");
      Reader inner(item, "/per_model/" + std::string(item->string), reader.complaint());
      Behaviour behaviour = out->behaviour;
      behaviour.label = "per_model/" + std::string(item->string);
      read_behaviour(inner, &behaviour);
      inner.finish();
      out->per_model.emplace_back(item->string, std::move(behaviour));
    }
  }
  const cJSON* list = reader.list("per_call");
  for (const cJSON* item = list ? list->child : nullptr; item; item = item->next) {
    if (out->per_call.size() == kRulesMax) return reader.wrong("per_call", "must not have more than 256 rules");
    const std::string number = std::to_string(out->per_call.size());
    Reader inner(item, "/per_call/" + number, reader.complaint());
    Rule rule;
    rule.behaviour = out->behaviour;
    rule.behaviour.label = "per_call/" + number;
    inner.text("model", &rule.model);
    inner.wholes("nth", &rule.nth, 1, UINT32_MAX);
    inner.whole("from", &rule.from, 1, UINT32_MAX);
    inner.whole("to", &rule.to, 1, UINT32_MAX);
    inner.whole("every", &rule.every, 1, UINT32_MAX);
    read_behaviour(inner, &rule.behaviour);
    inner.finish();
    out->per_call.push_back(std::move(rule));
  }
}

void read_start(Reader& reader, bool running, Options* out) {
  for (const char* key : {"address", "port", "journal_calls", "journal_body"})
    if (running && reader.has(key)) reader.wrong(key, "cannot change while the mock runs");
  reader.text("address", &out->address);
  reader.whole("port", &out->port, 0, 65535);
  reader.whole("journal_calls", &out->journal_calls, 0, kJournalCallsMax);
  reader.whole("journal_body", &out->journal_body, 0, kJournalBodyMax);
  double seed = 1;
  reader.number("seed", &seed, 0, 9e15);  // What a double holds exactly.
  out->seed = static_cast<uint64_t>(seed);
  reader.flag("clear_journal", &out->clear_journal);
}

}  // namespace

bool Rule::takes(uint32_t call) const {
  if (!nth.empty() && std::find(nth.begin(), nth.end(), call) == nth.end()) return false;
  return call >= from && call <= to && (call - from) % every == 0;
}

std::optional<std::string> read_options(std::string_view json, bool running, Options* out) {
  if (json.empty()) json = "{}";
  *out = Options();
  const char* end = nullptr;
  const std::unique_ptr<cJSON, void (*)(cJSON*)> tree(cJSON_ParseWithLengthOpts(json.data(), json.size(), &end, 0),
                                                     cJSON_Delete);
  if (!tree) {
    const size_t at = end ? static_cast<size_t>(end - json.data()) : 0;
    return "options: not JSON near byte " + std::to_string(at);
  }
  Complaint complaint;
  Reader reader(tree.get(), "", complaint);
  read_start(reader, running, out);
  read_behaviour(reader, &out->behaviour);
  read_rules(reader, out);
  reader.finish();
  out->calls_tools = out->behaviour.tool_calls != 0;
  for (const auto& [model, behaviour] : out->per_model) out->calls_tools |= behaviour.tool_calls != 0;
  for (const Rule& rule : out->per_call) out->calls_tools |= rule.behaviour.tool_calls != 0;
  return complaint.text;
}

std::string_view word(uint32_t index) {
  static constexpr std::string_view kWords[] = {
      " a",     " mock",  " answers", " in",     " words",  " that", " mean", " little", " and",   " cost", " nothing",
      " while", " every", " token",   " counts", " toward", " the",  " end",  " of",     " this,", " so",   " read",
  };
  return kWords[index % std::size(kWords)];
}

void add_token(const Behaviour& behaviour, uint32_t index, std::string* out) {
  const size_t before = out->size();
  if (!behaviour.pieces.empty()) {
    *out += behaviour.pieces[index];
    return;
  }
  if (index == 0) {
    *out += behaviour.name;
    *out += ':';
  } else {
    *out += word(index - 1);
  }
  if (behaviour.token_bytes != 0) out->resize(before + behaviour.token_bytes, '.');
}

}  // namespace lb::mock
