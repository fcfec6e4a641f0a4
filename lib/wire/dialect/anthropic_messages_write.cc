// Writes requests.
#include <algorithm>

#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/anthropic_messages_inside.h"
#include "wire/dialect/fields.h"

namespace lb {

namespace {

using Kind = Part::Kind;
using Effort = Reasoning::Effort;

// Ends with a space, or with an escape that means one: how many bytes that is.
size_t space_at_end(Inner text) {
  if (text.ends_with(' ')) return 1;
  if (!text.ends_with("\\n") && !text.ends_with("\\t") && !text.ends_with("\\r")) return 0;
  // The backslash may itself be the second half of an escape.
  size_t slashes = text.size() - 1 - (text.find_last_not_of('\\', text.size() - 2) + 1);
  return slashes % 2 == 1 ? 2 : 0;
}

Inner trim_end(Inner text) {
  while (size_t size = space_at_end(text)) text.remove_suffix(size);
  return text;
}

class Writer {
 public:
  Writer(const Request& request, const WriteRequest& how, Store& store)
      : request_(request), how_(how), store_(store), json_(out_.body) {}

  std::optional<Error> write();
  WrittenRequest take() { return std::move(out_); }

 private:
  void lose(Field field) { out_.losses.add(field_name(request_.dialect, field)); }
  void lose(const Part& part, std::string_view what) { out_.losses.add(place(request_, part).append(what)); }
  Error refuse(const Part& part, std::string message) const {
    return {Status::INVALID, place(request_, part), std::move(message)};
  }
  bool own() const { return request_.dialect == Dialect::anthropic; }

  void arrange();
  void plan_thinking();
  bool thinking_missing() const;
  std::optional<Error> messages();
  void system();
  void tools();
  void tool_choice();
  void thinking();
  void schema(Raw schema, Field of);
  void input_schema(const Tool& tool);
  void sampling();
  void drop();
  std::optional<Error> content(const std::vector<const Part*>& parts, bool last);
  std::optional<Error> block(const Part& part, Inner text);
  std::optional<Error> source(const Part& part);
  std::optional<Error> tool_result(const Part& part);
  void marks(const Part& part) { json_.given("cache_control", part.cache_control); }
  void text(Inner text) { json_.begin_object().inner("type", "text").inner("text", text); }
  bool written(const Part& part);

  const Request& request_;
  const WriteRequest& how_;
  Store& store_;
  WrittenRequest out_;
  JsonText json_;
  std::vector<const Part*> system_;
  std::vector<MergedTurn> turns_;
  // What is done about thinking: nothing, or one of these.
  enum class Thinking : uint8_t { unsaid, off, adaptive, budget } thinking_ = Thinking::unsaid;
  uint64_t budget_ = 0;
  Effort effort_ = Effort::absent;
};

// Prompts of the system go to the top, wherever they stood; what is left alternates, and has something to say.
void Writer::arrange() {
  for (const Part& part : request_.system) system_.push_back(&part);
  for (MergedTurn& turn : merged_turns(request_)) {
    if (turn.role == Turn::Role::system) {
      for (const Part* part : turn.parts) system_.push_back(part);
      out_.losses.add(message_place(request_, *turn.parts[0]) + ".role");
      continue;
    }
    std::erase_if(turn.parts, [&](const Part* part) { return !written(*part); });
    if (turn.parts.empty()) continue;
    if (!turns_.empty() && turns_.back().role == turn.role) {
      std::vector<const Part*>& parts = turns_.back().parts;
      parts.insert(parts.end(), turn.parts.begin(), turn.parts.end());
      std::stable_partition(parts.begin(), parts.end(),
                            [](const Part* part) { return part->kind == Kind::tool_result; });
    } else {
      turns_.push_back(std::move(turn));
    }
  }
  for (const Turn& turn : request_.turns)
    if (!turn.name.empty()) lose(Field::name);
}

// Under the classic rules the last turn with a call has to begin with what was thought (reference/wire.md §2).
bool Writer::thinking_missing() const {
  for (size_t i = turns_.size(); i-- > 0;) {
    if (turns_[i].role != Turn::Role::assistant) continue;
    bool called = false, thought = false;
    for (const Part* part : turns_[i].parts) {
      called = called || part->kind == Kind::tool_call;
      bool opaque = part->kind == Kind::redacted || (part->kind == Kind::thinking && !part->signature.empty());
      thought = thought || (opaque && part->origin == Dialect::anthropic);
    }
    return called && !thought;
  }
  return false;
}

void Writer::plan_thinking() {
  constexpr uint64_t kBudgetMin = 1024;  // reference/wire.md §2.
  const Reasoning& asked = request_.reasoning;
  bool off = asked.effort == Effort::none || asked.budget == 0;
  if (own() && !asked.adaptive && !asked.budget) {
    effort_ = asked.effort;  // Of output_config alone.
    return;
  }
  if (!asked.asked()) return;
  if (off) {
    thinking_ = Thinking::off;
    return;
  }
  ToolChoice::Kind choice = request_.tool_choice.kind;
  bool forced = choice == ToolChoice::Kind::any || choice == ToolChoice::Kind::named;
  bool budget = own() ? asked.budget.has_value() : how_.classic_thinking;
  if (!own() && !request_.tools.empty() && forced) return lose(Field::reasoning);
  if (!budget) {
    thinking_ = Thinking::adaptive;
    effort_ = asked.effort;
    if (effort_ == Effort::absent && asked.budget) {
      effort_ = effort_for(*asked.budget);
      if (*asked.budget > 0) lose(Field::reasoning);  // A number has become a word.
    }
    if (effort_ == Effort::minimal) {
      effort_ = Effort::low;
      lose(Field::reasoning);
    }
    return;
  }
  if (!own() && thinking_missing()) return lose(Field::reasoning);
  thinking_ = Thinking::budget;
  bool told = asked.budget && *asked.budget > 0;
  int64_t tokens = told ? *asked.budget : budget_of(asked.effort == Effort::absent ? Effort::medium : asked.effort);
  budget_ = std::max(static_cast<uint64_t>(tokens), kBudgetMin);
  if (own()) effort_ = asked.effort;
}

std::optional<Error> Writer::write() {
  if (request_.choices.present() && request_.choices.number() > 1)
    return Error{Status::INVALID, std::string(field_name(request_.dialect, Field::choices)),
                 "Anthropic gives one answer to a request; ask for one, or send the request several times"};
  arrange();
  plan_thinking();
  uint64_t most = request_.output_max.integer().value_or(how_.output_max_default);
  json_.begin_object().bytes("model", how_.model);
  if (thinking_ == Thinking::budget && most <= budget_)
    json_.number("max_tokens", budget_ + most);  // What is thought counts; the answer keeps what it had.
  else if (request_.output_max.present())
    json_.raw("max_tokens", request_.output_max);
  else
    json_.number("max_tokens", most);
  system();
  if (std::optional<Error> error = messages()) return error;
  tools();
  tool_choice();
  thinking();
  sampling();
  if (request_.stream) json_.boolean("stream", true);
  if (!request_.user.empty()) json_.key("metadata").begin_object().inner("user_id", request_.user).end_object();
  if (request_.tier == "auto" || own())
    json_.given("service_tier", request_.tier);
  else if (request_.tier == "default")
    json_.inner("service_tier", "standard_only");
  else if (!request_.tier.empty())
    lose(Field::tier);
  if (own())
    for (const Extra& extra : request_.extras) json_.raw(extra.name, extra.value);
  json_.end_object();
  drop();
  return leave_behind(request_, Dialect::anthropic, out_.losses);
}

// What only tunes, and has no place.
void Writer::drop() {
  if (request_.seed.present()) lose(Field::seed);
  if (request_.presence_penalty.present()) lose(Field::presence_penalty);
  if (request_.frequency_penalty.present()) lose(Field::frequency_penalty);
  if (request_.logit_bias.present()) lose(Field::logit_bias);
  if (request_.logprobs) lose(Field::logprobs);
  if (request_.top_logprobs.present()) lose(Field::top_logprobs);
  if (!request_.cache_key.empty()) lose(Field::cache_key);
  if (request_.metadata.present()) lose(Field::metadata);
  if (request_.format.kind == Format::Kind::json) lose(Field::format);
}

void Writer::system() {
  for (const Part* part : system_)
    if (part->kind != Kind::text) lose(*part, "");
  std::erase_if(system_, [](const Part* part) { return part->kind != Kind::text || part->text.empty(); });
  if (system_.empty()) return;
  json_.key("system");
  if (system_.size() == 1 && !system_[0]->cache_control.given()) {
    json_.inner(system_[0]->text);
    return;
  }
  json_.begin_array();
  for (const Part* part : system_) {
    text(part->text);
    marks(*part);
    json_.end_object();
  }
  json_.end_array();
}

std::optional<Error> Writer::messages() {
  json_.key("messages").begin_array();
  for (size_t i = 0; i < turns_.size(); i++) {
    bool assistant = turns_[i].role == Turn::Role::assistant;
    json_.begin_object().inner("role", assistant ? "assistant" : "user").key("content");
    if (std::optional<Error> error = content(turns_[i].parts, assistant && i + 1 == turns_.size())) return error;
    json_.end_object();
  }
  json_.end_array();
  return std::nullopt;
}

// False: the API refuses it, or it is good for another provider only.
bool Writer::written(const Part& part) {
  switch (part.kind) {
    case Kind::text:
    case Kind::refusal:
      if (trim_end(part.text).empty() && !part.text.empty()) lose(part, "");
      return !trim_end(part.text).empty();
    case Kind::thinking:
    case Kind::redacted: {
      bool good = part.origin == Dialect::anthropic && (part.kind == Kind::redacted || !part.signature.empty());
      if (!good) lose(Field::thinking);
      return good;
    }
    case Kind::tool_call:
      if (!part.signature.empty()) lose(part, ".signature");
      return true;
    case Kind::image:
    case Kind::document:
    case Kind::audio:
    case Kind::tool_result:
    case Kind::foreign: return true;
  }
  return true;
}

std::optional<Error> Writer::content(const std::vector<const Part*>& parts, bool last) {
  // The API refuses an answer to be gone on with that ends in white space.
  auto text_of = [&](const Part* part) { return last && part == parts.back() ? trim_end(part->text) : part->text; };
  const Part& only = *parts[0];
  if (parts.size() == 1 && only.kind == Kind::text && !only.cache_control.given() && !only.citations.given()) {
    json_.inner(text_of(&only));
    return std::nullopt;
  }
  json_.begin_array();
  for (const Part* part : parts)
    if (std::optional<Error> error = block(*part, text_of(part))) return error;
  json_.end_array();
  return std::nullopt;
}

std::optional<Error> Writer::block(const Part& part, Inner words) {
  switch (part.kind) {
    case Kind::text:
    case Kind::refusal:
      text(words);
      json_.given("citations", part.citations);
      marks(part);
      json_.end_object();
      return std::nullopt;
    case Kind::image:
    case Kind::document: return source(part);
    case Kind::audio:
      return refuse(part, "is a sound, which Anthropic does not take; send text, or route the model elsewhere");
    case Kind::tool_call: {
      std::string id;
      append_call_id(id, part.id);
      json_.begin_object().inner("type", "tool_use").inner("id", id).inner("name", part.name);
      json_.raw("input", input_object(part, store_));
      marks(part);
      json_.end_object();
      return std::nullopt;
    }
    case Kind::tool_result: return tool_result(part);
    case Kind::thinking:
      json_.begin_object().inner("type", "thinking").inner("thinking", part.text).inner("signature", part.signature);
      json_.end_object();
      return std::nullopt;
    case Kind::redacted:
      json_.begin_object().inner("type", "redacted_thinking").inner("data", part.text).end_object();
      return std::nullopt;
    case Kind::foreign:
      if (!own()) return refuse(part, "is of a type that Anthropic does not have; send text, images or documents");
      json_.raw(part.raw);
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Error> Writer::source(const Part& part) {
  const Source& source = part.source;
  bool image = part.kind == Kind::image;
  if (source.kind == Source::Kind::file_id && !own())
    return refuse(part, "is a file that another provider keeps; send it in base64 or by URL");
  if (!image && source.kind == Source::Kind::base64 && source.media_type != "application/pdf")
    return refuse(part, "is a file of a type that Anthropic does not take; send a PDF, or its text as text");
  if (!source.detail.empty() && source.detail != "auto") lose(part, ".detail");
  json_.begin_object().inner("type", image ? "image" : "document").key("source").begin_object();
  switch (source.kind) {
    case Source::Kind::base64:
      json_.inner("type", "base64").inner("media_type", source.media_type).inner("data", source.data);
      break;
    case Source::Kind::url: json_.inner("type", "url").inner("url", source.data); break;
    case Source::Kind::file_id: json_.inner("type", "file").inner("file_id", source.data); break;
    case Source::Kind::text:
    case Source::Kind::none:
      json_.inner("type", "text").inner("media_type", "text/plain").inner("data", source.data);
      break;
  }
  json_.end_object();
  if (!image) json_.given("title", source.filename).given("citations", part.citations);
  marks(part);
  json_.end_object();
  return std::nullopt;
}

std::optional<Error> Writer::tool_result(const Part& part) {
  std::string id;
  append_call_id(id, part.id);
  json_.begin_object().inner("type", "tool_result").inner("tool_use_id", id);
  std::vector<const Part*> parts;
  for (const Part& one : part.content)
    if (written(one)) parts.push_back(&one);
  if (!parts.empty()) {
    json_.key("content");
    if (std::optional<Error> error = content(parts, false)) return error;
  }
  if (part.is_error) json_.boolean("is_error", true);
  marks(part);
  json_.end_object();
  return std::nullopt;
}

void Writer::tools() {
  if (request_.tools.empty()) return;
  // Where only some are allowed, only those are offered.
  const std::vector<Inner>& names = request_.tool_choice.names;
  bool some = request_.tool_choice.kind != ToolChoice::Kind::named && !names.empty();
  json_.key("tools").begin_array();
  for (const Tool& tool : request_.tools) {
    if (tool.foreign.present()) {
      json_.raw(tool.foreign);
      continue;
    }
    if (some && std::find(names.begin(), names.end(), tool.name) == names.end()) continue;
    json_.begin_object().inner("name", tool.name).given("description", tool.description);
    input_schema(tool);
    if (tool.strict == true || (tool.strict && own())) json_.boolean("strict", *tool.strict);
    json_.given("cache_control", tool.cache_control).end_object();
  }
  json_.end_array();
}

// Of what is held to its schema.
void Writer::schema(Raw schema, Field of) {
  json_.key(of == Field::strict ? "input_schema" : "schema");
  if (own()) {
    json_.raw(schema);
    return;
  }
  bool lost = false;
  json_.raw(narrowed_schema(schema, lost));
  if (lost) lose(of);
}

void Writer::input_schema(const Tool& tool) {
  if (tool.schema.present() && tool.schema["type"].present() && tool.strict == true)
    return schema(tool.schema, Field::strict);
  json_.key("input_schema");
  if (!tool.schema.present()) {
    json_.raw(R"({"type":"object","properties":{}})");
  } else if (tool.schema["type"].present() || own()) {
    json_.raw(tool.schema);
  } else {  // The API wants the type, which for others goes without saying.
    std::string_view members = tool.schema.text().substr(1);
    json_.raw((tool.schema.size() > 0 ? R"({"type":"object",)" : R"({"type":"object")") + std::string(members));
  }
}

void Writer::tool_choice() {
  const ToolChoice& choice = request_.tool_choice;
  bool said = choice.kind != ToolChoice::Kind::absent || choice.parallel == false;
  if (!said || request_.tools.empty()) return;  // The API takes no choice without tools.
  json_.key("tool_choice").begin_object();
  switch (choice.kind) {
    case ToolChoice::Kind::absent:
    case ToolChoice::Kind::automatic: json_.inner("type", "auto"); break;
    case ToolChoice::Kind::none: json_.inner("type", "none"); break;
    case ToolChoice::Kind::any: json_.inner("type", "any"); break;
    case ToolChoice::Kind::named:
      json_.inner("type", "tool").inner("name", choice.names.empty() ? Inner() : choice.names[0]);
      break;
  }
  if (choice.parallel == false && choice.kind != ToolChoice::Kind::none)
    json_.boolean("disable_parallel_tool_use", true);
  json_.end_object();
}

void Writer::thinking() {
  if (thinking_ != Thinking::unsaid) {
    json_.key("thinking").begin_object();
    if (thinking_ == Thinking::off) json_.inner("type", "disabled");
    if (thinking_ == Thinking::adaptive) json_.inner("type", "adaptive");
    if (thinking_ == Thinking::budget) json_.inner("type", "enabled").number("budget_tokens", budget_);
    json_.end_object();
  }
  bool schema = request_.format.kind == Format::Kind::schema;
  bool effort = effort_ != Effort::absent && effort_ != Effort::none;
  if (!schema && !effort) return;
  json_.key("output_config").begin_object();
  if (effort) json_.inner("effort", effort_name(effort_));
  if (schema) {
    json_.key("format").begin_object().inner("type", "json_schema");
    if (request_.format.schema.given()) this->schema(request_.format.schema, Field::format);
    json_.end_object();
  }
  json_.end_object();
}

void Writer::sampling() {
  constexpr double kTopPMin = 0.95;  // With thinking: docs.anthropic.com, "Extended thinking".
  bool thinks = thinking_ == Thinking::adaptive || thinking_ == Thinking::budget;
  const Request& request = request_;
  if (request.temperature.present() && thinks && !own()) {
    lose(Field::temperature);
  } else if (request.temperature.number() > 1) {
    json_.number("temperature", 1);
    lose(Field::temperature);
  } else {
    json_.given("temperature", request.temperature);
  }
  // 1 is what it is anyway; and newer models take one of the two only.
  bool both = request.temperature.present() && !thinks, low = thinks && request.top_p.number() < kTopPMin;
  if (own())
    json_.given("top_p", request.top_p);
  else if (request.top_p.present() && request.top_p.number() != 1 && (both || low))
    out_.losses.add(request_.dialect == Dialect::gemini ? "generationConfig.topP" : "top_p");
  else if (request.top_p.number() != 1)
    json_.given("top_p", request.top_p);
  if (request.top_k.present() && thinks && !own())
    lose(Field::top_k);
  else
    json_.given("top_k", request.top_k);
  std::vector<Inner> stops;
  for (Inner stop : request.stop) {
    if (trim_end(stop).empty())
      lose(Field::stop);
    else
      stops.push_back(stop);
  }
  if (stops.empty()) return;
  json_.key("stop_sequences").begin_array();
  for (Inner stop : stops) json_.inner(stop);
  json_.end_array();
}

}  // namespace

Result<WrittenRequest> write_anthropic_request(const Request& request, const WriteRequest& how, Store& store) {
  Writer writer(request, how, store);
  if (std::optional<Error> error = writer.write()) return *error;
  return writer.take();
}

}  // namespace lb
