#include "wire/prompt.h"

#include <bit>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "wire/openai.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::OpenAiRequest;
using lb::PrefixHash;
using lb::Prompt;
using lb::Rng;

OpenAiRequest read(std::string_view text) {
  OpenAiRequest request;
  request.feed(text);
  return request;
}

// Everything that can be seen of the prompt, as text.
std::string shown(const OpenAiRequest& request) {
  return std::to_string(request.text_characters()) + " characters " + std::to_string(request.images()) + " images " +
         std::to_string(request.prefix_hash()) + " key " + request.prompt_cache_key() + " user " + request.user() +
         " n " + std::to_string(request.choices());
}

void assert_any_split(const std::string& text) {
  std::string whole = shown(read(text));
  for (size_t cut = 0; cut <= text.size(); cut++) {
    OpenAiRequest request;
    request.feed(std::string(text, 0, cut));
    request.feed(std::string(text, cut));
    assert_string_equal(shown(request).c_str(), whole.c_str());
  }
  OpenAiRequest request;
  for (char c : text) request.feed(std::string(1, c));
  assert_string_equal(shown(request).c_str(), whole.c_str());
}

void assert_prompt(const std::string& text, uint64_t characters, uint32_t images) {
  OpenAiRequest request = read(text);
  if (!request.scan().complete() || request.text_characters() != characters) print_message("body: %s\n", text.c_str());
  assert_true(request.scan().complete());
  assert_int_equal(request.text_characters(), characters);
  assert_int_equal(request.images(), images);
  assert_any_split(text);
}

uint64_t prefix(const std::string& text) {
  OpenAiRequest request = read(text);
  if (!request.scan().complete()) print_message("body: %s\n", text.c_str());
  assert_true(request.scan().complete());
  return request.prefix_hash();
}

// --- Bodies as they come, one of each shape ---

const std::string kTools =
    R"([{"type":"function","function":{"name":"get_weather","description":"The weather \"now\"",)"
    R"("parameters":{"type":"object","properties":{"text":{"type":"string"},"content":{"type":"image"}}}}}])";

void a_chat(void**) {
  assert_prompt(R"({"model":"gpt-4o","messages":[)"
                R"({"role":"developer","content":"You are kind."},)"                              // 13
                R"({"role":"user","name":"not counted","content":[)"
                R"({"type":"text","text":"What\u2019s \"this\"?\n"},)"                            // 15
                R"({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"high"}},)"
                R"({"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},)"
                R"({"type":"file","file":{"file_data":"JVBERi0=","filename":"text"}}]},)"
                R"({"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",)"
                R"("function":{"name":"get_weather","arguments":"{\"city\":\"Z\u00fcrich\"}"}},)"   // 17
                R"({"id":"call_2","type":"custom","custom":{"name":"x","input":"abc"}}]},)"       // 3
                R"({"role":"tool","tool_call_id":"call_1","content":"warm"},)"                    // 4
                R"({"role":"assistant","function_call":{"name":"f","arguments":"{}"}},)"          // 2
                R"({"role":"assistant","content":[{"type":"text","text":"\u5f88\u6696"},)"        // 2
                R"({"type":"refusal","refusal":"no"}]}],"tools":)" +
                    kTools + R"(,"stream":true,"user":"u-1","n":2})",
                13 + 15 + 17 + 3 + 4 + 2 + 2 + kTools.size(), 1);
}

void a_responses_request(void**) {
  assert_prompt(R"({"model":"gpt-5","instructions":"Be brief.","input":[)"                        // 9
                R"({"type":"message","role":"user","content":[{"type":"input_text","text":"漢字 here"},)"  // 7
                R"({"type":"input_image","image_url":"data:image/png;base64,AAAA"},)"
                R"({"type":"input_file","filename":"a.pdf","file_data":"data:;base64,AAAA"}]},)"
                R"({"type":"reasoning","summary":[{"type":"summary_text","text":"x"}],"encrypted_content":"gA"},)"
                R"({"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},)"   // 7
                R"({"type":"function_call_output","call_id":"c","output":"done"},)"               // 4
                R"({"type":"function_call_output","call_id":"d","output":[{"type":"input_text","text":"ok"},)"  // 2
                R"({"type":"input_image","image_url":"https://example.com/x.png"}]},)"
                R"({"type":"custom_tool_call","call_id":"e","name":"g","input":"print 1!"},)"     // 8
                R"({"role":"user","content":"And?"}],"tools":[ ],"prompt_cache_key":"k","metadata":{"user_id":"m"}})",
                9 + 7 + 7 + 4 + 2 + 8 + 4 + 3, 2);
  assert_prompt(R"({"model":"gpt-5","input":"Tell me a \ud83d\ude00 story"})", 17, 0);
  // A prompt kept by the provider: nothing here says how long it is.
  assert_prompt(R"({"model":"m","prompt":{"id":"pmpt_1","variables":{"text":"abc"}},"input":"hi"})", 2, 0);
}

void completions_and_embeddings(void**) {
  assert_prompt(R"({"model":"m","prompt":"Once upon","max_tokens":5,"suffix":"end"})", 9, 0);
  assert_prompt(R"({"model":"m","prompt":["One","\u4e8c",""],"n":3})", 4, 0);
  assert_prompt(R"({"model":"m","prompt":[1,22,333]})", 3 * Prompt::kTokenCharacters, 0);
  assert_prompt(R"({"model":"m","input":"Ein Satz"})", 8, 0);
  assert_prompt(R"({"model":"m","input":["Ein Satz","und noch einer"]})", 22, 0);
  assert_prompt(R"({"model":"m","input":[[1,22,333],[4]],"encoding_format":"base64","dimensions":256})",
                4 * Prompt::kTokenCharacters, 0);
}

void a_request_of_anthropics_shape(void**) {
  assert_prompt(R"({"model":"claude-opus-4-5","max_tokens":1024,"system":[)"
                R"({"type":"text","text":"You are Claude.","cache_control":{"type":"ephemeral"}},)"  // 15
                R"({"type":"text","text":"Be kind."}],"messages":[{"role":"user","content":[)"       // 8
                R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},)"
                R"({"type":"document","source":{"type":"text","media_type":"text/plain","data":"no"},"title":"t"},)"
                R"({"type":"text","text":"What?"}]},{"role":"assistant","content":[)"                // 5
                R"({"type":"thinking","thinking":"hm","signature":"Eq=="},)"
                R"({"type":"text","text":"Look:"},)"                                                 // 5
                R"({"type":"tool_use","id":"toolu_1","name":"zoom","input":{"x": 1, "text":"abc"}}]},)"  // 22
                R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[)"
                R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},)"
                R"({"type":"text","text":"zoomed"}]},)"                                              // 6
                R"({"type":"tool_result","tool_use_id":"toolu_2","content":"failed","is_error":true}]}],)"  // 6
                R"("tools":)" + kTools + R"(,"metadata":{"user_id":"user_7"}})",
                15 + 8 + 5 + 5 + 22 + 6 + 6 + kTools.size(), 2);
  assert_prompt(R"({"system":"You are Claude.","messages":[{"role":"user","content":"Hi"}]})", 17, 0);
}

void a_request_of_geminis_shape(void**) {
  const std::string body =
      R"({"systemInstruction":{"parts":[{"text":"Be kind."}]},"contents":[)"                     // 8
      R"({"role":"user","parts":[{"text":"What?"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0="}},)"  // 5
      R"({"fileData":{"mimeType":"application/pdf","fileUri":"files/1"}}]},)"
      R"({"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}}]},)"              // 7
      R"({"role":"user","parts":[{"functionResponse":{"name":"f","response":{"b":2}}}]}],)"      // 7
      R"("generationConfig":{"maxOutputTokens":9,"candidateCount":2}})";
  assert_prompt(body, 27, 1);
  assert_int_equal(read(body).output_tokens_max(), 9);
  assert_int_equal(read(body).choices(), 2);
  assert_int_not_equal(prefix(body), 0);
  std::string other = body;
  other.replace(other.find("What?"), 5, "Who??");
  assert_int_not_equal(prefix(body), prefix(other));
  other = body;
  other.replace(other.find("\"b\":2"), 5, "\"b\":3");
  assert_int_equal(prefix(body), prefix(other));
  assert_prompt(R"({"content":{"parts":[{"text":"abc"}]}})", 3, 0);
  assert_prompt(R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"abc"}]}},)"
                R"({"content":{"parts":[{"text":"de"}]}}]})", 5, 0);
  // One for a list of one.
  assert_prompt(R"({"system_instruction":{"parts":{"text":"abc"}},"contents":{"parts":{"text":"de"}}})", 5, 0);
  assert_prompt(R"({"systemInstruction":{"parts":{"text":"abc"}},"contents":[{"parts":{"text":"de"}}]})", 5, 0);
  assert_prompt(R"({"contents":{"parts":[{"text":"ab"},{"text":"c"}]}})", 3, 0);
  assert_prompt(R"({"content":{"parts":{"text":"abc"}}})", 3, 0);
  assert_prompt(R"({"requests":[{"content":{"parts":{"text":"abc"}}},{"content":{"parts":[{"text":"d"}]}}]})", 4, 0);
}

void what_is_null_empty_or_of_another_type_counts_nothing(void**) {
  for (const char* text :
       {"{}", R"({"messages":null})", R"({"messages":[]})", R"({"messages":"text"})",
        R"({"messages":[null,true,[],{}]})",
        R"({"messages":[{"role":"user","content":null},{"role":1,"content":7},{"role":[],"content":{}}]})",
        R"({"messages":[{"content":[]},{"content":[null,1,"bare",[],{}]},{"content":[{"type":2,"text":null}]}]})",
        R"({"messages":[{"content":[{"type":"image_urls"},{"type":"imag"},{"type":"a very long type image"}]}]})",
        R"({"messages":[{"tool_calls":null},{"tool_calls":[{"function":null},{"function":{"arguments":null}}]}]})",
        R"({"input":null,"prompt":null,"system":null,"instructions":null,"tools":null})",
        R"({"input":{"text":"x"},"prompt":true,"system":{"text":"x"},"instructions":7,"tools":"none"})",
        R"({"x":{"messages":[{"role":"user","content":"no"}]},"text":"no","content":"no"})"})
    assert_prompt(text, 0, 0);
  for (const char* text : {"", "[", "\"messages\"", R"(["system"])", R"({"messages":[{"role":"user","content":"\)",
                           R"({"messages":[{"role":"user","content":"\u00)", R"({"tools":[)", R"({"messages":[{]})"})
    assert_any_split(text);
}

void bytes_that_are_no_utf8_do_no_harm(void**) {
  assert_prompt("{\"prompt\":\"\xff\xfe a\"}", 4, 0);
  assert_prompt("{\"prompt\":\"\x80\xbf\"}", 0, 0);
  assert_prompt(R"({"prompt":"\u12 \ud83d"})", 3, 0);
}

void long_texts_are_counted_whole(void**) {
  for (size_t size : {16'383u, 16'384u, 16'385u, 65'535u, 65'536u, 300'000u}) {
    std::string text(size, 'x');
    for (size_t i = 100; i + 100 < size; i += 997) text.replace(i, 2, "\\n");
    uint64_t escapes = 0;
    for (char c : text) escapes += c == '\\';
    std::string body = R"({"messages":[{"role":"user","content":")" + text + R"("}],"model":"m"})";
    std::string arguments = R"({"messages":[{"content":[{"type":"tool_use","input":[")" + text + R"("]}]}]})";
    for (size_t piece : {size_t{1000}, size_t{16'384}, body.size()}) {
      OpenAiRequest request, other;
      for (size_t at = 0; at < body.size(); at += piece) request.feed(std::string_view(body).substr(at, piece));
      for (size_t at = 0; at < arguments.size(); at += piece)
        other.feed(std::string_view(arguments).substr(at, piece));
      assert_int_equal(request.text_characters(), size - escapes);
      assert_string_equal(request.model().c_str(), "m");
      assert_int_equal(request.prefix_hash(), prefix(body));
      assert_int_equal(other.text_characters(), size + 4);
    }
  }
}

void keys_of_affinity_are_strings_that_have_come_whole(void**) {
  struct Case {
    const char* text;
    const char* key;
    const char* user;
    uint64_t choices;
  };
  for (const Case& c :
       {Case{"{}", "", "", 1}, Case{R"({"prompt_cache_key":"k\u00e9","user":"u","n":4})", "k\xc3\xa9", "u", 4},
        Case{R"({"metadata":{"user_id":"m"}})", "", "m", 1},
        Case{R"({"user":"u","metadata":{"user_id":"m"}})", "", "u", 1},
        Case{R"({"metadata":{"user_id":"m"},"user":""})", "", "m", 1},
        Case{R"({"user":null,"metadata":{"user_id":7},"prompt_cache_key":[],"n":null})", "", "", 1},
        Case{R"({"n":0})", "", "", 1}, Case{R"({"n":-1})", "", "", 1}, Case{R"({"n":"2"})", "", "", 1},
        Case{R"({"n":2.5})", "", "", 1}, Case{R"({"x":{"user":"no","n":9}})", "", "", 1},
        Case{R"({"user":"not who)", "", "", 1}, Case{R"({"prompt_cache_key":"not wha)", "", "", 1}}) {
    OpenAiRequest request = read(c.text);
    assert_string_equal(request.prompt_cache_key().c_str(), c.key);
    assert_string_equal(request.user().c_str(), c.user);
    assert_int_equal(request.choices(), c.choices);
    assert_any_split(c.text);
  }
}

// --- The prefix ---

struct Shape {
  const char* begin;  // Up to the turns that are added.
  const char* end;
  const char* added[3];
};
const Shape kShapes[] = {
    {R"({"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"U"})", R"(],"tools":[1]})",
     {R"(,{"role":"assistant","content":"A"})", R"(,{"role":"user","content":"more"})",
      R"(,{"role":"system","content":"late"})"}},
    {R"({"tools":[1],"messages":[{"content":[{"text":"S","type":"text"}],"role":"developer"},)"
     R"({"content":"U","role":"user"})",
     R"(]})",
     {R"(,{"content":null,"tool_calls":[{"function":{"arguments":"{}"}}],"role":"assistant"})",
      R"(,{"content":"done","role":"tool"})", R"(,{"content":"more","role":"user"})"}},
    {R"({"instructions":"S","input":[{"role":"user","content":[{"type":"input_text","text":"U"}]})", R"(]})",
     {R"(,{"type":"function_call","arguments":"{}"})", R"(,{"type":"function_call_output","output":"x"})",
      R"(,{"role":"user","content":"more"})"}},
    {R"({"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":"U"})", R"(],"tools":[1]})",
     {R"(,{"role":"assistant","content":[{"type":"tool_use","input":{}}]})",
      R"(,{"role":"user","content":[{"type":"tool_result","content":"U"}]})", R"(,{"role":"user","content":"S"})"}},
    {R"({"messages":[{"role":"assistant","content":"Hello!"},{"role":"user","content":"U"})", R"(]})",
     {R"(,{"role":"user","content":"V"})", R"(,{"role":"assistant","content":"A"})",
      R"(,{"role":"system","content":"S"})"}},
};

void added_turns_leave_the_prefix_as_it_is(void**) {
  std::set<uint64_t> all;
  for (const Shape& shape : kShapes) {
    std::string turns;
    uint64_t first = prefix(std::string(shape.begin) + shape.end);
    assert_true(first != 0);
    for (const char* added : shape.added) {
      turns += added;
      std::string text = shape.begin + turns + shape.end;
      assert_int_equal(prefix(text), first);
      assert_any_split(text);
    }
    all.insert(first);
  }
  assert_int_equal(all.size(), 4);  // The first two are one conversation, with keys in another order.
}

void random_conversations_keep_their_prefix(void**) {
  const char* const words[] = {"a", "text", "\\n", "\\\"", "漢", "\\u00e9", " ", "content", "{", "]"};
  const char* const roles[] = {"user", "assistant", "tool", "system"};
  for (uint64_t seed = 1; seed <= 300; seed++) {
    Rng rng(seed);
    auto content = [&] {
      std::string text;
      for (uint64_t i = 0, n = rng.below(40); i < n; i++) text += words[rng.below(std::size(words))];
      return '"' + text + '"';
    };
    auto turn = [&](std::string_view role) {
      std::string said = "\"content\":" + content(), who = "\"role\":\"" + std::string(role) + '"';
      return rng.below(2) ? '{' + said + ',' + who + '}' : '{' + who + ", " + said + '}';
    };
    std::string turns = turn("system") + ',' + turn("user"), tools = "\"tools\":[" + content() + "]";
    uint64_t first = prefix("{\"messages\":[" + turns + "]," + tools + '}');
    for (uint64_t i = 0; i < 6; i++) {
      turns += ',' + turn(roles[rng.below(std::size(roles))]);
      std::string messages = "\"messages\":[" + turns + ']';
      std::string text = rng.below(2) ? '{' + messages + ',' + tools + '}' : '{' + tools + ',' + messages + '}';
      assert_int_equal(prefix(text), first);
      OpenAiRequest request;
      for (size_t at = 0, size; at < text.size(); at += size) {
        size = 1 + rng.below(20);
        request.feed(std::string_view(text).substr(at, size));
      }
      assert_int_equal(request.prefix_hash(), first);
    }
  }
}

void each_part_of_the_prefix_counts(void**) {
  const std::vector<std::string> different = {
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}],"tools":[1]})",
      R"({"messages":[{"role":"system","content":"T"},{"role":"user","content":"U"}],"tools":[1]})",
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"V"}],"tools":[1]})",
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}],"tools":[2]})",
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}],"tools":[]})",
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"}]})",
      R"({"messages":[{"role":"system","content":"U"},{"role":"user","content":"S"}]})",
      R"({"messages":[{"role":"system","content":"S"},{"role":"system","content":"S"},{"role":"user","content":"U"}]})",
      R"({"messages":[{"role":"system","content":"S"}]})",
      R"({"messages":[{"role":"user","content":"S"}]})",
      R"({"messages":[{"role":"user","content":"U"},{"role":"system","content":"S"}],"tools":[3]})",
      R"({"messages":[{"role":"user","content":""}]})",
      R"({"messages":[{"role":"user","content":[{"text":"a"},{"text":"b"}]}]})",
      R"({"messages":[{"role":"user","content":[{"text":"ab"}]}]})",
      R"({"messages":[{"role":"user","content":[{"image_url":{"url":"data:a"}},{"text":"ab"}]}]})",
      R"({"messages":[{"role":"user","content":[{"image_url":{"url":"data:b"}},{"text":"ab"}]}]})",
      R"({"messages":[{"role":"user","content":[{"source":{"data":"data:b"}},{"text":"ab"}]}]})",
      R"({"input":[{"role":"user","content":[{"image_url":"data:b"},{"text":"ab"}]}]})",
      R"({"tools":[[1]]})",
      R"({"system":"S"})",
      R"({"system":"S","instructions":"T"})",
      R"({"system":[{"text":"S"},{"text":"T"}]})",
      R"({"prompt":"once"})",
  };
  std::set<uint64_t> all;
  for (const std::string& text : different) {
    all.insert(prefix(text));
    assert_true(prefix(text) != 0);
    assert_any_split(text);
  }
  assert_int_equal(all.size(), different.size());
}

// Ways to say the same: caches know them as one, so must the prefix.
void the_same_in_other_words(void**) {
  uint64_t hash = prefix(R"({"messages":[{"role":"user","content":"U"}]})");
  for (const char* text :
       {R"({"messages":[{"content":"U","role":"user"}]})", R"({"input":"U"})", R"({"prompt":"U"})",
        R"({ "messages" : [ { "role" : "user" , "content" : [ { "type":"text", "text" : "U" } ] } ] })",
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"U","cache_control":{"type":"ephemeral"}}]}]})",
        R"({"input":[{"role":"user","content":[{"type":"input_text","text":"U"}]}],"tools":null})",
        R"({"model":"other","temperature":1,"messages":[{"role":"user","name":"n","content":"U"}],"n":2})"})
    assert_int_equal(prefix(text), hash);
  assert_int_equal(prefix(R"({"system":"S","instructions":"T"})"),
                   prefix(R"({"instructions":"T","system":[{"text":"S"}]})"));
}

void there_may_be_no_prefix(void**) {
  for (const char* text :
       {"{}", R"({"model":"m","user":"u"})", R"({"messages":[]})",
        R"({"messages":[{"role":"assistant","content":"A"}]})",
        R"({"messages":[{"content":"U"}]})", R"({"messages":[{"role":"users","content":"U"}]})",
        R"({"messages":[{"role":"user","content":null}]})", R"({"input":["one","two"]})", R"({"prompt":[1,2]})",
        R"({"tools":null})", R"({"messages":[{"role":"user of a name that is too long","content":"U"}]})"})
    assert_int_equal(prefix(text), 0);
  // What has not come whole is not there yet.
  assert_int_equal(read(R"({"messages":[{"role":"user","content":"U")").prefix_hash(), 0);
  assert_true(read(R"({"messages":[{"role":"user","content":"U"})").prefix_hash() != 0);
}

void no_more_than_so_much_is_hashed(void**) {
  constexpr size_t kMax = PrefixHash::kHashedMax;
  auto bodies = [](const std::string& text) {
    return std::vector<std::string>{
        R"({"system":")" + text + R"("})", R"({"tools":[")" + text.substr(2) + R"("]})",
        R"({"messages":[{"role":"system","content":")" + text + R"("}]})", R"({"input":")" + text + R"("})",
        R"({"messages":[{"role":"user","content":[{"image_url":")" + text + R"("}]}]})"};
  };
  std::vector<std::string> same = bodies(std::string(kMax + 1000, 'x'));
  for (size_t at : {kMax + 999, kMax, kMax - 1, size_t{2}}) {
    std::string changed(kMax + 1000, 'x');
    changed[at] = 'y';
    std::vector<std::string> other = bodies(changed);
    for (size_t i = 0; i < same.size(); i++) assert_true((prefix(other[i]) == prefix(same[i])) == (at >= kMax));
  }
  // Also if one of them ends there.
  assert_int_equal(prefix(bodies(std::string(kMax, 'x'))[0]), prefix(same[0]));
  assert_true(prefix(bodies(std::string(kMax - 1, 'x'))[0]) != prefix(same[0]));
}

void a_hash_is_the_same_at_any_split(void**) {
  std::string text;
  std::set<uint64_t> all;
  for (size_t size = 0; size < 70; size++) {
    PrefixHash whole;
    whole.add(text);
    assert_true((whole.value() == 0) == text.empty());
    for (size_t cut = 0; cut <= size; cut++) {
      PrefixHash hash;
      hash.add(std::string(text, 0, cut));
      hash.add("");
      hash.add(std::string(text, cut));
      assert_int_equal(hash.value(), whole.value());
    }
    all.insert(whole.value());
    std::string zeros(size, '\0');
    PrefixHash other;
    other.add(zeros);
    all.insert(other.value());
    text += static_cast<char>('a' + size % 26);
  }
  assert_int_equal(all.size(), 2 * 70 - 1);  // Nothing is nothing.
}

// Each bit of the input moves about half of those of the hash: nothing is lost on the way.
void a_bit_of_the_text_moves_many_of_the_hash(void**) {
  std::string text(100, 'x');
  PrefixHash hash;
  hash.add(text);
  for (size_t bit = 0; bit < text.size() * 8; bit++) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ 1 << bit % 8);
    PrefixHash moved;
    moved.add(other);
    int distance = std::popcount(moved.value() ^ hash.value());
    assert_true(distance > 10 && distance < 54);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_chat),
      cmocka_unit_test(a_responses_request),
      cmocka_unit_test(completions_and_embeddings),
      cmocka_unit_test(a_request_of_anthropics_shape),
      cmocka_unit_test(a_request_of_geminis_shape),
      cmocka_unit_test(what_is_null_empty_or_of_another_type_counts_nothing),
      cmocka_unit_test(bytes_that_are_no_utf8_do_no_harm),
      cmocka_unit_test(long_texts_are_counted_whole),
      cmocka_unit_test(keys_of_affinity_are_strings_that_have_come_whole),
      cmocka_unit_test(added_turns_leave_the_prefix_as_it_is),
      cmocka_unit_test(random_conversations_keep_their_prefix),
      cmocka_unit_test(each_part_of_the_prefix_counts),
      cmocka_unit_test(the_same_in_other_words),
      cmocka_unit_test(there_may_be_no_prefix),
      cmocka_unit_test(no_more_than_so_much_is_hashed),
      cmocka_unit_test(a_hash_is_the_same_at_any_split),
      cmocka_unit_test(a_bit_of_the_text_moves_many_of_the_hash),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
