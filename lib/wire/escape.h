// What stands between the quotes of a JSON string (its "inner"), and the bytes that it means.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lb {

// Size of the UTF-8 character that `text` begins with; 0 if it does not begin with one (RFC 3629 §4). Not of "".
size_t utf8_size(std::string_view text);

// The bytes. Half of a surrogate pair becomes U+FFFD; what is no escape stays as it is.
std::string decode_inner(std::string_view inner);
// The inner of any bytes. What is not UTF-8 becomes U+FFFD: the result is always valid.
std::string encode_inner(std::string_view bytes);
void append_inner(std::string& out, std::string_view bytes);
// The same between quotes.
std::string json_quote(std::string_view bytes);

}  // namespace lb
