#include "wire/scan.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "naive.h"
#include "wire/escape.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::json_quote;
using lb::JsonScan;
using lb::JsonType;
using lb::Rng;
using lb::ScanPaths;

// The longest name that there may be, and one in which each letter counts.
#define LONGEST "a_name_of_the_greatest_length_that_counts"

constexpr std::string_view kPaths[] = {
    "model", "stream", "usage.prompt_tokens", "choices.*.delta.content", "choices.*.index", "a", "a.b",
    "a.b.c", "a.*",    "*.x",
};
enum : size_t { kModel, kStream, kTokens, kContent, kIndex, kA, kAB, kABC, kAElement, kElementX };
constexpr ScanPaths kScan(kPaths);

// Everything that can be seen of a scanner, as text: two that have read the same bytes must show the same.
std::string shown(const JsonScan& scan) {
  std::string out = scan.faulty() ? "faulty" : scan.complete() ? "complete" : "open";
  out += " at " + std::to_string(scan.offset()) + (scan.is_object() ? " object" : "");
  if (scan.faulty()) return out;
  for (size_t i = 0; i < kScan.size(); i++) {
    const JsonScan::Found& f = scan[i];
    if (f.times == 0) continue;
    out += "\n" + std::string(kPaths[i]) + " type " + std::to_string(static_cast<int>(f.type)) + " " +
           std::to_string(f.begin) + ".." + std::to_string(f.end) + " times " + std::to_string(f.times) +
           (f.nonempty ? " nonempty" : "") + (f.cut ? " cut" : "") + " " + std::string(scan.text(i));
  }
  return out;
}

std::string scanned(std::string_view text) {
  JsonScan scan(kScan);
  scan.feed(text);
  return shown(scan);
}

// In two pieces cut at every place, and byte by byte: all must show what the whole does.
void assert_any_split(const std::string& text) {
  std::string whole = scanned(text);
  JsonScan scan(kScan);
  for (size_t cut = 0; cut <= text.size(); cut++) {
    scan.reset();
    scan.feed(std::string(text, 0, cut));
    scan.feed(std::string(text, cut));
    assert_string_equal(shown(scan).c_str(), whole.c_str());
  }
  scan.reset();
  for (char c : text) scan.feed(std::string(1, c));
  assert_string_equal(shown(scan).c_str(), whole.c_str());
}

JsonScan read(std::string_view text) {
  JsonScan scan(kScan);
  scan.feed(text);
  return scan;
}

void values_are_found_where_they_stand(void**) {
  std::string text = R"( {"x":[1,2,{"model":"no"}], "model" : "gpt-4o" ,"stream":true,)"
                     R"("usage":{"prompt_tokens":12,"other":1},"a":{"b":null}} )";
  assert_any_split(text);
  JsonScan scan = read(text);
  assert_true(scan.complete() && scan.is_object());
  assert_int_equal(scan.offset(), text.size());
  assert_true(scan[kModel].type == JsonType::string);
  assert_int_equal(scan[kModel].times, 1);  // Not the one inside of "x".
  size_t begin = scan[kModel].begin, end = scan[kModel].end;
  assert_string_equal(text.substr(begin, end - begin).c_str(), "\"gpt-4o\"");
  assert_string_equal(scan.string(kModel).c_str(), "gpt-4o");
  assert_true(scan.is_true(kStream));
  uint64_t tokens = 0;
  assert_true(scan.integer(kTokens, tokens));
  assert_int_equal(tokens, 12);
  assert_true(scan[kA].type == JsonType::object);
  assert_true(scan[kAB].type == JsonType::null);
  assert_true(scan[kABC].type == JsonType::absent);
  assert_int_equal(scan[kABC].times, 0);
}

// They are gone over at once where they are at hand; cut, they are not, and nothing else may differ.
void members_that_nobody_asked_for_are_read_like_others(void**) {
  for (const char* text : {
           R"({"u":1,"v":"a\"b\\","w":null,"model":"m"})", R"({"u":1 ,"v": -2.5e3, "w":[],"model":"m","x":false})",
           R"({"u":1"model":"m"})", R"({"u":"x""model":"m"})", R"({"u":x,"model":"m"})", R"({"u":"x"])", R"({"u":1,})",
           R"({"u":1,"v":2)", R"({"u":1,"v":"open)", R"({"u":1,"v")", R"({"u":1,"v":)", R"({"u":tru,"mod\u0065l":"m"})",
           R"({"\u0075":1,"v\\":2,"model":"m"})",
           R"({"a":{"c":1,"d":"]","b":2,"e":{"x":1,"model":"no"}},"stream":true})",
           R"({"u":[{"x":1,"y":2},{"x":1,"y":"}"}],"model":"m"})",
           R"({"a name with more letters than any path has":"x","model":"m"})"})
    assert_any_split(text);
  assert_string_equal(read(R"({"u":1,"v":"\"","w":null,"model":"m"})").string(kModel).c_str(), "m");
  assert_true(read(R"({"u":1"model":"m"})").faulty());
  assert_true(read(R"({"u":"x""model":"m"})").faulty());
}

void elements_of_arrays_are_found(void**) {
  std::string text = R"({"choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{"content":""}}]})";
  assert_any_split(text);
  JsonScan scan = read(text);
  uint64_t index = 9;
  assert_true(scan.integer(kIndex, index));
  assert_int_equal(index, 1);  // The last.
  assert_int_equal(scan[kIndex].times, 2);
  assert_string_equal(scan.string(kContent).c_str(), "");
  assert_true(scan[kContent].nonempty);  // Some occurrence is.
  assert_int_equal(read(R"([{"x":1},{"x":2}])")[kElementX].times, 2);
  assert_int_equal(read(R"({"a":[1,[2],3]})")[kAElement].times, 3);
}

void a_member_called_star_is_no_element(void**) {
  assert_int_equal(read(R"({"a":{"*":1}})")[kAElement].times, 0);
  assert_int_equal(read(R"({"*":{"x":1}})")[kElementX].times, 0);
  assert_int_equal(read(R"({"choices":{"*":{"index":1}}})")[kIndex].times, 0);
  assert_int_equal(read(R"({"a.b":1})")[kAB].times, 0);
  assert_int_equal(read(R"({"a":[{"b":1}]})")[kAB].times, 0);
}

void keys_are_compared_with_their_escapes_decoded(void**) {
  for (const char* key : {R"(model)", R"(mod\u0065l)", R"(\u006dodel)", R"(\u006D\u006F\u0064\u0065\u006C)",
                          R"(mode\u006c)"}) {
    std::string text = "{\"" + std::string(key) + "\":\"one\",\"model\":\"two\"}";
    assert_any_split(text);
    assert_int_equal(read(text)[kModel].times, 2);
    assert_string_equal(read(text).string(kModel).c_str(), "two");
  }
  for (const char* key : {R"(Model)", R"(model\u0000)", R"(mode\l)", R"(mod\u0065)", R"(mod\\u0065l)", R"(mod\u65l)",
                          R"( model)", R"(modell)", R"(\ud800model)", R"(model\")", ""}) {
    std::string text = "{\"" + std::string(key) + "\":1}";
    assert_any_split(text);
    assert_int_equal(read(text)[kModel].times, 0);
    assert_true(read(text).complete());
  }
}

// A name of the greatest length written as long as can be; longer keys match nothing and take no memory.
void the_longest_name_and_one_over(void**) {
  static constexpr std::string_view kName = std::string_view(LONGEST).substr(0, ScanPaths::kNameMax);
  static constexpr std::string_view kNames[] = {kName};
  static constexpr ScanPaths kLong(kNames);
  static_assert(kName.size() == ScanPaths::kNameMax);
  std::string escaped;
  for (char c : kName) {
    char code[8];
    snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
    escaped += code;
  }
  for (const std::string& key : {std::string(kName), escaped}) {
    std::string text = "{\"" + key + "\":1}", over = "{\"" + key + "h\":1}";
    for (size_t cut = 0; cut < text.size(); cut++) {
      JsonScan scan(kLong), other(kLong);
      scan.feed(text.substr(0, cut));
      scan.feed(text.substr(cut));
      assert_int_equal(scan[0].times, 1);
      other.feed(over.substr(0, cut));
      other.feed(over.substr(cut));
      assert_int_equal(other[0].times, 0);
      assert_true(other.complete());
    }
  }
  JsonScan scan(kLong);
  scan.feed("{\"" + std::string(100'000, 'k'));
  scan.feed(std::string(100'000, 'k') + "\":1}");
  assert_true(scan.complete());
}

void repeated_members_are_counted(void**) {
  JsonScan scan = read(R"({"model":"a","model":{"model":"c"},"usage":{"prompt_tokens":1},"usage":{}})");
  assert_int_equal(scan[kModel].times, 2);
  assert_true(scan[kModel].type == JsonType::object);
  assert_true(scan.text(kModel).empty());
  assert_int_equal(scan[kTokens].times, 1);
  scan = read(R"({"model":"a","model":)");
  assert_int_equal(scan[kModel].times, 1);  // Counted when its value begins.
  scan.feed("\"");
  assert_int_equal(scan[kModel].times, 2);
  assert_int_equal(scan[kModel].end, 0);
}

void nothing_is_null_or_empty(void**) {
  for (const char* empty : {"null", "\"\"", "{}", "[]", "{ }", "[ ]"})
    assert_false(read("{\"a\":" + std::string(empty) + "}")[kA].nonempty);
  for (const char* mute : {"null", "\"\"", "{}", "[]", "0", "true", "\"x", "{\"x\":1"})
    assert_false(read("{\"a\":" + std::string(mute))[kA].spoken);
  for (const char* spoken : {"\"x\"", "[0]", "{\"x\":null}", "\"x\",\"a\":false", "[0],\"a\":{"})
    assert_true(read("{\"a\":" + std::string(spoken))[kA].spoken);
  for (const char* full : {"0", "false", "true", "\" \"", "\"\\n\"", "{\"x\":null}", "[null]", "-1", "[[]]"})
    assert_true(read("{\"a\":" + std::string(full) + "}")[kA].nonempty);
}

void faults_of_structure(void**) {
  for (const char* text :
       {"{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[,1]", "{,}", "{1:2}", "{a:1}", "[1 2]",
        "[\"a\" \"b\"]", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{\"a\"::1}", "{} {}", "{}x", "{},", "]", "}", ",", ":",
        "[1]]", "{\"a\":1}}", "[1}", "{\"a\":[1}", "1 2", "\"a\" \"b\"", "nullnull \"a\"", "[trUe]", "[tr\"ue\"]",
        "'a'", "[NaN]", "[Infinity]", "[+1]", "[.5]", "//", "[1/2]", "{\"a\":1;\"b\":2}", "\xef\xbb\xbf{}", "[\x01]",
        "[1\v]"}) {
    assert_any_split(std::string(text) + "\n");
    JsonScan scan = read(std::string(text) + "\n");
    assert_true(scan.faulty());
    assert_false(scan.complete());
    assert_false(scan.feed("1"));
    assert_true(scan.offset() <= strlen(text) + 1);
  }
  JsonScan scan = read(std::string_view("[\0]", 3));
  assert_true(scan.faulty());
}

void what_is_not_ended_is_not_complete(void**) {
  for (const char* text : {"", " ", "{", "[", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":\"", "{\"a\":\"\\",
                           "[1,",
                           "[[]", "\"abc", "\"abc\\\""}) {
    JsonScan scan = read(text);
    assert_false(scan.faulty());
    assert_false(scan.complete());
  }
}

void a_bare_number_ends_with_what_follows(void**) {
  JsonScan scan = read("42");
  assert_false(scan.complete());
  assert_true(scan.feed(" "));
  assert_true(scan.complete());
  assert_false(scan.is_object());
  assert_true(read("\"text\"").complete());
  assert_true(read("[]").complete());
}

// Lexical rules are the upstream's to judge: what is not understood passes as it is.
void what_only_looks_wrong_passes(void**) {
  for (const char* text : {"[01]", "[1.2.3]", "[--]", "[tru]", "[nul]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\n\"]",
                           "[\"\xff\"]"})
    assert_true(read(text).complete());
  assert_false(read(R"({"stream":tru})").is_true(kStream));
  assert_false(read(R"({"stream":"true"})").is_true(kStream));
  assert_false(read(R"({"stream":truetrue})").is_true(kStream));
  assert_false(read(R"({"stream":1})").is_true(kStream));
}

void depth_has_its_limit(void**) {
  for (const char* open : {"[", "{\"k\":"}) {
    std::string deep, close;
    for (uint32_t i = 0; i < JsonScan::kDepthMax; i++) {
      deep += open;
      close += *open == '[' ? "]" : "}";
    }
    JsonScan scan = read(deep);
    assert_false(scan.faulty());
    assert_true(scan.feed("1" + close));
    assert_true(scan.complete());
    scan.reset();
    assert_false(scan.feed(deep + open));
  }
}

// Far more than is kept of texts that no path has any more.
void repeated_texts_do_not_pile_up(void**) {
  std::string text = "{\"stream\":true,\"model\":\"first\"";
  std::string value;
  for (int i = 0; i < 400; i++) {
    value = std::string(900, static_cast<char>('a' + i % 26)) + std::to_string(i);
    text += ",\"a\":{\"b\":\"" + value + "\"},\"usage\":{\"prompt_tokens\":" + std::to_string(i) + "}";
  }
  for (size_t piece : {text.size(), size_t{1}, size_t{4096}}) {
    JsonScan scan(kScan);
    for (size_t at = 0; at < text.size(); at += piece) scan.feed(std::string_view(text).substr(at, piece));
    scan.feed("}");
    assert_true(scan.complete());
    assert_true(scan.is_true(kStream));
    assert_string_equal(scan.string(kModel).c_str(), "first");
    assert_string_equal(scan.string(kAB).c_str(), value.c_str());
    uint64_t tokens = 0;
    assert_true(scan.integer(kTokens, tokens));
    assert_int_equal(tokens, 399);
    assert_true(scan.texts_bytes() <= JsonScan::kTextsMax + JsonScan::kCaptureMax);
  }
}

void captures_have_their_limit(void**) {
  for (size_t over : {0u, 1u, 2u, 1000u, 100'000u}) {
    std::string value(JsonScan::kCaptureMax - 2 + over, 'v');
    std::string text = "{\"model\":\"" + value + "\"}";
    for (size_t cut : {size_t{0}, size_t{500}, text.size() - 2, text.size() - 3}) {
      JsonScan scan(kScan);
      scan.feed(text.substr(0, cut));
      scan.feed(text.substr(cut));
      assert_true(scan[kModel].cut == (over > 0));
      assert_int_equal(scan[kModel].end, text.size() - 1);
      assert_true(scan.text(kModel).size() <= JsonScan::kCaptureMax);
      std::string kept = scan.string(kModel);
      assert_int_equal(kept.size(), over == 0 ? value.size() : JsonScan::kCaptureMax - 1);
    }
  }
  std::string digits(JsonScan::kCaptureMax + 1, '0');
  JsonScan scan = read("{\"usage\":{\"prompt_tokens\":" + digits + "}}");
  uint64_t value = 0;
  assert_true(scan[kTokens].cut);
  assert_false(scan.integer(kTokens, value));
}

void strings_are_decoded(void**) {
  struct Case {
    const char* raw;
    const char* text;
  };
  for (const Case& c : {Case{R"(a\"b\\c\/d)", "a\"b\\c/d"}, Case{R"(\b\f\n\r\t)", "\b\f\n\r\t"},
                        Case{R"(\u00e4\u20AC)", "\xc3\xa4\xe2\x82\xac"}, Case{R"(\ud83d\ude00!)", "\xf0\x9f\x98\x80!"},
                        Case{R"(\ud83d!)", "\xef\xbf\xbd!"}, Case{R"(\ude00\ud83d)", "\xef\xbf\xbd\xef\xbf\xbd"},
                        Case{R"(\ud83d\u0041)", "\xef\xbf\xbd\x41"}, Case{R"(\u12)", "\\u12"}, Case{R"(\x)", "\\x"},
                        Case{"\xc3\xa4", "\xc3\xa4"}, Case{"", ""}, Case{R"(\u-123)", "\\u-123"}}) {
    std::string text = "{\"model\":\"" + std::string(c.raw) + "\"}";
    assert_any_split(text);
    assert_string_equal(read(text).string(kModel).c_str(), c.text);
  }
  assert_string_equal(read(R"({"model":7})").string(kModel).c_str(), "");
  assert_string_equal(read(R"({"model":"part)").string(kModel).c_str(), "part");
}

void integers_are_whole_and_not_negative(void**) {
  auto integer = [](const std::string& value, uint64_t& out) {
    return read("{\"usage\":{\"prompt_tokens\":" + value + "}}").integer(kTokens, out);
  };
  uint64_t out = 1;
  assert_true(integer("0", out) && out == 0);
  assert_true(integer("18446744073709551615", out) && out == UINT64_MAX);
  for (const char* bad : {"-1", "1.0", "1e3", "18446744073709551616", "null", "\"5\"", "true", "[5]", "-"})
    assert_false(integer(bad, out));
  assert_true(out == UINT64_MAX);  // Left alone.
  assert_false(read(R"({"usage":{"prompt_tokens":12)").integer(kTokens, out));  // More digits may come.
}

void reset_forgets_all(void**) {
  JsonScan scan(kScan);
  for (const char* before : {R"({"model":"a","stream":true,"a":{"b":{"c":1}}})", R"({"model":"a\)", "{]", R"({"mod)",
      "[1"}) {
    scan.feed(before);
    scan.reset();
    assert_string_equal(shown(scan).c_str(), scanned("").c_str());
    scan.feed(R"({"el":1,"model":"b"})");
    assert_string_equal(shown(scan).c_str(), scanned(R"({"el":1,"model":"b"})").c_str());
    scan.reset();
  }
}

// --- Against a plain recursive reader ---

const char* const kKeys[] = {"model", "stream",  "usage", "prompt_tokens", "choices",     "delta",
                             "content", "index", "a",     "b",             "c",           "x",
                             "*",     "mod\\u0065l", "\\u0061", "a.b",     "\\\"model",   "",
                             "a key that nobody asks for, longer than a block of sixty-four bytes \\\\ is"};
const char* const kScalars[] = {"null", "true", "false", "0", "-1.5e+3", "18446744073709551615", "\"\"", "\"text\"",
                                "\"\\\"\"", "\"\\\\\"", "\"{[,:]}\"", "\"\\ud83d\\ude00\"", "\"model\""};

void space(Rng& rng, std::string& out) {
  while (rng.below(6) == 0) out += " \t\r\n"[rng.below(4)];
}

void make_value(Rng& rng, uint64_t depth, std::string& out) {
  space(rng, out);
  uint64_t what = rng.below(depth == 0 ? 2 : 6);
  if (what == 0 && rng.below(8) == 0) {
    out += '"' + std::string(rng.below(1500), 's') + (rng.below(2) ? "\\n" : "") + '"';
  } else if (what < 2) {
    out += kScalars[rng.below(std::size(kScalars))];
  } else {
    bool object = what < 5;
    out += object ? '{' : '[';
    space(rng, out);
    for (uint64_t i = 0, n = rng.below(5); i < n; i++) {
      if (i > 0) out += ',';
      space(rng, out);
      if (object) {
        out += '"' + std::string(kKeys[rng.below(std::size(kKeys))]) + '"';
        space(rng, out);
        out += ':';
      }
      make_value(rng, depth - 1, out);
    }
    out += object ? '}' : ']';
  }
  space(rng, out);
}

JsonType type_of(char c) {
  switch (c) {
    case '{': return JsonType::object;
    case '[': return JsonType::array;
    case '"': return JsonType::string;
    case 't':
    case 'f': return JsonType::boolean;
    case 'n': return JsonType::null;
    default: return JsonType::number;
  }
}

void assert_as_the_plain_reader(const std::string& text) {
  naive::Reader reader(text);
  bool fine = reader.document();
  JsonScan scan = read(text);
  if (fine != scan.complete()) print_message("differs: %s\n", text.c_str());
  assert_true(fine == scan.complete());
  if (!fine) return;
  for (size_t i = 0; i < kScan.size(); i++) {
    const naive::Seen& seen = reader.seen[std::string(kPaths[i])];
    const JsonScan::Found& found = scan[i];
    assert_int_equal(found.times, seen.times);
    if (seen.times == 0) continue;
    assert_true(found.type == type_of(seen.type));
    assert_int_equal(found.begin, seen.begin);
    assert_int_equal(found.end, seen.end);
    assert_int_equal(found.nonempty, seen.nonempty);
    assert_int_equal(found.cut, seen.text.size() > JsonScan::kCaptureMax);
    assert_true(scan.text(i) == seen.text.substr(0, JsonScan::kCaptureMax));
  }
}

void random_documents_read_as_by_the_plain_reader(void**) {
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    Rng rng(seed);
    std::string text;
    make_value(rng, 1 + rng.below(6), text);
    text += '\n';
    assert_as_the_plain_reader(text);
    if (text.size() < 400) assert_any_split(text);
  }
}

void spoilt_documents_are_refused_as_by_the_plain_reader(void**) {
  constexpr std::string_view kBytes = "{}[],:\"\\ tn0-x*";
  for (uint64_t seed = 1; seed <= 6000; seed++) {
    Rng rng(seed);
    std::string text;
    make_value(rng, 1 + rng.below(4), text);
    text += '\n';
    for (uint64_t i = 0, n = 1 + rng.below(2); i < n; i++) {
      size_t at = rng.below(text.size());
      char c = kBytes[rng.below(kBytes.size())];
      uint64_t how = rng.below(3);
      if (how == 0) text[at] = c;
      else if (how == 1) text.insert(at, 1, c);
      else text.erase(at, 1);
    }
    text += '\n';
    assert_as_the_plain_reader(text);
    if (text.size() < 120) assert_any_split(text);
  }
}

void random_bytes_do_no_harm(void**) {
  constexpr std::string_view kBytes = "{}[],:\"\\u0aemodlstr1. \n\xff";
  for (uint64_t seed = 1; seed <= 4000; seed++) {
    Rng rng(seed);
    bool any = rng.below(4) == 0;
    std::string text(rng.below(80), ' ');
    for (char& c : text) c = any ? static_cast<char>(rng.next()) : kBytes[rng.below(kBytes.size())];
    if (rng.below(2)) text.insert(0, "{\"model\":\"");
    assert_any_split(text);
    JsonScan scan = read(text);
    uint64_t out;
    for (size_t i = 0; i < kScan.size(); i++) {
      scan.string(i);
      scan.integer(i, out);
    }
  }
}

// --- json_quote ---

void quoting_is_undone_by_reading(void**) {
  for (const char* text : {"", "plain", "\"\\/", "\b\f\n\r\t\x01\x1f\x7f", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                           "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"}) {
    std::string quoted = json_quote(text);
    JsonScan scan = read("{\"model\":" + quoted + "}");
    assert_true(scan.complete());
    assert_string_equal(scan.string(kModel).c_str(), text);
    for (char c : quoted) assert_true(static_cast<unsigned char>(c) >= 0x20);
  }
  assert_string_equal(json_quote(std::string_view("a\0b", 3)).c_str(), "\"a\\u0000b\"");
}

void what_is_no_utf8_is_replaced(void**) {
  const std::string bad = "\xef\xbf\xbd";
  struct Case {
    const char* bytes;
    int replaced;
    const char* rest;
  };
  for (const Case& c :
       {Case{"\xff", 1, ""}, Case{"\x80", 1, ""}, Case{"\xc3", 1, ""}, Case{"\xc3(", 1, "("}, Case{"\xc0\xaf", 2, ""},
        Case{"\xc1\xbf", 2, ""}, Case{"\xe2\x82", 2, ""}, Case{"\xe0\x9f\xbf", 3, ""}, Case{"\xed\xa0\x80", 3, ""},
        Case{"\xf0\x8f\xbf\xbf", 4, ""}, Case{"\xf4\x90\x80\x80", 4, ""}, Case{"\xf5\x80\x80\x80", 4, ""},
        Case{"\xf0\x9f\x98", 3, ""}, Case{"\xe2\x82x", 2, "x"}}) {
    std::string expected = "\"";
    for (int i = 0; i < c.replaced; i++) expected += bad;
    expected += std::string(c.rest) + "\"";
    assert_string_equal(json_quote(c.bytes).c_str(), expected.c_str());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(values_are_found_where_they_stand),
      cmocka_unit_test(members_that_nobody_asked_for_are_read_like_others),
      cmocka_unit_test(elements_of_arrays_are_found),
      cmocka_unit_test(a_member_called_star_is_no_element),
      cmocka_unit_test(keys_are_compared_with_their_escapes_decoded),
      cmocka_unit_test(the_longest_name_and_one_over),
      cmocka_unit_test(repeated_members_are_counted),
      cmocka_unit_test(nothing_is_null_or_empty),
      cmocka_unit_test(faults_of_structure),
      cmocka_unit_test(what_is_not_ended_is_not_complete),
      cmocka_unit_test(a_bare_number_ends_with_what_follows),
      cmocka_unit_test(what_only_looks_wrong_passes),
      cmocka_unit_test(depth_has_its_limit),
      cmocka_unit_test(repeated_texts_do_not_pile_up),
      cmocka_unit_test(captures_have_their_limit),
      cmocka_unit_test(strings_are_decoded),
      cmocka_unit_test(integers_are_whole_and_not_negative),
      cmocka_unit_test(reset_forgets_all),
      cmocka_unit_test(random_documents_read_as_by_the_plain_reader),
      cmocka_unit_test(spoilt_documents_are_refused_as_by_the_plain_reader),
      cmocka_unit_test(random_bytes_do_no_harm),
      cmocka_unit_test(quoting_is_undone_by_reading),
      cmocka_unit_test(what_is_no_utf8_is_replaced),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
