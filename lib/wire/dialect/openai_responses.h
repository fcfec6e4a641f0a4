// OpenAI's responses: requests, answers, streams and errors, from and to neutral.h. Reached through translate.h. What
// needs state at the provider (previous_response_id, conversations, prompts that lie there) is refused. Shapes:
// reference/wire.md §8.
#pragma once

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kOpenAiResponses;

}  // namespace lb
