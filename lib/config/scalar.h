// YAML's scalars as JSON text, and what both formats call text.
#pragma once

#include <string>
#include <string_view>

namespace lb {

// A plain (unquoted) scalar by the core schema of YAML 1.2, section 10.3.2: null, true, 12, 0x1f, 0o17, 1.5e3; all
// else is a string. `.inf` and `.nan` have no JSON and stay strings too, as do digits that go on for longer than any
// number.
std::string plain_scalar_json(std::string_view text);
std::string string_json(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace lb
