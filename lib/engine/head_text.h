// The head of a call as text, as lb_call_start takes it: "POST /v1/... HTTP/1.1" and field lines. Pure; any thread, so
// that a caller hears of a mistake at once.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "wire/http1.h"
#include "wire/operation.h"

namespace lb {

// What a request head asks for. INVALID when the engine has no such operation.
Result<Asked> asked_by(const Head& head);

// With or without the blank line at its end. INVALID when it is not a request head, longer than `bytes_max`, or names
// no operation that the engine has.
Result<Head> parse_head_text(std::string_view text, uint32_t bytes_max, Head&& blank = {});

}  // namespace lb
