// What the vectors (tests/vectors/wire) do not see of translated streams: allocations, usage, and what follows the end.
#include "wire/dialect/translate.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "unit/allocations.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

constexpr Dialect kAll[] = {Dialect::openai, Dialect::responses, Dialect::anthropic, Dialect::gemini};
constexpr const char* kNames[] = {"openai", "responses", "anthropic", "gemini"};
constexpr size_t kPieces = 400;

std::string chunk(const std::string& delta) {
  return "data: {\"id\":\"chatcmpl-1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":" + delta + "}]}\n\n";
}

enum class Say : uint8_t { text, input };

// A stream of one long text, or of one call with a long input, in pieces of one size.
std::string openai_stream(Say say) {
  std::string out = chunk(R"({"role":"assistant","content":""})");
  if (say == Say::input)
    out += chunk(R"({"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\":\""}}]})");
  for (size_t i = 0; i < kPieces; i++)
    out += say == Say::text ? chunk(R"({"content":" word \"q\""})")
                            : chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"abc\\n\\\"d"}}]})");
  if (say == Say::input) out += chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]})");
  return out + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
         "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
}

std::string translated(std::string_view bytes, Dialect from, Dialect to) {
  StreamTranslator translator(from, to, {.id = "1", .created = 1, .stream_usage = true});
  std::string out;
  SseParser parser;
  SseEvent event;
  while (parser.next(bytes, event)) translator.event(event, out);
  assert_true(translator.end(out));
  assert_true(translator.usage().input == 3 && translator.usage().output == 4);
  return out;
}

// Allocations of the translator alone, for the events in the middle of a stream.
size_t allocations_between(std::string_view bytes, Dialect from, Dialect to) {
  StreamTranslator translator(from, to, {.id = "1", .created = 1, .stream_usage = true});
  std::string out;
  out.reserve(4096);
  SseParser parser;
  SseEvent event;
  size_t count = 0;
  for (size_t i = 0; parser.next(bytes, event); i++) {
    out.clear();
    size_t before = allocations;
    translator.event(event, out);
    if (i >= kPieces / 4 && i < kPieces) count += allocations - before;
  }
  return count;
}

void no_allocation_per_event(void**) {
  for (Say say : {Say::text, Say::input}) {
    std::string origin = openai_stream(say);
    for (Dialect from : kAll) {
      // Gemini's calls come whole: there is no event of a fragment.
      if (say == Say::input && from == Dialect::gemini) continue;
      std::string stream = from == Dialect::openai ? origin : translated(origin, Dialect::openai, from);
      for (Dialect to : kAll) {
        size_t count = allocations_between(stream, from, to);
        // What keeps the whole text to say it again, or to send it whole, doubles its memory now and then.
        bool keeps = to == Dialect::responses || (to == Dialect::gemini && say == Say::input);
        if (count > (keeps ? 8 : 0))
          fail_msg("%s to %s, %s: %zu allocations", kNames[static_cast<size_t>(from)], kNames[static_cast<size_t>(to)],
                   say == Say::text ? "text" : "input", count);
      }
    }
  }
}

void thinking_allocates_as_its_text_grows(void**) {
  std::string stream;
  for (size_t i = 0; i < kPieces; i++) stream += chunk(R"({"reasoning_content":" word"})");
  for (Dialect to : kAll) assert_true(allocations_between(stream, Dialect::openai, to) <= 8);
}

// An event that is like the last one is not read anew: what it becomes is the same as if it were. With a space behind
// its data no event is like the last one.
void events_like_the_last_say_what_they_say(void**) {
  std::string stream;
  for (const char* delta :
       {R"({"content":"a"})", R"({"content":"b"})", R"({"content":""})", R"({"content":"c\"d"})",
        "{\"content\":\"e\x01\"}", R"({"content":"f"},"finish_reason":null)", R"({"content":"g","refusal":"h"})",
        R"({"reasoning_content":"j"})", R"({"reasoning_content":"k"})", R"({"content":"l"})", R"({"content":"m"})"})
    stream += chunk(delta) + chunk(delta);
  stream += openai_stream(Say::text);
  for (Dialect from : kAll) {
    std::string events = stream;
    if (from != Dialect::openai) events = translated(openai_stream(Say::text), Dialect::openai, from);
    for (Dialect to : kAll) {
      StreamTranslator quick(from, to, {.id = "1"}), slow(from, to, {.id = "1"});
      std::string said, should, data;
      SseParser parser;
      SseEvent event;
      size_t count = 0;
      for (std::string_view rest = events; parser.next(rest, event);) {
        data.assign(event.data).append(count++ % 2, ' ');
        bool read = quick.event(event, said);
        event.data = data;
        assert_int_equal(read, slow.event(event, should));
      }
      assert_string_equal(said.c_str(), should.c_str());
    }
  }
}

void nothing_follows_the_end(void**) {
  for (Dialect to : kAll) {
    std::string stream = openai_stream(Say::text);
    StreamTranslator translator(Dialect::openai, to, {.id = "1"});
    std::string out;
    SseParser parser;
    SseEvent event;
    for (std::string_view bytes = stream; parser.next(bytes, event);) translator.event(event, out);
    std::string whole = out;
    for (std::string_view bytes = stream; parser.next(bytes, event);) translator.event(event, out);
    assert_true(translator.end(out) && !translator.failed() && out == whole);
  }
}

void losses_are_named_once_and_some_counted(void**) {
  Losses losses;
  assert_true(losses.empty() && losses.text().empty());
  losses.add("seed");
  losses.add("user");
  losses.add("seed");
  assert_string_equal(losses.text().c_str(), "seed, user");
  for (size_t i = 2; i < Losses::kNamedMax; i++) losses.add("x" + std::to_string(i));
  assert_null(std::strstr(losses.text().c_str(), "more"));
  losses.add("one more");
  assert_non_null(std::strstr(losses.text().c_str(), ", and 1 more"));
  Losses odd;
  odd.add("a, b\xc3\xa9\r\n");
  assert_string_equal(odd.text().c_str(), "a??b????");
  odd.add(std::string(100, 'x'));
  assert_int_equal(odd.text().size(), 10 + Losses::kNameMax);
}

void the_last_usage_that_says_something_wins(void**) {
  Tokens tokens;
  assert_false(tokens.any());
  tokens.take({.input = 0, .output = 0});
  assert_false(tokens.any());
  tokens.take({.input = 5, .cached = 2, .output = 1});
  tokens.take({.output = 7});
  tokens.take({});
  tokens.take({.input = 0, .output = 0});
  assert_true(tokens.input == 5 && tokens.cached == 2 && tokens.output == 7);
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::no_allocation_per_event),
      cmocka_unit_test(lb::thinking_allocates_as_its_text_grows),
      cmocka_unit_test(lb::events_like_the_last_say_what_they_say),
      cmocka_unit_test(lb::nothing_follows_the_end),
      cmocka_unit_test(lb::losses_are_named_once_and_some_counted),
      cmocka_unit_test(lb::the_last_usage_that_says_something_wins),
  };
  return cmocka_run_group_tests_name("translate", tests, nullptr, nullptr);
}
