// The JSON Schema that Anthropic takes for answers and for tools that are strict is a part of it; the rest is refused
// (docs.anthropic.com, "Structured outputs", JSON Schema limitations). OpenAI's and Gemini's is more.
#include <algorithm>

#include "wire/dialect/anthropic_messages_inside.h"

namespace lb {

namespace {

constexpr size_t kDepthMax = 64;  // As gemini_content_inside.h; what is deeper goes over as it stands.

// Bounds, which only tune.
constexpr std::string_view kBounds[] = {"minimum",       "maximum",       "exclusiveMinimum", "exclusiveMaximum",
                                        "multipleOf",    "minLength",     "maxLength",        "maxItems",
                                        "minProperties", "maxProperties", "uniqueItems"};
constexpr std::string_view kFormats[] = {"date-time", "time", "date", "duration", "email",
                                         "hostname",  "uri",  "ipv4", "ipv6",     "uuid"};

template <size_t kSize>
bool one_of(const std::string_view (&words)[kSize], std::string_view word) {
  return std::find(words, words + kSize, word) != words + kSize;
}

class Narrowed {
 public:
  void schema(Raw from, size_t depth) {
    if (!from.is_object() || depth == kDepthMax) {
      out_.append(from.text());
      return;
    }
    // An object whose members are not named cannot be said: what Anthropic says of it is the caller's to read.
    Raw more = from["additionalProperties"];
    bool closes = from["properties"].is_object() && (!more.present() || more.is_true());
    lost_ = lost_ || (closes && more.present());
    out_.push_back('{');
    for (RawWalk at = from.walk(); at.next();) {
      if (closes && at.is("additionalProperties")) continue;
      if (left_out(at)) {
        lost_ = true;
        continue;
      }
      key(at.is("oneOf") && !from["anyOf"].present() ? "anyOf" : at.key());
      value(at, depth);
    }
    if (!closes) return out_.push_back('}');
    key("additionalProperties");
    out_.append("false}");
  }

  std::string take() { return std::move(out_); }
  bool lost() const { return lost_; }

 private:
  static bool left_out(const RawWalk& at) {
    if (at.is("minItems")) return at.value().integer().value_or(0) > 1;
    if (at.is("format")) return !one_of(kFormats, at.value().inner());
    return one_of(kBounds, at.key());
  }

  void key(std::string_view inner) {
    if (out_.back() != '{') out_.push_back(',');
    out_.append("\"").append(inner).append("\":");
  }

  void value(const RawWalk& at, size_t depth) {
    Raw value = at.value();
    bool named = at.is("properties") || at.is("$defs") || at.is("definitions");
    bool listed = at.is("anyOf") || at.is("oneOf") || at.is("allOf");
    if (named && value.is_object()) {
      out_.push_back('{');
      for (RawWalk one = value.walk(); one.next();) {
        key(one.key());
        schema(one.value(), depth + 1);
      }
      out_.push_back('}');
    } else if (listed && value.is_array()) {
      out_.push_back('[');
      for (RawWalk one = value.walk(); one.next();) {
        if (out_.back() != '[') out_.push_back(',');
        schema(one.value(), depth + 1);
      }
      out_.push_back(']');
    } else if (at.is("items")) {
      schema(value, depth + 1);
    } else {
      out_.append(value.text());
    }
  }

  std::string out_;
  bool lost_ = false;
};

}  // namespace

std::string narrowed_schema(Raw schema, bool& lost) {
  Narrowed narrowed;
  narrowed.schema(schema, 0);
  lost = narrowed.lost();
  return narrowed.take();
}

}  // namespace lb
