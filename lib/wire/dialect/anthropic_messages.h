// Anthropic's messages: requests, answers, streams and errors, from and to neutral.h. Reached through translate.h.
// Shapes: reference/wire.md §2 to §4 and §6.
#pragma once

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kAnthropicMessages;

}  // namespace lb
