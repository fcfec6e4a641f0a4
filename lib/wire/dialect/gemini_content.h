// Gemini's generateContent and streamGenerateContent: requests, answers, streams and errors, from and to neutral.h.
// Reached through translate.h. Model and streaming stand in the path, so whoever reads a request sets them. Shapes:
// reference/wire.md §2 to §4 and §7.
#pragma once

#include "wire/dialect/table.h"

namespace lb {

extern const DialectTable kGeminiContent;

}  // namespace lb
