#include "translations/became.h"
#include "translations/canonical.h"
#include "wire/dialect/translate.h"
#include "wire/openai.h"

namespace lb::translations {

namespace {

Became refused(const Error& error) {
  return {Expected::Verdict::refused, error.where + ": " + error.message, "", ""};
}

WriteAnswer how_to_answer(const Case& which) {
  return {.model = which.model, .id = which.id, .created = kCreated, .stream_usage = which.stream_usage};
}

// JSON that the dialect itself can read.
void take_json(std::string_view body, Became& out) {
  std::optional<std::string> json = canonical_json(body);
  if (!json) out.wrong = "what was written is no JSON: " + std::string(body);
  out.text = json.value_or("") + "\n";
}

Became run_request(const Case& which, Dialect to) {
  Store store;
  Result<Request> request = read_request(which.from, which.input, store);
  if (!request.ok()) return refused(request.error());
  WriteRequest how{.model = which.model.empty() ? "m" : std::string_view(which.model),
                   .output_max_default = which.output_max_default,
                   .classic_max_tokens = which.classic_max_tokens,
                   .thinking_back = which.thinking_back,
                   .classic_thinking = which.classic_thinking};
  Result<WrittenRequest> written = write_request(to, request.value(), how, store);
  if (!written.ok()) return refused(written.error());
  Became out;
  take_json(written.value().body, out);
  out.losses = written.value().losses.text();
  Store second;
  Result<Request> back = read_request(to, written.value().body, second);
  if (!back.ok()) out.wrong = "what was written cannot be read: " + back.error().where + ": " + back.error().message;
  return out;
}

Became run_answer(const Case& which, Dialect to) {
  Store store;
  Result<Reply> reply = read_answer(which.from, which.input, store);
  if (!reply.ok()) return refused(reply.error());
  Became out;
  Losses losses;
  std::string body = write_answer(to, reply.value(), how_to_answer(which), losses);
  take_json(body, out);
  out.losses = losses.text();
  Store second;
  Result<Reply> back = read_answer(to, body, second);
  if (!back.ok()) out.wrong = "what was written cannot be read: " + back.error().message;
  return out;
}

Became run_error(const Case& which, Dialect to) {
  Head head;
  head.status = static_cast<uint16_t>(which.status);
  Became out;
  take_json(translate_error(to, which.status, openai_error(head, which.input, 0)), out);
  return out;
}

// The bytes in these pieces, each of which is gone after it has been read.
Became run_stream(const Case& which, Dialect to, std::string_view bytes, size_t first, size_t piece) {
  StreamTranslator translator(which.from, to, how_to_answer(which));
  SseParser parser;
  std::string text;
  for (size_t at = 0, size = first; at < bytes.size(); at += size, size = piece) {
    size = std::min(size, bytes.size() - at);
    std::string own(bytes.substr(at, size));
    std::string_view part = own;
    SseEvent event;
    while (parser.next(part, event)) translator.event(event, text);
  }
  Became out;
  size_t before_end = text.size();
  bool whole = translator.end(text);
  if (translator.failed())
    out.verdict = Expected::Verdict::failed;
  else if (!whole)
    out.verdict = Expected::Verdict::cut;
  if (!whole && text.size() != before_end) out.wrong = "something was appended to a stream that is not whole";
  out.text = canonical_stream(to, text);
  out.losses = translator.losses().text();
  return out;
}

// Whole, byte by byte, and cut once at every byte: always the same.
Became run_stream(const Case& which, Dialect to) {
  std::string bytes = stream_bytes(which.from, which.input);
  Became whole = run_stream(which, to, bytes, bytes.size(), bytes.size());
  for (size_t cut = 0; cut < bytes.size(); cut++) {
    Became other = run_stream(which, to, bytes, cut == 0 ? 1 : cut, cut == 0 ? 1 : bytes.size());
    if (other.text == whole.text && other.losses == whole.losses && other.verdict == whole.verdict) continue;
    whole.wrong = "cut at byte " + std::to_string(cut) + " it becomes:\n" + other.text;
    break;
  }
  return whole;
}

}  // namespace

Became run(const Case& which, Dialect to) {
  switch (which.kind) {
    case Kind::request: return run_request(which, to);
    case Kind::answer: return run_answer(which, to);
    case Kind::stream: return run_stream(which, to);
    case Kind::error: return run_error(which, to);
  }
  return {};
}

bool translates(const Case&, Dialect) { return true; }

}  // namespace lb::translations
