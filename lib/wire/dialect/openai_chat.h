// OpenAI's chat completions, and what the servers that imitate it made of them: requests, answers, streams and errors,
// from and to neutral.h. Reached through translate.h. Shapes: reference/wire.md §2 to §5.
#pragma once

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kOpenAiChat;

}  // namespace lb
