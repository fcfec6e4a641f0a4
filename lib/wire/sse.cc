#include "wire/sse.h"

#include <cstring>

namespace lb {

namespace {

// Where the line ends; npos if its end is not in `bytes`.
size_t line_end(std::string_view bytes) {
  const void* lf = std::memchr(bytes.data(), '\n', bytes.size());
  size_t end = lf ? static_cast<size_t>(static_cast<const char*>(lf) - bytes.data()) : bytes.size();
  const void* cr = std::memchr(bytes.data(), '\r', end);
  if (cr) return static_cast<size_t>(static_cast<const char*>(cr) - bytes.data());
  return lf ? end : std::string_view::npos;
}

}  // namespace

bool SseParser::next(std::string_view& bytes, SseEvent& event) {
  // What the last call's event pointed to is of no more use.
  if (size_ == 0) {
    fields_ = has_data_ = data_kept_ = false;
    name_.clear();
    data_.clear();
    data_view_ = {};
  }
  while (!bytes.empty() && !faulty_) {
    if (skip_lf_) {
      skip_lf_ = false;
      if (bytes[0] == '\n') {
        bytes.remove_prefix(1);
        offset_++;
        continue;
      }
    }
    size_t end = line_end(bytes);
    size_t used = end == std::string_view::npos ? bytes.size() : end + 1;
    size_ += used;
    offset_ += used;
    if (size_ > kEventMax) {
      faulty_ = true;
      return false;
    }
    if (end == std::string_view::npos) {
      line_.append(bytes);
      bytes = {};
      break;
    }
    std::string_view line = bytes.substr(0, end);
    bool cr = bytes[end] == '\r';
    bytes.remove_prefix(used);
    bool lasting = line_.empty();
    if (!lasting) {
      line_.append(line);
      line = line_;
    }
    if (cr) {
      // The LF of a CRLF belongs to the line, where it is at hand.
      skip_lf_ = bytes.empty();
      if (!bytes.empty() && bytes[0] == '\n') {
        bytes.remove_prefix(1);
        offset_++;
      }
    }
    bool blank = line.empty();
    if (!blank) on_line(line, lasting);
    line_.clear();
    first_line_ = false;
    if (!blank) continue;
    size_ = 0;
    event.name = name_;
    event.data = data_kept_ ? std::string_view(data_) : data_view_;
    event.comment = !fields_;
    event.end = offset_;
    return true;
  }
  // What has come stays valid only in our own memory.
  if (has_data_ && !data_kept_ && size_ > 0) {
    data_.assign(data_view_);
    data_kept_ = true;
  }
  return false;
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
