#include "translations/canonical.h"

#include "base/text.h"
#include "wire/sse.h"

namespace lb::translations {

namespace {

void print(Raw value, std::string& out) {
  if (!value.is_object() && !value.is_array()) {
    out.append(value.text());
    return;
  }
  out.push_back(value.is_object() ? '{' : '[');
  bool first = true;
  for (RawWalk at = value.walk(); at.next(); first = false) {
    if (!first) out.push_back(',');
    if (value.is_object()) out.append("\"").append(at.key()).append("\":");
    print(at.value(), out);
  }
  out.push_back(value.is_object() ? '}' : ']');
}

bool names_events(Dialect dialect) { return dialect == Dialect::anthropic || dialect == Dialect::responses; }

// An event, or a line that is none, of a case.
void write_line(Dialect dialect, std::string_view line, std::string& out) {
  if (line == "[DONE]") {
    out.append("data: [DONE]\n\n");
  } else if (line.starts_with('{')) {
    Result<Raw> data = Raw::parse(line);
    if (names_events(dialect) && data.ok() && data.value()["type"].is_string())
      out.append("event: ").append(data.value()["type"].inner()).append("\n");
    out.append("data: ").append(line).append("\n\n");
  } else {
    out.append(line == "-" ? "" : line).append("\n");  // "-" is a line that is empty.
  }
}

}  // namespace

std::optional<std::string> canonical_json(std::string_view text) {
  Result<Raw> value = Raw::parse(text);
  if (!value.ok()) return std::nullopt;
  std::string out;
  print(value.value(), out);
  return out;
}

std::string stream_bytes(Dialect dialect, std::string_view lines) {
  std::string out, line;
  while (!lines.empty()) {
    line.append(trim(split_off(lines, '\n')));
    if (lines.starts_with(' ')) continue;  // Goes on.
    write_line(dialect, line, out);
    line.clear();
  }
  return out;
}

std::string canonical_stream(Dialect dialect, std::string_view bytes) {
  std::string out;
  SseParser parser;
  SseEvent event;
  while (parser.next(bytes, event)) {
    std::optional<std::string> json = canonical_json(event.data);
    std::string name;
    if (json && names_events(dialect)) name = Raw::parse(event.data).value()["type"].decoded();
    if (event.comment)
      out.append("a comment");
    else if (json && event.name == name)
      out.append(*json);
    else if (!json && event.name.empty())
      out.append(event.data);
    else
      out.append("event ").append(event.name).append(": ").append(event.data);
    out.append("\n");
  }
  if (parser.mid_event()) out.append("and an event that is not whole\n");
  return out;
}

}  // namespace lb::translations
