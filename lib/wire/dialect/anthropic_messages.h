// Anthropic's messages: requests, answers, streams and errors, from and to neutral.h. Reached through translate.h.
// Shapes: reference/wire.md §2 to §4 and §6.
#pragma once

#include <string_view>

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kAnthropicMessages;

// Claude models before 4.6 know thinking by a budget of tokens only: claude-3-7-sonnet-..., claude-sonnet-4-20250514,
// claude-haiku-4-5. Names of another form are taken for new ones (Anthropic's list of models).
bool wants_thinking_budget(std::string_view model);

}  // namespace lb
