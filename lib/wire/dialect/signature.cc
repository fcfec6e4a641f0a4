#include "wire/dialect/signature.h"

#include <algorithm>

#include "wire/escape.h"

namespace lb {

namespace {

struct Mark {
  std::string_view text;
  Dialect origin;
  bool redacted;
};
constexpr Mark kMarks[] = {
    {"lbSignOpenAi", Dialect::openai, false},    {"lbSignRespon", Dialect::responses, false},
    {"lbSignAnthro", Dialect::anthropic, false}, {"lbSignGemini", Dialect::gemini, false},
    {"lbHideAnthro", Dialect::anthropic, true},
};

}  // namespace

void append_signature(std::string& out, Dialect home, Dialect origin, bool redacted, Inner data) {
  if (home != origin || redacted)
    for (const Mark& mark : kMarks)
      if (mark.origin == origin && mark.redacted == redacted) out.append(mark.text);
  out.append(data);
}

void read_signature(Inner found, Dialect home, Part& part, Store& store) {
  part.origin = home;
  part.signature = found;
  for (const Mark& mark : kMarks) {
    if (!found.starts_with(mark.text)) continue;
    part.origin = mark.origin;
    found.remove_prefix(mark.text.size());
    // The alphabet in which each writes: OpenAI's encrypted content is base64url, the others' plain base64.
    bool url = mark.origin == Dialect::responses || mark.origin == Dialect::openai;
    std::string data = decode_inner(found);
    std::replace(data.begin(), data.end(), url ? '+' : '-', url ? '-' : '+');
    std::replace(data.begin(), data.end(), url ? '/' : '_', url ? '_' : '/');
    part.signature = store.keep(encode_inner(data));
    if (!mark.redacted) return;
    part.kind = Part::Kind::redacted;
    part.text = part.signature;
    part.signature = {};
    return;
  }
}

}  // namespace lb
