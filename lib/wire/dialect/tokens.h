// How many tokens a request is, counted here: where no provider is asked (count_tokens.h), or none answers. Pure.
//
// With ranks (wire/bpe.h), as claude-code-provider-balancer counts (reference/systems.md §5.11): the texts of system
// prompt and messages; of a call its input, of a tool its name and description as one text and then its schema, both as
// Python's JSON; of a result its texts as one; and 768 for an image. Nothing for roles and what else frames a message.
// What that program does not know counts by its text: thinking, refusals, documents of text, and blocks of one dialect
// as JSON. Other than there, images within results are images: their base64 is not read as words.
//
// Without ranks, the same texts by estimate_tokens(), and on top what frames them, names of calls, and the schema of
// the answer: more than the truth rather than less, for who asks wants to know whether a conversation still fits.
//
// PDFs and sounds count as an image does, in both: how long they are is not to be seen from here.
//
// wire/prompt.h is another thing: it guesses what a call takes from a rate limit while its bytes go by, by a quarter of
// its characters, and is set right by what calls took before. It may be below the truth; this must not.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/bpe.h"
#include "wire/dialect/neutral.h"

namespace lb {

// Of an image, whatever its size: reference/systems.md §5.11.
inline constexpr uint64_t kTokensPerImage = 768;
// What frames a message, a call, a result or a tool in an estimate: reference/systems.md §5.11, variants S, O and Z.
inline constexpr uint64_t kTokensPerFrame = 4;
// What Anthropic puts before a conversation that has tools, in an estimate ("Tool use with Claude", Claude 4).
inline constexpr uint64_t kTokensForTools = 346;

// `ranks` null: an estimate.
uint64_t count_tokens(const Request& request, const Bpe* ranks);

// Of one text, never more than its bytes. Measured against the larger of cl100k_base and o200k_base over the Universal
// Declaration of Human Rights in 528 languages and scripts: 0.98 to 2.30 times the truth, 1.25 in the middle; below 1
// in one of them (Vietnamese in Han characters); English 1.5, Chinese and Japanese 1.3, Russian 2.3. Code 1.7 to 2.2,
// JSON 1.5 to 2.1. What is no text can be below: base64 0.92, random letters 0.93. tests/tokens measures it again.
uint64_t estimate_tokens(std::string_view text);

}  // namespace lb
