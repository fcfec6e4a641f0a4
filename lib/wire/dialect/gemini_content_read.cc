#include <algorithm>
#include <deque>
#include <unordered_map>

#include "base/text.h"
#include "wire/dialect/fields.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::gemini {

namespace {

// An address that only Google can read, or a file that was uploaded there.
bool is_google_file(std::string_view uri) {
  return uri.starts_with("gs://") || uri.find("generativelanguage.googleapis.com") != uri.npos ||
         uri.starts_with("files/");
}

void read_media(Raw from, Part& part, Store& store) {
  Raw blob = member(from, "inlineData");
  bool inline_data = blob.is_object();
  if (!inline_data) blob = member(from, "fileData");
  part.source.media_type = member(blob, "mimeType").inner();
  part.source.filename = member(blob, "displayName").inner();
  part.source.data = member(blob, inline_data ? "data" : "fileUri").inner();
  part.source.kind = inline_data                         ? Source::Kind::base64
                     : is_google_file(part.source.data) ? Source::Kind::file_id
                                                        : Source::Kind::url;
  part.kind = kind_of_media(part.source.media_type);
  // Either alphabet of base64 is taken here (proto3 JSON); elsewhere the plain one is wanted.
  if (!inline_data || part.source.data.find_first_of("-_") == Inner::npos) return;
  std::string plain(part.source.data);
  std::replace(plain.begin(), plain.end(), '-', '+');
  std::replace(plain.begin(), plain.end(), '_', '/');
  part.source.data = store.keep(std::move(plain));
}

// The text that a tool's answer is elsewhere: of {"result": "..."} and its like the text, else the object's own.
void read_response(Raw response, Part& part, Store& store) {
  Raw only;
  RawWalk at = response.walk();
  bool one = response.is_object() && response.size() == 1 && at.next();
  if (one && (at.is("result") || at.is("output") || at.is("error"))) only = at.value();
  part.is_error = one && at.is("error");
  Part text;
  text.kind = Part::Kind::text;
  if (only.is_string())
    text.text = only.inner();
  else
    text.text = store.keep(encode_inner((part.is_error ? only : response).text()));
  part.content.push_back(text);
}

class Reading {
 public:
  explicit Reading(Store& store) : store_(store) {}

  Result<Request> read(Raw body) {
    request_.dialect = Dialect::gemini;
    request_.stream_usage = true;
    if (!body.is_object()) return Error{Status::INVALID, "", "the body is no object; send {\"contents\":[...]}"};
    for (RawWalk at = body.walk(); at.next() && !error_;) top(at);
    if (!error_ && request_.turns.empty()) fail("contents", "is missing or empty; give at least one content");
    if (error_) return *error_;
    return std::move(request_);
  }

 private:
  void fail(std::string where, std::string message) {
    if (!error_) error_ = Error{Status::INVALID, std::move(where), std::move(message)};
  }
  void lose(std::string_view name) { request_.lost.add(name); }

  void top(const RawWalk& at) {
    Raw value = at.value();
    std::string_view key = at.key();
    if (!value.given()) return;
    if (named(key, "contents"))
      contents(value);
    else if (named(key, "systemInstruction"))
      system(value);
    else if (named(key, "tools"))
      tools(value);
    else if (named(key, "toolConfig"))
      tool_config(value);
    else if (named(key, "generationConfig"))
      generation(value);
    else if (named(key, "cachedContent"))
      fail("cachedContent", "lies with the provider that made it; send what it holds in `contents`");
    else if (named(key, "serviceTier"))
      request_.tier = value.inner();
    else if (named(key, "model"))
      request_.model = value.inner();
    else
      request_.extras.push_back({key, value});
  }

  void system(Raw from) {
    if (from.is_string()) {
      Part part;
      part.text = from.inner();
      request_.system.push_back(part);
    }
    uint32_t index = 0;
    for (RawWalk at = parts_of(from, store_).walk(); at.next(); index++) {
      Part part;
      part.index = index;
      if (!read_part(at.value(), part, store_) || part.kind != Part::Kind::text)
        return fail("systemInstruction.parts." + std::to_string(index), "only texts can stand here");
      request_.system.push_back(part);
    }
  }

  void contents(Raw from) {
    if (from.is_object()) return content(from, 0);
    if (!from.is_array()) return fail("contents", "is no list; give [{\"role\":\"user\",\"parts\":[...]}]");
    uint32_t index = 0;
    for (RawWalk at = from.walk(); at.next() && !error_; index++) content(at.value(), index);
  }

  void content(Raw from, uint32_t message) {
    std::string where = "contents." + std::to_string(message);
    std::string_view role = member(from, "role").inner();
    bool model = role == "model";
    if (!from.is_object()) return fail(where, "is no object; give {\"role\":\"user\",\"parts\":[...]}");
    if (!model && !role.empty() && role != "user" && role != "function")
      return fail(where + ".role", "is not known; write `user` or `model`");
    Turn::Role as = model ? Turn::Role::assistant : Turn::Role::user;
    // Clients send back what came in chunks as a content for each.
    bool more = model && !request_.turns.empty() && request_.turns.back().role == as;
    if (!more) request_.turns.push_back({.role = as, .parts = {}, .name = {}});
    std::vector<Part>& parts = request_.turns.back().parts;
    uint32_t index = 0;
    for (RawWalk at = parts_of(from, store_).walk(); at.next(); index++) {
      Part part;
      part.message = message;
      part.index = index;
      if (!at.value().is_object()) return fail(where + ".parts." + std::to_string(index), "is no object");
      if (read_part(at.value(), part, store_) && part.kind == Part::Kind::foreign) continue;  // Nothing in it.
      pair(part);
      if (std::string_view what = lack(part); !what.empty())
        return fail(where + ".parts." + std::to_string(index), std::string(what));
      bool nothing = part.kind == Part::Kind::text && part.text.empty() && part.signature.empty();
      if (more && nothing) continue;
      if (parts.empty() || !goes_on(parts.back(), part, more && index == 0)) parts.push_back(std::move(part));
    }
    if (parts.empty()) return fail(where + ".parts", "is missing or empty; give at least one part");
  }

  // Of what was thought, and of a text in chunks, the pieces are one; its signature comes last.
  bool goes_on(Part& before, const Part& part, bool chunk) {
    bool thought = before.kind == Part::Kind::thinking && part.kind == Part::Kind::thinking;
    bool text = chunk && before.kind == Part::Kind::text && part.kind == Part::Kind::text;
    if (!before.signature.empty() || (!thought && !text)) return false;
    if (before.text.empty())
      before.text = part.text;
    else if (!part.text.empty())
      before.text = store_.keep(std::string(before.text).append(part.text));
    before.signature = part.signature;
    before.origin = part.origin;
    return true;
  }

  // Calls often have no id, and answers refer to them by name and order: so ids are made from the place in the
  // conversation, and are the same in its next request.
  void pair(Part& part) {
    if (part.kind == Part::Kind::tool_call) {
      if (part.id.empty()) part.id = store_.keep("call_" + std::to_string(calls_++));
      ids_[part.name].push_back(part.id);
    }
    if (part.kind != Part::Kind::tool_result) return;
    auto waiting = ids_.find(part.name);
    if (waiting == ids_.end() || waiting->second.empty()) {
      if (part.id.empty()) part.id = part.name;  // An answer to nothing: the provider may say so.
      return;
    }
    std::deque<Inner>& ids = waiting->second;
    if (part.id.empty()) part.id = ids.front();
    if (part.id == ids.front()) ids.pop_front();
  }

  void tools(Raw from) {
    for (RawWalk at = from.walk(); at.next();) {
      for (RawWalk in = at.value().walk(); in.next();) {
        if (named(in.key(), "functionDeclarations")) {
          for (RawWalk one = in.value().walk(); one.next();) declaration(one.value());
          continue;
        }
        Tool tool;
        tool.name = in.key();
        tool.foreign = store_.keep_json("{\"" + std::string(in.key()) + "\":" + std::string(in.value().text()) + "}");
        request_.tools.push_back(tool);
      }
    }
  }

  void declaration(Raw from) {
    Tool tool;
    for (RawWalk at = from.walk(); at.next();) {
      if (!at.value().given()) continue;
      if (named(at.key(), "name"))
        tool.name = at.value().inner();
      else if (named(at.key(), "description"))
        tool.description = at.value().inner();
      else if (named(at.key(), "parametersJsonSchema"))
        tool.schema = at.value();
      else if (named(at.key(), "parameters"))
        tool.schema = store_.keep_json(json_schema_of(at.value()));
      else
        lose("tools.functionDeclarations." + std::string(at.key()));
    }
    if (tool.name.empty()) fail("tools.functionDeclarations", "has one without a name");
    request_.tools.push_back(tool);
  }

  void tool_config(Raw from) {
    Raw config = member(from, "functionCallingConfig");
    std::string_view mode = member(config, "mode").inner();
    ToolChoice& choice = request_.tool_choice;
    for (RawWalk at = member(config, "allowedFunctionNames").walk(); at.next();)
      choice.names.push_back(at.value().inner());
    if (mode == "NONE")
      choice.kind = ToolChoice::Kind::none;
    else if (mode == "ANY")
      choice.kind = choice.names.size() == 1 ? ToolChoice::Kind::named : ToolChoice::Kind::any;
    else if (mode == "AUTO" || mode == "VALIDATED")
      choice.kind = ToolChoice::Kind::automatic;
    if (mode == "VALIDATED") lose("toolConfig.functionCallingConfig.mode");
    if (member(config, "streamFunctionCallArguments").is_true())
      lose("toolConfig.functionCallingConfig.streamFunctionCallArguments");
    for (RawWalk at = from.walk(); at.next();)
      if (!named(at.key(), "functionCallingConfig")) lose("toolConfig." + std::string(at.key()));
  }

  void generation(Raw from) {
    for (RawWalk at = from.walk(); at.next() && !error_;) {
      Raw value = at.value();
      if (!value.given() || number(at, from) || output(at)) continue;
      if (named(at.key(), "stopSequences"))
        for (RawWalk stop = value.walk(); stop.next();) request_.stop.push_back(stop.value().inner());
      else if (named(at.key(), "thinkingConfig"))
        thinking(value);
      else
        lose("generationConfig." + std::string(at.key()));
    }
  }

  bool number(const RawWalk& at, Raw from) {
    const std::pair<std::string_view, Raw*> kNumbers[] = {
        {"maxOutputTokens", &request_.output_max},       {"temperature", &request_.temperature},
        {"topP", &request_.top_p},                       {"topK", &request_.top_k},
        {"seed", &request_.seed},                        {"presencePenalty", &request_.presence_penalty},
        {"frequencyPenalty", &request_.frequency_penalty}, {"candidateCount", &request_.choices},
        {"logprobs", &request_.top_logprobs},
    };
    for (auto [name, to] : kNumbers) {
      if (!named(at.key(), name)) continue;
      *to = number_member(from, name, store_);
      if (!to->present()) fail("generationConfig." + std::string(name), "is no number");
      return true;
    }
    return false;
  }

  // What the answer shall look like.
  bool output(const RawWalk& at) {
    Raw value = at.value();
    Format& format = request_.format;
    if (named(at.key(), "responseLogprobs")) {
      request_.logprobs = value.is_true();
    } else if (named(at.key(), "responseMimeType")) {
      if (value.inner() == "application/json" && format.kind == Format::Kind::absent) format.kind = Format::Kind::json;
      if (value.inner() == "text/x.enum") lose("generationConfig.responseMimeType");
    } else if (named(at.key(), "responseSchema")) {
      format.kind = Format::Kind::schema;
      format.schema = store_.keep_json(json_schema_of(value));
    } else if (named(at.key(), "responseJsonSchema") || at.is("_responseJsonSchema")) {
      format.kind = Format::Kind::schema;
      format.schema = value;
    } else if (named(at.key(), "responseModalities")) {
      for (RawWalk one = value.walk(); one.next();)
        if (!iequals(one.value().inner(), "TEXT"))
          fail("generationConfig.responseModalities", "only Gemini answers otherwise than in text; leave it out");
    } else {
      return false;
    }
    return true;
  }

  void thinking(Raw from) {
    Reasoning& reasoning = request_.reasoning;
    for (RawWalk at = from.walk(); at.next();) {
      if (named(at.key(), "includeThoughts") && at.value().given()) reasoning.shown = at.value().is_true();
      if (named(at.key(), "thinkingBudget")) {
        Raw budget = number_member(from, "thinkingBudget", store_);
        if (budget.present()) reasoning.budget = static_cast<int64_t>(std::clamp(budget.number(), -1.0, 1e9));
      }
      if (!named(at.key(), "thinkingLevel")) continue;
      std::string level;
      for (char c : at.value().inner()) level.push_back(ascii_lower(c));
      reasoning.effort = effort_of(level);
    }
  }

  Store& store_;
  Request request_;
  size_t calls_ = 0;                                  // Whose ids have been made.
  std::unordered_map<Inner, std::deque<Inner>> ids_;  // By name: of calls that have not been answered.
  std::optional<Error> error_;
};

}  // namespace

bool read_part(Raw from, Part& part, Store& store) {
  Raw signature;
  bool known = false, other = false, thought = false;
  for (RawWalk at = from.walk(); at.next();) {
    std::string_view key = at.key();
    Raw value = at.value();
    if (named(key, "text")) {
      part.text = value.inner();
      known = true;
    } else if (named(key, "thought")) {
      thought = value.is_true();
    } else if (named(key, "thoughtSignature")) {
      signature = value;
    } else if (named(key, "inlineData") || named(key, "fileData")) {
      read_media(from, part, store);
      known = true;
    } else if (named(key, "functionCall")) {
      part.kind = Part::Kind::tool_call;
      part.id = member(value, "id").inner();
      part.name = member(value, "name").inner();
      Raw args = member(value, "args");
      part.input = args.is_object() ? args : store.keep_json("{}");
      known = true;
    } else if (named(key, "functionResponse")) {
      part.kind = Part::Kind::tool_result;
      part.id = member(value, "id").inner();
      part.name = member(value, "name").inner();
      read_response(member(value, "response"), part, store);
      for (RawWalk more = member(value, "parts").walk(); more.next();)
        if (Part media; read_part(more.value(), media, store)) part.content.push_back(media);
      known = true;
    } else if (value.given()) {
      other = true;
    }
  }
  if (thought && part.kind == Part::Kind::text) part.kind = Part::Kind::thinking;
  if (signature.is_string() && !signature.inner().empty()) {
    // A signature by itself is of what was thought without being shown.
    if (!known || (part.kind == Part::Kind::text && part.text.empty())) part.kind = Part::Kind::thinking;
    read_signature(signature.inner(), Dialect::gemini, part, store);
    known = true;
  }
  if (known && !other) return true;
  part.kind = Part::Kind::foreign;
  part.raw = from;
  return !other;
}

Result<Request> read_request(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return json.error();
  return Reading(store).read(json.value());
}

}  // namespace lb::gemini
