// Lists of models, and single ones, as each dialect says them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mock/request.h"

namespace lb::mock {

void add_models(Voice voice, const std::vector<std::string>& names, std::string* out);
void add_model(Voice voice, std::string_view name, std::string* out);

// OpenAI and Anthropic have one path for it: Anthropic's clients tell their version.
Voice voice_of_list(std::string_view path, std::string_view header_lines);

}  // namespace lb::mock
