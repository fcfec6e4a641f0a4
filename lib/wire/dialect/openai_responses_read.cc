#include "wire/dialect/fields.h"
#include "wire/dialect/openai_responses_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::responses {

namespace {

using Kind = Part::Kind;

class Reading {
 public:
  explicit Reading(Store& store) : store_(store) {}

  Result<Request> read(Raw body) {
    request_.dialect = Dialect::responses;
    request_.stream_usage = true;
    if (!body.is_object())
      return Error{Status::INVALID, "", "the body is no object; send {\"model\":...,\"input\":...}"};
    Part instructions;
    instructions.text = body["instructions"].inner();
    if (!instructions.text.empty()) request_.system.push_back(instructions);
    for (RawWalk at = body.walk(); at.next() && !error_;)
      if (at.value().given() && !stateful(at) && !number(at) && !plain(at)) top(at);
    if (!error_ && request_.turns.empty()) fail("input", "is missing or empty; give a text, or a list of items");
    if (error_) return *error_;
    return std::move(request_);
  }

 private:
  void fail(std::string where, std::string message) {
    if (!error_) error_ = Error{Status::INVALID, std::move(where), std::move(message)};
  }
  void lose(std::string_view name) { request_.lost.add(name); }

  // What lies with the provider, where no other can see it.
  bool stateful(const RawWalk& at) {
    for (std::string_view name : {"previous_response_id", "conversation", "prompt"}) {
      if (!at.is(name)) continue;
      fail(std::string(name), "refers to what one provider keeps; send the whole conversation in `input`");
      return true;
    }
    if (!at.is("background")) return false;
    if (at.value().is_true()) fail("background", "needs a provider that keeps the answer; leave it out");
    return true;
  }

  bool number(const RawWalk& at) {
    const std::pair<std::string_view, Raw*> kNumbers[] = {
        {"max_output_tokens", &request_.output_max},
        {"temperature", &request_.temperature},
        {"top_p", &request_.top_p},
        {"top_logprobs", &request_.top_logprobs},
    };
    for (auto [name, to] : kNumbers) {
      if (!at.is(name)) continue;
      *to = at.value();
      if (!to->is_number()) fail(std::string(name), "is no number");
      return true;
    }
    return false;
  }

  bool plain(const RawWalk& at) {
    Raw value = at.value();
    if (at.is("model")) request_.model = value.inner();
    else if (at.is("stream")) request_.stream = value.is_true();
    else if (at.is("user") || at.is("safety_identifier")) request_.user = value.inner();
    else if (at.is("service_tier")) request_.tier = value.inner();
    else if (at.is("prompt_cache_key")) request_.cache_key = value.inner();
    else if (at.is("metadata")) request_.metadata = value.size() > 0 ? value : Raw();
    else if (at.is("parallel_tool_calls")) request_.tool_choice.parallel = value.is_true();
    else return at.is("instructions");
    return true;
  }

  void top(const RawWalk& at) {
    Raw value = at.value();
    if (at.is("input")) {
      input(value);
    } else if (at.is("tools")) {
      for (RawWalk one = value.walk(); one.next();) tool(one.value());
    } else if (at.is("tool_choice")) {
      tool_choice(value);
    } else if (at.is("text")) {
      text(value);
    } else if (at.is("reasoning")) {
      reasoning(value);
    } else if (at.is("include")) {
      for (RawWalk one = value.walk(); one.next();) include(one.value().inner());
    } else if (at.is("store")) {
      if (value.is_true()) lose("store");
    } else if (at.is("truncation")) {
      if (value.inner() != "disabled") lose("truncation");
    } else if (!at.is("background")) {
      request_.extras.push_back({at.key(), value});
    }
  }

  void include(Inner what) {
    if (what == "message.output_text.logprobs") request_.logprobs = true;
    else if (what != "reasoning.encrypted_content") lose("include");
  }

  void text(Raw from) {
    for (RawWalk at = from.walk(); at.next();)
      if (!at.is("format") && at.value().given()) lose("text." + std::string(at.key()));
    Raw format = from["format"];
    Inner type = format["type"].inner();
    Format& out = request_.format;
    if (type == "text") out.kind = Format::Kind::text;
    if (type == "json_object") out.kind = Format::Kind::json;
    if (type != "json_schema") return;
    out.kind = Format::Kind::schema;
    out.name = format["name"].inner();
    out.schema = format["schema"];
    if (format["strict"].given()) out.strict = format["strict"].is_true();
  }

  void reasoning(Raw from) {
    for (RawWalk at = from.walk(); at.next();) {
      if (!at.value().given()) continue;
      if (at.is("effort"))
        request_.reasoning.effort = effort_of(at.value().inner());
      else if (at.is("summary") || at.is("generate_summary"))
        request_.reasoning.shown = at.value().inner() != "none";
      else
        lose("reasoning." + std::string(at.key()));
    }
  }

  void tool(Raw from) {
    Tool tool;
    if (from["type"].inner() != "function") {
      tool.name = from["name"].is_string() ? from["name"].inner() : from["type"].inner();
      tool.foreign = from;
      request_.tools.push_back(tool);
      return;
    }
    tool.name = from["name"].inner();
    if (tool.name.empty()) fail("tools." + std::to_string(request_.tools.size()), "has no name");
    tool.description = from["description"].inner();
    tool.schema = from["parameters"].is_object() ? from["parameters"] : Raw();
    if (from["strict"].given()) tool.strict = from["strict"].is_true();
    request_.tools.push_back(tool);
  }

  void tool_choice(Raw from) {
    ToolChoice& choice = request_.tool_choice;
    Inner word = from.is_string() ? from.inner() : from["mode"].inner();
    choice.kind = word == "none"       ? ToolChoice::Kind::none
                  : word == "required" ? ToolChoice::Kind::any
                  : word == "auto"     ? ToolChoice::Kind::automatic
                                       : ToolChoice::Kind::absent;
    if (from["type"].inner() == "function") {
      choice.kind = ToolChoice::Kind::named;
      choice.names.push_back(from["name"].inner());
    } else if (from["type"].inner() == "allowed_tools") {
      for (RawWalk at = from["tools"].walk(); at.next();) choice.names.push_back(at.value()["name"].inner());
    } else if (from.is_object()) {
      lose("tool_choice");
    }
  }

  void input(Raw from) {
    if (from.is_string()) {
      Part part;
      part.text = from.inner();
      turn(Turn::Role::user).parts.push_back(part);
      return;
    }
    if (!from.is_array()) return fail("input", "is neither a text nor a list of items");
    uint32_t index = 0;
    for (RawWalk at = from.walk(); at.next() && !error_; index++) item(at.value(), index);
  }

  // The turn that items of this role go to: what the model said in a row is one turn.
  Turn& turn(Turn::Role role) {
    bool open = !request_.turns.empty() && request_.turns.back().role == role && role == Turn::Role::assistant;
    if (!open) request_.turns.push_back({.role = role, .parts = {}, .name = {}});
    return request_.turns.back();
  }

  void item(Raw from, uint32_t index) {
    std::string where = "input." + std::to_string(index);
    if (!from.is_object()) return fail(where, "is no object; give {\"role\":\"user\",\"content\":...}");
    Inner type = from["type"].inner();
    Part part;
    part.message = index;
    if (type.empty() || type == "message") {
      message(from, index, where);
    } else if (type == "function_call") {
      read_call(from, part, store_);
      turn(Turn::Role::assistant).parts.push_back(part);
    } else if (type == "function_call_output") {
      output(from, part);
      results().parts.push_back(part);
    } else if (type == "reasoning") {
      read_reasoning(from, part, store_);
      turn(Turn::Role::assistant).parts.push_back(part);
    } else if (type == "item_reference") {
      fail(where, "refers to what one provider keeps; send the item itself");
    } else {
      part.kind = Kind::foreign;
      part.raw = from;
      part.apart = true;
      turn(type.ends_with("_output") ? Turn::Role::user : Turn::Role::assistant).parts.push_back(part);
    }
    bool call = part.kind == Kind::tool_call && part.id.empty();
    std::string_view what = call ? "is a call without a `call_id`" : lack(part);
    if (!what.empty()) fail(where, std::string(what));
  }

  // Answers of tools in a row are one turn.
  Turn& results() {
    bool open = !request_.turns.empty() && request_.turns.back().role == Turn::Role::user &&
                request_.turns.back().parts.back().kind == Kind::tool_result;
    return open ? request_.turns.back() : turn(Turn::Role::user);
  }

  void output(Raw from, Part& part) {
    part.kind = Kind::tool_result;
    part.id = from["call_id"].inner();
    Raw output = from["output"];
    Part text;
    if (!output.is_array()) {
      text.text = output.is_string() ? output.inner() : store_.keep(encode_inner(output.text()));
      part.content.push_back(text);
    }
    for (RawWalk at = output.is_array() ? output.walk() : Raw().walk(); at.next();) {
      Part one;
      one.message = part.message;
      one.apart = true;
      read_content(at.value(), one);
      part.content.push_back(one);
    }
  }

  void message(Raw from, uint32_t index, const std::string& where) {
    Inner role = from["role"].inner();
    std::vector<Part> parts;
    if (!message_parts(from["content"], index, where, parts)) return;
    bool system = role == "system" || role == "developer";
    if (!system && role != "user" && role != "assistant")
      return fail(where + ".role", "is not known; write `user`, `assistant`, `system` or `developer`");
    if (system && request_.turns.empty()) {
      request_.system.insert(request_.system.end(), parts.begin(), parts.end());
      return;
    }
    Turn& to = turn(system ? Turn::Role::system : role == "user" ? Turn::Role::user : Turn::Role::assistant);
    to.parts.insert(to.parts.end(), parts.begin(), parts.end());
  }

  bool message_parts(Raw content, uint32_t index, const std::string& where, std::vector<Part>& parts) {
    Part part;
    part.message = index;
    if (content.is_string()) {
      part.text = content.inner();
      parts.push_back(part);
    } else if (!content.is_array()) {
      fail(where + ".content", "is neither a text nor a list of parts");
    }
    for (RawWalk at = content.is_array() ? content.walk() : Raw().walk(); at.next(); part.index++) {
      Part one;
      one.message = index;
      one.index = part.index;
      read_content(at.value(), one);
      if (std::string_view what = lack(one); !what.empty())
        fail(where + ".content." + std::to_string(one.index), std::string(what));
      parts.push_back(one);
    }
    if (parts.empty()) parts.push_back(part);
    return !error_;
  }

  Store& store_;
  Request request_;
  std::optional<Error> error_;
};

void read_file_id(Raw from, Source& source) {
  if (!from["file_id"].is_string()) return;
  source.kind = Source::Kind::file_id;
  source.data = from["file_id"].inner();
}

}  // namespace

bool read_content(Raw from, Part& part) {
  Inner type = from["type"].inner();
  if (type == "input_text" || type == "output_text" || type == "text") {
    part.kind = Kind::text;
    part.text = from["text"].inner();
    if (from["annotations"].size() > 0) part.citations = from["annotations"];
  } else if (type == "refusal") {
    part.kind = Kind::refusal;
    part.text = from["refusal"].inner();
  } else if (type == "input_image") {
    part.kind = Kind::image;
    part.source = source_of_url(from["image_url"].inner());
    part.source.detail = from["detail"].inner();
    read_file_id(from, part.source);
  } else if (type == "input_file") {
    part.kind = Kind::document;
    bool data = from["file_data"].is_string();
    part.source = source_of_url(from[data ? "file_data" : "file_url"].inner());
    part.source.filename = from["filename"].inner();
    read_file_id(from, part.source);
  } else if (type == "input_audio") {
    part.kind = Kind::audio;
    part.source.kind = Source::Kind::base64;
    part.source.data = from["input_audio"]["data"].inner();
    Inner format = from["input_audio"]["format"].inner();
    part.source.media_type = format == "wav" ? "audio/wav" : format == "mp3" ? "audio/mp3" : format;
  } else {
    part.kind = Kind::foreign;
    part.raw = from;
    return false;
  }
  return true;
}

void read_reasoning(Raw item, Part& part, Store& store) {
  part.kind = Kind::thinking;
  part.origin = Dialect::responses;
  part.id = item["id"].inner();
  std::string text;
  size_t pieces = 0;
  for (std::string_view name : {"summary", "content"}) {
    if (pieces > 0) break;  // The summary, or else what was thought itself.
    for (RawWalk at = item[name].walk(); at.next(); pieces++) {
      if (pieces > 0) text.append("\\n\\n");
      text.append(at.value()["text"].inner());
    }
  }
  if (pieces > 0) part.text = store.keep(std::move(text));
  if (Raw encrypted = item["encrypted_content"]; encrypted.is_string() && !encrypted.inner().empty())
    read_signature(encrypted.inner(), Dialect::responses, part, store);
}

void read_call(Raw item, Part& part, Store& store) {
  part.kind = Kind::tool_call;
  part.id = item["call_id"].inner();
  part.name = item["name"].inner();
  read_arguments(item["arguments"].inner(), part, store);
}

Result<Request> read_request(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return json.error();
  return Reading(store).read(json.value());
}

}  // namespace lb::responses
