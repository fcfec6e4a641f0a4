// The calls that an answer makes: of the tools that a request of any dialect offers, with arguments made from their
// schemas. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lb::mock {

struct ToolCall {
  std::string name;       // As a JSON string, without its quotes.
  std::string arguments;  // JSON: an object.
};

// `count` calls of the tools of `body`, from the first on, and again from the first if there are fewer. None if it
// offers none, forbids them, or has results of calls already.
void choose_calls(std::string_view body, uint32_t count, std::vector<ToolCall>* out);

// Fragment `index`, from 0, of `count`, of a text that is not cut within a character.
std::string_view fragment(std::string_view text, uint32_t index, uint32_t count);

}  // namespace lb::mock
