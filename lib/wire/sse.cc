#include "wire/sse.h"

#include <algorithm>
#include <cstring>

#include "wire/quote.h"

namespace lb {

// Where the line ends; npos if its end is not in `bytes`. However LFs and CRs are mixed, each byte is looked at once
// for either.
size_t SseParser::line_end(std::string_view bytes) {
  for (size_t from = 0; from < bytes.size();) {
    size_t to = from;  // There is no CR in between.
    if (no_cr_to_ > offset_) to = static_cast<size_t>(std::min<uint64_t>(no_cr_to_ - offset_, bytes.size()));
    if (to > from) {
      if (const void* lf = std::memchr(bytes.data() + from, '\n', to - from))
        return static_cast<size_t>(static_cast<const char*>(lf) - bytes.data());
      from = to;
    }
    if (from == bytes.size()) break;
    if (bytes[from] == '\r' || bytes[from] == '\n') return from;
    const void* cr = std::memchr(bytes.data() + from, '\r', bytes.size() - from);
    no_cr_to_ = offset_ + (cr ? static_cast<size_t>(static_cast<const char*>(cr) - bytes.data()) : bytes.size());
  }
  return std::string_view::npos;
}

void SseParser::expect(std::string_view text) {
  // The first event may begin with a BOM, which means something else in a later one. And behind a CR, an LF would still
  // belong to the event.
  if (raw_.empty() || data_kept_ || raw_.size() == offset_ || after_cr_) return;
  size_t from = static_cast<size_t>(text.data() - raw_.data()), to = from + text.size();
  if (raw_[from - 1] != '"' || raw_[to] != '"') return;
  size_t data_from = static_cast<size_t>(data_view_.data() - raw_.data());
  expected_.before.assign(raw_.substr(0, from));
  expected_.after.assign(raw_.substr(to));
  expected_.name = name_;
  expected_.data_from = data_from;
  expected_.data_after = raw_.size() - data_from - data_view_.size();
  expected_.crlf = crlf_;
}

// Only where it lies whole within the bytes.
bool SseParser::take_expected(std::string_view& bytes, SseEvent& event) {
  const Expected& as = expected_;
  if (as.before.empty() || size_ > 0 || after_cr_ || !bytes.starts_with(as.before)) return false;
  std::string_view rest = bytes.substr(as.before.size());
  size_t text = static_cast<size_t>(find_text_end(rest.data(), rest.data() + rest.size()) - rest.data());
  size_t size = as.before.size() + text + as.after.size();
  if (text == 0 || size > kEventMax || !rest.substr(text).starts_with(as.after)) return false;
  event = {as.name, bytes.substr(as.data_from, size - as.data_from - as.data_after), false, true, offset_ + size};
  offset_ = event.end;
  raw_ = {};
  crlf_ = as.crlf;
  bytes.remove_prefix(size);
  return true;
}

bool SseParser::next(std::string_view& bytes, SseEvent& event) {
  if (take_expected(bytes, event)) return true;
  if (size_ == 0) forget();
  std::string_view fed = bytes;
  while (!bytes.empty() && !faulty_) {
    if (after_cr_) {
      after_cr_ = false;
      crlf_ = bytes[0] == '\n';
      if (crlf_) take(bytes, 1, size_ > 0);
      if (blank_ && !faulty_) return report(event, fed.substr(0, fed.size() - bytes.size()));
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
    if (blank_ && !waits) return report(event, fed.substr(0, fed.size() - bytes.size()));
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

// `fed`: what this call has consumed.
bool SseParser::report(SseEvent& event, std::string_view fed) {
  raw_ = size_ <= fed.size() ? fed.substr(fed.size() - size_) : std::string_view();
  size_ = 0;
  blank_ = false;
  event.name = name_;
  event.data = data_kept_ ? std::string_view(data_) : data_view_;
  event.comment = !fields_;
  event.expected = false;
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
