// lb_translate_*: what passes as it is, what options and structs do, and misuse. What becomes of what is
// tests/vectors/wire, which runs through lb.h as well.
#include <cstdlib>

#include "host.h"
#include "unit/allocations.h"

namespace {

constexpr uint32_t kAll[] = {LB_DIALECT_OPENAI, LB_DIALECT_RESPONSES, LB_DIALECT_ANTHROPIC, LB_DIALECT_GEMINI};
constexpr std::string_view kChat =
    R"({"seed":1e0, "model": "m", "stream":true,"stream_options":{"include_usage":true},)"
    R"("messages":[{"role":"user","content":"Hi"}]})";
constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-7","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}})";
constexpr std::string_view kBegin =
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";
constexpr std::string_view kRest =
    "data: {broken\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";

// One translation: its options, what came out, its error.
struct Try {
  Try() {
    options.struct_size = sizeof options;
    out.struct_size = sizeof out;
    error.struct_size = sizeof error;
  }
  ~Try() { lb_free(out.body); }
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  void model(std::string_view name) {
    options.model = name.data();
    options.model_len = name.size();
  }
  lb_status checked(lb_status status) const {
    assert_int_equal(error.status, status);
    assert_int_equal(out.body != nullptr, status == LB_OK);
    if (status != LB_OK) assert_true(error.message[0] != 0);
    return status;
  }
  lb_status request(uint32_t from, uint32_t to, std::string_view body) {
    return checked(lb_translate_request(from, to, body.data(), body.size(), &options, &out, &error));
  }
  lb_status answer(uint32_t from, uint32_t to, std::string_view body) {
    return checked(lb_translate_answer(from, to, body.data(), body.size(), &options, &out, &error));
  }
  lb_status failure(uint32_t from, uint32_t to, uint32_t status, std::string_view body) {
    return checked(lb_translate_error(from, to, status, body.data(), body.size(), &out, &error));
  }
  std::string body() const { return {out.body, out.body_len}; }

  lb_translate_options options = {};
  lb_translated out = {};
  lb_error error = {};
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

void a_request_says_where_it_goes_and_what_its_answer_needs(void**) {
  const std::pair<uint32_t, const char*> paths[] = {
      {LB_DIALECT_OPENAI, "/chat/completions"},
      {LB_DIALECT_RESPONSES, "/responses"},
      {LB_DIALECT_ANTHROPIC, "/messages"},
      {LB_DIALECT_GEMINI, "/models/there%2F1:streamGenerateContent?alt=sse"}};
  for (auto [to, path] : paths) {
    Try one;
    one.model("there/1");
    assert_int_equal(one.request(LB_DIALECT_OPENAI, to, kChat), LB_OK);
    assert_string_equal(one.out.path, path);
    assert_string_equal(one.out.model, "m");
    assert_int_equal(one.out.flags, LB_TRANSLATE_STREAM | LB_TRANSLATE_USAGE);
    assert_int_equal(has(one.body(), "there/1"), to != LB_DIALECT_GEMINI);
    assert_false(has(one.body(), "\"m\""));
    assert_int_equal(has(one.out.lost, "seed"), to == LB_DIALECT_RESPONSES || to == LB_DIALECT_ANTHROPIC);
  }
}

void within_one_dialect_bytes_stay(void**) {
  Try request;
  request.model("n\"");
  assert_int_equal(request.request(LB_DIALECT_OPENAI, LB_DIALECT_OPENAI, kChat), LB_OK);
  std::string with(kChat);
  with.replace(with.find("\"m\""), 3, R"("n\"")");
  assert_true(request.body() == with && !*request.out.lost);
  Try same;
  assert_int_equal(same.request(LB_DIALECT_OPENAI, LB_DIALECT_OPENAI, kChat), LB_OK);
  assert_true(same.body() == kChat);
  assert_string_equal(same.out.path, "/chat/completions");
  Try answer;
  answer.model("other");
  assert_int_equal(answer.answer(LB_DIALECT_OPENAI, LB_DIALECT_OPENAI, kAnswer), LB_OK);
  assert_true(answer.body() == kAnswer && answer.out.tokens_in == 3 && answer.out.tokens_out == 4);
  assert_int_equal(answer.out.known, LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT);
  Try failure;
  assert_int_equal(failure.failure(LB_DIALECT_GEMINI, LB_DIALECT_GEMINI, 500, "<html>"), LB_OK);
  assert_true(failure.body() == "<html>");
}

void gemini_says_model_and_stream_in_its_path(void**) {
  constexpr std::string_view body = R"({"contents":[{"role":"user","parts":[{"text":"Hi"}]}]})";
  for (uint32_t to : {LB_DIALECT_GEMINI, LB_DIALECT_OPENAI}) {
    Try without;
    assert_int_equal(without.request(LB_DIALECT_GEMINI, to, body), LB_INVALID);
    assert_string_equal(without.error.where, "model");
    Try one;
    one.model("g");
    one.options.flags = LB_TRANSLATE_STREAM;
    assert_int_equal(one.request(LB_DIALECT_GEMINI, to, body), LB_OK);
    assert_true((one.out.flags & LB_TRANSLATE_STREAM) != 0 && !*one.out.model);
    assert_int_equal(one.body() == body, to == LB_DIALECT_GEMINI);
    assert_int_equal(has(one.body(), "\"stream\":true"), to == LB_DIALECT_OPENAI);
  }
}

void what_cannot_be_said_is_refused_with_its_place(void**) {
  Try one;
  assert_int_equal(one.request(LB_DIALECT_OPENAI, LB_DIALECT_ANTHROPIC,
                               R"({"model":"m","n":2,"messages":[{"role":"user","content":"Hi"}]})"),
                   LB_INVALID);
  assert_string_equal(one.error.where, "n");
  for (uint32_t to : kAll) {
    Try broken, twice;
    assert_int_equal(broken.request(LB_DIALECT_OPENAI, to, "{\"model\":"), LB_INVALID);
    if (to != LB_DIALECT_OPENAI) continue;
    assert_int_equal(twice.request(LB_DIALECT_OPENAI, to, R"({"model":"a","model":"b"})"), LB_INVALID);
    assert_string_equal(twice.error.where, "model");
  }
  Try answer;
  assert_int_equal(answer.answer(LB_DIALECT_ANTHROPIC, LB_DIALECT_OPENAI, "<html>"), LB_PROTOCOL);
  Try failure;
  assert_int_equal(failure.failure(LB_DIALECT_ANTHROPIC, LB_DIALECT_OPENAI, 429, "<html>"), LB_OK);
  assert_true(has(failure.body(), "\"error\""));
}

// Feeds and ends a stream; `out` is what the host could have sent on.
lb_status stream(uint32_t from, uint32_t to, std::string_view bytes, std::string& text, Try& one) {
  lb_translation* translation = nullptr;
  one.options.flags = LB_TRANSLATE_USAGE;
  assert_int_equal(lb_translate_open(from, to, &one.options, &translation, &one.error), LB_OK);
  const char* part = nullptr;
  size_t size = 0;
  for (char byte : bytes) {
    assert_int_equal(lb_translate_feed(translation, &byte, 1, &part, &size), LB_OK);
    text.append(part, size);
  }
  lb_status status = lb_translate_end(translation, &one.out);
  text.append(one.out.body, one.out.body_len);
  Try again;
  assert_int_equal(lb_translate_end(translation, &again.out), LB_GONE);
  assert_null(again.out.body);
  assert_int_equal(lb_translate_feed(translation, "x", 1, &part, &size), LB_GONE);
  assert_int_equal(size, 0);
  lb_translate_free(translation);
  return status;
}

void a_stream_is_whole_or_it_is_not(void**) {
  for (uint32_t to : kAll) {
    Try whole, cut, failed;
    std::string text, beginning, error;
    std::string all = std::string(kBegin) + std::string(kRest);
    assert_int_equal(stream(LB_DIALECT_OPENAI, to, all, text, whole), LB_OK);
    assert_true(to != LB_DIALECT_OPENAI || text == all);
    assert_int_equal(whole.out.known, LB_KNOWN_TOKENS_IN | LB_KNOWN_TOKENS_OUT);
    assert_true(whole.out.tokens_in == 3 && whole.out.tokens_out == 4 && whole.out.left_out == 1);
    assert_int_equal(stream(LB_DIALECT_OPENAI, to, kBegin, beginning, cut), LB_BROKEN);
    assert_true(text.starts_with(beginning) && beginning.size() < text.size() && !cut.out.known);
    std::string fails = std::string(kBegin) + "data: {\"error\":{\"message\":\"no more\"}}\n\n" + std::string(kRest);
    assert_int_equal(stream(LB_DIALECT_OPENAI, to, fails, error, failed), LB_UPSTREAM);
    assert_true(has(error, "no more"));
    assert_int_equal(has(error, "\"lo\""), to == LB_DIALECT_OPENAI);
  }
}

void a_stream_allocates_nothing_per_event(void**) {
  for (uint32_t to : {LB_DIALECT_OPENAI, LB_DIALECT_ANTHROPIC, LB_DIALECT_GEMINI}) {
    Try one;
    lb_translation* translation = nullptr;
    assert_int_equal(lb_translate_open(LB_DIALECT_OPENAI, to, &one.options, &translation, &one.error), LB_OK);
    const char* part = nullptr;
    size_t size = 0, before = 0;
    for (int i = 0; i < 200; i++) {
      if (i == 50) assert_true((before = allocations) > 0);
      assert_int_equal(lb_translate_feed(translation, kBegin.data(), kBegin.size(), &part, &size), LB_OK);
    }
    assert_int_equal(allocations - before, 0);
    lb_translate_free(translation);
  }
}

void an_event_that_is_too_long(void**) {
  Try one;
  lb_translation* translation = nullptr;
  assert_int_equal(lb_translate_open(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, nullptr, &translation, nullptr), LB_OK);
  std::string mebibyte(1 << 20, 'x');
  const char* part = nullptr;
  size_t size = 0;
  lb_status status = LB_OK;
  for (int i = 0; i < 16; i++) {
    status = lb_translate_feed(translation, mebibyte.data(), mebibyte.size(), &part, &size);
    assert_int_equal(status, LB_OK);
  }
  assert_int_equal(lb_translate_feed(translation, "x", 1, &part, &size), LB_TOO_LARGE);
  assert_int_equal(lb_translate_end(translation, &one.out), LB_BROKEN);
  lb_translate_free(translation);
}

void misuse(void**) {
  for (uint32_t wrong : {0u, 5u, UINT32_MAX}) {
    Try from, to, answer, failure;
    assert_int_equal(from.request(wrong, LB_DIALECT_OPENAI, kChat), LB_INVALID);
    assert_int_equal(to.request(LB_DIALECT_OPENAI, wrong, kChat), LB_INVALID);
    assert_int_equal(answer.answer(wrong, LB_DIALECT_OPENAI, kAnswer), LB_INVALID);
    assert_int_equal(failure.failure(LB_DIALECT_OPENAI, wrong, 500, ""), LB_INVALID);
    lb_translation* none = nullptr;
    assert_int_equal(lb_translate_open(wrong, LB_DIALECT_OPENAI, nullptr, &none, nullptr), LB_INVALID);
    assert_null(none);
  }
  Try flags, size, texts, status;
  flags.options.flags = 1u << 31;
  assert_int_equal(flags.request(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, kChat), LB_UNSUPPORTED);
  size.options.struct_size = 0;
  assert_int_equal(size.request(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, kChat), LB_INVALID);
  texts.options.model_len = 1;
  assert_int_equal(texts.request(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, kChat), LB_INVALID);
  assert_int_equal(status.failure(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, 200, "{}"), LB_INVALID);
  assert_int_equal(lb_translate_request(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, nullptr, 1, nullptr, &size.out, nullptr),
                   LB_INVALID);
  assert_int_equal(lb_translate_answer(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, kAnswer.data(), kAnswer.size(), nullptr,
                                       nullptr, &size.error),
                   LB_INVALID);
  assert_non_null(strstr(size.error.message, "struct_size"));
  assert_int_equal(lb_translate_open(LB_DIALECT_OPENAI, LB_DIALECT_GEMINI, nullptr, nullptr, nullptr), LB_INVALID);
  const char* part = nullptr;
  size_t length = 0;
  assert_int_equal(lb_translate_feed(nullptr, "x", 1, &part, &length), LB_INVALID);
  assert_int_equal(lb_translate_end(nullptr, &size.out), LB_INVALID);
  lb_translate_free(nullptr);
}

// A host that was built against an older header, or none that there was.
void structs_of_any_age(void**) {
  Try short_one;
  short_one.out.struct_size = offsetof(lb_translated, path);
  short_one.out.lost = "untouched";
  assert_int_equal(short_one.answer(LB_DIALECT_OPENAI, LB_DIALECT_ANTHROPIC, kAnswer), LB_OK);
  assert_string_equal(short_one.out.lost, "untouched");
  assert_true(has(short_one.body(), "Hello"));
  for (size_t size : {size_t{0}, offsetof(lb_translated, path) - 1, size_t{4097}}) {
    Try none;
    none.out.struct_size = static_cast<uint32_t>(size);
    assert_int_equal(none.answer(LB_DIALECT_OPENAI, LB_DIALECT_ANTHROPIC, kAnswer), LB_INVALID);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_request_says_where_it_goes_and_what_its_answer_needs),
      cmocka_unit_test(within_one_dialect_bytes_stay),
      cmocka_unit_test(gemini_says_model_and_stream_in_its_path),
      cmocka_unit_test(what_cannot_be_said_is_refused_with_its_place),
      cmocka_unit_test(a_stream_is_whole_or_it_is_not),
      cmocka_unit_test(a_stream_allocates_nothing_per_event),
      cmocka_unit_test(an_event_that_is_too_long),
      cmocka_unit_test(misuse),
      cmocka_unit_test(structs_of_any_age),
  };
  return cmocka_run_group_tests_name("translate", tests, nullptr, nullptr);
}
