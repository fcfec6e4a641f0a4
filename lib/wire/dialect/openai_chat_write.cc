// Writes requests.
#include "wire/dialect/fields.h"
#include "wire/dialect/openai_chat.h"
#include "wire/dialect/openai_chat_inside.h"
#include "wire/dialect/signature.h"

namespace lb {

namespace {

using Kind = Part::Kind;

class Writer {
 public:
  Writer(const Request& request, const WriteRequest& how) : request_(request), how_(how), json_(out_.body) {}

  std::optional<Error> write();
  WrittenRequest take() { return std::move(out_); }

 private:
  void lose(Field field) { out_.losses.add(field_name(request_.dialect, field)); }
  void lose(const Part& part, std::string_view what) { out_.losses.add(place(request_, part).append(what)); }
  Error refuse(const Part& part, std::string message) const {
    return {Status::INVALID, place(request_, part), std::move(message)};
  }

  void settings();
  void tools();
  void tool_choice();
  void format();
  void reasoning();
  std::optional<Error> turn(const Turn& turn);
  std::optional<Error> user(const Turn& turn);
  std::optional<Error> tool_result(const Part& result);
  std::optional<Error> assistant(const Turn& turn);
  std::optional<Error> system(const std::vector<Part>& parts);
  std::optional<Error> content(const std::vector<const Part*>& parts);
  std::optional<Error> one(const Part& part);
  std::optional<Error> document(const Part& part);
  void marks(const Part& part) {
    if (part.cache_control.given()) lose(Field::cache_control);
    if (part.citations.given()) lose(Field::citations);
    if (!part.signature.empty()) lose(part, ".signature");
  }

  const Request& request_;
  const WriteRequest& how_;
  WrittenRequest out_;
  JsonText json_;
};

std::optional<Error> Writer::write() {
  json_.begin_object().bytes("model", how_.model).key("messages").begin_array();
  if (std::optional<Error> error = system(request_.system)) return error;
  for (const Turn& one : request_.turns)
    if (std::optional<Error> error = turn(one)) return error;
  json_.end_array();
  settings();
  if (request_.dialect == Dialect::openai)
    for (const Extra& extra : request_.extras) json_.raw(extra.name, extra.value);
  json_.end_object();
  return leave_behind(request_, Dialect::openai, out_.losses);
}

// Texts only: the API refuses anything else there.
std::optional<Error> Writer::system(const std::vector<Part>& parts) {
  std::vector<const Part*> texts;
  for (const Part& part : parts) {
    if (part.kind == Kind::text) texts.push_back(&part);
    else lose(part, "");
  }
  if (texts.empty()) return std::nullopt;
  json_.begin_object().inner("role", "system").key("content");
  if (std::optional<Error> error = content(texts)) return error;
  json_.end_object();
  return std::nullopt;
}

std::optional<Error> Writer::turn(const Turn& turn) {
  switch (turn.role) {
    case Turn::Role::system: return system(turn.parts);
    case Turn::Role::user: return user(turn);
    case Turn::Role::assistant: return assistant(turn);
  }
  return std::nullopt;
}

// Results first, each a message of its own; then what they show, for a tool's message holds text only; then the rest.
std::optional<Error> Writer::user(const Turn& turn) {
  std::vector<const Part*> rest;
  for (const Part& part : turn.parts) {
    if (part.kind != Kind::tool_result) continue;
    if (std::optional<Error> error = tool_result(part)) return error;
    for (const Part& shown : part.content)
      if (shown.kind != Kind::text) rest.push_back(&shown);
  }
  for (const Part& part : turn.parts)
    if (part.kind != Kind::tool_result) rest.push_back(&part);
  if (rest.empty() && !turn.parts.empty()) return std::nullopt;
  json_.begin_object().inner("role", "user").given("name", turn.name).key("content");
  if (std::optional<Error> error = content(rest)) return error;
  json_.end_object();
  return std::nullopt;
}

std::optional<Error> Writer::tool_result(const Part& result) {
  if (result.is_error) lose(Field::is_error);
  if (result.cache_control.given()) lose(Field::cache_control);
  std::vector<const Part*> texts;
  for (const Part& part : result.content)
    if (part.kind == Kind::text) texts.push_back(&part);
  json_.begin_object().inner("role", "tool").inner("tool_call_id", result.id).key("content");
  if (std::optional<Error> error = content(texts)) return error;
  json_.end_object();
  return std::nullopt;
}

std::optional<Error> Writer::assistant(const Turn& turn) {
  std::vector<const Part*> texts, thoughts, calls;
  const Part* refusal = nullptr;
  for (const Part& part : turn.parts) {
    if (part.kind == Kind::thinking || part.kind == Kind::redacted) {
      if (how_.thinking_back)
        thoughts.push_back(&part);
      else
        lose(Field::thinking);
    } else if (part.kind == Kind::tool_call) {
      calls.push_back(&part);
    } else if (part.kind == Kind::refusal) {
      refusal = &part;
    } else if (part.kind == Kind::text) {
      texts.push_back(&part);
    } else {
      lose(part, "");  // What a server's tool did, and images that the model made.
    }
  }
  json_.begin_object().inner("role", "assistant").given("name", turn.name).key("content");
  if (texts.empty() && (!calls.empty() || refusal)) {
    json_.null();
  } else if (std::optional<Error> error = content(texts)) {
    return error;
  }
  if (refusal) json_.inner("refusal", refusal->text);
  write_openai_thoughts(json_, thoughts);
  if (!calls.empty()) {
    json_.key("tool_calls").begin_array();
    for (const Part* call : calls) {
      if (call->cache_control.given()) lose(Field::cache_control);
      if (!call->signature.empty() && !how_.thinking_back) lose(*call, ".signature");
      write_openai_call(json_, *call, how_.thinking_back);
    }
    json_.end_array();
  }
  json_.end_object();
  return std::nullopt;
}

std::optional<Error> Writer::content(const std::vector<const Part*>& parts) {
  if (parts.empty() || (parts.size() == 1 && parts[0]->kind == Kind::text)) {
    json_.inner(parts.empty() ? Inner() : parts[0]->text);
    if (!parts.empty()) marks(*parts[0]);
    return std::nullopt;
  }
  json_.begin_array();
  for (const Part* part : parts)
    if (std::optional<Error> error = one(*part)) return error;
  json_.end_array();
  return std::nullopt;
}

std::optional<Error> Writer::one(const Part& part) {
  const Source& source = part.source;
  marks(part);
  switch (part.kind) {
    case Kind::text:
    case Kind::refusal:
      json_.begin_object().inner("type", "text").inner("text", part.text).end_object();
      return std::nullopt;
    case Kind::image:
      if (source.kind == Source::Kind::file_id)
        return refuse(part, "is a file that another provider keeps; send the image itself, in base64 or by URL");
      json_.begin_object().inner("type", "image_url").key("image_url").begin_object();
      json_.inner("url", url_of_source(source)).given("detail", source.detail).end_object().end_object();
      return std::nullopt;
    case Kind::audio:
      if (source.kind != Source::Kind::base64) return refuse(part, "is a sound that is not in base64; send it so");
      json_.begin_object().inner("type", "input_audio").key("input_audio").begin_object();
      json_.inner("data", source.data).inner("format", source.media_type.substr(source.media_type.find('/') + 1));
      json_.end_object().end_object();
      return std::nullopt;
    case Kind::document: return document(part);
    case Kind::foreign:
      if (request_.dialect != Dialect::openai)
        return refuse(part, "is of a type that OpenAI chat does not have; send text, images or files");
      json_.raw(part.raw);
      return std::nullopt;
    case Kind::tool_call:
    case Kind::tool_result:
    case Kind::thinking:
    case Kind::redacted: return refuse(part, "does not belong into a turn of this role; move it to its own");
  }
  return std::nullopt;
}

std::optional<Error> Writer::document(const Part& part) {
  const Source& source = part.source;
  if (source.kind == Source::Kind::text) {  // OpenAI has files for what is no text.
    json_.begin_object().inner("type", "text").inner("text", source.data).end_object();
    if (!source.filename.empty()) lose(part, ".title");
    return std::nullopt;
  }
  bool openai = request_.dialect == Dialect::openai || request_.dialect == Dialect::responses;  // Of one provider.
  bool own_id = source.kind == Source::Kind::file_id && openai;
  if (source.kind != Source::Kind::base64 && !own_id)
    return refuse(part, "is a document that OpenAI chat cannot fetch; send it in base64");
  json_.begin_object().inner("type", "file").key("file").begin_object();
  if (own_id) {
    json_.inner("file_id", source.data).given("filename", source.filename);
  } else {
    // The API wants a name with every file.
    json_.inner("filename", source.filename.empty() ? "document" : source.filename);
    json_.inner("file_data", url_of_source(source));
  }
  json_.end_object().end_object();
  return std::nullopt;
}

void Writer::settings() {
  json_.given(how_.classic_max_tokens ? "max_tokens" : "max_completion_tokens", request_.output_max);
  json_.given("temperature", request_.temperature).given("top_p", request_.top_p).given("seed", request_.seed);
  if (request_.top_k.present()) {
    if (request_.dialect == Dialect::openai)
      json_.raw("top_k", request_.top_k);
    else
      lose(Field::top_k);
  }
  json_.given("presence_penalty", request_.presence_penalty).given("frequency_penalty", request_.frequency_penalty);
  json_.given("n", request_.choices).given("logit_bias", request_.logit_bias);
  if (request_.logprobs) json_.boolean("logprobs", true);
  json_.given("top_logprobs", request_.top_logprobs);
  if (!request_.stop.empty()) {
    constexpr size_t kStopMax = 4;  // reference/wire.md §2.
    json_.key("stop").begin_array();
    for (size_t i = 0; i < request_.stop.size() && i < kStopMax; i++) json_.inner(request_.stop[i]);
    json_.end_array();
    if (request_.stop.size() > kStopMax) lose(Field::stop);
  }
  tools();
  tool_choice();
  format();
  reasoning();
  constexpr size_t kUserMax = 128;  // reference/systems.md §5.7; characters beyond it are refused.
  if (request_.user.size() > kUserMax && request_.dialect != Dialect::openai)
    lose(Field::user);
  else
    json_.given("user", request_.user);
  if (!request_.tier.empty()) {
    bool foreign = request_.dialect == Dialect::anthropic && request_.tier == "standard_only";
    json_.inner("service_tier", foreign ? "default" : request_.tier);
  }
  if (request_.dialect == Dialect::gemini && !request_.cache_key.empty())
    lose(Field::cache_key);  // The name of a stored prompt, no hint.
  else
    json_.given("prompt_cache_key", request_.cache_key);
  json_.given("metadata", request_.metadata);
  if (request_.stream) {
    // What is used is asked for always: the caller's own dialect says it without being asked.
    json_.boolean("stream", true);
    if (request_.stream_usage || request_.dialect != Dialect::openai)
      json_.key("stream_options").begin_object().boolean("include_usage", true).end_object();
  }
}

void Writer::tools() {
  if (request_.tools.empty()) return;
  json_.key("tools").begin_array();
  for (const Tool& tool : request_.tools) {
    if (tool.foreign.present()) {
      json_.raw(tool.foreign);
      continue;
    }
    json_.begin_object().inner("type", "function").key("function").begin_object().inner("name", tool.name);
    json_.given("description", tool.description).given("parameters", tool.schema);
    if (tool.strict) json_.boolean("strict", *tool.strict);
    json_.end_object().end_object();
    if (tool.cache_control.given()) lose(Field::cache_control);
  }
  json_.end_array();
}

void Writer::tool_choice() {
  const ToolChoice& choice = request_.tool_choice;
  if (request_.tools.empty() && request_.dialect != Dialect::openai) return;  // The API takes no choice without tools.
  auto word = [](ToolChoice::Kind kind) { return kind == ToolChoice::Kind::any ? "required" : "auto"; };
  auto function = [&](Inner name) {
    json_.begin_object().inner("type", "function").key("function").begin_object().inner("name", name);
    json_.end_object().end_object();
  };
  switch (choice.kind) {
    case ToolChoice::Kind::absent: break;
    case ToolChoice::Kind::none: json_.inner("tool_choice", "none"); break;
    case ToolChoice::Kind::named:
      json_.key("tool_choice");
      function(choice.names.empty() ? Inner() : choice.names[0]);
      break;
    case ToolChoice::Kind::automatic:
    case ToolChoice::Kind::any:
      if (choice.names.empty()) {
        json_.inner("tool_choice", word(choice.kind));
        break;
      }
      json_.key("tool_choice").begin_object().inner("type", "allowed_tools").key("allowed_tools").begin_object();
      json_.inner("mode", word(choice.kind)).key("tools").begin_array();
      for (Inner name : choice.names) function(name);
      json_.end_array().end_object().end_object();
  }
  if (choice.parallel) json_.boolean("parallel_tool_calls", *choice.parallel);
}

void Writer::format() {
  const Format& format = request_.format;
  if (format.kind == Format::Kind::absent) return;
  json_.key("response_format").begin_object();
  if (format.kind == Format::Kind::text) json_.inner("type", "text");
  if (format.kind == Format::Kind::json) json_.inner("type", "json_object");
  if (format.kind == Format::Kind::schema) {
    // The API wants a name with every schema.
    json_.inner("type", "json_schema").key("json_schema").begin_object();
    json_.inner("name", format.name.empty() ? "answer" : format.name).given("schema", format.schema);
    if (format.strict) json_.boolean("strict", *format.strict);
    json_.end_object();
  }
  json_.end_object();
}

void Writer::reasoning() {
  const Reasoning& reasoning = request_.reasoning;
  Reasoning::Effort effort = reasoning.effort;
  if (effort == Reasoning::Effort::absent && reasoning.budget) {
    effort = effort_for(*reasoning.budget);
    if (*reasoning.budget > 0) lose(Field::reasoning);  // A number has become a word.
  }
  if (effort == Reasoning::Effort::max) {
    effort = Reasoning::Effort::xhigh;
    lose(Field::reasoning);
  }
  if (effort != Reasoning::Effort::absent) json_.inner("reasoning_effort", effort_name(effort));
}

}  // namespace

void write_openai_call(JsonText& out, const Part& call, bool signature, Inner id) {
  out.begin_object().inner("id", call.id.empty() ? id : call.id).inner("type", "function");
  out.key("function").begin_object();
  out.inner("name", call.name);
  if (call.input.present())
    out.bytes("arguments", call.input.text());
  else
    out.inner("arguments", call.text);
  out.end_object();
  if (signature && !call.signature.empty() && call.origin) {
    std::string text;
    append_signature(text, Dialect::gemini, *call.origin, false, call.signature);
    write_openai_signature(out, text);
  }
  out.end_object();
}

void write_openai_signature(JsonText& out, Inner signature) {
  out.key("extra_content").begin_object().key("google").begin_object();
  out.inner("thought_signature", signature).end_object().end_object();
}

void write_openai_thoughts(JsonText& out, const std::vector<const Part*>& thoughts) {
  bool opaque = false;
  std::string text;
  for (const Part* part : thoughts) {
    opaque = opaque || part->kind == Kind::redacted || !part->signature.empty();
    if (part->kind == Kind::thinking) text.append(part->text);
  }
  out.given("reasoning_content", text);
  if (!opaque) return;
  out.key("reasoning_details").begin_array();
  for (uint32_t i = 0; i < thoughts.size(); i++) write_openai_thought(out, *thoughts[i], i);
  out.end_array();
}

void write_openai_thought(JsonText& out, const Part& thought, uint32_t index) {
  bool hidden = thought.kind == Kind::redacted;
  out.begin_object().inner("type", hidden ? "reasoning.encrypted" : "reasoning.text");
  if (hidden)
    out.inner("data", thought.text);
  else
    out.inner("text", thought.text).given("signature", thought.signature);
  out.given("id", thought.id);
  if (thought.origin) out.inner("format", format_of_origin(*thought.origin));
  out.number("index", index).end_object();
}

Result<WrittenRequest> write_openai_request(const Request& request, const WriteRequest& how, Store&) {
  Writer writer(request, how);
  if (std::optional<Error> error = writer.write()) return *error;
  return writer.take();
}

}  // namespace lb
