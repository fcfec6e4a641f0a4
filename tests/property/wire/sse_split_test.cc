// Laws of SSE: a second parser, written down from the standard without regard for cost, finds the same events; and no
// way of cutting the bytes changes any of them.
#include "wire/sse.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "property/wire/sse_reference.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Cuts;
using lb::Rng;
using lb::SseEvent;
using lb::SseParser;

uint64_t seed = 1;

std::string parsed(std::string_view bytes, const Cuts& cuts, bool expecting = false) {
  SseParser parser;
  std::string log;
  lb::each_part(bytes, cuts, [&](std::string_view part) {
    SseEvent event;
    while (parser.next(part, event)) {
      lb::note_event(log, event.name, event.data, event.comment, event.end);
      if (expecting) lb::expect_like(parser, event);
    }
    assert_true(part.empty() && !parser.faulty());
  });
  assert_int_equal(parser.offset(), bytes.size());
  return log;
}

// Events that differ in a text between quotes, nearly.
std::string likes(Rng& rng, std::string_view mark) {
  static constexpr std::string_view kTexts[] = {"a",     "bc",  "",           "a longer text", "\\", "\\\"",
                                                "x\ny", "x\r", "\xc3\xa9\t"};
  static constexpr std::string_view kBefore[] = {"event: n", ": c", "id: 1", "data: \"", "event: m"};
  std::string out, before, after;
  if (rng.below(2)) before = std::string(kBefore[rng.below(std::size(kBefore))]) + std::string(mark);
  before += rng.below(4) ? "data: {\"" : "data:\"";
  after = "\"}" + std::string(mark) + (rng.below(4) ? "" : "id: 1" + std::string(mark)) + std::string(mark);
  for (uint64_t n = 1 + rng.below(5); n > 0; n--)
    out.append(before).append(kTexts[rng.below(std::size(kTexts))]).append(after);
  return out;
}

std::string random_stream(Rng& rng) {
  static constexpr std::string_view kMarks[] = {"\n", "\r\n", "\r"};
  static constexpr std::string_view kStarts[] = {"data: ", "data:", "data", "event: ", "event", ":", ": ", "id: ",
                                                 "", "", "", "x", "data:  ", " data: ", "\xef\xbb\xbf" "data: "};
  std::string out = rng.below(4) ? "" : "\xef\xbb\xbf";
  std::string_view mark = kMarks[rng.below(3)];
  bool mixed = rng.below(3) == 0;
  for (uint64_t n = rng.below(30); n > 0; n--) {
    if (rng.below(4) == 0) out += likes(rng, mark);
    std::string_view start = kStarts[rng.below(std::size(kStarts))];
    out += start;
    if (!start.empty())
      for (uint64_t size = rng.below(rng.below(10) ? 8 : 3000); size > 0; size--)
        out += "ab{}\": \xc3\xa9\t"[rng.below(10)];
    out += mixed ? kMarks[rng.below(3)] : mark;
  }
  return out;
}

void small_streams_at_every_cut(void**) {
  for (std::string_view text :
       {"data: a\n\ndata: b\ndata: c\n\n", "event: x\r\ndata: a\r\n\r\n: c\r\n\r\ndata:b\r\n\r\n",
        "data: a\r\rdata\rid: 3\r\r", "\xef\xbb\xbf" "data: a\r\n\n\r\n\r\rdata: q\r\n\r", "\r\n\r\ndata:x\n\r\n\r\n",
        "\r\r\r\n", ":\n\n\xef\xbb\xbf\n\n", "\xef\xbb\xbf\n\n"}) {
    std::string all = lb::expected_events(text);
    assert_string_equal(parsed(text, lb::every_byte(text.size())).c_str(), all.c_str());
    for (size_t a = 0; a <= text.size(); a++)
      for (size_t b = a; b <= text.size(); b++) assert_string_equal(parsed(text, {a, b}).c_str(), all.c_str());
  }
}

void random_streams_at_random_cuts(void**) {
  for (uint64_t run = 0; run < 3000; run++) {
    Rng rng(seed * 1'000'000 + run);
    std::string text = random_stream(rng);
    if (run % 3 == 0) text = lb::damaged(rng, text, "\r\n: data");
    std::string all = lb::expected_events(text);
    for (int i = 0; i < 3; i++) {
      std::string log = parsed(text, i ? lb::random_cuts(rng, text.size()) : Cuts{}, i != 1);
      if (log == all) continue;
      print_error("run %llu: %s\n", static_cast<unsigned long long>(run), lb::shown(text).c_str());
      assert_string_equal(log.c_str(), all.c_str());
    }
  }
}

void anything_is_survived(void**) {
  Rng rng = Rng(seed).split("noise");
  for (int run = 0; run < 3000; run++) {
    std::string text;
    for (uint64_t size = rng.below(200); size > 0; size--)
      text += rng.below(2) ? "\r\n:d\xef\xbb\xbf"[rng.below(7)] : static_cast<char>(rng.below(256));
    std::string all = lb::expected_events(text);
    assert_string_equal(parsed(text, lb::random_cuts(rng, text.size())).c_str(), all.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  seed = lb::seed_of(argc, argv);
  const CMUnitTest tests[] = {
      cmocka_unit_test(small_streams_at_every_cut),
      cmocka_unit_test(random_streams_at_random_cuts),
      cmocka_unit_test(anything_is_survived),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
