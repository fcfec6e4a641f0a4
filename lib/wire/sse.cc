#include "wire/sse.h"

#include <cstring>

namespace lb {

namespace {

// How far one look goes: a stream of CRs must not make each line search all of the bytes for an LF.
constexpr size_t kLook = 1024;

// Where the line ends; npos if its end is not in `bytes`.
size_t line_end(std::string_view bytes) {
  for (size_t from = 0; from < bytes.size(); from += kLook) {
    std::string_view look = bytes.substr(from, kLook);
    const void* lf = std::memchr(look.data(), '\n', look.size());
    size_t end = lf ? static_cast<size_t>(static_cast<const char*>(lf) - look.data()) : look.size();
    const void* cr = std::memchr(look.data(), '\r', end);
    if (cr) return from + static_cast<size_t>(static_cast<const char*>(cr) - look.data());
    if (lf) return from + end;
  }
  return std::string_view::npos;
}

}  // namespace

bool SseParser::next(std::string_view& bytes, SseEvent& event) {
  if (size_ == 0) forget();
  while (!bytes.empty() && !faulty_) {
    if (after_cr_) {
      after_cr_ = false;
      crlf_ = bytes[0] == '\n';
      if (crlf_) take(bytes, 1, size_ > 0);
      if (blank_ && !faulty_) return report(event);
      continue;
    }
    size_t end = line_end(bytes);
    bool whole = end != std::string_view::npos;
    std::string_view line = bytes.substr(0, end);
    bool cr = whole && bytes[end] == '\r';
    take(bytes, whole ? end + 1 : bytes.size(), true);
    if (faulty_) break;
    if (!whole) {
      line_.append(line);
      break;
    }
    bool lasting = line_.empty();
    if (!lasting) {
      line_.append(line);
      line = line_;
    }
    blank_ = line.empty();
    if (!blank_) on_line(line, lasting);
    line_.clear();
    first_line_ = false;
    after_cr_ = cr;
    bool waits = cr && crlf_;  // A stream of CRLFs: what ends the blank line has its LF yet to come.
    if (!cr) crlf_ = false;
    if (blank_ && !waits) return report(event);
  }
  // What has come stays valid only in our own memory.
  if (has_data_ && !data_kept_ && size_ > 0) {
    data_.assign(data_view_);
    data_kept_ = true;
  }
  return false;
}

void SseParser::take(std::string_view& bytes, size_t n, bool counted) {
  bytes.remove_prefix(n);
  offset_ += n;
  if (counted) size_ += n;
  faulty_ = size_ > kEventMax;
}

bool SseParser::report(SseEvent& event) {
  size_ = 0;
  blank_ = false;
  event.name = name_;
  event.data = data_kept_ ? std::string_view(data_) : data_view_;
  event.comment = !fields_;
  event.end = offset_;
  return true;
}

// What the last event pointed to is of no more use.
void SseParser::forget() {
  fields_ = has_data_ = data_kept_ = false;
  name_.clear();
  data_.clear();
  data_view_ = {};
}

// `lasting`: the line is a view of what the caller feeds, and so lives as long as the event.
void SseParser::on_line(std::string_view line, bool lasting) {
  constexpr std::string_view kBom = "\xef\xbb\xbf";
  if (first_line_ && line.starts_with(kBom)) line.remove_prefix(kBom.size());
  if (line.empty() || line[0] == ':') return;
  size_t colon = line.find(':');
  std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  fields_ = true;
  if (field == "event") {
    name_.assign(value);
  } else if (field == "data") {
    if (!has_data_ && lasting) {
      data_view_ = value;
    } else {
      if (has_data_ && !data_kept_) data_.assign(data_view_);
      if (has_data_) data_ += '\n';
      data_ += value;
      data_kept_ = true;
    }
    has_data_ = true;
  }
}

}  // namespace lb
