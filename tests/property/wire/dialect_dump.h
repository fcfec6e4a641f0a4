// Requests and answers of neutral.h as text: what they mean, without where it stood and how it was spelled. Two that
// say the same have the same dump.
#pragma once

#include <string>

#include "wire/dialect/neutral.h"
#include "wire/escape.h"

namespace lb {

inline std::string dump_text(Inner inner) { return "\"" + decode_inner(inner) + "\""; }

inline std::string dump_part(const Part& part) {
  static constexpr const char* kKinds[] = {"text", "image", "document", "audio", "call", "result",
                                           "thinking", "redacted", "refusal", "foreign"};
  std::string out = kKinds[static_cast<size_t>(part.kind)];
  if (!part.text.empty()) out += " " + dump_text(part.text);
  if (part.source.kind != Source::Kind::none)
    out += " " + std::to_string(static_cast<int>(part.source.kind)) + " " + decode_inner(part.source.media_type) + " " +
           decode_inner(part.source.data);
  if (!part.id.empty()) out += " id " + decode_inner(part.id);
  if (part.kind == Part::Kind::tool_call) out += " name " + decode_inner(part.name);
  if (part.input.present()) out += " input " + std::string(part.input.text());
  if (part.is_error) out += " error";
  if (!part.signature.empty()) out += " signed " + decode_inner(part.signature);
  for (const Part& one : part.content) out += " (" + dump_part(one) + ")";
  return out;
}

inline void dump_number(std::string& out, const char* name, Raw value) {
  if (value.given()) out.append(name).append(" ").append(value.text()).append("\n");
}

inline std::string dump(const Request& request) {
  std::string out;
  for (const Part& part : request.system) out += "system " + dump_part(part) + "\n";
  for (const Turn& turn : request.turns) {
    static constexpr const char* kRoles[] = {"user", "assistant", "system"};
    // Some dialects give each answer of a tool a message of its own.
    out.append("turn ").append(kRoles[static_cast<size_t>(turn.role)]).append("\n");
    for (const Part& part : turn.parts) out += "  " + dump_part(part) + "\n";
  }
  for (const Tool& tool : request.tools)
    out += "tool " + dump_text(tool.name) + " " + dump_text(tool.description) + " " + std::string(tool.schema.text()) +
           "\n";
  out += "choice " + std::to_string(static_cast<int>(request.tool_choice.kind));
  for (Inner name : request.tool_choice.names) out += " " + decode_inner(name);
  if (request.tool_choice.parallel == false) out += " one";
  out += "\nformat " + std::to_string(static_cast<int>(request.format.kind));
  out += std::string(request.format.schema.text()) + "\n";
  dump_number(out, "output_max", request.output_max);
  dump_number(out, "temperature", request.temperature);
  dump_number(out, "top_p", request.top_p);
  dump_number(out, "top_k", request.top_k);
  dump_number(out, "seed", request.seed);
  dump_number(out, "presence", request.presence_penalty);
  dump_number(out, "frequency", request.frequency_penalty);
  for (Inner stop : request.stop) out += "stop " + dump_text(stop) + "\n";
  if (!request.user.empty()) out += "user " + decode_inner(request.user) + "\n";
  return out;
}

inline std::string dump(const Reply& reply) {
  std::string out;
  for (const Choice& choice : reply.choices) {
    out += "choice " + std::to_string(static_cast<int>(choice.stop)) + "\n";
    for (const Part& part : choice.parts) out += "  " + dump_part(part) + "\n";
  }
  auto count = [&](const char* name, const std::optional<uint64_t>& value) {
    if (value.value_or(0) > 0) out.append(name).append(" ").append(std::to_string(*value)).append("\n");
  };
  count("input", reply.usage.input);
  count("cached", reply.usage.cached);
  count("output", reply.usage.output);
  count("reasoning", reply.usage.reasoning);
  return out;
}

}  // namespace lb
