// What is peculiar to a provider: where it is, how it takes its key, what of its API's operations it does not have, and
// how its dialect differs when lb writes it. One row each; the reference is reference/wire.md §1 and their API pages of
// November 2026.
#pragma once

#include <span>
#include <string_view>

#include "wire/operation.h"

namespace lb {

struct Vendor {
  std::string_view name;       // Key `vendor`.
  std::string_view url;        // Of its API; "" for those that every customer has one of.
  Api api = Api::openai;
  std::string_view key_field;  // What stands before the key; "" as `api` has it.
  Operations lacks;
  bool classic_max_tokens = false;  // It knows `max_tokens`, and not what came after it.
  bool thinking_back = false;       // It wants to see again what it thought, as `reasoning_content`.
};

// In the order of the key's values.
std::span<const Vendor> vendors();
// The one that has no name.
inline const Vendor& vendor_other() { return vendors().front(); }

}  // namespace lb
