#include "translations/case.h"

#include "base/text.h"

namespace lb::translations {

namespace {

Error wrong(int line, std::string message) {
  return {Status::INVALID, "line " + std::to_string(line), std::move(message)};
}

bool read_dialect(std::string_view word, Dialect& out) {
  if (word == "openai") out = Dialect::openai;
  else if (word == "responses") out = Dialect::responses;
  else if (word == "anthropic") out = Dialect::anthropic;
  else if (word == "gemini") out = Dialect::gemini;
  else return false;
  return true;
}

// "openai request:", "gemini error 429:"
bool read_input(std::string_view line, Case& out) {
  if (!line.ends_with(':')) return false;
  line.remove_suffix(1);
  if (!read_dialect(split_off(line, ' '), out.from)) return false;
  std::string_view kind = split_off(line, ' ');
  if (kind == "request") out.kind = Kind::request;
  else if (kind == "answer") out.kind = Kind::answer;
  else if (kind == "stream") out.kind = Kind::stream;
  else if (kind == "error") out.kind = Kind::error;
  else return false;
  out.status = static_cast<uint32_t>(parse_u64(line).value_or(0));
  return (out.kind == Kind::error) == (out.status != 0);
}

// "with id=x stream_usage=no"
bool read_settings(std::string_view rest, Case& out) {
  while (!rest.empty()) {
    std::string_view value = split_off(rest, ' ');
    std::string_view key = split_off(value, '=');
    if (key == "model") out.model = value;
    else if (key == "id") out.id = value;
    else if (key == "output_max_default") out.output_max_default = parse_u64(value).value_or(0);
    else if (key == "stream_usage" && value == "no") out.stream_usage = false;
    else if (key == "classic_max_tokens" && value == "yes") out.classic_max_tokens = true;
    else if (key == "classic_thinking" && value == "yes") out.classic_thinking = true;
    else if (key == "thinking_back" && value == "yes") out.thinking_back = true;
    else return false;
  }
  return true;
}

// "-> openai:", "-> openai loses: a, b", "-> openai refused: messages.0: says", "-> openai cut:", "-> openai failed:"
bool read_expected(std::string_view line, Expected& out) {
  std::string_view head = split_off(line, ':');
  line = trim(line);
  if (!read_dialect(split_off(head, ' '), out.to)) return false;
  if (head == "loses") out.losses = line;
  else if (head == "refused") out.verdict = Expected::Verdict::refused, out.text = line;
  else if (head == "cut") out.verdict = Expected::Verdict::cut;
  else if (head == "failed") out.verdict = Expected::Verdict::failed;
  else return head.empty() && line.empty();
  return head == "refused" || head == "loses" ? !line.empty() : line.empty();
}

// The indentation of a block's lines is two spaces.
void add_line(std::string& block, std::string_view line) {
  line.remove_prefix(std::min<size_t>(2, line.size()));
  block.append(line).append("\n");
}

Error not_understood(int number) {
  return wrong(number, "is no heading; write DIALECT request:, answer:, stream: or error STATUS:, with KEY=VALUE, "
                       "-> DIALECT:, or -> DIALECT loses:, refused:, cut: or failed:");
}

}  // namespace

Result<std::vector<Case>> read_cases(const std::string& text) {
  std::vector<Case> cases;
  std::string* block = nullptr;  // Where indented lines go.
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); number++) {
    std::string_view line = split_off(rest, '\n');
    if (line.starts_with("## ")) {
      cases.push_back({});
      cases.back().title = line.substr(3);
      cases.back().line = number;
      block = nullptr;
    } else if (line.starts_with("#") || line.empty()) {
      continue;
    } else if (cases.empty()) {
      return wrong(number, "stands before the first case; begin one with \"## \" and its title");
    } else if (line.front() == ' ') {
      if (!block) return wrong(number, "belongs to no block; write what it is above it");
      add_line(*block, line);
    } else if (line.starts_with("with ")) {
      if (!read_settings(line.substr(5), cases.back())) return not_understood(number);
    } else if (line.starts_with("-> ")) {
      Expected& expected = cases.back().expected.emplace_back();
      expected.line = number;
      if (!read_expected(line.substr(3), expected)) return not_understood(number);
      block = expected.verdict == Expected::Verdict::refused ? nullptr : &expected.text;
    } else {
      if (!cases.back().input.empty() || !read_input(line, cases.back())) return not_understood(number);
      block = &cases.back().input;
    }
  }
  for (const Case& one : cases)
    if (one.input.empty() || one.expected.empty()) return wrong(one.line, "a case has an input and something expected");
  if (cases.empty()) return wrong(1, "no case; begin one with \"## \" and its title");
  return cases;
}

}  // namespace lb::translations
