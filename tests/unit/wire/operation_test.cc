#include "wire/operation.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

void paths_stand_for_operations(void**) {
  struct Case {
    const char* path;
    Operation operation;
  };
  for (const Case& c : {Case{"/v1/chat/completions", Operation::chat}, Case{"/v1/completions", Operation::completions},
                        Case{"/v1/embeddings", Operation::embeddings}, Case{"/v1/responses", Operation::responses},
                        Case{"/v1/responses/input_tokens", Operation::count_responses},
                        Case{"/v1/messages", Operation::messages},
                        Case{"/v1/messages/count_tokens", Operation::count_messages}}) {
    std::optional<Asked> asked = asked_by(c.path);
    assert_true(asked && asked->operation == c.operation && !asked->in_path && asked->model.empty());
    assert_true("/v1" + operation_path(c.operation, "m", true) == c.path);
    asked = asked_by(std::string("/openai") + c.path);
    assert_true(asked && asked->operation == c.operation);
  }
  for (const char* path :
       {"", "/", "/v1", "/v1/models", "/v1/chat/completions/", "/V1/chat/completions", "/chat/completions",
        "/v1beta/models/", "/v1beta/models/m", "/v1beta/models/:generateContent", "/v1beta/models/m:generate",
        "/v1beta/models/m:generatecontent", "/openai/v1", "/openai/v1/",
        "/openai/v2/responses", "/openai/deployments/m", "/openai/deployments//chat/completions",
        "/openai/deployments/m/messages", "/openai/deployments/m/chat"})
    if (asked_by(path)) fail_msg("%s is no operation", path);
}

void models_stand_in_paths(void**) {
  std::optional<Asked> asked = asked_by("/v1beta/models/gemini-2.5%2fpro:generateContent");
  assert_true(asked && asked->operation == Operation::generate && asked->in_path && !asked->stream);
  assert_string_equal(asked->model.c_str(), "gemini-2.5/pro");
  asked = asked_by("/v1/models/a:b:streamGenerateContent");
  assert_true(asked && asked->stream && asked->model == "a:b");
  assert_string_equal(operation_path(Operation::generate, "a b/c", false).c_str(), "/models/a%20b%2Fc:generateContent");
  assert_string_equal(operation_path(Operation::generate, "m", true).c_str(),
                      "/models/m:streamGenerateContent?alt=sse");
  for (Operation operation : {Operation::count_generate, Operation::embed, Operation::batch_embed}) {
    asked = asked_by("/v1beta" + operation_path(operation, "m", true));
    assert_true(asked && asked->operation == operation && asked->in_path && asked->model == "m" && !asked->stream);
  }
  asked = asked_by("/openai/deployments/gpt-4o/chat/completions");
  assert_true(asked && asked->operation == Operation::chat && asked->model == "gpt-4o" && !asked->in_path);
}

void what_serves_what(void**) {
  auto operation_at = [](Api api, Operation operation, Operations lacks = {}) {
    return lb::operation_at(api, lacks, operation);
  };
  assert_true(operation_at(Api::openai, Operation::responses) == Operation::responses);
  assert_true(operation_at(Api::anthropic, Operation::responses) == Operation::messages);
  assert_true(operation_at(Api::gemini, Operation::chat) == Operation::generate);
  assert_true(operation_at(Api::openai, Operation::generate) == Operation::chat);
  assert_false(operation_at(Api::anthropic, Operation::embeddings).has_value());
  assert_false(operation_at(Api::gemini, Operation::completions).has_value());
  assert_true(operation_at(Api::gemini, Operation::embeddings) == Operation::batch_embed);
  assert_true(operation_at(Api::gemini, Operation::embed) == Operation::embed);
  assert_true(operation_at(Api::openai, Operation::embed) == Operation::embeddings);
  assert_true(operation_at(Api::anthropic, Operation::count_generate) == Operation::count_messages);
  Operations lacks;
  lacks.add(Operation::responses);
  assert_true(operation_at(Api::openai, Operation::responses, lacks) == Operation::chat);
  assert_true(operation_at(Api::openai, Operation::count_messages, lacks) == Operation::count_responses);
  lacks.add(Operation::count_responses);
  lacks.add(Operation::embeddings);
  assert_false(operation_at(Api::openai, Operation::count_messages, lacks).has_value());
  assert_false(operation_at(Api::openai, Operation::embeddings, lacks).has_value());
  assert_false(operation_at(Api::openai, Operation::batch_embed, lacks).has_value());
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(paths_stand_for_operations),
      cmocka_unit_test(models_stand_in_paths),
      cmocka_unit_test(what_serves_what),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
