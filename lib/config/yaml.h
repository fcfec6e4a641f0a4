// YAML as JSON text: the same tree for everything that follows. YAML 1.2's core schema, so that `no` and `on` are
// strings; one document; no tags.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lb {

// What aliases may expand a document to, in bytes of JSON: a bomb of nine lines would fill the memory else.
inline constexpr size_t kYamlBytesMax = size_t{16} << 20;
// Values within values, counted from the document itself. A configuration needs seven.
inline constexpr int kYamlDepthMax = 64;

// Errors have no `where`; their message begins with "line N column M: ", unless there is nothing at all.
Result<std::string> yaml_to_json(std::string_view text);

}  // namespace lb
