// Server-sent events: lines, fields and ends, whichever way the bytes come.
#include "wire/sse.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::SseEvent;
using lb::SseParser;

#define assert_text(actual, expected) assert_string_equal(std::string(actual).c_str(), expected)

// "name|data@end" for each event, ":@end" for a sign of life; "x" before one that was expected.
struct Reader {
  SseParser parser;
  bool expects = false;  // More of what comes, with another text between its first two quotes.
  std::string log;

  Reader& feed(std::string_view bytes) {
    std::string own(bytes);  // Views of it that are used too late are found by ASan.
    std::string_view rest = own;
    SseEvent event;
    while (parser.next(rest, event)) {
      if (!log.empty()) log += ' ';
      if (event.comment)
        log += ":";
      else
        log.append(event.expected ? "x" : "").append(event.name).append("|").append(event.data);
      log += "@" + std::to_string(event.end);
      size_t from = event.data.find('"') + 1;
      if (expects && from > 0) parser.expect(event.data.substr(from, event.data.find('"', from) - from));
    }
    assert_true(parser.faulty() || rest.empty());
    return *this;
  }
};

std::string read(std::string_view bytes) { return Reader().feed(bytes).log; }

void events_end_at_blank_lines(void**) {
  assert_text(read("data: a\n\ndata: b\n\n"), "|a@9 |b@18");
  assert_text(read("data: a\r\n\r\ndata: b\r\n\r\n"), "|a@11 |b@22");
  assert_text(read("data: a\r\rdata: b\r\r"), "|a@9 |b@18");
  assert_text(read("data: a\n"), "");
  assert_text(read(""), "");
}

void fields_are_name_and_data(void**) {
  assert_text(read("event: ping\ndata: {\"a\": 1}\n\n"), "ping|{\"a\": 1}@28");
  assert_text(read("data: a\nevent: x\nevent: y\n\n"), "y|a@27");       // The last name counts.
  assert_text(read("event: x\n\ndata: a\n\n"), "x|@10 |a@19");          // A name is for one event.
  assert_text(read("id: 1\nretry: 5\nother\ndata: a\n\n"), "|a@30");     // What is of no use here is skipped.
  assert_text(read("data:a\n\n"), "|a@8");                                // The space is optional, ...
  assert_text(read("data:  a \n\n"), "| a @11");                          // ... and only one is taken.
  assert_text(read("data\n\n"), "|@6");
  assert_text(read("Data: a\ndata : b\n data: c\n\n"), "|@27");          // Names are exact.
  assert_text(read("data: a:b\n\n"), "|a:b@11");
}

void data_lines_are_joined(void**) {
  assert_text(read("data: a\ndata: b\ndata:\ndata: c\n\n"), "|a\nb\n\nc@31");
  assert_text(read("data\ndata\n\n"), "|\n@11");
  assert_text(read("data: a\r\nevent: x\r\ndata: b\r\n\r\n"), "x|a\nb@30");
}

void comments_are_signs_of_life(void**) {
  assert_text(read(": ping\n\n"), ":@8");
  assert_text(read(":\n\n\n"), ":@3 :@4");
  assert_text(read("\n"), ":@1");
  assert_text(read(": x\ndata: a\n: y\n\n"), "|a@17");
  SseEvent event;
  SseParser parser;
  std::string_view bytes = "data: a\n\n:\n\n";
  assert_true(parser.next(bytes, event));
  assert_false(event.comment);
  assert_true(parser.next(bytes, event));
  assert_true(event.comment);
  assert_int_equal(event.data.size() + event.name.size(), 0);
}

void a_mark_of_order_is_skipped_once(void**) {
  assert_text(read("\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\n"), "|a@12 |@24");
  assert_text(Reader().feed("\xef").feed("\xbb").feed("\xbf" "data: a\n\n").log, "|a@12");
}

void whole_data_is_not_copied(void**) {
  std::string text = "event: x\ndata: hello\nid: 1\n\n";
  std::string_view rest = text;
  SseParser parser;
  SseEvent event;
  assert_true(parser.next(rest, event));
  assert_ptr_equal(event.data.data(), text.data() + 15);
  assert_int_equal(rest.size(), 0);
}

void split_data_outlives_its_bytes(void**) {
  std::string text = "event: name\ndata: hello\ndata: world\n\n";
  for (size_t cut = 0; cut <= text.size(); cut++)
    assert_text(Reader().feed(text.substr(0, cut)).feed(text.substr(cut)).log, "name|hello\nworld@37");
  Reader reader;
  for (char c : text + text) reader.feed({&c, 1});
  assert_text(reader.log, "name|hello\nworld@37 name|hello\nworld@74");
}

void an_lf_belongs_to_its_cr(void**) {
  // In a stream of CRLFs the event is whole with its LF, ...
  Reader crlf;
  crlf.feed("data: a\r\n\r");
  assert_text(crlf.log, "");
  assert_true(crlf.parser.mid_event());
  crlf.feed("\n");
  assert_text(crlf.log, "|a@11");
  assert_false(crlf.parser.mid_event());
  // ... and in one of CRs it does not wait for the next.
  Reader cr;
  cr.feed("data: a\r\r");
  assert_text(cr.log, "|a@9");
  // Mixed: the LF is of what follows, but it is no blank line.
  assert_text(read("data: a\n\r\ndata: b\n\n"), "|a@9 |b@19");
  Reader mixed;
  mixed.feed("data: a\r\r").feed("\n");
  assert_text(mixed.log, "|a@9");
  assert_false(mixed.parser.mid_event());
  assert_int_equal(mixed.parser.offset(), 10);
  assert_text(read("data: a\r\n\rdata: b\r\r"), "|a@10 |b@19");
}

void what_is_expected_is_told_apart(void**) {
  auto read = [](std::initializer_list<std::string_view> pieces) {
    Reader reader;
    reader.expects = true;
    for (std::string_view piece : pieces) reader.feed(piece);
    return reader.log;
  };
  assert_text(read({": 1\n\ndata: {\"a\"}\n\ndata: {\"bc\"}\n\ndata: {\"\xc3\xa9\"}\n\ndata: 5\n\ndata: {\"d\"}\n\n"}),
              ":@5 |{\"a\"}@18 x|{\"bc\"}@32 x|{\"\xc3\xa9\"}@46 |5@55 x|{\"d\"}@68");
  // With its name, and of two the one that came last.
  assert_text(read({":\n\nevent: n\ndata: \"a\"\n\nevent: n\ndata: \"b\"\n\ndata: \"c\"\n\nevent: n\ndata: \"d\"\n\n"}),
              ":@3 n|\"a\"@23 xn|\"b\"@43 |\"c\"@54 n|\"d\"@74");
  // A text that is empty, or has an escape; another end; what is not whole; one in the first event.
  assert_text(read({":\n\ndata: \"a\"\n\ndata: \"\"\n\n"}), ":@3 |\"a\"@14 |\"\"@24");
  assert_text(read({":\n\ndata: \"a\"\n\ndata: \"b\\\"\"\n\n"}), ":@3 |\"a\"@14 |\"b\\\"\"@27");
  assert_text(read({":\n\ndata: \"a\"\n\ndata: \"b\n\"\n\n"}), ":@3 |\"a\"@14 |\"b@26");
  assert_text(read({":\n\ndata: \"a\"\n\ndata: \"b\"\nid: 1\n\n"}), ":@3 |\"a\"@14 |\"b\"@31");
  assert_text(read({":\n\ndata: \"a\"\n\ndata: \"b", "\"\n\ndata: \"c\"\n\n"}), ":@3 |\"a\"@14 |\"b\"@25 x|\"c\"@36");
  assert_text(read({"data: \"a\"\n\ndata: \"b\"\n\n"}), "|\"a\"@11 |\"b\"@22");
  // CRLFs; and CRs, behind which an LF would still belong to them.
  assert_text(read({":\r\n\r\ndata: \"a\"\r\n\r\ndata: \"b\"\r\n\r\n"}), ":@5 |\"a\"@18 x|\"b\"@31");
  assert_text(read({":\r\rdata: \"a\"\r\rdata: \"b\"\r\r"}), ":@3 |\"a\"@14 |\"b\"@25");
}

void progress_is_told(void**) {
  Reader reader;
  assert_false(reader.parser.mid_event());
  reader.feed("data: a\n");
  assert_true(reader.parser.mid_event());
  assert_int_equal(reader.parser.offset(), 8);
  reader.feed("\n");
  assert_false(reader.parser.mid_event());
  assert_int_equal(reader.parser.offset(), 9);
  reader.feed("d");
  assert_true(reader.parser.mid_event());
}

// Of kEventMax bytes with all its lines, and one more.
void events_have_a_bound(void**) {
  for (std::string_view end : {"\n\n", "\r\n\r\n", "\r\r"}) {
    for (size_t over : {0u, 1u}) {
      for (size_t step : {SseParser::kEventMax * 2, size_t{1} << 20}) {
        std::string text = "data: " + std::string(SseParser::kEventMax - 6 - end.size() + over, 'x') + std::string(end);
        Reader reader;
        reader.feed(": before\n\n");
        for (size_t at = 0; at < text.size(); at += step) reader.feed(std::string_view(text).substr(at, step));
        assert_int_equal(reader.parser.faulty(), over);
        assert_int_equal(reader.log.size() > SseParser::kEventMax / 2, !over);
        if (!over) continue;
        reader.feed("\n\ndata: a\n\n");
        assert_true(reader.parser.faulty());
        assert_text(reader.log, ":@10");
      }
    }
  }
}

// Many lines, none of which is too long by itself.
void bounds_hold_over_lines(void**) {
  SseParser parser;
  SseEvent event;
  std::string block;
  for (int i = 0; i < 1024; i++) block += ": " + std::string(1021, 'c') + "\n";
  for (size_t fed = 0; fed < SseParser::kEventMax; fed += block.size()) {
    assert_false(parser.faulty());
    std::string_view rest = block;
    assert_false(parser.next(rest, event));
  }
  assert_false(parser.faulty());
  std::string_view more = "\n";
  assert_false(parser.next(more, event));
  assert_true(parser.faulty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(events_end_at_blank_lines),
      cmocka_unit_test(fields_are_name_and_data),
      cmocka_unit_test(data_lines_are_joined),
      cmocka_unit_test(comments_are_signs_of_life),
      cmocka_unit_test(a_mark_of_order_is_skipped_once),
      cmocka_unit_test(whole_data_is_not_copied),
      cmocka_unit_test(split_data_outlives_its_bytes),
      cmocka_unit_test(an_lf_belongs_to_its_cr),
      cmocka_unit_test(what_is_expected_is_told_apart),
      cmocka_unit_test(progress_is_told),
      cmocka_unit_test(events_have_a_bound),
      cmocka_unit_test(bounds_hold_over_lines),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
