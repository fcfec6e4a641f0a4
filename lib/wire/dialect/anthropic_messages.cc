// Reads requests.
#include "wire/dialect/anthropic_messages.h"

#include <algorithm>

#include "wire/dialect/anthropic_messages_inside.h"
#include "wire/dialect/fields.h"
#include "wire/dialect/members.h"
#include "wire/dialect/signature.h"

namespace lb {

const DialectTable kAnthropicMessages = {read_anthropic_request,  write_anthropic_request, read_anthropic_answer,
                                         write_anthropic_answer,  anthropic_stream_reader, anthropic_stream_writer,
                                         anthropic_error_body_of};

namespace {

using Kind = Part::Kind;

Error invalid(std::string where, std::string message) {
  return {Status::INVALID, std::move(where), std::move(message)};
}

class Reader {
 public:
  explicit Reader(Store& store) : store_(store) {}

  std::optional<Error> messages(Raw list);
  std::optional<Error> system(Raw system);
  std::optional<Error> settings(const Members& body);
  Request take() { return std::move(request_); }

 private:
  std::string here() const { return "messages." + std::to_string(message_); }
  std::optional<Error> content(Raw content, const std::string& where, std::vector<Part>& to);
  std::optional<Error> one(Raw value, const std::string& where, Part& out);
  std::optional<Error> source(Raw value, const std::string& where, Source& out);
  std::optional<Error> tools(Raw list);
  void tool_choice(Raw value);
  void thinking(Raw value);
  void output(Raw config, Raw older);
  void metadata(Raw value);

  Store& store_;
  Request request_;
  uint32_t message_ = 0;
  bool in_result_ = false;
};

std::optional<Error> Reader::messages(Raw list) {
  if (!list.is_array()) return invalid("messages", "is no list; write the turns of the conversation");
  for (RawWalk at = list.walk(); at.next(); message_++) {
    Inner role = at.value()["role"].inner();
    Turn turn;
    if (role == "assistant") turn.role = Turn::Role::assistant;
    else if (role == "system") turn.role = Turn::Role::system;  // Newer models take them between turns.
    else if (role != "user") return invalid(here() + ".role", "is none that is known; write user or assistant");
    if (std::optional<Error> error = content(at.value()["content"], here() + ".content", turn.parts)) return error;
    if (turn.parts.empty()) turn.parts.emplace_back().message = message_;
    for (size_t i = 0; i + 1 < turn.parts.size(); i++) {  // What signs a call goes to it.
      Part &mark = turn.parts[i], &call = turn.parts[i + 1];
      if (!signs_call(mark) || call.kind != Kind::tool_call) continue;
      call.signature = mark.signature;
      call.origin = mark.origin;
      turn.parts.erase(turn.parts.begin() + static_cast<ptrdiff_t>(i));
    }
    request_.turns.push_back(std::move(turn));
  }
  return std::nullopt;
}

std::optional<Error> Reader::system(Raw system) {
  if (!system.given()) return std::nullopt;
  if (std::optional<Error> error = content(system, "system", request_.system)) return error;
  for (const Part& part : request_.system)
    if (part.kind != Kind::text)
      return invalid("system." + std::to_string(part.index), "is no text; write text blocks");
  return std::nullopt;
}

std::optional<Error> Reader::content(Raw content, const std::string& where, std::vector<Part>& to) {
  if (content.is_string()) {
    to.emplace_back().text = content.inner();
    to.back().message = message_;
    return std::nullopt;
  }
  if (!content.is_array()) return invalid(where, "is neither a string nor a list of blocks");
  uint32_t index = 0;
  for (RawWalk at = content.walk(); at.next(); index++) {
    Part& part = to.emplace_back();
    part.message = message_;
    part.index = index;
    if (std::optional<Error> error = one(at.value(), where + "." + std::to_string(index), part)) return error;
  }
  return std::nullopt;
}

std::optional<Error> Reader::one(Raw value, const std::string& where, Part& out) {
  if (!value.is_object()) return invalid(where, "is no block; write an object with a `type`");
  Inner type = value["type"].inner();
  out.cache_control = value["cache_control"];
  if (type == "text") {
    if (!value["text"].is_string()) return invalid(where + ".text", "is missing");
    out.text = value["text"].inner();
    if (value["citations"].size() > 0) out.citations = value["citations"];
  } else if (type == "image" || type == "document") {
    out.kind = type == "image" ? Kind::image : Kind::document;
    out.source.filename = value["title"].inner();
    if (value["citations"]["enabled"].is_true()) out.citations = value["citations"];
    if (value["context"].given()) request_.lost.add(where + ".context");
    return source(value["source"], where + ".source", out.source);
  } else if (type == "tool_use") {
    out.kind = Kind::tool_call;
    out.id = read_call_id(value["id"].inner(), store_);
    out.name = value["name"].inner();
    out.input = value["input"];
    if (out.id.empty() || out.name.empty() || !out.input.is_object())
      return invalid(where, "is no call; write `id`, `name`, and an object as `input`");
  } else if (type == "tool_result") {
    if (in_result_) return invalid(where, "is a result within a result; write texts, images or documents");
    out.kind = Kind::tool_result;
    out.id = read_call_id(value["tool_use_id"].inner(), store_);
    if (out.id.empty()) return invalid(where + ".tool_use_id", "is missing; name the call that this answers");
    out.is_error = value["is_error"].is_true();
    if (!value["content"].given()) return std::nullopt;
    in_result_ = true;
    std::optional<Error> error = content(value["content"], where + ".content", out.content);
    in_result_ = false;
    return error;
  } else if (type == "thinking") {
    out.kind = Kind::thinking;
    out.text = value["thinking"].inner();
    if (Inner signature = value["signature"].inner(); !signature.empty())
      read_signature(signature, Dialect::anthropic, out, store_);
  } else if (type == "redacted_thinking") {
    out.kind = Kind::redacted;
    read_signature(value["data"].inner(), Dialect::anthropic, out, store_);
    out.kind = Kind::redacted;
    out.text = out.signature.empty() ? out.text : out.signature;
    out.signature = {};
  } else {
    out.kind = Kind::foreign;
    out.raw = value;
  }
  return std::nullopt;
}

std::optional<Error> Reader::source(Raw value, const std::string& where, Source& out) {
  Inner type = value["type"].inner();
  out.media_type = value["media_type"].inner();
  Raw data = value[type == "url" ? "url" : type == "file" ? "file_id" : "data"];
  if (type == "base64") out.kind = Source::Kind::base64;
  else if (type == "url") out.kind = Source::Kind::url;
  else if (type == "file") out.kind = Source::Kind::file_id;
  else if (type == "text") out.kind = Source::Kind::text;
  else return invalid(where + ".type", "is none that is known; write base64, url, text or file");
  out.data = data.inner();
  // Some clients write "\/" in base64 and URLs.
  if (type != "text" && out.data.find('\\') != out.data.npos) out.data = store_.keep(encode_inner(data.decoded()));
  if (out.media_type.find('\\') != out.media_type.npos)
    out.media_type = store_.keep(encode_inner(value["media_type"].decoded()));
  if (out.data.empty()) return invalid(where, "is empty");
  return std::nullopt;
}

std::optional<Error> Reader::tools(Raw list) {
  uint32_t index = 0;
  for (RawWalk at = list.walk(); list.is_array() && at.next(); index++) {
    Tool tool;
    Inner type = at.value()["type"].inner();
    if (!type.empty() && type != "custom") {
      tool.foreign = at.value();
    } else {
      tool.name = at.value()["name"].inner();
      if (tool.name.empty()) return invalid("tools." + std::to_string(index) + ".name", "is missing");
      tool.description = at.value()["description"].inner();
      if (at.value()["input_schema"].is_object()) tool.schema = at.value()["input_schema"];
      Raw strict = at.value()["strict"];
      bool fits = strict.is_true() && fits_strict(tool.schema);
      if (fits || strict.is_false()) tool.strict = fits;
      if (strict.is_true() && !fits) request_.lost.add(field_name(Dialect::anthropic, Field::strict));
      tool.cache_control = at.value()["cache_control"];
    }
    request_.tools.push_back(std::move(tool));
  }
  return std::nullopt;
}

void Reader::tool_choice(Raw value) {
  ToolChoice& choice = request_.tool_choice;
  Inner type = value["type"].inner();
  if (type == "auto") choice.kind = ToolChoice::Kind::automatic;
  if (type == "none") choice.kind = ToolChoice::Kind::none;
  if (type == "any") choice.kind = ToolChoice::Kind::any;
  if (type == "tool") {
    choice.kind = ToolChoice::Kind::named;
    choice.names.push_back(value["name"].inner());
  }
  Raw off = value["disable_parallel_tool_use"];
  if (off.is_true() || off.is_false()) choice.parallel = off.is_false();
}

void Reader::thinking(Raw value) {
  Reasoning& reasoning = request_.reasoning;
  Inner type = value["type"].inner();
  if (type == "adaptive") reasoning.adaptive = true;
  if (type == "disabled") reasoning.budget = 0;
  if (type == "enabled") reasoning.budget = static_cast<int64_t>(value["budget_tokens"].integer().value_or(1024));
  if (value["display"].inner() == "omitted") reasoning.shown = false;
}

// `output_config`, and `output_format`, which is where the format was first.
void Reader::output(Raw config, Raw older) {
  request_.reasoning.effort = effort_of(config["effort"].inner());
  Raw format = config["format"].given() ? config["format"] : older;
  if (format["type"].inner() != "json_schema") return;
  request_.format.kind = Format::Kind::schema;
  request_.format.schema = format["schema"];
  if (fits_strict(request_.format.schema)) request_.format.strict = true;  // It knows no other.
}

void Reader::metadata(Raw value) {
  request_.user = value["user_id"].inner();
  for (RawWalk at = value.walk(); value.is_object() && at.next();)
    if (!at.is("user_id")) request_.lost.add("metadata." + std::string(at.key()));
}

std::optional<Error> Reader::settings(const Members& body) {
  static constexpr std::string_view kKnown[] = {
      "model", "messages", "system", "max_tokens", "stop_sequences", "stream", "temperature", "top_p", "top_k", "tools",
      "tool_choice", "thinking", "output_config", "output_format", "metadata", "service_tier"};
  auto number = [&](const char* name) { return body[name].is_number() ? body[name] : Raw(); };
  request_.dialect = Dialect::anthropic;
  request_.model = body["model"].inner();
  request_.stream = body["stream"].is_true();
  request_.stream_usage = true;
  request_.output_max = number("max_tokens");
  request_.temperature = number("temperature");
  request_.top_p = number("top_p");
  request_.top_k = number("top_k");
  request_.tier = body["service_tier"].inner();
  Raw stop = body["stop_sequences"];
  for (RawWalk at = stop.walk(); stop.is_array() && at.next();)
    if (at.value().is_string()) request_.stop.push_back(at.value().inner());
  tool_choice(body["tool_choice"]);
  thinking(body["thinking"]);
  output(body["output_config"], body["output_format"]);
  metadata(body["metadata"]);
  for (const auto& [key, value] : body) {
    bool known = std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown);
    if (!known && value.given()) request_.extras.push_back({key, value});
  }
  return tools(body["tools"]);
}

}  // namespace

bool signs_call(const Part& part) {
  return part.kind == Kind::thinking && part.text.empty() && !part.signature.empty() &&
         part.origin != Dialect::anthropic;
}

Result<Request> read_anthropic_request(std::string_view text, Store& store) {
  Result<Raw> json = Raw::parse(text);
  if (!json.ok()) return json.error();
  if (!json.value().is_object()) return invalid("", "the request is no JSON object");
  Reader reader(store);
  Members body(json.value());
  if (std::optional<Error> error = reader.settings(body)) return *error;
  if (std::optional<Error> error = reader.system(body["system"])) return *error;
  if (std::optional<Error> error = reader.messages(body["messages"])) return *error;
  return reader.take();
}

bool wants_thinking_budget(std::string_view model) {
  size_t at = model.find("claude-");
  if (at == model.npos) return false;
  std::string_view rest = model.substr(at + 7);
  if (rest.starts_with("3-") || rest.starts_with("3.")) return true;
  for (std::string_view family : {"opus-", "sonnet-", "haiku-"}) {
    if (!rest.starts_with(family)) continue;
    std::string_view version = rest.substr(family.size());
    if (!version.starts_with("4")) return false;
    std::string_view minor = version.substr(1);
    // Without a minor version the date follows, or nothing.
    if (minor.size() < 2 || (minor[0] != '-' && minor[0] != '.')) return true;
    bool date = minor.size() > 3 && minor[2] >= '0' && minor[2] <= '9';
    return date || (minor[1] >= '0' && minor[1] < '6');
  }
  return false;
}

}  // namespace lb
