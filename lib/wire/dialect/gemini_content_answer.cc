#include "wire/dialect/fields.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/dialect/signature.h"
#include "wire/escape.h"

namespace lb::gemini {

namespace {

Error no_answer(std::string message) { return {Status::PROTOCOL, "", std::move(message)}; }

void read_candidate(Raw from, Choice& choice, Reply& reply, Store& store) {
  bool called = false;
  uint32_t index = 0;
  for (RawWalk at = from.walk(); at.next();) {
    Raw value = at.value();
    if (named(at.key(), "content")) {
      for (RawWalk parts = member(value, "parts").walk(); parts.next(); index++) {
        Part part;
        part.index = index;
        bool taken = read_part(parts.value(), part, store);
        if (!taken) reply.lost.add("candidates.content.parts");
        if (part.kind == Part::Kind::foreign) continue;
        called = called || part.kind == Part::Kind::tool_call;
        choice.parts.push_back(std::move(part));
      }
    } else if (named(at.key(), "finishReason")) {
      choice.stop = stop_of(value.inner());
      if (is_malformed(value.inner())) reply.lost.add("candidates.finishReason");
    } else if (named(at.key(), "citationMetadata") || named(at.key(), "groundingMetadata")) {
      if (value.given()) reply.lost.add("candidates." + std::string(at.key()));
    }
  }
  if (called && choice.stop != Stop::length && choice.stop != Stop::filter) choice.stop = Stop::tools;
}

class Answer {
 public:
  Answer(const Reply& reply, const WriteAnswer& how, Losses& losses) : reply_(reply), how_(how), losses_(losses) {}

  std::string write() {
    losses_.add(reply_.lost);
    out_.begin_object().key("candidates").begin_array();
    for (size_t i = 0; i < reply_.choices.size(); i++) choice(reply_.choices[i], i);
    out_.end_array();
    if (reply_.usage.any()) {
      std::string usage;
      append_usage(usage, reply_.usage);
      out_.key("usageMetadata").raw(usage);
    }
    if (reply_.usage.written.value_or(0) > 0) losses_.add("usage.cache_creation_input_tokens");
    if (!reply_.tier.empty()) losses_.add("service_tier");
    if (!reply_.fingerprint.empty()) losses_.add("system_fingerprint");
    out_.key("modelVersion");
    how_.model.empty() ? out_.raw_string(reply_.model) : out_.value(how_.model);
    out_.key("responseId");
    how_.id.empty() ? out_.raw_string(reply_.id) : out_.value(how_.id);
    return out_.end_object().take();
  }

 private:
  using Kind = Part::Kind;

  void choice(const Choice& choice, size_t index) {
    out_.begin_object().key("content").begin_object().key("parts").begin_array();
    bool refusal = false;
    for (const Part& one : choice.parts) {
      refusal = refusal || one.kind == Kind::refusal;
      part(one);
    }
    out_.end_array().key("role").value("model").end_object();
    Stop stop = refusal && choice.stop == Stop::end ? Stop::filter : choice.stop;
    out_.key("finishReason").value(finish_reason(stop)).key("index").value(uint64_t{index}).end_object();
    if (choice.logprobs.given()) losses_.add("logprobs");
    if (!choice.stop_sequence.empty()) losses_.add("stop_sequence");
  }

  void part(const Part& part) {
    if (part.citations.given()) losses_.add("citations");
    switch (part.kind) {
      case Kind::text:
      case Kind::refusal: out_.begin_object().key("text").raw_string(part.text); break;
      case Kind::thinking: out_.begin_object().key("text").raw_string(part.text).key("thought").value(true); break;
      case Kind::redacted: out_.begin_object().key("text").value("").key("thought").value(true); break;
      case Kind::tool_call:
        out_.begin_object().key("functionCall").begin_object();
        write_call(out_, part.id, part.name, input_object(part, store_));
        out_.end_object();
        break;
      case Kind::image:
      case Kind::document:
      case Kind::audio:
        if (part.source.kind != Source::Kind::base64) return losses_.add("content");
        out_.begin_object().key("inlineData").begin_object().key("mimeType").raw_string(part.source.media_type);
        out_.key("data").raw_string(part.source.data).end_object();
        break;
      case Kind::tool_result:
      case Kind::foreign: return losses_.add("content");
    }
    bool redacted = part.kind == Kind::redacted;
    Inner data = redacted ? part.text : part.signature;
    if (!data.empty()) {
      std::string signature;
      append_signature(signature, Dialect::gemini, part.origin.value_or(Dialect::anthropic), redacted, data);
      out_.key("thoughtSignature").raw_string(signature);
    }
    out_.end_object();
  }

  const Reply& reply_;
  const WriteAnswer& how_;
  Losses& losses_;
  Store store_;
  JsonWriter out_;
};

}  // namespace

Result<Reply> read_answer(std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return no_answer(json.error().message);
  Raw top = json.value();
  Raw candidates = member(top, "candidates"), feedback = member(top, "promptFeedback");
  if (!candidates.is_array() && !feedback.is_object()) return no_answer("no `candidates` in the answer");
  Reply reply;
  reply.id = member(top, "responseId").inner();
  reply.model = member(top, "modelVersion").inner();
  reply.usage = read_usage(member(top, "usageMetadata"));
  if (!reply.usage.any()) reply.usage = {};
  for (RawWalk at = candidates.walk(); at.next();)
    read_candidate(at.value(), reply.choices.emplace_back(), reply, store);
  // A prompt that was refused has no candidate.
  if (reply.choices.empty()) {
    bool blocked = member(feedback, "blockReason").is_string();
    reply.choices.emplace_back().stop = blocked ? Stop::filter : Stop::end;
  }
  return reply;
}

std::string write_answer(const Reply& reply, const WriteAnswer& how, Losses& losses) {
  return Answer(reply, how, losses).write();
}

}  // namespace lb::gemini
