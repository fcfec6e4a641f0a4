#include "wire/dialect/fields.h"
#include "wire/dialect/openai_responses_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::responses {

namespace {

using Kind = Part::Kind;

Error no_answer(std::string message) { return {Status::PROTOCOL, "", std::move(message)}; }

class Answer {
 public:
  Answer(const Reply& reply, const WriteAnswer& how, Losses& losses) : reply_(reply), losses_(losses) {
    id_ = how.id.empty() ? std::string(reply.id) : encode_inner(how.id);
    model_ = how.model.empty() ? std::string(reply.model) : encode_inner(how.model);
    created_ = reply.created.value_or(how.created);
  }

  std::string write() {
    losses_.add(reply_.lost);
    const Choice none;
    const Choice& choice = reply_.choices.empty() ? none : reply_.choices[0];
    if (reply_.choices.size() > 1) losses_.add("choices");
    std::string_view reason = choice.stop == Stop::length || choice.stop == Stop::context ? "max_output_tokens"
                              : choice.stop == Stop::filter                               ? "content_filter"
                                                                                          : "";
    std::string out;
    begin_response(out, {id_, model_, created_}, reason.empty() ? "completed" : "incomplete", reason);
    for (size_t i = 0; i < choice.parts.size(); i++) {
      std::string item = is_text(choice.parts[i]) ? message(choice.parts, i) : part(choice.parts[i]);
      if (item.empty()) continue;
      if (items_++ > 0 && out.back() != '[') out.push_back(',');
      out.append(item);
    }
    end_response(out, &reply_.usage);
    if (!reply_.tier.empty()) {
      out.pop_back();
      out.append(",\"service_tier\":\"").append(reply_.tier).append("\"}");
    }
    if (!reply_.fingerprint.empty()) losses_.add("system_fingerprint");
    if (!choice.stop_sequence.empty()) losses_.add("stop_sequence");
    if (choice.logprobs.given()) losses_.add("logprobs");
    return out;
  }

 private:
  std::string item_id() const { return id_ + "_" + std::to_string(items_); }

  static bool is_text(const Part& part) { return part.kind == Kind::text || part.kind == Kind::refusal; }

  // Gemini signs texts and calls; the signature stands by itself, before what it is of.
  void sign(std::string& out, const Part& part) {
    if (part.signature.empty()) return;
    append_reasoning(out, "rs_" + item_id(), "", signature(part));
    out.push_back(',');
    items_++;
  }

  // Texts that follow each other are one message, up to one that is signed. `i` becomes the last of them.
  std::string message(const std::vector<Part>& parts, size_t& i) {
    std::string out;
    sign(out, parts[i]);
    out.append("{\"type\":\"message\",\"id\":\"msg_").append(item_id());
    out.append("\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[");
    for (bool first = true;; first = false, i++) {
      if (!first) out.push_back(',');
      if (parts[i].citations.given()) losses_.add("citations");
      append_content(out, parts[i].kind == Kind::refusal ? "refusal" : "output_text", parts[i].text);
      if (i + 1 == parts.size() || !is_text(parts[i + 1]) || !parts[i + 1].signature.empty()) break;
    }
    return out.append("]}");
  }

  std::string part(const Part& part) {
    std::string out;
    switch (part.kind) {
      case Kind::tool_call:
        sign(out, part);
        call(out, part);
        break;
      case Kind::thinking:
      case Kind::redacted:
        append_reasoning(out, "rs_" + item_id(), part.kind == Kind::thinking ? part.text : Inner(), signature(part));
        break;
      case Kind::image:
      case Kind::document:
      case Kind::audio:
      case Kind::text:
      case Kind::refusal:
      case Kind::tool_result:
      case Kind::foreign: losses_.add("content"); break;
    }
    return out;
  }

  std::string signature(const Part& part) {
    std::string out;
    bool redacted = part.kind == Kind::redacted;
    Inner data = redacted ? part.text : part.signature;
    if (!data.empty())
      append_signature(out, Dialect::responses, part.origin.value_or(Dialect::anthropic), redacted, data);
    return out;
  }

  void call(std::string& out, const Part& part) {
    std::string arguments = part.input.is_object() ? encode_inner(part.input.text()) : std::string(part.text);
    std::string call_id = part.id.empty() ? "call_" + item_id() : std::string(part.id);
    append_call(out, item_id(), call_id, part.name, arguments, true);
  }

  const Reply& reply_;
  Losses& losses_;
  std::string id_, model_;
  uint64_t created_ = 0;
  size_t items_ = 0;
};

}  // namespace

Result<Reply> read_answer(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return no_answer(json.error().message);
  Raw top = json.value();
  if (!top["output"].is_array()) return no_answer("no `output` in the answer");
  if (top["status"].inner() == "failed" || top["error"].is_object())
    return no_answer("the answer has failed: " + top["error"]["message"].decoded());
  Reply reply;
  reply.id = top["id"].inner();
  reply.model = top["model"].inner();
  reply.created = top["created_at"].integer();
  reply.tier = top["service_tier"].inner();
  reply.usage = read_usage(top["usage"]);
  Choice& choice = reply.choices.emplace_back();
  bool called = false;
  for (RawWalk at = top["output"].walk(); at.next();) {
    Raw item = at.value();
    Inner type = item["type"].inner();
    if (type == "message") {
      for (RawWalk in = item["content"].walk(); in.next();) {
        Part part;
        if (!read_content(in.value(), part)) reply.lost.add("output.content");
        else choice.parts.push_back(part);
      }
    } else if (type == "function_call") {
      read_call(item, choice.parts.emplace_back(), store);
      called = true;
    } else if (type == "reasoning") {
      read_reasoning(item, choice.parts.emplace_back(), store);
    } else {
      reply.lost.add("output." + std::string(type));
    }
  }
  choice.stop = stop_of(top, called);
  return reply;
}

std::string write_answer(const Reply& reply, const WriteAnswer& how, Losses& losses) {
  return Answer(reply, how, losses).write();
}

}  // namespace lb::responses
