// How many tokens a request would be, asked of a provider: Anthropic's count_tokens, Gemini's countTokens, and
// input_tokens of OpenAI's responses. Chat completions have no such thing. Pure, as translate.h.
#pragma once

#include "wire/dialect/translate.h"

namespace lb {

// Whether the dialect can be asked. The functions below take only those.
bool can_count(Dialect dialect);

// The same errors as read_request and write_request.
Result<Request> read_count_request(Dialect dialect, std::string_view body, Store& store);
Result<WrittenRequest> write_count_request(Dialect dialect, const Request& request, const WriteRequest& how,
                                           Store& store);
// PROTOCOL if there is no number.
Result<uint64_t> read_count_answer(Dialect dialect, std::string_view body);
std::string write_count_answer(Dialect dialect, uint64_t tokens);

}  // namespace lb
