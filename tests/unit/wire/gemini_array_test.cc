#include "wire/dialect/gemini_array.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

// The elements, a line each, and how it ended; in two pieces, the second of `piece` bytes at a time.
std::string read(const std::string& text, size_t first, size_t piece) {
  GeminiArray array;
  std::string out;
  for (size_t at = 0, size = first; at < text.size(); at += size, size = piece) {
    std::string own = text.substr(at, size);
    size = own.size();
    std::string_view bytes = own;
    SseEvent event;
    while (array.next(bytes, event)) out.append(event.data).append("\n");
    assert_true(bytes.empty());
  }
  return out + (array.faulty() ? "faulty" : array.ended() ? "ended" : "open");
}

void must_be(const std::string& text, const char* should) {
  assert_string_equal(read(text, text.size(), 1).c_str(), should);
  for (size_t cut = 1; cut < text.size(); cut++) assert_string_equal(read(text, cut, text.size()).c_str(), should);
  assert_string_equal(read(text, 1, 1).c_str(), should);
}

void elements_are_found(void**) {
  must_be("[{\"a\":1},\r\n{\"b\":[{}]}\n]\n", "{\"a\":1}\n{\"b\":[{}]}\nended");
  must_be(" [ {\"a\":\"}]\\\"\\\\\"} , {} ] ", "{\"a\":\"}]\\\"\\\\\"}\n{}\nended");
  must_be("[]", "ended");
  must_be("{\"error\":{\"code\":400}}\n", "{\"error\":{\"code\":400}}\nended");
}

void what_is_cut_is_open(void**) {
  must_be("[{\"a\":1},{\"b\":", "{\"a\":1}\nopen");
  must_be("[{\"a\":1},", "{\"a\":1}\nopen");
  must_be("[{\"a\":1}", "{\"a\":1}\nopen");
}

void what_is_no_array_is_faulty(void**) {
  must_be("data: {}\n\n", "faulty");
  must_be("[1]", "faulty");
  must_be("[{}{}]", "{}\nfaulty");
  must_be("[{}] {}", "{}\nfaulty");
  must_be("{}{}", "{}\nfaulty");
}

void elements_have_a_limit(void**) {
  std::string text = "[{\"a\":\"" + std::string(SseParser::kEventMax - 8, 'x') + "\"}]";
  assert_true(read(text, text.size(), 1).ends_with("\"}\nended"));
  text.insert(8, "x");
  assert_string_equal(read(text, text.size(), 1).c_str(), "faulty");
}

void what_is_written_is_read(void**) {
  std::string out;
  GeminiArray::append(out, "{\"a\":1}", true);
  GeminiArray::append(out, "{\"b\":2}", false);
  out.append(GeminiArray::kEnd);
  must_be(out, "{\"a\":1}\n{\"b\":2}\nended");
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(elements_are_found),         cmocka_unit_test(what_is_cut_is_open),
      cmocka_unit_test(what_is_no_array_is_faulty), cmocka_unit_test(elements_have_a_limit),
      cmocka_unit_test(what_is_written_is_read),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
