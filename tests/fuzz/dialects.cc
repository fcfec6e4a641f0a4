// What one dialect says in another. An input begins with a line that says what it is, as a case of tests/vectors/wire
// does ("gemini stream responses"); what follows is read as that. Whatever is accepted becomes valid JSON, which the
// other dialect accepts; a stream becomes well-formed events, the same however it was cut.
#include "fuzz/fuzz.h"
#include "wire/dialect/count_tokens.h"
#include "wire/dialect/embeddings.h"
#include "wire/dialect/gemini_array.h"
#include "wire/dialect/signature.h"
#include "wire/dialect/translate.h"
#include "wire/escape.h"
#include "wire/operation.h"

namespace lb::fuzz {
namespace {

constexpr WriteAnswer kHow{.model = "m", .id = "1", .created = 1, .stream_usage = true};

bool read_dialect(std::string_view word, Dialect& out) {
  constexpr std::string_view kNames[] = {"openai", "responses", "anthropic", "gemini"};
  for (size_t i = 0; i < std::size(kNames); i++)
    if (kNames[i] == word) return out = static_cast<Dialect>(i), true;
  return false;
}

void must_be_json(std::string_view text, std::string_view what) {
  if (Raw::parse(text).ok()) return;
  std::fprintf(stderr, "%s\n", text_of(text).c_str());
  broken(what);
}

void request(Dialect from, Dialect to, std::string_view body) {
  Store store;
  Result<Request> read = read_request(from, body, store);
  if (!read.ok()) return;
  Result<WrittenRequest> written = write_request(to, read.value(), {.model = "m"}, store);
  if (!written.ok()) return require(written.error().status == Status::INVALID, "a refusal is not INVALID");
  must_be_json(written.value().body, "a request that was written is no JSON");
  Store second;
  Result<Request> back = read_request(to, written.value().body, second);
  if (!back.ok()) std::fprintf(stderr, "%s: %s\n", back.error().where.c_str(), back.error().message.c_str());
  require(back.ok(), "a request that was written is refused");
}

// A request to count, and an answer to one.
void count(Dialect from, Dialect to, std::string_view body) {
  if (!can_count(from) || !can_count(to)) return;
  Store store;
  if (Result<Request> read = read_count_request(from, body, store); read.ok()) {
    Result<WrittenRequest> written = write_count_request(to, read.value(), {.model = "m"}, store);
    if (!written.ok()) return require(written.error().status == Status::INVALID, "a refusal is not INVALID");
    require(read_count_request(to, written.value().body, store).ok(), "a count that was written is refused");
  }
  Result<uint64_t> tokens = read_count_answer(from, body);
  if (!tokens.ok()) return require(tokens.error().status == Status::PROTOCOL, "no count, and not PROTOCOL");
  Result<uint64_t> back = read_count_answer(to, write_count_answer(to, tokens.value()));
  require(back.ok() && back.value() == tokens.value(), "a count that was written is another");
}

// Gemini's stream as an array: the same elements however it is cut, and when they are written again.
void array(std::string_view text, Choices& choices) {
  auto elements = [](std::string_view bytes, const Cuts& cuts, std::string& written) {
    GeminiArray array;
    std::string all;
    each_part(bytes, cuts, [&](std::string_view part) {
      SseEvent event;
      while (array.next(part, event)) {
        GeminiArray::append(written, event.data, written.empty());
        all.append(event.data).append(1, '\n');
      }
    });
    return all + (array.faulty() ? "faulty" : array.ended() ? "ended" : "");
  };
  std::string written;
  std::string found = same_at_any_cut(text, choices, [&](const Cuts& cuts) {
    written.clear();
    return elements(text, cuts, written);
  });
  if (written.empty()) return;
  std::string again, rewritten;
  written.append(GeminiArray::kEnd);
  again = elements(written, {}, rewritten);
  found.resize(found.rfind('\n') + 1);
  require_same(again, found + "ended", "an array that was written has other elements");
}

// A path that asks for something, as lb writes it to an upstream, asks for the same.
void path(std::string_view text) {
  std::string_view query = text, name = split_off(query, '?');
  std::optional<Asked> asked = asked_by(name, query);
  if (!asked) return;
  std::string written = "/v1" + operation_path(asked->operation, asked->model, asked->stream);
  std::string_view rest = written, path = split_off(rest, '?');
  std::optional<Asked> again = asked_by(path, rest);
  require(again && again->operation == asked->operation && again->stream == asked->stream, "a path asks for another");
  require(!asked->in_path || again->model == asked->model, "a path names another model");
}

// Opaque data there and back again: the same, but for the alphabet of its base64.
void sign(Dialect origin, Dialect home, std::string_view text) {
  std::string data = encode_inner(text), placed;
  append_signature(placed, home, origin, false, data);
  Store store;
  Part part;
  read_signature(placed, home, part, store);
  bool marked = data.starts_with("lbSign") || data.starts_with("lbHide");
  if (marked && home == origin) return;  // Made up by whoever sent it.
  auto plain = [](std::string_view inner) {
    std::string bytes = decode_inner(inner);
    std::replace(bytes.begin(), bytes.end(), '-', '+');
    std::replace(bytes.begin(), bytes.end(), '_', '/');
    return bytes;
  };
  require(part.origin == origin, "a signature is another's");
  require_same(plain(part.signature), plain(data), "a signature is another");
}

void answer(Dialect from, Dialect to, std::string_view body) {
  Store store;
  Result<Reply> read = read_answer(from, body, store);
  if (!read.ok()) return require(read.error().status == Status::PROTOCOL, "no answer, and not PROTOCOL");
  Losses losses;
  std::string written = write_answer(to, read.value(), kHow, losses);
  must_be_json(written, "an answer that was written is no JSON");
  require(read_answer(to, written, store).ok(), "an answer that was written is none");
}

void error(Dialect to, std::string_view body) {
  Head head;
  head.status = 429;
  must_be_json(translate_error(to, 429, openai_error(head, body, 0)), "an error that was written is no JSON");
}

// Every event of what was written is one that the dialect reads; and it is whole, has failed or was cut as the first
// was.
void must_be_stream(Dialect dialect, Dialect other, std::string_view text, bool whole, bool failed) {
  StreamTranslator reader(dialect, other, kHow);
  SseParser parser;
  SseEvent event;
  std::string out;
  while (parser.next(text, event)) {
    require(!event.comment, "an empty event was written");
    require(event.data == "[DONE]" || Raw::parse(event.data).ok(), "an event that was written is no JSON");
    require(reader.event(event, out), "an event that was written is not read");
  }
  require(!parser.mid_event(), "an event that was written is not whole");
  require(reader.failed() == failed, "a failure is lost, or made");
  require(reader.end(out) == whole, "an end is lost, or made");
}

void stream(Dialect from, Dialect to, std::string_view text, Choices& choices) {
  bool whole = false, failed = false;
  std::string out = same_at_any_cut(text, choices, [&](const Cuts& cuts) {
    StreamTranslator translator(from, to, kHow), slow(from, to, kHow);
    SseParser parser;
    std::string written, anew, data;
    size_t count = 0;
    each_part(text, cuts, [&](std::string_view part) {
      SseEvent event;
      while (parser.next(part, event)) {
        // With a space behind every other one no event is like the last one, and each is read.
        data.assign(event.data).append(count++ % 2, ' ');
        bool read = translator.event(event, written);
        event.data = data;
        require(slow.event(event, anew) == read && anew == written, "the short cut reads an event otherwise");
      }
    });
    whole = translator.end(written);
    failed = translator.failed();
    require(!whole || !failed, "a stream that has failed is whole");
    return written;
  });
  must_be_stream(to, from, out, whole, failed);
}

void embed(Dialect from, Dialect to, std::string_view body) {
  Store store;
  Result<EmbedRequest> read = read_embed_request(from, body, store);
  if (read.ok()) {
    size_t count = std::min(read.value().inputs.size(), embed_inputs_max(to));
    std::string written = write_embed_request(to, read.value(), "m", 0, count).body;
    require(read_embed_request(to, written, store).ok(), "a request for embeddings that was written is refused");
  }
  EmbedReply reply;
  if (read_embed_answer(from, body, 1, reply)) return;
  must_be_json(write_embed_answer({.dialect = to}, reply, ""), "embeddings that were written are no JSON");
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb;
  fuzz::Input input = fuzz::split_input(data, size);
  std::string_view text = input.text, head = split_off(text, '\n');
  Dialect from, to;
  if (!fuzz::read_dialect(split_off(head, ' '), from)) return 0;
  std::string_view kind = split_off(head, ' ');
  if (!fuzz::read_dialect(head, to)) return 0;
  if (kind == "request") fuzz::request(from, to, text);
  if (kind == "answer") fuzz::answer(from, to, text);
  if (kind == "error") fuzz::error(to, text);
  if (kind == "stream") fuzz::stream(from, to, text, input.choices);
  if (kind == "embed") fuzz::embed(from, to, text);
  if (kind == "count") fuzz::count(from, to, text);
  if (kind == "array") fuzz::array(text, input.choices);
  if (kind == "path") fuzz::path(text);
  if (kind == "sign") fuzz::sign(from, to, text);
  return 0;
}
