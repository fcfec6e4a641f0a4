// A good answer while it goes by, as a stream of events and as JSON: however it is cut, the same is made of it; and the
// short cut for events that are like the last one says the same as reading each of them.
#include "fuzz/fuzz.h"
#include "wire/openai.h"

namespace lb::fuzz {
namespace {

std::string end_text(const OpenAiAnswer& answer) {
  auto text = [](std::optional<uint64_t> number) { return number ? std::to_string(*number) : std::string("-"); };
  const Usage& usage = answer.usage();
  return std::string(answer.finished() ? " finished" : "") + (answer.failed() ? " failed" : "") + " malformed " +
         std::to_string(answer.malformed()) + " usage " + text(usage.input) + " " + text(usage.output) + " " +
         text(usage.cached) + " error " + answer.error_text();
}

std::string as_events(std::string_view text, const Cuts& cuts, bool responses) {
  SseParser parser;
  OpenAiAnswer answer(OpenAiAnswer::Form::events, responses);
  std::string log;
  each_part(text, cuts, [&](std::string_view part) {
    SseEvent event;
    while (parser.next(part, event)) {
      if (event.comment) continue;
      auto sign = answer.event(event, &parser);
      event.expected = false;
      OpenAiAnswer fresh(OpenAiAnswer::Form::events, responses);
      require(fresh.event(event) == sign, "the short cut reads an event otherwise");
      log += std::to_string(static_cast<int>(sign)) + (answer.finished() ? "f" : "") + (answer.failed() ? "e" : "") +
             std::to_string(answer.malformed()) + ";";
    }
  });
  return log + end_text(answer);
}

std::string as_json(std::string_view text, const Cuts& cuts, bool responses) {
  OpenAiAnswer answer(OpenAiAnswer::Form::json, responses);
  auto sign = OpenAiAnswer::Sign::life;
  bool failed = false;
  each_part(text, cuts, [&](std::string_view part) {
    require(!failed || answer.failed(), "a failure that goes away");
    sign = answer.bytes(part);
    failed = answer.failed();
    require((sign == OpenAiAnswer::Sign::error) == failed, "a failure without a sign");
  });
  return std::to_string(static_cast<int>(sign)) + end_text(answer);
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  bool responses = input.choices.below(2) == 1;
  Choices again = input.choices;
  same_at_any_cut(input.text, input.choices,
                  [&](const lb::Cuts& cuts) { return as_events(input.text, cuts, responses); });
  same_at_any_cut(input.text, again, [&](const lb::Cuts& cuts) { return as_json(input.text, cuts, responses); });
  return 0;
}
