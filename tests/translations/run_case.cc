#include <cstdio>

#include "translations/became.h"
#include "translations/canonical.h"
#include "translations/case.h"

namespace lb::translations {

namespace {

std::string expected_text(const Case& which, const Expected& expected) {
  if (which.kind == Kind::stream) return canonical_stream(expected.to, stream_bytes(expected.to, expected.text));
  return canonical_json(expected.text).value_or("(no JSON)") + "\n";
}

const char* verdict_name(Expected::Verdict verdict) {
  switch (verdict) {
    case Expected::Verdict::done: return "done";
    case Expected::Verdict::refused: return "refused";
    case Expected::Verdict::cut: return "cut";
    case Expected::Verdict::failed: return "failed";
  }
  return "";
}

std::string difference(const Case& which, const Expected& expected, const Became& is) {
  if (!is.wrong.empty()) return is.wrong;
  if (is.verdict != expected.verdict) return std::string("is ") + verdict_name(is.verdict) + ":\n" + is.text;
  if (is.verdict == Expected::Verdict::refused) {
    if (expected.text.empty() || is.text.find(expected.text) == is.text.npos) return "is refused with: " + is.text;
    return "";
  }
  if (std::string should = expected_text(which, expected); is.text != should)
    return "is:\n" + is.text + "should be:\n" + should;
  if (is.losses != expected.losses) return "loses: " + is.losses;
  return "";
}

}  // namespace

std::string run_case(const Case& which, bool show) {
  std::string wrong;
  for (const Expected& expected : which.expected) {
    if (!translates(which, expected.to)) continue;
    Became is = run(which, expected.to);
    if (show) {
      std::printf("line %d: %s, loses: %s\n%s", expected.line, verdict_name(is.verdict), is.losses.c_str(),
                  is.text.c_str());
      if (is.verdict == Expected::Verdict::refused) std::printf("\n");
    }
    std::string what = difference(which, expected, is);
    if (wrong.empty() && !what.empty()) wrong = "line " + std::to_string(expected.line) + ": " + what;
  }
  return wrong;
}

}  // namespace lb::translations
