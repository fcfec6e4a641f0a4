// Server-sent events: the parser finds what a second one finds, which was written down from the standard, also where
// it expects events like those that came; and an event that is written again reads the same.
#include "wire/sse.h"

#include "fuzz/fuzz.h"
#include "property/wire/sse_reference.h"

namespace lb::fuzz {
namespace {

std::string read(std::string_view text, const Cuts& cuts, bool expecting) {
  SseParser parser;
  std::string log;
  each_part(text, cuts, [&](std::string_view part) {
    SseEvent event;
    while (parser.next(part, event)) {
      note_event(log, event.name, event.data, event.comment, event.end);
      require(event.end == parser.offset(), "an event ends elsewhere than the parser is");
      if (expecting) expect_like(parser, event);
    }
    require(part.empty() && !parser.faulty(), "bytes are left over");
  });
  require(parser.offset() == text.size(), "bytes were lost");
  return log + (parser.mid_event() ? "open" : "");
}

void write_again(std::string_view text) {
  SseParser parser;
  SseEvent event;
  while (parser.next(text, event)) {
    if (event.comment) continue;
    std::string again = "event: " + std::string(event.name) + "\n", name(event.name), data(event.data);
    for (std::string_view rest = data;;) {
      size_t size = rest.find('\n');
      again += "data: " + std::string(rest.substr(0, size)) + "\n";
      if (size == rest.npos) break;
      rest.remove_prefix(size + 1);
    }
    again += "\n";
    SseParser second;
    std::string_view bytes = again;
    SseEvent back;
    require(second.next(bytes, back), "what was written is no event");
    require_same(back.name, name, "the name that was written");
    require_same(back.data, data, "the data that was written");
    require(bytes.empty() && !back.comment, "what was written is more than one event");
  }
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  Choices again = input.choices;
  std::string log = same_at_any_cut(input.text, input.choices, [&](const lb::Cuts& cuts) {
    return read(input.text, cuts, false);
  });
  same_at_any_cut(input.text, again, [&](const lb::Cuts& cuts) {
    std::string expecting = read(input.text, cuts, true);
    require_same(expecting, log, "an event that was expected is read otherwise");
    return expecting;
  });
  if (log.ends_with("open")) log.resize(log.size() - 4);
  require_same(log, lb::expected_events(input.text), "the standard reads otherwise");
  write_again(input.text);
  return 0;
}
