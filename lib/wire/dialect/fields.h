// What members of requests are called in each dialect, so that a loss is named in the caller's words; and what several
// dialects read and write alike: the input of a tool call, the effort of reasoning, data URLs.
#pragma once

#include <optional>
#include <string_view>

#include "wire/dialect/neutral.h"

namespace lb {

enum class Field : uint8_t {
  temperature,
  top_k,
  seed,
  presence_penalty,
  frequency_penalty,
  choices,
  logprobs,
  top_logprobs,
  logit_bias,
  stop,
  user,
  tier,
  cache_key,
  metadata,
  reasoning,
  parallel,
  strict,
  format,
  cache_control,
  citations,
  name,
  is_error,
  thinking,
  foreign_tool,
  allowed_tools,
};
std::string_view field_name(Dialect dialect, Field field);

// `arguments` as OpenAI has them, the text of a JSON object, into `call`: "" is {}. What is no object stays as text.
void read_arguments(Inner arguments, Part& call, Store& store);
// The input of a call where an object is wanted. What is none stands under a key that systems of this kind agree on
// (reference/systems.md §5.8): {"value": ...} for other JSON, {"error_parsing_arguments": "..."} for other text.
Raw input_object(const Part& call, Store& store);
Raw input_object(Inner arguments, Store& store);

// "high"; "" for absent.
std::string_view effort_name(Reasoning::Effort effort);
Reasoning::Effort effort_of(std::string_view name);
// Between effort and a budget of tokens: as Google's OpenAI-style endpoint has it (none 0, minimal and low 1,024,
// medium 8,192, high 24,576), read backwards as the least effort that allows the budget.
int64_t budget_of(Reasoning::Effort effort);
Reasoning::Effort effort_for(int64_t budget);

// Whether OpenAI takes a schema as a strict one: there each object is closed and requires all its properties
// (platform.openai.com, "Structured outputs"), elsewhere some may be left out.
bool fits_strict(Raw schema);

// What a part lacks that no dialect can do without, as a message: a call its name, an image its data. "" if nothing.
std::string_view lack(const Part& part);

// Why a foreign part is refused where it may not be missing.
constexpr std::string_view kForeignPart = "only the provider it was meant for can read this part; leave it out";

// Whether thoughts are wanted in the answer. Where Claude thinks, they are, without being asked for.
std::optional<bool> shown_thoughts(const Request& request);

// "data:image/png;base64,AAAA": its type and its data; another URL as one.
Source source_of_url(Inner url);
std::string url_of_source(const Source& source);  // An inner.
// By media type: images, sounds; everything else is a document.
Part::Kind kind_of_media(Inner media_type);

}  // namespace lb
