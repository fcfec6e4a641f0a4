#include "cases/case.h"

#include "base/text.h"

namespace lb::cases {

namespace {

// "config:", "steps east:": the beginning of a section.
bool read_heading(std::string_view line, Section& out) {
  if (line.empty() || line.back() != ':' || line.front() == ' ') return false;
  line.remove_suffix(1);
  std::string_view word = split_off(line, ' ');
  if (word != "config" && word != "steps") return false;
  out.steps = word == "steps";
  out.engine = line;
  return true;
}

Error wrong(int line, std::string message) {
  return {Status::INVALID, "line " + std::to_string(line), std::move(message)};
}

}  // namespace

Result<std::vector<Case>> read_cases(const std::string& text) {
  std::vector<Case> cases;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); number++) {
    std::string_view line = split_off(rest, '\n');
    if (line.starts_with("## ")) {
      cases.push_back({std::string(line.substr(3)), number, {}});
      continue;
    }
    if (line.starts_with("#") || trim(line).empty()) continue;
    if (cases.empty()) return wrong(number, "stands before the first case; begin one with \"## \" and its title");
    Section section;
    if (read_heading(line, section)) {
      cases.back().sections.push_back(std::move(section));
      continue;
    }
    if (line.front() != ' ' || cases.back().sections.empty())
      return wrong(number, "belongs to no section; write config: or steps: above it, and indent it");
    Section& open = cases.back().sections.back();
    open.document.append(line).append("\n");
    open.lines.push_back({number, std::string(trim(line))});
  }
  for (const Case& one : cases)
    if (one.sections.empty() || one.sections[0].steps) return wrong(one.line, "a case begins with config:");
  if (cases.empty()) return wrong(1, "no case; begin one with \"## \" and its title");
  return cases;
}

}  // namespace lb::cases
