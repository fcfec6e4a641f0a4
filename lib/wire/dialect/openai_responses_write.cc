#include "wire/dialect/fields.h"
#include "wire/dialect/openai_responses_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::responses {

namespace {

using Kind = Part::Kind;

class Writing {
 public:
  Writing(const Request& request, const WriteRequest& how)
      : request_(request), how_(how), own_(request.dialect == Dialect::responses),
        openai_(own_ || request.dialect == Dialect::openai) {}

  Result<WrittenRequest> write() {
    if (std::optional<Error> error = leave_behind(request_, Dialect::responses, losses_)) return *error;
    refuse();
    out_.begin_object().key("model").value(how_.model);
    bool instructions = request_.system.size() == 1 && request_.system[0].kind == Kind::text;
    if (instructions) {
      note(request_.system[0]);
      out_.key("instructions").raw_string(request_.system[0].text);
    }
    out_.key("input").begin_array();
    if (!instructions) said(request_.system, Turn::Role::system);
    for (const Turn& one : request_.turns) turn(one);
    out_.end_array();
    if (!any_item_)
      fail(message_place(request_, {}), "nothing is left that OpenAI can read; say something");
    tools();
    tool_choice();
    number("max_output_tokens", request_.output_max);
    number("temperature", request_.temperature);
    number("top_p", request_.top_p);
    format();
    reasoning();
    if (request_.stream) out_.key("stream").value(true);
    // What was thought comes back whole, and nothing is kept there.
    if (!own_) out_.key("store").value(false).key("include").raw("[\"reasoning.encrypted_content\"]");
    others();
    out_.end_object();
    if (error_) return *error_;
    return WrittenRequest{out_.take(), std::move(losses_)};
  }

 private:
  void fail(std::string where, std::string message) {
    if (!error_) error_ = Error{Status::INVALID, std::move(where), std::move(message)};
  }
  void lose(Field field) {
    if (std::string_view name = field_name(request_.dialect, field); !name.empty()) losses_.add(name);
  }
  void number(std::string_view name, Raw value) {
    if (value.given()) out_.key(name).raw(value.text());
  }
  void string(std::string_view name, Inner value) {
    if (!value.empty()) out_.key(name).raw_string(value);
  }

  void refuse() {
    if (request_.choices.given() && request_.choices.number() > 1)
      fail(std::string(field_name(request_.dialect, Field::choices)),
           "the Responses API gives one answer; ask for each by itself");
    if (!request_.stop.empty())
      fail(std::string(field_name(request_.dialect, Field::stop)),
           "the Responses API does not stop at texts; leave it out, or use a target of chat completions");
  }

  void note(const Part& part) {
    if (part.cache_control.given()) lose(Field::cache_control);
    if (part.citations.given() && !own_) lose(Field::citations);
  }

  void turn(const Turn& turn) {
    if (!turn.name.empty()) lose(Field::name);
    said(turn.parts, turn.role);
  }

  void said(const std::vector<Part>& parts, Turn::Role role) {
    std::string_view name = role == Turn::Role::user        ? "user"
                            : role == Turn::Role::assistant ? "assistant"
                                                            : "developer";
    std::vector<const Part*> open;  // Parts that stand together in one message.
    auto close = [&] {
      if (!open.empty()) message(name, open);
      open.clear();
    };
    for (const Part& part : parts) {
      note(part);
      bool item = part.kind == Kind::tool_call || part.kind == Kind::tool_result || part.kind == Kind::thinking ||
                  part.kind == Kind::redacted || part.apart || (part.kind == Kind::foreign && !own_);
      if (!item) {
        open.push_back(&part);
        continue;
      }
      close();
      this->item(part, role);
    }
    close();
  }

  void item(const Part& part, Turn::Role role) {
    bool thought = part.kind == Kind::thinking || part.kind == Kind::redacted || part.kind == Kind::foreign;
    any_item_ = any_item_ || !thought;
    if ((part.kind == Kind::tool_call || part.kind == Kind::tool_result) && part.id.empty())
      fail(place(request_, part), "has no id by which a call and its result are one");
    if (part.kind == Kind::tool_call && !part.signature.empty() && part.origin && *part.origin != Dialect::responses)
      lose(Field::thinking);
    if (part.kind == Kind::tool_call) {
      std::string arguments = part.input.is_object() ? encode_inner(part.input.text()) : std::string(part.text);
      out_.begin_object().key("type").value("function_call").key("call_id").raw_string(part.id);
      out_.key("name").raw_string(part.name).key("arguments").raw_string(arguments).end_object();
    } else if (part.kind == Kind::tool_result) {
      result(part);
    } else if (part.kind == Kind::foreign) {
      if (own_) out_.raw(part.raw.text());
      else if (role != Turn::Role::user) losses_.add(place(request_, part));
      else fail(place(request_, part), std::string(kForeignPart));
    } else if (part.origin != Dialect::responses || part.signature.empty()) {
      lose(Field::thinking);
    } else {
      std::string item;
      append_reasoning(item, part.id, part.text, part.signature);
      out_.raw(item);
    }
  }

  void message(std::string_view role, const std::vector<const Part*>& parts) {
    any_item_ = any_item_ || role != "developer";
    out_.begin_object().key("type").value("message").key("role").value(role).key("content").begin_array();
    for (const Part* part : parts) content(*part, role == "assistant", *part);
    out_.end_array().end_object();
  }

  void content(const Part& part, bool output, const Part& stands) {
    const Source& source = part.source;
    bool media = part.kind == Kind::image || part.kind == Kind::document || part.kind == Kind::audio;
    if (media && output) {
      losses_.add(place(request_, stands));
      return;
    }
    if (source.kind == Source::Kind::file_id && !openai_)
      fail(place(request_, stands), "the file lies with another provider; send the data itself, as base64");
    if (media && source.kind == Source::Kind::none) fail(place(request_, stands), "has no data; send it as base64");
    if (part.kind == Kind::foreign) {
      if (own_) out_.raw(part.raw.text());
      else fail(place(request_, stands), std::string(kForeignPart));
      return;
    }
    out_.begin_object().key("type");
    switch (part.kind) {
      case Kind::text: out_.value(output ? "output_text" : "input_text").key("text").raw_string(part.text); break;
      case Kind::refusal:
        out_.value(output ? "refusal" : "input_text").key(output ? "refusal" : "text").raw_string(part.text);
        break;
      case Kind::image:
        out_.value("input_image");
        if (source.kind == Source::Kind::file_id) string("file_id", source.data);
        else string("image_url", url_of_source(source));
        string("detail", source.detail);
        break;
      case Kind::document: document(part, stands); break;
      case Kind::audio: audio(source, stands); break;
      case Kind::tool_call:
      case Kind::tool_result:
      case Kind::thinking:
      case Kind::redacted:
      case Kind::foreign: out_.value("input_text").key("text").value(""); break;
    }
    out_.end_object();
  }

  void document(const Part& part, const Part& stands) {
    const Source& source = part.source;
    if (source.kind == Source::Kind::text) {
      out_.value("input_text").key("text").raw_string(source.data);
      return;
    }
    if (source.kind == Source::Kind::base64 && source.media_type.starts_with("video/"))
      fail(place(request_, stands), "OpenAI takes no video; leave it out");
    out_.value("input_file");
    if (source.kind == Source::Kind::file_id) string("file_id", source.data);
    if (source.kind == Source::Kind::url) string("file_url", source.data);
    if (source.kind != Source::Kind::base64) return string("filename", source.filename);
    // The API wants a name with data.
    out_.key("filename").raw_string(source.filename.empty() ? "document" : source.filename);
    string("file_data", url_of_source(source));
  }

  void audio(const Source& source, const Part& stands) {
    Inner format = source.media_type;
    for (std::string_view prefix : {"audio/x-", "audio/"})
      if (format.starts_with(prefix)) format.remove_prefix(prefix.size());
    if (format == "mpeg") format = "mp3";
    if (source.kind != Source::Kind::base64 || (format != "wav" && format != "mp3"))
      fail(place(request_, stands), "OpenAI takes sounds as base64 of wav or mp3; send it so");
    out_.value("input_audio").key("input_audio").begin_object().key("data").raw_string(source.data);
    out_.key("format").raw_string(format).end_object();
  }

  void result(const Part& part) {
    if (part.is_error) lose(Field::is_error);
    out_.begin_object().key("type").value("function_call_output").key("call_id").raw_string(part.id).key("output");
    if (part.content.size() == 1 && part.content[0].kind == Kind::text) {
      out_.raw_string(part.content[0].text);
    } else if (part.content.empty()) {
      out_.value("");
    } else {
      out_.begin_array();
      for (const Part& one : part.content) content(one, false, part);
      out_.end_array();
    }
    out_.end_object();
  }

  void tools() {
    bool any = false;
    for (const Tool& tool : request_.tools) {
      if (!any) out_.key("tools").begin_array();
      any = true;
      if (tool.foreign.present()) {
        out_.raw(tool.foreign.text());
        continue;
      }
      if (tool.cache_control.given()) lose(Field::cache_control);
      out_.begin_object().key("type").value("function").key("name").raw_string(tool.name);
      string("description", tool.description);
      // Strict is the default here, and only here; both are required members.
      out_.key("parameters").raw(tool.schema.given() ? tool.schema.text() : "{\"type\":\"object\",\"properties\":{}}");
      out_.key("strict").value(tool.strict.value_or(false)).end_object();
    }
    if (any) out_.end_array();
    any_tool_ = any;
  }

  void tool_choice() {
    const ToolChoice& choice = request_.tool_choice;
    if (!any_tool_) return;
    if (choice.parallel) out_.key("parallel_tool_calls").value(*choice.parallel);
    if (choice.kind == ToolChoice::Kind::absent) return;
    out_.key("tool_choice");
    bool any = choice.kind == ToolChoice::Kind::any;
    if (choice.kind == ToolChoice::Kind::named && !choice.names.empty()) {
      out_.begin_object().key("type").value("function").key("name").raw_string(choice.names[0]).end_object();
    } else if (choice.kind == ToolChoice::Kind::none) {
      out_.value("none");
    } else if (choice.names.empty()) {
      out_.value(any ? "required" : "auto");
    } else {
      out_.begin_object().key("type").value("allowed_tools").key("mode").value(any ? "required" : "auto");
      out_.key("tools").begin_array();
      for (Inner name : choice.names)
        out_.begin_object().key("type").value("function").key("name").raw_string(name).end_object();
      out_.end_array().end_object();
    }
  }

  void format() {
    const Format& format = request_.format;
    if (format.kind == Format::Kind::absent) return;
    out_.key("text").begin_object().key("format").begin_object().key("type");
    switch (format.kind) {
      case Format::Kind::absent:
      case Format::Kind::text: out_.value("text"); break;
      case Format::Kind::json: out_.value("json_object"); break;
      case Format::Kind::schema:
        out_.value("json_schema").key("name").raw_string(format.name.empty() ? "answer" : format.name);
        out_.key("schema").raw(format.schema.given() ? format.schema.text() : "{}");
        if (format.strict) out_.key("strict").value(*format.strict);
        break;
    }
    out_.end_object().end_object();
  }

  void reasoning() {
    const Reasoning& asked = request_.reasoning;
    Reasoning::Effort effort = asked.effort;
    if (effort == Reasoning::Effort::absent && asked.budget) effort = effort_for(*asked.budget);
    // A budget of so many tokens has become a word.
    if (asked.budget.value_or(0) != 0 && asked.effort == Reasoning::Effort::absent) lose(Field::reasoning);
    if (effort == Reasoning::Effort::max) effort = Reasoning::Effort::xhigh;
    bool summary = shown_thoughts(request_).value_or(false);
    if (effort == Reasoning::Effort::absent && !summary) return;
    out_.key("reasoning").begin_object();
    if (effort != Reasoning::Effort::absent) out_.key("effort").value(effort_name(effort));
    if (summary) out_.key("summary").value("auto");
    out_.end_object();
  }

  void others() {
    string("user", request_.user);
    if (openai_) {
      string("service_tier", request_.tier);
      string("prompt_cache_key", request_.cache_key);
      number("metadata", request_.metadata);
    } else {
      if (!request_.tier.empty()) lose(Field::tier);
      if (!request_.cache_key.empty()) lose(Field::cache_key);
      if (request_.metadata.given()) lose(Field::metadata);
    }
    if (request_.top_k.given()) lose(Field::top_k);
    if (request_.seed.given()) lose(Field::seed);
    if (request_.presence_penalty.given()) lose(Field::presence_penalty);
    if (request_.frequency_penalty.given()) lose(Field::frequency_penalty);
    if (request_.logit_bias.given()) lose(Field::logit_bias);
    if (request_.logprobs) lose(Field::logprobs);
    if (request_.top_logprobs.given()) lose(Field::top_logprobs);
    for (const Extra& extra : request_.extras)
      if (own_) out_.key(decode_inner(extra.name)).raw(extra.value.text());
  }

  const Request& request_;
  const WriteRequest& how_;
  bool own_;
  bool openai_;  // Asked in one of OpenAI's dialects: what lies there is there for both.
  bool any_tool_ = false;
  bool any_item_ = false;
  JsonWriter out_;
  Losses losses_;
  std::optional<Error> error_;
};

}  // namespace

Result<WrittenRequest> write_request(const Request& request, const WriteRequest& how, Store&) {
  return Writing(request, how).write();
}

}  // namespace lb::responses
