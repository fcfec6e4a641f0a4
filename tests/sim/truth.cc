#include "sim/truth.h"

namespace lb::sim {

namespace {

std::string said(const Truth& truth) { return " (" + std::string(fault_name(truth.fault)) + ")"; }

}  // namespace

std::string check_whole(const Truth& truth, uint32_t status, const std::string& body) {
  if (status < 400 && !truth.good) return "a bad answer was presented as a success" + said(truth);
  if (status >= 400 && truth.status != 200 && status != truth.status)
    return "status " + std::to_string(status) + " instead of " + std::to_string(truth.status);
  if (body != truth.body)
    return "the body differs from what the upstream sent" + said(truth) + ": " + std::to_string(body.size()) +
           " bytes instead of " + std::to_string(truth.body.size());
  return "";
}

std::string check_events(const Truth& truth, const std::vector<std::string>& events) {
  if (!truth.good) return "a bad answer was presented as a success" + said(truth);
  return events == truth.events ? "" : "events differ from what the upstream sent" + said(truth);
}

std::string check_cut_stream(const Truth& truth, const std::string& body, bool may_lack) {
  size_t error = body.rfind("data: {\"error\":");
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
