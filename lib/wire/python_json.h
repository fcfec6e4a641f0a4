// JSON as Python's json.dumps writes it: ", " and ": " between values, all but printable ASCII escaped, numbers with a
// fraction as repr() has them. For counts of tokens that must equal those of programs in Python (dialect/tokens.h). A
// name that stands twice in an object stays twice, of which Python keeps one.
#pragma once

#include <string>

#include "wire/raw.h"

namespace lb {

// Nothing is appended for a value that is absent.
void append_python_json(std::string& out, Raw value);

}  // namespace lb
