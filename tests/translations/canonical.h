// How what was translated is compared: JSON without white space, members in their order, numbers and strings as they
// stand; events one a line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/dialect/neutral.h"

namespace lb::translations {

// Nothing if it is no JSON.
std::optional<std::string> canonical_json(std::string_view text);

// A stream as it is written in a case, as the bytes that it stands for: see tests/vectors/wire/README.md.
std::string stream_bytes(Dialect dialect, std::string_view lines);

// A stream's bytes, one event a line: its data if that is JSON, and named as the dialect names its events; else what
// else it is, in words. What is no whole event is said too.
std::string canonical_stream(Dialect dialect, std::string_view bytes);

}  // namespace lb::translations
