// Gemini's generateContent and streamGenerateContent: requests, answers, streams and errors, from and to neutral.h.
// Reached through translate.h. Model and streaming stand in the path, so whoever reads a request sets them. Shapes:
// reference/wire.md §2 to §4 and §7.
#pragma once

#include <string>
#include <string_view>

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kGeminiContent;

// The body of a request whose path names another model than its caller did: that model also where the body names one,
// which is at the top, in each of a batch of embeddings, and in a request that is counted. `body` is JSON.
std::string with_gemini_model(std::string_view body, std::string_view model);

}  // namespace lb
