#include "sim/truth.h"

namespace lb::sim {

namespace {

std::string said(const Truth& truth) { return " (" + std::string(fault_name(truth.fault)) + ")"; }

// A whole success in another dialect than it was said in.
std::string check_translated(const Truth& truth, Dialect dialect, std::string_view body, Shape shape) {
  if (!has_end(dialect, body, shape)) return "a translated answer does not say that it is whole" + said(truth);
  if (std::string text = text_in(dialect, body); text != truth.text)
    return "a translated answer has " + std::to_string(text.size()) + " bytes of text instead of " +
           std::to_string(truth.text.size()) + said(truth);
  return shape == Shape::bytes ? wrong_with_events(dialect, body) : "";
}

// One that was cut: events of which nothing says that they are all, and no more text than was said.
std::string check_translated_cut(const Truth& truth, Dialect dialect, std::string_view body, bool may_lack) {
  size_t error = error_event_at(dialect, body);
  if (error == body.npos && !may_lack) return "a broken stream without an error event" + said(truth);
  if (error != body.npos && body.find("\n\n", error) + 2 != body.size()) return "something follows an error event";
  if (std::string wrong = wrong_with_events(dialect, body); !wrong.empty() && !may_lack) return wrong;
  std::string_view before = body.substr(0, error);
  // All of it may have come before the connection broke, or the time was over.
  if (says_end(dialect, before) && !truth.good) return "a broken stream says that it is whole" + said(truth);
  return truth.text.starts_with(text_in(dialect, before)) ? "" : "text was never said" + said(truth);
}

}  // namespace

std::string check_whole(const Truth& truth, Dialect dialect, uint32_t status, const std::string& body) {
  if (status < 400 && !truth.good) return "a bad answer was presented as a success" + said(truth);
  if (status >= 400 && truth.status != 200 && status != truth.status)
    return "status " + std::to_string(status) + " instead of " + std::to_string(truth.status);
  if (dialect != truth.dialect) {
    if (status < 400)
      return check_translated(truth, dialect, body, truth.stream ? Shape::bytes : Shape::document);
    return is_error(dialect, body) ? "" : "an error is none in the caller's dialect" + said(truth);
  }
  if (body != truth.body)
    return "the body differs from what the upstream sent" + said(truth) + ": " + std::to_string(body.size()) +
           " bytes instead of " + std::to_string(truth.body.size());
  return "";
}

std::string check_events(const Truth& truth, Dialect dialect, const std::vector<std::string>& events) {
  if (!truth.good) return "a bad answer was presented as a success" + said(truth);
  if (dialect != truth.dialect) {
    std::string all;
    for (const std::string& data : events) all += data;
    return check_translated(truth, dialect, all, Shape::events);
  }
  return events == truth.events ? "" : "events differ from what the upstream sent" + said(truth);
}

std::string check_cut_stream(const Truth& truth, Dialect dialect, const std::string& body, bool may_lack) {
  if (dialect != truth.dialect) return check_translated_cut(truth, dialect, body, may_lack);
  size_t error = error_event_at(dialect, body);
  if (error == std::string::npos) return may_lack ? "" : "a broken stream without an error event" + said(truth);
  if (body.find("data: [DONE]", error) != std::string::npos) return "[DONE] after an error event";
  std::string before = body.substr(0, error);
  while (before.ends_with("\n\n\n")) before.pop_back();
  bool whole = truth.body.compare(0, before.size(), before) == 0;
  if (!whole && before.ends_with("\n\n")) {
    // An event that was too long to be held has been closed in the middle.
    before.resize(before.size() - 2);
    whole = truth.body.compare(0, before.size(), before) == 0;
  }
  return whole ? "" : "what came before the error event was never sent" + said(truth);
}

}  // namespace lb::sim
