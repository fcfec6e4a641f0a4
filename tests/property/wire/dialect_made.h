// Conversations and answers made at random, of what two dialects both can hold.
#pragma once

#include <string>

#include "base/rng.h"
#include "wire/dialect/neutral.h"
#include "wire/escape.h"

namespace lb {

// What not every dialect holds. What all do needs no flag.
struct Holds {
  bool stop, user, parallel, seed, penalties, top_k, is_error, image_url, json, reasoning_count;
};

inline Holds holds(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai: return {true, true, true, true, true, false, false, true, true, true};
    case Dialect::responses: return {false, true, true, false, false, false, false, true, true, true};
    case Dialect::anthropic: return {true, true, true, false, false, true, true, true, false, false};
    case Dialect::gemini: return {true, false, false, true, true, true, true, false, true, true};
  }
  return {};
}

inline Holds both(const Holds& a, const Holds& b) {
  return {a.stop && b.stop, a.user && b.user, a.parallel && b.parallel, a.seed && b.seed, a.penalties && b.penalties,
          a.top_k && b.top_k, a.is_error && b.is_error, a.image_url && b.image_url, a.json && b.json,
          a.reasoning_count && b.reasoning_count};
}

class Making {
 public:
  Making(Rng& rng, const Holds& can, Store& store) : rng_(rng), can_(can), store_(store) {}

  // An inner: any characters, some escaped; never empty, no white space at its end, which not all dialects take.
  Inner text() {
    static constexpr std::string_view kPieces[] = {"a", "Hello", " ", "\\n", "\\\"", "\\\\", "\\u00e9", "\xc3\xa9",
                                                   "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "{", "}", "[1]", "\\/", "\\t"};
    std::string out;
    for (uint64_t n = rng_.below(12); n > 0; n--) out += kPieces[rng_.below(std::size(kPieces))];
    return store_.keep(out + "z");
  }

  Raw object() {
    static constexpr std::string_view kObjects[] = {
        "{}", "{\"a\":1.50}", "{\"a\":{\"b\":[1,\"x\\\"\",null]},\"c\":-0}", "{\"n\":12345678901234567890}",
        "{\"\\u00e9\":\"\\ud83d\\ude00\\n\"}"};
    return store_.keep_json(std::string(kObjects[rng_.below(std::size(kObjects))]));
  }

  Request request() {
    Request out;
    for (uint64_t n = rng_.below(3); n > 0; n--) out.system.push_back(text_part());
    uint64_t rounds = 1 + rng_.below(3);
    for (uint64_t n = 0; n < rounds; n++) {
      user(out);
      if (n + 1 < rounds) assistant(out);
    }
    settings(out);
    tools(out);
    return out;
  }

  Reply reply() {
    Reply out;
    Choice& choice = out.choices.emplace_back();
    if (rng_.below(3) > 0) choice.parts.push_back(text_part());
    for (uint64_t n = rng_.below(3); n > 0; n--) choice.parts.push_back(call());
    choice.stop = rng_.below(4) == 0 ? Stop::length : !calls_.empty() ? Stop::tools : Stop::end;
    if (rng_.below(8) == 0) choice.stop = Stop::filter;
    out.usage.input = 50 + rng_.below(100);
    out.usage.output = 50 + rng_.below(100);
    if (rng_.below(2)) out.usage.cached = 1 + rng_.below(50);
    if (can_.reasoning_count && rng_.below(2)) out.usage.reasoning = 1 + rng_.below(50);
    return out;
  }

 private:
  Part text_part() {
    Part part;
    part.text = text();
    return part;
  }

  Part call() {
    Part part;
    part.kind = Part::Kind::tool_call;
    part.id = store_.keep("call_" + std::to_string(next_++));
    part.name = rng_.below(2) ? "get_it" : "other-1";
    part.input = object();
    calls_.push_back(part);
    return part;
  }

  void user(Request& out) {
    Turn& turn = out.turns.emplace_back();
    for (const Part& call : calls_) {
      Part part;
      part.kind = Part::Kind::tool_result;
      part.id = call.id;
      part.name = call.name;
      part.is_error = can_.is_error && rng_.below(4) == 0;
      part.content.push_back(text_part());
      if (rng_.below(4) == 0)  // An object, also one like those in which a dialect wraps texts.
        part.content[0].text = store_.keep(encode_inner(rng_.below(2) ? object().text() : "{\"result\":\"x\"}"));
      turn.parts.push_back(part);
    }
    bool answered = !calls_.empty();
    calls_.clear();
    for (uint64_t n = answered ? rng_.below(2) : 1 + rng_.below(3); n > 0; n--)
      turn.parts.push_back(rng_.below(3) ? text_part() : media());
  }

  Part media() {
    Part part;
    bool image = rng_.below(2);
    part.kind = image ? Part::Kind::image : Part::Kind::document;
    part.source.kind = Source::Kind::base64;
    part.source.media_type = image ? "image/png" : "application/pdf";
    part.source.data = "iVBORw0KGgo+/w==";
    if (image && can_.image_url && rng_.below(2)) {
      part.source.kind = Source::Kind::url;
      part.source.media_type = {};
      part.source.data = "https://a.example/b.png?c=d";
    }
    return part;
  }

  void assistant(Request& out) {
    Turn& turn = out.turns.emplace_back();
    turn.role = Turn::Role::assistant;
    uint64_t calls = rng_.below(4);
    if (calls == 0 || rng_.below(2)) turn.parts.push_back(text_part());
    for (; calls > 0; calls--) turn.parts.push_back(call());
  }

  Raw number(const char* json) { return store_.keep_json(json); }

  void settings(Request& out) {
    out.output_max = number("1000");
    uint64_t sampling = rng_.below(3);  // Claude takes one of the two.
    if (sampling == 0) out.temperature = number("0.50");
    if (sampling == 1) out.top_p = number("9e-1");
    if (can_.top_k && rng_.below(2)) out.top_k = number("40");
    if (can_.seed && rng_.below(2)) out.seed = number("7");
    if (can_.penalties && rng_.below(2)) out.presence_penalty = number("0.1"), out.frequency_penalty = number("0.2");
    if (can_.stop && rng_.below(2)) out.stop = {text(), "END"};
    if (can_.user && rng_.below(2)) out.user = "u-1";
    uint64_t format = rng_.below(4);
    if (format == 0 && can_.json) out.format.kind = Format::Kind::json;
    if (format != 1) return;
    out.format.kind = Format::Kind::schema;
    out.format.name = "s";
    out.format.schema = number("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
                               "\"required\":[\"a\"],\"additionalProperties\":false}");
  }

  void tools(Request& out) {
    static constexpr ToolChoice::Kind kKinds[] = {ToolChoice::Kind::absent, ToolChoice::Kind::automatic,
                                                  ToolChoice::Kind::none, ToolChoice::Kind::any,
                                                  ToolChoice::Kind::named};
    if (rng_.below(3) == 0) return;
    for (Inner name : {Inner("get_it"), Inner("other-1")}) {
      Tool tool;
      tool.name = name;
      tool.description = text();
      tool.schema = number("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"number\",\"null\"]}}}");
      out.tools.push_back(tool);
    }
    out.tool_choice.kind = kKinds[rng_.below(std::size(kKinds))];
    if (out.tool_choice.kind == ToolChoice::Kind::named) out.tool_choice.names = {"get_it"};
    bool may = out.tool_choice.kind == ToolChoice::Kind::automatic || out.tool_choice.kind == ToolChoice::Kind::any;
    if (may && can_.parallel && rng_.below(2)) out.tool_choice.parallel = false;
  }

  Rng& rng_;
  Holds can_;
  Store& store_;
  std::vector<Part> calls_;  // Not yet answered.
  uint64_t next_ = 0;
};

}  // namespace lb
