// Opaque data of one vendor in a place where another vendor's stands. What a model thought is signed, and the signature
// is good only where it was made (reference/wire.md §6); so that a client who sends it back is understood, a signature
// that is not the place's own begins with a mark. Twelve letters, so that base64 stays base64 of whole groups: the SDKs
// of Gemini decode a thoughtSignature, and write it again with the other alphabet (RFC 4648 §5).
#pragma once

#include <string>
#include <string_view>

#include "wire/dialect/neutral.h"

namespace lb {

// Appends what stands in a place that is `home`'s.
void append_signature(std::string& out, Dialect home, Dialect origin, bool redacted, Inner data);

// Reads it back into `part`: text of a redacted one, signature of any other, and the origin.
void read_signature(Inner found, Dialect home, Part& part, Store& store);

}  // namespace lb
