#include "wire/dialect/neutral.h"

#include <algorithm>

#include "wire/escape.h"
#include "wire/openai.h"

namespace lb {

namespace {

std::string_view messages_name(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai:
    case Dialect::anthropic: return "messages";
    case Dialect::responses: return "input";
    case Dialect::gemini: return "contents";
  }
  return "";
}

}  // namespace

void Losses::add(std::string_view what) {
  std::string name(what.substr(0, kNameMax));
  for (char& c : name)
    if (c <= ' ' || c > '~' || c == ',') c = '?';
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return;
  if (names_.size() == kNamedMax)
    more_++;
  else
    names_.push_back(std::move(name));
}

void Losses::add(const Losses& others) {
  for (const std::string& name : others.names_) add(name);
  more_ += others.more_;
}

std::string Losses::text() const {
  std::string out;
  for (const std::string& name : names_) out.append(out.empty() ? "" : ", ").append(name);
  if (more_ > 0) out.append(", and ").append(std::to_string(more_)).append(" more");
  return out;
}

void Tokens::take(const Tokens& later) {
  if (later.input.value_or(0) == 0 && later.output.value_or(0) == 0) return;  // Not known yet.
  if (later.input) input = later.input;
  if (later.cached) cached = later.cached;
  if (later.written) written = later.written;
  if (later.output) output = later.output;
  if (later.reasoning) reasoning = later.reasoning;
}

bool says_error(Raw error) { return error.is_string() ? !error.inner().empty() : error.size() > 0; }

std::string message_place(const Request& request, const Part& part) {
  return std::string(messages_name(request.dialect)) + "." + std::to_string(part.message);
}

std::string place(const Request& request, const Part& part) {
  for (const Part& one : request.system)
    if (&one == &part && request.dialect != Dialect::openai) return "system." + std::to_string(part.index);
  // Items of the Responses API that are no messages have no parts.
  bool item = part.kind == Part::Kind::tool_call || part.kind == Part::Kind::tool_result ||
              part.kind == Part::Kind::thinking || part.kind == Part::Kind::redacted || part.apart;
  if (request.dialect == Dialect::responses && item) return message_place(request, part);
  std::string_view parts = request.dialect == Dialect::gemini ? ".parts." : ".content.";
  if (part.kind == Part::Kind::tool_call && request.dialect == Dialect::openai) parts = ".tool_calls.";
  return message_place(request, part).append(parts).append(std::to_string(part.index));
}

std::optional<Error> leave_behind(const Request& request, Dialect to, Losses& losses) {
  // Sounds in the answer, searches, remote tools, files of a container.
  static constexpr std::string_view kEssential[] = {"audio", "web_search_options", "mcp_servers", "container"};
  if (request.dialect == to) return std::nullopt;
  for (const Extra& extra : request.extras) {
    if (extra.value.is_array() && extra.value.size() == 0) continue;  // It says nothing.
    if (std::find(std::begin(kEssential), std::end(kEssential), extra.name) != std::end(kEssential))
      return Error{Status::INVALID, std::string(extra.name),
                   "only a provider of this API has that; leave it out, or route the model to one"};
    losses.add(extra.name);
  }
  for (size_t i = 0; i < request.tools.size(); i++)
    if (request.tools[i].foreign.present())
      return Error{Status::INVALID, "tools." + std::to_string(i),
                   "is a tool of the provider's own; declare a function, or route the model to that provider"};
  losses.add(request.lost);
  return std::nullopt;
}

std::vector<MergedTurn> merged_turns(const Request& request) {
  std::vector<MergedTurn> out;
  for (const Turn& turn : request.turns) {
    if (out.empty() || out.back().role != turn.role) out.push_back({turn.role, {}});
    for (const Part& part : turn.parts) out.back().parts.push_back(&part);
  }
  for (MergedTurn& turn : out)
    if (turn.role == Turn::Role::user)
      std::stable_partition(turn.parts.begin(), turn.parts.end(),
                            [](const Part* part) { return part->kind == Part::Kind::tool_result; });
  return out;
}

void tell_error(std::string_view data, DeltaSink& to) {
  Head head;
  head.status = 200;
  ErrorFacts facts = openai_error(head, data, 0);
  std::string message = encode_inner(facts.message);
  Delta out{.kind = Delta::Kind::error};
  out.text = message;
  out.error = facts.what;
  to.on(out);
}

}  // namespace lb
