// What a ScanListener is told. What a JsonScan finds, and which documents it takes, is scan_test.cc's.
#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "wire/scan.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::HeardPath;
using lb::JsonScan;
using lb::JsonType;
using lb::Rng;
using lb::ScanPaths;

// Each path is wanted and heard under the same number, so that the one can be held against the other.
constexpr std::string_view kPaths[] = {"a", "a.b", "a.*", "a.*.c", "list", "list.*", "list.*.b", "c"};
constexpr HeardPath kHeard[] = {{"a", 0},      {"a.b", 1},      {"a.*", 2}, {"a.*.c", 3}, {"list", 4}, {"list.*", 5},
                                {"list.*.b", 6}, {"c", 7}};
constexpr ScanPaths kScan(kPaths, kHeard);

struct Recorder final : lb::ScanListener {
  explicit Recorder(uint32_t wanted_paths, size_t most = SIZE_MAX) : wanted(wanted_paths), bytes_max(most) {}

  bool begin(int16_t as, JsonType type) override {
    story += "<" + std::to_string(as) + ":" + std::to_string(static_cast<int>(type));
    if (type == JsonType::string || type == JsonType::object || type == JsonType::array) open.push_back({as, ""});
    return wanted >> as & 1;
  }
  bool bytes(int16_t as, std::string_view raw) override {
    assert_true(wanted >> as & 1);
    assert_true(!raw.empty());
    for (size_t i = open.size(); i-- > 0;) {
      if (open[i].as != as) continue;
      open[i].raw += raw;
      return open[i].raw.size() < bytes_max;
    }
    fail();
    return false;
  }
  void end(int16_t as) override {
    assert_true(!open.empty() && open.back().as == as);
    story += ">" + std::to_string(as) + "=" + open.back().raw + " ";
    ended.push_back(open.back());
    open.pop_back();
  }

  struct Value {
    int16_t as;
    std::string raw;
  };
  uint32_t wanted;  // Paths whose bytes are, by bit.
  size_t bytes_max;
  std::string story;
  std::vector<Value> open, ended;
};

constexpr uint32_t kAll = 0xff, kNone = 0;

std::string told(const std::string& text, uint32_t wanted = kAll) {
  Recorder recorder(wanted);
  JsonScan scan(kScan);
  scan.feed(text, &recorder);
  return recorder.story;
}

void assert_any_split(const std::string& text, uint32_t wanted) {
  std::string whole = told(text, wanted);
  JsonScan scan(kScan);
  for (size_t cut = 0; cut <= text.size(); cut++) {
    Recorder recorder(wanted);
    scan.reset();
    scan.feed(std::string(text, 0, cut), &recorder);
    scan.feed(std::string(text, cut), &recorder);
    assert_string_equal(recorder.story.c_str(), whole.c_str());
  }
  Recorder recorder(wanted);
  scan.reset();
  for (char c : text) scan.feed(std::string(1, c), &recorder);
  assert_string_equal(recorder.story.c_str(), whole.c_str());
}

void values_are_told_of_in_their_order(void**) {
  struct Case {
    const char* text;
    uint32_t wanted;
    const char* story;  // <path:type ... >path=bytes
  };
  for (const Case& c : {
           Case{R"({"c":"x\"y","x":"no","a":{"b":"z"}})", kAll, R"(<7:1>7=x\"y <0:5<1:1>1=z >0={"b":"z"} )"},
           Case{R"({"c":"x\"y","x":"no","a":{"b":"z"}})", kNone, "<7:1>7= <0:5<1:1>1= >0= "},
           Case{R"({"c":1,"c":null,"c":true,"c":""})", kAll, "<7:2<7:4<7:3<7:1>7= "},
           Case{R"({"list":[1,"s",[ ],{"b":[2]}]})", 0x60,
                R"(<4:6<5:2<5:1>5=s <5:6>5=[ ] <5:5<6:6>6= >5={"b":[2]} >4= )"},
           Case{R"({"list":[ {"b" : "t" } ] })", 0x10, R"(<4:6<5:5<6:1>6= >5= >4=[ {"b" : "t" } ] )"},
           Case{R"({"a":[{"c":{}},{"c":[]}]})", 0x08, "<0:6<2:5<3:5>3={} >2= <2:5<3:6>3=[] >2= >0= "},
           Case{R"("c")", kAll, ""},
           Case{R"([{"c":1}])", kAll, ""},
       }) {
    assert_string_equal(told(c.text, c.wanted).c_str(), c.story);
    assert_any_split(c.text, c.wanted);
  }
}

void who_has_enough_gets_no_more(void**) {
  const std::string text = R"({"c":"0123456789","list":["0123456789",1],"c":"0123456789"})";
  for (size_t most = 1; most <= 12; most++) {
    Recorder recorder(kAll & ~0x20u, most);
    JsonScan scan(kScan);
    for (char c : text) scan.feed(std::string(1, c), &recorder);
    assert_true(scan.complete());
    assert_int_equal(recorder.ended.size(), 4);
    assert_string_equal(recorder.ended[0].raw.c_str(), std::string("0123456789", std::min<size_t>(most, 10)).c_str());
    assert_string_equal(recorder.ended[2].raw.c_str(), std::string("[\"0123456789\",1]", most).c_str());
    assert_string_equal(recorder.ended[3].raw.c_str(), recorder.ended[0].raw.c_str());
  }
}

void a_scan_goes_without_a_listener(void**) {
  const std::string text = R"({"c":"text","list":["s",{"b":{}}],"a":{"b":1}})";
  JsonScan scan(kScan);
  for (size_t cut = 0; cut <= text.size(); cut++) {
    scan.reset();
    Recorder recorder(kAll);
    scan.feed(text.substr(0, cut), &recorder);
    scan.feed(text.substr(cut));  // Not allowed, but no harm.
    assert_true(scan.complete());
  }
}

void a_document_that_is_given_up_leaves_nothing(void**) {
  const std::string next = R"({"x":"not heard","list":[1],"c":"y"})";
  for (const char* before : {R"({"c":"te)", R"({"c":"te\)", R"({"list":[)", R"({"list":[{"b":"x)", R"({"list":[}])"}) {
    JsonScan scan(kScan);
    Recorder lost(kAll), recorder(kAll);
    scan.feed(before, &lost);
    scan.reset();
    scan.feed(next, &recorder);
    assert_string_equal(recorder.story.c_str(), told(next).c_str());
  }
}

void long_strings_come_whole(void**) {
  for (size_t size : {16'383u, 16'384u, 16'385u, 100'000u}) {
    for (size_t piece : {size_t{999}, size_t{16'384}, size_t{1'000'000}}) {
      std::string value(size, 'v');
      for (size_t i = 0; i + 1 < size; i += 1023) value.replace(i, 2, "\\\"");
      value.replace(size - 2, 2, "\\\\");
      std::string text = R"({"c":")" + value + R"(","a":[")" + value + R"("]})";
      Recorder recorder(0x81);
      JsonScan scan(kScan);
      for (size_t at = 0; at < text.size(); at += piece) scan.feed(text.substr(at, piece), &recorder);
      assert_true(scan.complete());
      assert_true(recorder.ended[0].raw == value);
      assert_true(recorder.ended[2].raw == "[\"" + value + "\"]");
    }
  }
}

void make_value(Rng& rng, uint64_t depth, std::string& out) {
  const char* const keys[] = {"a", "b", "c", "list", "x", "\\u0061", "*"};
  const char* const scalars[] = {"null", "1", "true", "\"\"", "\"text\"", "\"\\\"\"", "\"\\\\\"", "\"{[,:]}\""};
  uint64_t what = rng.below(depth == 0 ? 1 : 4);
  if (rng.below(4) == 0) out += ' ';
  if (what == 0) {
    out += scalars[rng.below(std::size(scalars))];
    return;
  }
  bool object = what < 3;
  out += object ? '{' : '[';
  for (uint64_t i = 0, n = rng.below(5); i < n; i++) {
    if (i > 0) out += ',';
    if (object) out += '"' + std::string(keys[rng.below(std::size(keys))]) + "\":";
    make_value(rng, depth - 1, out);
  }
  out += object ? '}' : ']';
}

// The bytes told of a value are those where it was found, unless they belong to a wanted container around it.
void random_documents_are_told_as_they_are_found(void**) {
  for (uint64_t seed = 1; seed <= 4000; seed++) {
    Rng rng(seed);
    std::string text;
    make_value(rng, 5, text);
    text += '\n';
    // Of paths below one another, one: then nothing wanted is in anything wanted.
    const uint32_t masks[] = {0x91, 0x9a, 0x94, 0xa8, 0xc8, kNone};
    uint32_t wanted = masks[rng.below(std::size(masks))];
    Recorder recorder(wanted);
    JsonScan scan(kScan);
    assert_true(scan.feed(text, &recorder));
    assert_true(recorder.open.empty());
    for (int16_t path = 0; path < 8; path++) {
      const JsonScan::Found& found = scan[static_cast<size_t>(path)];
      const Recorder::Value* last = nullptr;
      for (const Recorder::Value& value : recorder.ended)
        if (value.as == path) last = &value;
      if (found.type != JsonType::string && found.type != JsonType::object && found.type != JsonType::array) continue;
      assert_non_null(last);
      std::string raw = text.substr(found.begin, found.end - found.begin);
      if (found.type == JsonType::string) raw = raw.substr(1, raw.size() - 2);
      assert_string_equal(last->raw.c_str(), wanted >> path & 1 ? raw.c_str() : "");
    }
    if (text.size() < 200) assert_any_split(text, wanted);
    if (text.size() < 200) assert_any_split(text, kAll);
  }
}

void spoilt_documents_do_no_harm(void**) {
  constexpr std::string_view kBytes = "{}[],:\"\\ tn0abc*";
  for (uint64_t seed = 1; seed <= 4000; seed++) {
    Rng rng(seed);
    std::string text;
    make_value(rng, 4, text);
    for (uint64_t i = 0, n = 1 + rng.below(3); i < n; i++)
      text.insert(rng.below(text.size() + 1), 1, kBytes[rng.below(kBytes.size())]);
    if (text.size() < 150) assert_any_split(text, static_cast<uint32_t>(rng.below(256)));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(values_are_told_of_in_their_order),
      cmocka_unit_test(who_has_enough_gets_no_more),
      cmocka_unit_test(a_scan_goes_without_a_listener),
      cmocka_unit_test(a_document_that_is_given_up_leaves_nothing),
      cmocka_unit_test(long_strings_come_whole),
      cmocka_unit_test(random_documents_are_told_as_they_are_found),
      cmocka_unit_test(spoilt_documents_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
