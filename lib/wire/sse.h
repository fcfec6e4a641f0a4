// Server-sent events (WHATWG HTML §9.2.6), fed with any split of the bytes: finds where each event ends in the raw
// bytes, and its `event` and `data`. LF, CRLF and CR; BOM; comments; several data lines joined by LF.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lb {

struct SseEvent {
  std::string_view name;  // "" where there is no `event` line.
  std::string_view data;  // "" for a block of comments only.
  bool comment = false;   // Nothing but comments, or nothing at all: a sign of life, not an event.
  bool expected = false;  // It is as SseParser::expect said.
  uint64_t end = 0;       // Offset, in the stream, of the byte after the blank line that ended it; the same however the
                          // bytes were split. Where the blank line ends in CRLF, its LF belongs to the event if the
                          // line before ended in CRLF too, else to what follows: so a stream of CRs never waits to
                          // see whether an LF comes, and one of CRLFs is cut only between events.
};

class SseParser {
 public:
  // An event longer than this is a fault; source: no provider documents events above 1 MiB, images aside.
  static constexpr size_t kEventMax = 16 * 1024 * 1024;

  // Feeds one piece, and calls for each event that it completes: while (next(bytes, event)) ...; `bytes` is
  // consumed as it goes. Views in `event` hold until the next call. Data that lies whole within `bytes` is not copied.
  bool next(std::string_view& bytes, SseEvent& event);
  // Of the event that was reported last, before anything else is fed: events that differ from it in nothing but `text`,
  // a view into its data, need not be read, and come as `expected`. `text` is what stands between the quotes of a JSON
  // string; another is found where it is neither empty nor has an escape. One that is cut comes as any other.
  void expect(std::string_view text);
  bool faulty() const { return faulty_; }
  uint64_t offset() const { return offset_; }  // Bytes consumed since the start.
  bool mid_event() const { return size_ > 0; }  // Bytes of an unfinished event have come.

 private:
  size_t line_end(std::string_view bytes);
  bool take_expected(std::string_view& bytes, SseEvent& event);
  void on_line(std::string_view line, bool lasting);
  void take(std::string_view& bytes, size_t n, bool counted);
  bool report(SseEvent& event, std::string_view fed);
  void forget();

  uint64_t offset_ = 0;
  uint64_t no_cr_to_ = 0;   // From offset_ to there no byte is a CR.
  size_t size_ = 0;         // Of the event so far.
  bool faulty_ = false;
  bool first_line_ = true;  // A BOM may stand here.
  bool after_cr_ = false;   // The last byte consumed was a CR: an LF that follows belongs to it.
  bool crlf_ = true;        // The line before ended in CRLF.
  bool blank_ = false;      // The last line was blank, and its event has not been reported.
  bool fields_ = false;     // The event has had a line other than a comment.
  bool has_data_ = false;
  bool data_kept_ = false;  // The data is in `data_`, else in `data_view_`.
  std::string line_;        // The beginning of a line that is not whole yet.
  std::string name_;
  std::string data_;
  std::string_view data_view_;
  std::string_view raw_;    // The event that was reported last, if it lay whole within what was fed.

  struct Expected {
    std::string before, after;        // The text, in the raw bytes of the event; "" if nothing is expected.
    std::string name;
    size_t data_from = 0, data_after = 0;  // Bytes of the event before its data, and behind it.
    bool crlf = false;                // What crlf_ is behind it.
  };
  Expected expected_;
};

}  // namespace lb
