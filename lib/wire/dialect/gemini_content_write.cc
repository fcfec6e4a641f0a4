#include <algorithm>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "wire/dialect/fields.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::gemini {

namespace {

// Models of 2.5 and before count thoughts in tokens; later ones have levels (reference/wire.md §2).
bool has_levels(std::string_view model) {
  for (std::string_view old : {"gemini-1", "gemini-2"})
    if (model.find(old) != model.npos) return false;
  return true;
}

// Models of 3 and later refuse a step whose first call has no signature. This one stands for calls that were made
// elsewhere (ai.google.dev, "Thought signatures", questions and answers); it is not decoded.
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";
bool wants_signature(std::string_view model) {
  size_t at = model.find("gemini-");
  return at != model.npos && at + 7 < model.size() && model[at + 7] >= '3' && model[at + 7] <= '9';
}

class Writing {
 public:
  Writing(const Request& request, const WriteRequest& how, Store& store)
      : request_(request), how_(how), store_(store), own_(request.dialect == Dialect::gemini),
        allowed_(request.tool_choice.names.begin(), request.tool_choice.names.end()) {
    for (const Turn& turn : request.turns)
      for (const Part& part : turn.parts)
        if (part.kind == Part::Kind::tool_call) names_[part.id] = part.name;
  }

  Result<WrittenRequest> write() {
    if (std::optional<Error> error = leave_behind(request_, Dialect::gemini, losses_)) return *error;
    out_.begin_object();
    system();
    out_.key("contents").begin_array();
    for (const MergedTurn& turn : merged_turns(request_))
      if (turn.role != Turn::Role::system) content(turn);
    out_.end_array();
    if (!any_content_)
      fail(message_place(request_, {}), "nothing is left that Gemini can read; say something");
    tools();
    tool_choice();
    generation();
    others();
    out_.end_object();
    if (error_) return *error_;
    return WrittenRequest{out_.take(), std::move(losses_)};
  }

 private:
  using Kind = Part::Kind;

  void fail(std::string where, std::string message) {
    if (!error_) error_ = Error{Status::INVALID, std::move(where), std::move(message)};
  }
  void lose(Field field) {
    if (std::string_view name = field_name(request_.dialect, field); !name.empty()) losses_.add(name);
  }
  void number(std::string_view name, Raw value) {
    if (value.given()) out_.key(name).raw(value.text());
  }

  // System prompts that stand among the turns go to the front: there is no other place for them.
  void system() {
    std::vector<const Part*> parts;
    auto take = [&](const Part& part) {
      bool text = part.kind == Kind::text || part.kind == Kind::refusal;
      if (!text) losses_.add(place(request_, part));
      else if (!part.text.empty()) parts.push_back(&part);
    };
    for (const Part& part : request_.system) take(part);
    for (const Turn& turn : request_.turns) {
      if (turn.role != Turn::Role::system) continue;
      if (!turn.parts.empty()) losses_.add(message_place(request_, turn.parts.front()) + ".role");
      for (const Part& part : turn.parts) take(part);
    }
    if (parts.empty()) return;
    out_.key("systemInstruction").begin_object().key("parts").begin_array();
    for (const Part* part : parts) {
      if (part->cache_control.given()) lose(Field::cache_control);
      out_.begin_object().key("text").raw_string(part->text).end_object();
    }
    out_.end_array().end_object();
  }

  // All answers of tools in one content, which has nothing else: the API counts them against the calls before.
  void content(const MergedTurn& turn) {
    auto rest = std::find_if(turn.parts.begin(), turn.parts.end(),
                             [](const Part* part) { return part->kind != Kind::tool_result; });
    std::span<const Part* const> all(turn.parts);
    size_t results = static_cast<size_t>(rest - turn.parts.begin());
    if (results > 0) parts("user", all.first(results));
    if (results < all.size()) parts(turn.role == Turn::Role::assistant ? "model" : "user", all.subspan(results));
  }

  void parts(std::string_view role, std::span<const Part* const> all) {
    bool any = false;
    carried_ = {};
    first_call_ = wants_signature(how_.model);
    for (size_t i = 0; i < all.size(); i++) {
      if (!carried(*all[i], role == "model", all.size() == 1)) continue;
      if (!any) out_.begin_object().key("role").value(role).key("parts").begin_array();
      any = any_content_ = true;
      // What was thought without being shown has its signature at the part that follows.
      if (all[i]->kind == Kind::thinking && all[i]->text.empty() && carried_.empty() && i + 1 < all.size() &&
          takes_signature(*all[i + 1])) {
        carried_ = all[i]->signature;
        continue;
      }
      part(*all[i]);
    }
    if (any) out_.end_array().end_object();
  }

  bool takes_signature(const Part& part) const {
    return (part.kind == Kind::tool_call || (part.kind == Kind::text && !part.text.empty())) && part.signature.empty();
  }

  // Of what was thought, only what was thought here.
  bool carried(const Part& part, bool of_model, bool alone) {
    // Empty texts are refused. A user who says nothing else is left to the API.
    if (part.kind == Kind::text && part.text.empty() && part.signature.empty() && (of_model || !alone)) return false;
    if (part.cache_control.given()) lose(Field::cache_control);
    if (part.citations.given()) lose(Field::citations);
    bool thought = part.kind == Kind::thinking || part.kind == Kind::redacted;
    if (thought && (part.origin != Dialect::gemini || part.kind == Kind::redacted)) return lose(Field::thinking), false;
    if (part.kind != Kind::foreign || own_) return true;
    // Steps that another provider took by itself (a search, a run of code) may be missing; what a user gave may not.
    if (!of_model)
      fail(place(request_, part), std::string(kForeignPart));
    else
      losses_.add(place(request_, part));
    return false;
  }

  void part(const Part& part) {
    if (part.kind == Kind::foreign) {
      out_.raw(part.raw.text());
      return;
    }
    out_.begin_object();
    switch (part.kind) {
      case Kind::text:
      case Kind::refusal:
      case Kind::thinking: out_.key("text").raw_string(part.text); break;
      case Kind::image:
      case Kind::document:
      case Kind::audio: media(part, part); break;
      case Kind::tool_call: call(part); break;
      case Kind::tool_result: result(part); break;
      case Kind::redacted:
      case Kind::foreign: break;
    }
    if (part.kind == Kind::thinking) out_.key("thought").value(true);
    Inner signature = part.origin == Dialect::gemini ? part.signature : Inner();
    if (signature.empty() && takes_signature(part)) std::swap(signature, carried_);
    if (part.kind == Kind::tool_call && std::exchange(first_call_, false) && signature.empty())
      signature = kNoSignature;
    if (!signature.empty()) out_.key("thoughtSignature").raw_string(signature);
    out_.end_object();
  }

  void media(const Part& part, const Part& stands) {
    const Source& source = part.source;
    if (!source.detail.empty()) losses_.add(place(request_, stands) + ".detail");
    if (!source.filename.empty()) losses_.add(place(request_, stands) + ".filename");
    switch (source.kind) {
      case Source::Kind::base64:
        out_.key("inlineData").begin_object().key("mimeType").raw_string(source.media_type);
        out_.key("data").raw_string(source.data).end_object();
        return;
      case Source::Kind::text: out_.key("text").raw_string(source.data); return;
      case Source::Kind::url:
      case Source::Kind::file_id:
        if (own_) {
          out_.key("fileData").begin_object().key("mimeType").raw_string(source.media_type);
          out_.key("fileUri").raw_string(source.data).end_object();
          return;
        }
        fail(place(request_, stands), source.kind == Source::Kind::url
                                          ? "Gemini does not fetch addresses; send the data itself, as base64"
                                          : "the file lies with another provider; send the data itself, as base64");
        return;
      case Source::Kind::none: fail(place(request_, stands), "has no data; send it as base64"); return;
    }
  }

  void call(const Part& part) {
    out_.key("functionCall").begin_object();
    write_call(out_, part.id, part.name, input_object(part, store_));
    out_.end_object();
  }

  Inner name_of(const Part& result) const {
    if (!result.name.empty()) return result.name;
    auto call = names_.find(result.id);
    return call == names_.end() ? result.id : call->second;
  }

  // The answer must be an object: that of the text if it is one, else one around it.
  void result(const Part& part) {
    std::string text;
    bool media_too = false;
    for (const Part& one : part.content) {
      if (one.kind == Kind::foreign)
        fail(place(request_, part), std::string(kForeignPart));
      media_too = media_too || (one.kind != Kind::text && one.kind != Kind::refusal);
      if (one.kind != Kind::text && one.kind != Kind::refusal) continue;
      if (!text.empty()) text.append("\\n");
      text.append(one.text);
    }
    out_.key("functionResponse").begin_object();
    if (!part.id.empty()) out_.key("id").raw_string(part.id);
    out_.key("name").raw_string(name_of(part)).key("response");
    std::string_view decoded = store_.keep(decode_inner(text));
    Result<Raw> json = Raw::parse(decoded);
    // As it stands only if it is read back as the same text.
    bool object = json.ok() && json.value().is_object() && json.value().text() == decoded;
    if (object && json.value().size() == 1 && !part.is_error)
      for (std::string_view word : {"result", "output", "error"}) object = object && !json.value()[word].present();
    if (object && !part.is_error) {
      out_.raw(json.value().text());
    } else {
      out_.begin_object().key(part.is_error ? "error" : "result");
      object ? out_.raw(json.value().text()) : out_.raw_string(text);
      out_.end_object();
    }
    if (media_too) {
      out_.key("parts").begin_array();
      for (const Part& one : part.content) {
        if (one.kind != Kind::image && one.kind != Kind::document && one.kind != Kind::audio) continue;
        out_.begin_object();
        media(one, part);
        out_.end_object();
      }
      out_.end_array();
    }
    out_.end_object();
  }

  bool allowed(const Tool& tool) const {
    const ToolChoice& choice = request_.tool_choice;
    if (choice.kind != ToolChoice::Kind::automatic || choice.names.empty()) return true;
    return allowed_.contains(tool.name);
  }

  void tools() {
    bool declared = false;
    std::vector<const Tool*> foreign;
    for (const Tool& tool : request_.tools) {
      if (tool.foreign.present()) {
        foreign.push_back(&tool);
        continue;
      }
      if (tool.cache_control.given()) lose(Field::cache_control);
      if (tool.strict.value_or(false)) lose(Field::strict);
      if (!allowed(tool)) continue;  // `AUTO` takes no list of names, so the others are not told.
      if (!declared) out_.key("tools").begin_array().begin_object().key("functionDeclarations").begin_array();
      declared = true;
      out_.begin_object().key("name").raw_string(tool.name);
      if (!tool.description.empty()) out_.key("description").raw_string(tool.description);
      if (tool.schema.given()) out_.key("parametersJsonSchema").raw(tool.schema.text());
      out_.end_object();
    }
    if (declared) out_.end_array().end_object();
    if (!declared && !foreign.empty()) out_.key("tools").begin_array();
    for (const Tool* tool : foreign) out_.raw(tool->foreign.text());
    if (declared || !foreign.empty()) out_.end_array();
    any_tool_ = declared;
  }

  void tool_choice() {
    const ToolChoice& choice = request_.tool_choice;
    if (choice.parallel == false) lose(Field::parallel);
    if (choice.kind == ToolChoice::Kind::absent || !any_tool_) return;
    out_.key("toolConfig").begin_object().key("functionCallingConfig").begin_object().key("mode");
    bool must = choice.kind == ToolChoice::Kind::any || choice.kind == ToolChoice::Kind::named;
    out_.value(must ? "ANY" : choice.kind == ToolChoice::Kind::none ? "NONE" : "AUTO");
    if (must && !choice.names.empty()) {
      out_.key("allowedFunctionNames").begin_array();
      for (Inner name : choice.names) out_.raw_string(name);
      out_.end_array();
    }
    out_.end_object().end_object();
  }

  void generation() {
    JsonWriter before = std::move(out_);
    out_ = JsonWriter();
    out_.begin_object();
    number("maxOutputTokens", request_.output_max);
    number("temperature", request_.temperature);
    number("topP", request_.top_p);
    number("topK", request_.top_k);
    number("candidateCount", request_.choices);
    number("seed", request_.seed);
    number("presencePenalty", request_.presence_penalty);
    number("frequencyPenalty", request_.frequency_penalty);
    stops();
    format();
    thinking();
    if (own_ && request_.logprobs) out_.key("responseLogprobs").value(true);
    if (own_) number("logprobs", request_.top_logprobs);
    out_.end_object();
    std::string config = out_.take();
    out_ = std::move(before);
    if (config != "{}") out_.key("generationConfig").raw(config);
  }

  void stops() {
    constexpr size_t kStopsMax = 5;  // reference/wire.md §2.
    if (request_.stop.empty()) return;
    if (request_.stop.size() > kStopsMax)
      fail(std::string(field_name(request_.dialect, Field::stop)), "Gemini takes five at most; leave some out");
    out_.key("stopSequences").begin_array();
    for (Inner stop : request_.stop) out_.raw_string(stop);
    out_.end_array();
  }

  void format() {
    if (request_.format.kind != Format::Kind::json && request_.format.kind != Format::Kind::schema) return;
    out_.key("responseMimeType").value("application/json");
    if (request_.format.kind == Format::Kind::schema && request_.format.schema.given())
      out_.key("responseJsonSchema").raw(request_.format.schema.text());
  }

  void thinking() {
    using Effort = Reasoning::Effort;
    const Reasoning& reasoning = request_.reasoning;
    bool off = reasoning.budget == 0 && reasoning.effort == Effort::absent;
    Effort effort = off ? Effort::none : reasoning.effort;
    std::optional<bool> shown = shown_thoughts(request_);
    if (effort == Effort::absent && !reasoning.budget && !reasoning.adaptive && !shown) return;
    out_.key("thinkingConfig").begin_object();
    if (effort != Effort::absent && has_levels(how_.model)) {
      // The levels are fewer; thinking cannot be switched off.
      Effort level = effort == Effort::none ? Effort::minimal : std::min(effort, Effort::high);
      if (level != effort) lose(Field::reasoning);
      out_.key("thinkingLevel").value(effort_name(level));
    } else if (effort != Effort::absent) {
      out_.key("thinkingBudget").value(budget_of(effort));
    } else if (reasoning.budget) {
      out_.key("thinkingBudget").value(*reasoning.budget);
    } else if (reasoning.adaptive) {
      out_.key("thinkingBudget").value(int64_t{-1});
    }
    if (shown) out_.key("includeThoughts").value(*shown);
    out_.end_object();
  }

  void others() {
    if (!request_.user.empty()) lose(Field::user);
    if (!request_.tier.empty()) lose(Field::tier);
    if (!request_.cache_key.empty()) lose(Field::cache_key);
    if (request_.metadata.given()) lose(Field::metadata);
    if (request_.logit_bias.given()) lose(Field::logit_bias);
    if (!own_ && request_.logprobs) lose(Field::logprobs);
    if (!own_ && request_.top_logprobs.given()) lose(Field::top_logprobs);
    for (const Turn& turn : request_.turns)
      if (!turn.name.empty()) lose(Field::name);
    for (const Extra& extra : request_.extras)
      if (own_) out_.key(decode_inner(extra.name)).raw(extra.value.text());
  }

  const Request& request_;
  const WriteRequest& how_;
  Store& store_;
  bool own_;
  std::unordered_set<Inner> allowed_;          // Tools.
  std::unordered_map<Inner, Inner> names_;     // Of tools, by the id of a call.
  bool any_tool_ = false;
  bool any_content_ = false;
  bool first_call_ = false;  // The next call is the first of a step, and must be signed.
  Inner carried_;  // A signature on its way to the next part.
  JsonWriter out_;
  Losses losses_;
  std::optional<Error> error_;
};

}  // namespace

void write_call(JsonWriter& out, Inner id, Inner name, Raw args) {
  if (!id.empty()) out.key("id").raw_string(id);
  out.key("name").raw_string(name).key("args").raw(args.text());
}

Result<WrittenRequest> write_request(const Request& request, const WriteRequest& how, Store& store) {
  return Writing(request, how, store).write();
}

}  // namespace lb::gemini
