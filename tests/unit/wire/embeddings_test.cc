#include "wire/dialect/embeddings.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>

#include "wire/dialect/count_tokens.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

void openai_to_gemini(void**) {
  Store store;
  std::string body = R"({"model":"e","input":["a\n","b"],"dimensions":256,"encoding_format":"base64","user":"u"})";
  EmbedRequest request = read_embed_request(Dialect::openai, body, store).value();
  assert_true(request.inputs.size() == 2 && request.base64 && !request.single);
  WrittenRequest written = write_embed_request(Dialect::gemini, request, "g", 0, 2);
  assert_string_equal(written.body.c_str(),
                      R"({"requests":[{"model":"models/g","content":{"parts":[{"text":"a\n"}]},)"
                      R"("outputDimensionality":256},)"
                      R"({"model":"models/g","content":{"parts":[{"text":"b"}]},"outputDimensionality":256}]})");
  assert_string_equal(written.losses.text().c_str(), "user");

  EmbedReply reply;
  std::string answer = R"({"embeddings":[{"values":[1,-0.5]},{"values":[0.10,2e0]}]})";
  assert_false(read_embed_answer(Dialect::gemini, answer, 2, reply).has_value());
  // 1 is 3f800000, -0.5 bf000000, 0.1 3dcccccd, 2 40000000; the lowest byte first.
  assert_string_equal(write_embed_answer(request, reply, "mine").c_str(),
                      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="},)"
                      R"({"object":"embedding","index":1,"embedding":"zczMPQAAAEA="}],"model":"mine"})");
  request.base64 = false;
  assert_non_null(std::strstr(write_embed_answer(request, reply, "").c_str(), R"("embedding":[0.10,2e0]}])"));
}

void gemini_to_openai(void**) {
  Store store;
  std::string one = R"({"content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY"})";
  EmbedRequest request = read_embed_request(Dialect::gemini, one, store).value();
  assert_true(request.single && request.inputs.size() == 1);
  WrittenRequest written = write_embed_request(Dialect::openai, request, "e", 0, 1);
  assert_string_equal(written.body.c_str(), R"({"model":"e","input":["a\nb"],"encoding_format":"float"})");
  assert_string_equal(written.losses.text().c_str(), "taskType");
  EmbedReply reply;
  std::string answer = R"({"data":[{"index":0,"embedding":[0.25]}],"model":"e-3","usage":{"prompt_tokens":3}})";
  assert_false(read_embed_answer(Dialect::openai, answer, 1, reply).has_value());
  assert_string_equal(write_embed_answer(request, reply, "").c_str(),
                      R"({"embedding":{"values":[0.25]},"usageMetadata":{"promptTokenCount":3}})");

  std::string two = R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"outputDimensionality":8},)"
                    R"({"content":{"parts":[{"text":"b"}]},"outputDimensionality":9}]})";
  assert_string_equal(read_embed_request(Dialect::gemini, two, store).error().where.c_str(),
                      "requests.1.outputDimensionality");

  std::string short_form = R"({"content":{"parts":{"text":"a"}}})";  // One part for a list of one.
  assert_true(read_embed_request(Dialect::gemini, short_form, store).value().inputs[0] == "a");
}

// 250 texts in batches of 100: each once, and their vectors in the order of the texts, whatever the order of an answer.
void batches_keep_their_order(void**) {
  std::string body = R"({"input":[)";
  for (int i = 0; i < 250; i++) body.append(i ? "," : "").append("\"t" + std::to_string(i) + "\"");
  body.append("]}");
  Store store;
  EmbedRequest request = read_embed_request(Dialect::openai, body, store).value();
  assert_int_equal(request.inputs.size(), 250);
  EmbedReply reply;
  std::deque<std::string> answers;
  std::string asked;
  for (size_t first = 0; first < 250; first += embed_inputs_max(Dialect::gemini)) {
    size_t count = std::min<size_t>(embed_inputs_max(Dialect::gemini), 250 - first);
    WrittenRequest written = write_embed_request(Dialect::openai, request, "e", first, count);
    for (RawWalk at = Raw::parse(written.body).value()["input"].walk(); at.next();) asked.append(at.value().inner());
    std::string answer = R"({"data":[)";
    for (size_t i = count; i-- > 0;)
      answer.append(i + 1 < count ? "," : "").append("{\"index\":" + std::to_string(i) + ",\"embedding\":[" +
                                                       std::to_string(first + i) + "]}");
    answers.push_back(answer + R"(],"usage":{"prompt_tokens":7}})");
    assert_false(read_embed_answer(Dialect::openai, answers.back(), count, reply).has_value());
  }
  std::string should;
  for (size_t i = 0; i < 250; i++) {
    should.append("t" + std::to_string(i));
    assert_true(reply.vectors[i].text() == "[" + std::to_string(i) + "]");
  }
  assert_string_equal(asked.c_str(), should.c_str());
  assert_true(reply.tokens == 21);
}

void what_is_no_embedding(void**) {
  Store store;
  for (const char* body : {"[]", "{}", R"({"input":[]})", R"({"input":[1,2]})", R"({"input":[[1]]})", "{"})
    assert_false(read_embed_request(Dialect::openai, body, store).ok());
  for (const char* body : {"[]", "{}", R"({"requests":[]})", R"({"content":{"parts":[{"inlineData":{}}]}})"})
    assert_false(read_embed_request(Dialect::gemini, body, store).ok());
  for (const char* body : {"[", "{}", R"({"data":[]})", R"({"data":[{"embedding":"AAAA"}]})",
                           R"({"data":[{"index":1,"embedding":[1]}]})", R"({"data":[{"embedding":["1"]}]})",
                           R"({"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]})"}) {
    EmbedReply reply;
    std::optional<Error> error = read_embed_answer(Dialect::openai, body, 1, reply);
    if (!error || error->status != Status::PROTOCOL) fail_msg("%s is an answer", body);
  }
}

void tokens_are_counted(void**) {
  Store store;
  std::string body = R"({"generateContentRequest":{"model":"models/g","contents":[{"parts":[{"text":"a"}]}],)"
                     R"("generationConfig":{"temperature":1}}})";
  Request request = read_count_request(Dialect::gemini, body, store).value();
  WrittenRequest written = write_count_request(Dialect::responses, request, {.model = "o"}, store).value();
  assert_string_equal(written.body.c_str(),
                      R"({"model":"o","input":[{"type":"message","role":"user",)"
                      R"("content":[{"type":"input_text","text":"a"}]}]})");
  std::string plain = R"({"model":"o","input":"a","max_output_tokens":5})";
  request = read_count_request(Dialect::responses, plain, store).value();
  written = write_count_request(Dialect::gemini, request, {.model = "g"}, store).value();
  assert_string_equal(written.body.c_str(),
                      R"({"generateContentRequest":{"model":"models/g",)"
                      R"("contents":[{"role":"user","parts":[{"text":"a"}]}],)"
                      R"("generationConfig":{"maxOutputTokens":5}}})");
  assert_true(read_count_answer(Dialect::gemini, R"({"totalTokens":31,"promptTokensDetails":[]})").value() == 31);
  assert_true(read_count_answer(Dialect::anthropic, R"({"input_tokens":14})").value() == 14);
  assert_true(read_count_answer(Dialect::anthropic, R"({"totalTokens":1})").error().status == Status::PROTOCOL);
  assert_string_equal(write_count_answer(Dialect::gemini, 31).c_str(), R"({"totalTokens":31})");
  assert_string_equal(write_count_answer(Dialect::anthropic, 14).c_str(), R"({"input_tokens":14})");
  assert_true(can_count(Dialect::anthropic) && !can_count(Dialect::openai));
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(openai_to_gemini),     cmocka_unit_test(gemini_to_openai),
      cmocka_unit_test(batches_keep_their_order), cmocka_unit_test(what_is_no_embedding),
      cmocka_unit_test(tokens_are_counted),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
