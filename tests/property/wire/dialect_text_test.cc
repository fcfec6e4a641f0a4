// Laws of translation, to the byte: there and back again, a conversation, an answer and a stream are as they were,
// numbers and escapes too; and whatever is damaged is refused, or becomes something that can be read.
#include "wire/dialect/translate.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "property/wire/split.h"
#include "wire/escape.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

constexpr Dialect kAll[] = {Dialect::openai, Dialect::responses, Dialect::anthropic, Dialect::gemini};
constexpr const char* kNames[] = {"openai", "responses", "anthropic", "gemini"};
const char* name_of(Dialect dialect) { return kNames[static_cast<size_t>(dialect)]; }

constexpr WriteRequest kHow = {.model = "m", .output_max_default = 4096, .thinking_back = true};
constexpr WriteAnswer kAnswer = {.id = "1", .created = 1'700'000'000, .stream_usage = true};

uint64_t seed = 1;

// Generates what both dialects of a pair can hold.
class Generator {
 public:
  Generator(uint64_t run, Dialect from, Dialect to) : rng_(seed * 1'000'000 + run), from_(from), to_(to) {}

  Request request() {
    Request out;
    out.dialect = from_;
    for (uint64_t n = rng_.below(3); n > 0; n--) out.system.push_back(text_part());
    // Gemini has one name of a function for its call and its result; all others have ids.
    for (uint64_t n = 1 + rng_.below(4); n > 0; n--) exchange(out);
    out.turns.push_back(user_turn());
    out.output_max = number("100");
    if (rng_.below(2)) out.temperature = number("0.50");
    if (!out.temperature.present() && rng_.below(2)) out.top_p = number("0.9");
    if (rng_.below(2) && !any(Dialect::responses)) out.stop = {"END", "\\nX"};
    if (rng_.below(2) && !any(Dialect::gemini)) out.user = "u1";
    out.stream = rng_.below(2) && from_ != Dialect::gemini && to_ != Dialect::gemini;
    out.stream_usage = out.stream;
    if (rng_.below(3)) tools(out);
    return out;
  }

  Reply reply() {
    Reply out;
    out.model = "m-1";
    out.created = kAnswer.created;
    Choice& choice = out.choices.emplace_back();
    choice.stop = Stop::end;
    if (rng_.below(3)) choice.parts.push_back(text_part());
    for (uint64_t n = rng_.below(3); n > 0; n--) {
      choice.parts.push_back(call());
      choice.stop = Stop::tools;
    }
    if (choice.parts.empty()) choice.parts.push_back(text_part());
    if (choice.stop == Stop::end && rng_.below(3) == 0) choice.stop = Stop::length;
    out.usage.input = 20 + rng_.below(100);
    out.usage.output = 1 + rng_.below(100);
    // An answer of the Responses API always has these.
    if (any(Dialect::responses) || rng_.below(2)) out.usage.cached = rng_.below(20);
    if (any(Dialect::responses)) out.usage.reasoning = 0;
    return out;
  }

  // A stream of OpenAI's, calls one after the other.
  std::string stream() {
    std::string out;
    auto chunk = [&](const std::string& delta) {
      out += "data: {\"id\":\"chatcmpl-1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":" + delta + "}]}\n\n";
    };
    for (uint64_t n = rng_.below(4); n > 0; n--) chunk("{\"reasoning_content\":\"" + word() + "\"}");
    for (uint64_t n = rng_.below(4); n > 0; n--) chunk("{\"content\":\"" + word() + "\"}");
    uint64_t calls = rng_.below(3);
    if (calls == 0) chunk("{\"content\":\"end\"}");
    for (uint64_t i = 0; i < calls; i++) {
      std::string index = "{\"tool_calls\":[{\"index\":" + std::to_string(i);
      chunk(index + ",\"id\":\"call_" + std::to_string(i) + "\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}");
      std::string input = index + ",\"function\":{\"arguments\":\"";
      if (any(Dialect::gemini) || any(Dialect::responses)) {  // Where they are whole, or come after each other.
        chunk(input + "{\\\"a\\\":[1]}\"}}]}");
        continue;
      }
      chunk(input + "{\\\"a\\\":\"}}]}");
      chunk(input + "[1]}\"}}]}");
    }
    out += "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" +
           std::string(calls ? "tool_calls" : rng_.below(2) ? "stop" : "length") + "\"}]}\n\n";
    std::string details = any(Dialect::responses)
                              ? R"(,"prompt_tokens_details":{"cached_tokens":2},)"
                                R"("completion_tokens_details":{"reasoning_tokens":0})"
                              : "";
    if (any(Dialect::responses) || rng_.below(2))
      out += "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4" + details + "}}\n\n";
    return out + "data: [DONE]\n\n";
  }

  Rng& rng() { return rng_; }

 private:
  bool any(Dialect dialect) const { return from_ == dialect || to_ == dialect; }
  Raw number(const char* text) { return store_.keep_json(text); }

  // An inner that neither begins nor ends with white space.
  std::string word() {
    static constexpr std::string_view kPieces[] = {"a", "word ", "\\n", "\\\"", "\\\\", "\\u00e9", "\xc3\xa9", "\\t",
                                                   "\xf0\x9f\x98\x80", "{", "}", "\\/", "0"};
    std::string out = "x";
    for (uint64_t n = rng_.below(8); n > 0; n--) out += kPieces[rng_.below(std::size(kPieces))];
    return out + "y";
  }

  Part text_part() {
    Part part;
    part.text = store_.keep(word());
    return part;
  }

  Part image() {
    Part part;
    part.kind = Part::Kind::image;
    bool url = rng_.below(2) && !any(Dialect::gemini);
    part.source.kind = url ? Source::Kind::url : Source::Kind::base64;
    part.source.data = url ? "https://example.org/a.png" : "iVBORw0KGgo=";
    if (!url) part.source.media_type = "image/png";
    return part;
  }

  Part call() {
    static constexpr const char* kInputs[] = {"{}", R"({"a":1.50,"b":"\u00e9\"q\""})", R"({"list":[{"x":null},-1e3]})"};
    Part part;
    part.kind = Part::Kind::tool_call;
    part.id = store_.keep("call_" + std::to_string(calls_++));
    part.name = rng_.below(2) ? "f" : "get-it_2";
    part.input = store_.keep_json(kInputs[rng_.below(std::size(kInputs))]);
    return part;
  }

  Turn user_turn() {
    Turn turn;
    turn.parts.push_back(text_part());
    for (uint64_t n = rng_.below(3); n > 0; n--) turn.parts.push_back(rng_.below(2) ? text_part() : image());
    return turn;
  }

  // A user's turn and an answer, with calls and their results.
  void exchange(Request& out) {
    out.turns.push_back(user_turn());
    Turn& turn = out.turns.emplace_back();
    turn.role = Turn::Role::assistant;
    if (from_ == Dialect::anthropic && to_ == Dialect::openai && rng_.below(3) == 0) {
      Part& thought = turn.parts.emplace_back(text_part());
      thought.kind = Part::Kind::thinking;
      thought.signature = "c2lnbmF0dXJl";
      thought.origin = Dialect::anthropic;
    }
    uint64_t calls = rng_.below(3);
    if (calls == 0 || rng_.below(2)) turn.parts.push_back(text_part());
    std::vector<Part> made;
    for (; calls > 0; calls--) made.push_back(call());
    for (const Part& one : made) turn.parts.push_back(one);
    if (made.empty()) return;
    Turn& results = out.turns.emplace_back();
    for (const Part& one : made) {
      Part& result = results.parts.emplace_back();
      result.kind = Part::Kind::tool_result;
      result.id = one.id;
      result.name = one.name;
      result.content.push_back(text_part());
    }
    Turn& answer = out.turns.emplace_back();
    answer.role = Turn::Role::assistant;
    answer.parts.push_back(text_part());
  }

  void tools(Request& out) {
    for (const char* name : {"f", "get-it_2"}) {
      Tool& tool = out.tools.emplace_back();
      tool.name = name;
      // It is true there unless this is said; in Anthropic's it is false.
      if (any(Dialect::responses) && !any(Dialect::anthropic)) tool.strict = false;
      if (rng_.below(2)) tool.description = "It does \\\"it\\\".";
      tool.schema = store_.keep_json(R"({"type":"object","properties":{"a":{"type":"number"}}})");
    }
    using Kind = ToolChoice::Kind;
    static constexpr Kind kKinds[] = {Kind::absent, Kind::automatic, Kind::none, Kind::any, Kind::named};
    out.tool_choice.kind = kKinds[rng_.below(std::size(kKinds))];
    if (out.tool_choice.kind == Kind::named) out.tool_choice.names.push_back("f");
  }

  Rng rng_;
  Dialect from_, to_;
  Store store_;
  uint64_t calls_ = 0;
};

// `body` of one dialect in the other. Nothing is lost.
std::string rewritten(Dialect from, Dialect to, const std::string& body) {
  Store store;
  Result<Request> request = read_request(from, body, store);
  if (!request.ok()) fail_msg("%s: %s: %s", name_of(from), request.error().where.c_str(), body.c_str());
  // Where the path says it, the gateway knows.
  Result<WrittenRequest> written = write_request(to, request.value(), kHow, store);
  if (!written.ok()) fail_msg("%s: %s", written.error().where.c_str(), written.error().message.c_str());
  if (!written.value().losses.empty())
    fail_msg("%s to %s loses %s: %s", name_of(from), name_of(to), written.value().losses.text().c_str(), body.c_str());
  std::string out = written.value().body;
  if (to != Dialect::responses || from == to) return out;
  // Nothing is kept at the provider for callers who speak otherwise; what was thought comes along instead.
  constexpr std::string_view kStateless = R"(,"store":false,"include":["reasoning.encrypted_content"])";
  size_t at = out.find(kStateless);
  if (at == out.npos) fail_msg("it is to be kept at the provider: %s", out.c_str());
  return out.erase(at, kStateless.size());
}

std::string answered(Dialect from, Dialect to, const std::string& body) {
  Store store;
  Losses losses;
  Result<Reply> reply = read_answer(from, body, store);
  if (!reply.ok()) fail_msg("%s: %s: %s", name_of(from), reply.error().message.c_str(), body.c_str());
  std::string out = write_answer(to, reply.value(), kAnswer, losses);
  if (!losses.empty()) fail_msg("%s to %s loses %s", name_of(from), name_of(to), losses.text().c_str());
  return out;
}

std::string streamed(Dialect from, Dialect to, std::string_view bytes) {
  StreamTranslator translator(from, to, kAnswer);
  std::string out;
  SseParser parser;
  SseEvent event;
  while (parser.next(bytes, event)) assert_true(translator.event(event, out));
  assert_true(translator.end(out) && !translator.failed());
  return out;
}

template <typename Check>
void each_pair(uint64_t runs, Check check) {
  for (Dialect a : kAll)
    for (Dialect b : kAll)
      for (uint64_t run = 0; a != b && run < runs; run++) check(run, a, b);
}

void same(uint64_t run, Dialect a, Dialect b, const std::string& is, const std::string& should) {
  if (is == should) return;
  size_t at = static_cast<size_t>(std::mismatch(is.begin(), is.end(), should.begin(), should.end()).first - is.begin());
  at -= std::min<size_t>(at, 100);
  fail_msg("run %llu, %s by way of %s\nis:     %s\nshould: %s", static_cast<unsigned long long>(run), name_of(a),
           name_of(b), is.substr(at, 500).c_str(), should.substr(at, 500).c_str());
}

void conversations_there_and_back(void**) {
  each_pair(300, [](uint64_t run, Dialect a, Dialect b) {
    Generator generator(run, a, b);
    Request request = generator.request();
    Store store;
    Result<WrittenRequest> first = write_request(a, request, kHow, store);
    assert_true(first.ok());
    // Once through its own dialect: what is then there is what it says.
    std::string should = rewritten(a, a, first.value().body);
    same(run, a, b, rewritten(b, a, rewritten(a, b, should)), should);
  });
}

void answers_there_and_back(void**) {
  each_pair(300, [](uint64_t run, Dialect a, Dialect b) {
    Generator generator(run, a, b);
    Losses losses;
    std::string should = write_answer(a, generator.reply(), kAnswer, losses);
    assert_true(losses.empty());
    same(run, a, b, answered(b, a, answered(a, b, should)), should);
  });
}

void streams_there_and_back(void**) {
  each_pair(300, [](uint64_t run, Dialect a, Dialect b) {
    Generator generator(run, a, b);
    std::string should = streamed(Dialect::openai, a, generator.stream());
    same(run, a, b, streamed(b, a, streamed(a, b, should)), should);
  });
}

// No damage is fatal, and what is written can be read.
void what_is_damaged(void**) {
  uint64_t taken = 0;
  each_pair(200, [&](uint64_t run, Dialect a, Dialect b) {
    Generator generator(run, a, b);
    Request request = generator.request();
    Store store;
    std::string body = damaged(generator.rng(), write_request(a, request, kHow, store).value().body, "\"{}[],:\\u0");
    Result<Request> read = read_request(a, body, store);
    if (!read.ok()) return;
    Result<WrittenRequest> written = write_request(b, read.value(), kHow, store);
    if (!written.ok()) return;
    taken++;
    Result<Request> back = read_request(b, written.value().body, store);
    if (!back.ok())
      fail_msg("%s to %s: %s: %s: %s\nof: %s", name_of(a), name_of(b), back.error().where.c_str(),
               back.error().message.c_str(), written.value().body.c_str(), body.c_str());
  });
  assert_true(taken > 100);
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) {
  lb::seed = lb::seed_of(argc, argv);
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::conversations_there_and_back),
      cmocka_unit_test(lb::answers_there_and_back),
      cmocka_unit_test(lb::streams_there_and_back),
      cmocka_unit_test(lb::what_is_damaged),
  };
  return cmocka_run_group_tests_name("dialects", tests, nullptr, nullptr);
}
