// The bodies of errors, in the envelope of each dialect. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mock/request.h"

namespace lb::mock {

// `code` is OpenAI's code, Anthropic's type, Gemini's status; if empty, the one that goes with `status`. `retry_delay`,
// if not empty, is told as google.rpc.RetryInfo, for which Anthropic's errors have no place.
void add_error(Voice voice, uint32_t status, std::string_view code, std::string_view message,
               std::string_view retry_delay, std::string* out);

std::string_view reason(uint32_t status);

}  // namespace lb::mock
