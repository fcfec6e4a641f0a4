// What an answer says in text, the same answer with another text, and a conversation that goes on behind it: for
// answers that are checked (wire/validate.h) and asked for again. All stays in the dialect in which it was asked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/dialect/translate.h"

namespace lb {

// Of one choice.
struct Said {
  std::string text;   // Bytes: all its texts, one behind the other. No thinking.
  bool only = true;   // It has neither calls of tools nor a refusal.
};

// PROTOCOL errors: no answer of that dialect.
Result<std::vector<Said>> said_in(Dialect dialect, std::string_view answer);
// Of a whole stream of server-sent events.
Result<std::vector<Said>> said_in_stream(Dialect dialect, std::string_view events);

// For each choice another text, or none where it stays as it is.
using Texts = std::vector<std::optional<std::string>>;

// The answer with `texts` in their place: nothing else of the bytes changes. Where a choice has several texts it is the
// first that has it, and the others are empty. `answer` is one that said_in has read.
std::string answer_with(Dialect dialect, std::string_view answer, const Texts& texts);
// The stream written anew, with each text in one piece; what no dialect shares with another is not in it any more.
// `how`: whether there is usage is as it was.
std::string stream_with(Dialect dialect, std::string_view events, const Texts& texts, WriteAnswer how);

// The request with two turns more: what the model said, and what is said to it next; spliced in, nothing else of the
// bytes changes. A blank `said` is left out, for there are providers that refuse it. INVALID if there is no
// conversation to add to.
Result<std::string> request_with(Dialect dialect, std::string_view request, std::string_view said,
                                 std::string_view next);

}  // namespace lb
