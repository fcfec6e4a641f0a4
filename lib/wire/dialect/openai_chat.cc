// Reads requests.
#include "wire/dialect/openai_chat.h"

#include <algorithm>

#include "wire/dialect/fields.h"
#include "wire/dialect/members.h"
#include "wire/dialect/openai_chat_inside.h"
#include "wire/dialect/signature.h"

namespace lb {

const DialectTable kOpenAiChat = {read_openai_request, write_openai_request, read_openai_answer, write_openai_answer,
                                  openai_stream_reader, openai_stream_writer, openai_error_body_of};

namespace {

Error invalid(std::string where, std::string message) {
  return {Status::INVALID, std::move(where), std::move(message)};
}

// The words of an enum are compared as they stand, or decoded if they have escapes.
bool says(Raw value, std::string_view word) {
  return value.inner() == word || (value.inner().find('\\') != std::string_view::npos && value.decoded() == word);
}

// A URL without escapes: some clients write "\/".
Inner plain(Inner inner, Store& store) {
  if (inner.find('\\') == inner.npos) return inner;
  return store.keep(encode_inner(decode_inner(inner)));
}

class Reader {
 public:
  explicit Reader(Store& store) : store_(store) {}

  std::optional<Error> messages(Raw list) {
    if (!list.is_array()) return invalid("messages", "is no list; write the turns of the conversation");
    for (RawWalk at = list.walk(); at.next(); message_++)
      if (std::optional<Error> error = message(at.value())) return error;
    return std::nullopt;
  }
  std::optional<Error> settings(const Members& body);
  Request take() { return std::move(request_); }

 private:
  std::string here() const { return "messages." + std::to_string(message_); }
  Part part(Part::Kind kind) const {
    Part out;
    out.kind = kind;
    out.message = message_;
    return out;
  }

  std::optional<Error> message(Raw message);
  std::optional<Error> tool_message(Raw message);
  std::optional<Error> content(Raw content, std::vector<Part>& to);
  std::optional<Error> one(Raw value, uint32_t index, std::vector<Part>& to);
  std::optional<Error> file(Raw value, Part& out);
  std::optional<Error> calls(Raw list, std::vector<Part>& to);
  void thoughts(Raw message, std::vector<Part>& to) {
    size_t from = to.size();
    read_openai_thoughts(message, to);
    for (; from < to.size(); from++) to[from].message = message_;
  }
  std::optional<Error> tools(Raw list);
  void tool_choice(const Members& body);
  void format(Raw format);
  void stop(Raw stop);
  void numbers(const Members& body);

  Store& store_;
  Request request_;
  uint32_t message_ = 0;
};

std::optional<Error> Reader::message(Raw message) {
  if (!message.is_object()) return invalid(here(), "is no object; write a turn with `role` and `content`");
  Raw role = message["role"];
  if (says(role, "tool")) return tool_message(message);
  bool system = says(role, "system") || says(role, "developer");
  bool assistant = says(role, "assistant");
  if (says(role, "function") || message["function_call"].given())
    return invalid(here(), "is of the old form with functions; write role `tool`, and `tool_calls`");
  if (!system && !assistant && !says(role, "user"))
    return invalid(here() + ".role", "is none that is known; write system, developer, user, assistant or tool");
  Turn turn;
  turn.role = system ? Turn::Role::system : assistant ? Turn::Role::assistant : Turn::Role::user;
  turn.name = message["name"].inner();
  if (assistant) thoughts(message, turn.parts);
  if (std::optional<Error> error = content(message["content"], turn.parts)) return error;
  if (Raw refusal = message["refusal"]; !refusal.inner().empty()) {
    turn.parts.push_back(part(Part::Kind::refusal));
    turn.parts.back().text = refusal.inner();
  }
  if (message["audio"].given()) request_.lost.add(here() + ".audio");
  if (std::optional<Error> error = calls(message["tool_calls"], turn.parts)) return error;
  if (turn.parts.empty()) turn.parts.push_back(part(Part::Kind::text));
  if (system && request_.turns.empty()) {
    if (!turn.name.empty()) request_.lost.add(here() + ".name");
    for (Part& text : turn.parts) request_.system.push_back(std::move(text));
  } else {
    request_.turns.push_back(std::move(turn));
  }
  return std::nullopt;
}

std::optional<Error> Reader::tool_message(Raw message) {
  Part result = part(Part::Kind::tool_result);
  result.id = message["tool_call_id"].inner();
  if (result.id.empty()) return invalid(here() + ".tool_call_id", "is missing; name the call that this answers");
  if (std::optional<Error> error = content(message["content"], result.content)) return error;
  Turn turn;
  turn.parts.push_back(std::move(result));
  request_.turns.push_back(std::move(turn));
  return std::nullopt;
}

std::optional<Error> Reader::content(Raw content, std::vector<Part>& to) {
  if (!content.given()) return std::nullopt;
  if (content.is_string()) {
    to.push_back(part(Part::Kind::text));
    to.back().text = content.inner();
    return std::nullopt;
  }
  if (!content.is_array()) return invalid(here() + ".content", "is neither a string nor a list of parts");
  uint32_t index = 0;
  for (RawWalk at = content.walk(); at.next(); index++)
    if (std::optional<Error> error = one(at.value(), index, to)) return error;
  return std::nullopt;
}

std::optional<Error> Reader::one(Raw value, uint32_t index, std::vector<Part>& to) {
  Raw type = value["type"];
  Part out = part(Part::Kind::foreign);
  out.index = index;
  std::string where = here() + ".content." + std::to_string(index);
  if (says(type, "text") || says(type, "refusal")) {
    out.kind = says(type, "text") ? Part::Kind::text : Part::Kind::refusal;
    Raw text = value[says(type, "text") ? "text" : "refusal"];
    if (!text.is_string()) return invalid(where, "has no text");
    out.text = text.inner();
  } else if (says(type, "image_url")) {
    Raw image = value["image_url"];
    Raw url = image.is_string() ? image : image["url"];  // A string is not documented, but sent.
    if (url.inner().empty()) return invalid(where + ".image_url.url", "is missing; write a URL, or a data URL");
    out.kind = Part::Kind::image;
    out.source = source_of_url(plain(url.inner(), store_));
    out.source.detail = image["detail"].inner();
  } else if (says(type, "input_audio")) {
    Raw audio = value["input_audio"];
    out.kind = Part::Kind::audio;
    out.source.kind = Source::Kind::base64;
    out.source.media_type = store_.keep("audio/" + std::string(audio["format"].inner()));
    out.source.data = plain(audio["data"].inner(), store_);
    if (out.source.data.empty()) return invalid(where + ".input_audio.data", "is missing; write the sound in base64");
  } else if (says(type, "file")) {
    out.kind = Part::Kind::document;
    if (std::optional<Error> error = file(value["file"], out)) return Error{error->status, where, error->message};
  } else if (!value.is_object() || !type.is_string()) {
    return invalid(where, "is no part; write an object with a `type`");
  } else {
    out.raw = value;
  }
  out.cache_control = value["cache_control"];
  to.push_back(std::move(out));
  return std::nullopt;
}

std::optional<Error> Reader::file(Raw value, Part& out) {
  out.source.filename = value["filename"].inner();
  if (Inner id = value["file_id"].inner(); !id.empty()) {
    out.source.kind = Source::Kind::file_id;
    out.source.data = id;
    return std::nullopt;
  }
  Source source = source_of_url(plain(value["file_data"].inner(), store_));
  if (source.kind != Source::Kind::base64)
    return invalid("", "has no file; write `file_data` as a data URL in base64, or `file_id`");
  source.filename = out.source.filename;
  out.source = source;
  return std::nullopt;
}

std::optional<Error> Reader::calls(Raw list, std::vector<Part>& to) {
  uint32_t index = 0;
  for (RawWalk at = list.walk(); list.is_array() && at.next(); index++) {
    Part call = part(Part::Kind::tool_call);
    call.index = index;
    if (!read_openai_call(at.value(), call, store_) || call.id.empty())
      return invalid(here() + ".tool_calls." + std::to_string(index),
                     "is no call of a function; write `id` and `function` with `name` and `arguments`");
    to.push_back(std::move(call));
  }
  return std::nullopt;
}

std::optional<Error> Reader::tools(Raw list) {
  uint32_t index = 0;
  for (RawWalk at = list.walk(); list.is_array() && at.next(); index++) {
    Tool tool;
    Raw function = at.value()["function"];
    if (!says(at.value()["type"], "function")) {
      tool.foreign = at.value();
    } else {
      tool.name = function["name"].inner();
      if (tool.name.empty()) return invalid("tools." + std::to_string(index) + ".function.name", "is missing");
      tool.description = function["description"].inner();
      if (function["parameters"].is_object()) tool.schema = function["parameters"];
      if (Raw strict = function["strict"]; strict.is_true() || strict.is_false()) tool.strict = strict.is_true();
      tool.cache_control = at.value()["cache_control"];
    }
    request_.tools.push_back(std::move(tool));
  }
  return std::nullopt;
}

void Reader::tool_choice(const Members& body) {
  using Kind = ToolChoice::Kind;
  ToolChoice& choice = request_.tool_choice;
  Raw value = body["tool_choice"];
  auto kind_of = [](Raw word) {
    return says(word, "auto")       ? Kind::automatic
           : says(word, "none")     ? Kind::none
           : says(word, "required") ? Kind::any
                                    : Kind::absent;
  };
  if (value.is_string()) {
    choice.kind = kind_of(value);
  } else if (says(value["type"], "function")) {
    choice.kind = Kind::named;
    choice.names.push_back(value["function"]["name"].inner());
  } else if (Raw allowed = value["allowed_tools"]; says(value["type"], "allowed_tools")) {
    choice.kind = kind_of(allowed["mode"]);
    for (RawWalk at = allowed["tools"].walk(); at.next();)
      choice.names.push_back(at.value()["function"]["name"].inner());
  }
  if (Raw parallel = body["parallel_tool_calls"]; parallel.is_true() || parallel.is_false())
    choice.parallel = parallel.is_true();
}

void Reader::format(Raw format) {
  Raw type = format["type"];
  if (says(type, "text")) request_.format.kind = Format::Kind::text;
  if (says(type, "json_object")) request_.format.kind = Format::Kind::json;
  if (!says(type, "json_schema")) return;
  Raw schema = format["json_schema"];
  request_.format.kind = Format::Kind::schema;
  request_.format.name = schema["name"].inner();
  request_.format.schema = schema["schema"];
  if (Raw strict = schema["strict"]; strict.is_true() || strict.is_false()) request_.format.strict = strict.is_true();
  if (schema["description"].given()) request_.lost.add("response_format.json_schema.description");
}

void Reader::stop(Raw stop) {
  if (stop.is_string()) request_.stop.push_back(stop.inner());
  if (stop.is_array())
    for (RawWalk at = stop.walk(); at.next();)
      if (at.value().is_string()) request_.stop.push_back(at.value().inner());
}

void Reader::numbers(const Members& body) {
  auto number = [&](const char* name) { return body[name].is_number() ? body[name] : Raw(); };
  request_.output_max = number("max_completion_tokens");
  if (!request_.output_max.present()) request_.output_max = number("max_tokens");
  request_.temperature = number("temperature");
  request_.top_p = number("top_p");
  request_.top_k = number("top_k");  // Of vLLM, SiliconFlow and others.
  request_.seed = number("seed");
  request_.presence_penalty = number("presence_penalty");
  request_.frequency_penalty = number("frequency_penalty");
  request_.choices = number("n");
  request_.top_logprobs = number("top_logprobs");
  request_.logprobs = body["logprobs"].is_true();
  if (body["logit_bias"].is_object()) request_.logit_bias = body["logit_bias"];
}

std::optional<Error> Reader::settings(const Members& body) {
  static constexpr std::string_view kKnown[] = {
      "model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format",
      "reasoning_effort", "max_completion_tokens", "max_tokens", "temperature", "top_p", "top_k", "seed",
      "presence_penalty", "frequency_penalty", "n", "logprobs", "top_logprobs", "logit_bias", "stop", "user",
      "safety_identifier", "service_tier", "prompt_cache_key", "metadata"};
  for (std::string_view old : {"functions", "function_call"})
    if (body[old].given()) return invalid(std::string(old), "is the old form; write `tools` and `tool_choice`");
  request_.dialect = Dialect::openai;
  request_.model = body["model"].inner();
  request_.stream = body["stream"].is_true();
  request_.stream_usage = body["stream_options"]["include_usage"].is_true();
  request_.reasoning.effort = effort_of(body["reasoning_effort"].inner());
  request_.user = body[body["safety_identifier"].given() ? "safety_identifier" : "user"].inner();
  request_.tier = body["service_tier"].inner();
  request_.cache_key = body["prompt_cache_key"].inner();
  if (body["metadata"].is_object()) request_.metadata = body["metadata"];
  numbers(body);
  stop(body["stop"]);
  format(body["response_format"]);
  tool_choice(body);
  for (const auto& [key, value] : body) {
    bool known = std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown);
    if (!known && value.given()) request_.extras.push_back({key, value});
  }
  return tools(body["tools"]);
}

}  // namespace

bool read_openai_call(Raw value, Part& call, Store& store) {
  Raw function = value["function"];
  call.id = value["id"].inner();
  call.name = function["name"].inner();
  if (!function.is_object() || call.name.empty()) return false;
  Raw arguments = function["arguments"];
  if (arguments.is_object())
    call.input = arguments;  // Not as documented, but sent by some.
  else
    read_arguments(arguments.inner(), call, store);
  if (Inner signature = value["extra_content"]["google"]["thought_signature"].inner(); !signature.empty())
    read_signature(signature, Dialect::gemini, call, store);
  return true;
}

void read_openai_thoughts(Raw message, std::vector<Part>& to) {
  Raw text = message["reasoning_content"].is_string() ? message["reasoning_content"] : message["reasoning"];
  Raw details = message["reasoning_details"];
  size_t from = to.size();
  bool texts = false;
  for (RawWalk at = details.walk(); details.is_array() && at.next();) {
    Raw entry = at.value();
    Part part;
    part.kind = says(entry["type"], "reasoning.encrypted") ? Part::Kind::redacted : Part::Kind::thinking;
    part.origin = origin_of_format(entry["format"].inner());
    if (part.kind == Part::Kind::redacted) {
      part.text = entry["data"].inner();
      if (part.text.empty()) continue;
    } else {
      part.text = entry[says(entry["type"], "reasoning.summary") ? "summary" : "text"].inner();
      part.signature = entry["signature"].inner();
      if (part.text.empty() && part.signature.empty()) continue;
      texts = true;
    }
    part.id = entry["id"].inner();
    to.push_back(std::move(part));
  }
  if (texts || text.inner().empty()) return;
  Part part;
  part.kind = Part::Kind::thinking;
  part.text = text.inner();
  to.insert(to.begin() + static_cast<ptrdiff_t>(from), std::move(part));
}

Result<Request> read_openai_request(std::string_view text, Store& store) {
  Result<Raw> json = Raw::parse(text);
  if (!json.ok()) return json.error();
  if (!json.value().is_object()) return invalid("", "the request is no JSON object");
  Reader reader(store);
  Members body(json.value());
  if (std::optional<Error> error = reader.settings(body)) return *error;
  if (std::optional<Error> error = reader.messages(body["messages"])) return *error;
  return reader.take();
}

}  // namespace lb
