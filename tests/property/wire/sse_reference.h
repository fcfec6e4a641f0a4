// A second reader of server-sent events, written down from the standard without regard for cost: what SseParser is
// compared with, by the property tests and by fuzzing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "property/wire/split.h"
#include "wire/sse.h"

namespace lb {

inline void note_event(std::string& log, std::string_view name, std::string_view data, bool comment, uint64_t end) {
  log.append(comment ? "comment" : "event").append("(").append(shown(name)).append("|").append(shown(data));
  log += ")@" + std::to_string(end) + "\n";
}

// That what stands between the first two quotes of the event may be another text the next time must change nothing.
inline void expect_like(SseParser& parser, const SseEvent& event) {
  size_t from = event.data.find('"') + 1, to = event.data.find('"', from);
  if (from > 0 && to != event.data.npos && !event.expected) parser.expect(event.data.substr(from, to - from));
}

struct SseLine {
  std::string_view text;
  std::string_view mark;  // What ended it.
  size_t end;             // Offset behind the mark.
};

inline std::vector<SseLine> sse_lines_of(std::string_view bytes) {
  std::vector<SseLine> lines;
  size_t from = 0;
  for (size_t at = 0; at < bytes.size(); at++) {
    if (bytes[at] != '\n' && bytes[at] != '\r') continue;
    size_t mark = bytes.substr(at, 2) == "\r\n" ? 2 : 1;
    lines.push_back({bytes.substr(from, at - from), bytes.substr(at, mark), at + mark});
    from = at + mark;
    at = from - 1;
  }
  return lines;
}

// What it finds, an event a line.
inline std::string expected_events(std::string_view bytes) {
  std::string log, name, data;
  bool any_data = false, fields = false;
  std::string_view mark_before = "\r\n";
  std::vector<SseLine> lines = sse_lines_of(bytes);
  for (size_t i = 0; i < lines.size(); i++) {
    std::string_view line = lines[i].text;
    std::string_view mark = lines[i].mark;
    if (line.empty()) {
      bool own_lf = mark != "\r\n" || mark_before == "\r\n";
      // A CR at the very end, in a stream of CRLFs: its LF is still to come.
      bool open = mark == "\r" && mark_before == "\r\n" && lines[i].end == bytes.size();
      if (!open) note_event(log, name, data, !fields, lines[i].end - (own_lf ? 0 : 1));
      name.clear();
      data.clear();
      any_data = fields = false;
    }
    mark_before = mark;
    if (i == 0 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    if (line.empty() || line[0] == ':') continue;
    fields = true;
    size_t colon = line.find(':');
    std::string_view value = colon == line.npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (line.substr(0, colon) == "event") name = value;
    if (line.substr(0, colon) != "data") continue;
    if (any_data) data += '\n';
    data += value;
    any_data = true;
  }
  return log;
}

}  // namespace lb
