#include "sim/reader.h"

#include <algorithm>

namespace lb::sim {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 9110 §5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kMarks.find(c) != kMarks.npos;
  });
}

bool all_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\t' || static_cast<unsigned char>(c) >= ' '; });
}

// Decimal or hexadecimal digits and nothing else; at most 15 of them.
bool parse(std::string_view text, size_t base, size_t& out) {
  if (text.empty() || text.size() > 15) return false;
  out = 0;
  for (char c : text) {
    size_t digit = is_digit(c)                ? static_cast<size_t>(c - '0')
                   : c >= 'a' && c <= 'f'     ? static_cast<size_t>(c - 'a') + 10
                   : c >= 'A' && c <= 'F'     ? static_cast<size_t>(c - 'A') + 10
                                              : 16;
    if (digit >= base) return false;
    out = out * base + digit;
  }
  return true;
}

}  // namespace

std::string AnswerReader::Answer::get(std::string_view name) const {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return "";
}

bool AnswerReader::wrong(const std::string& what) {
  if (complaint_.empty()) complaint_ = "not an HTTP/1.1 answer: " + what;
  return false;
}

bool AnswerReader::feed(std::string_view bytes) {
  if (!complaint_.empty()) return false;
  buffer_ += bytes;
  while (complaint_.empty() && step()) {
  }
  return complaint_.empty();
}

// True: something was read, and there may be more.
bool AnswerReader::step() {
  switch (state_) {
    case State::head: {
      size_t end = buffer_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      std::string head = buffer_.substr(0, end + 2);
      buffer_.erase(0, end + 4);
      return read_head(head);
    }
    case State::length:
    case State::chunk_data: {
      size_t n = std::min(left_, buffer_.size());
      answers_.back().body.append(buffer_, 0, n);
      buffer_.erase(0, n);
      left_ -= n;
      if (left_ > 0) return false;
      if (state_ == State::length) return finish();
      state_ = State::chunk_end;
      return true;
    }
    case State::chunk_size: {
      size_t end = buffer_.find("\r\n");
      if (end == std::string::npos) return false;
      if (!parse(std::string_view(buffer_).substr(0, end), 16, left_)) return wrong("chunk size");
      buffer_.erase(0, end + 2);
      state_ = left_ ? State::chunk_data : State::trailer;
      return true;
    }
    case State::chunk_end:
    case State::trailer:
      if (buffer_.size() < 2) return false;
      if (!buffer_.starts_with("\r\n")) return wrong(state_ == State::trailer ? "a trailer" : "the end of a chunk");
      buffer_.erase(0, 2);
      if (state_ == State::trailer) return finish();
      state_ = State::chunk_size;
      return true;
    case State::until_close:
      answers_.back().body += buffer_;
      buffer_.clear();
      return false;
    case State::closed:
      if (!buffer_.empty()) return wrong("bytes behind the last answer of the connection");
      return false;
  }
  return false;
}

bool AnswerReader::read_head(std::string_view head) {
  size_t end = head.find("\r\n");
  std::string_view line = head.substr(0, end);
  head.remove_prefix(end + 2);
  Answer answer;
  size_t status = 0;
  bool good = line.size() >= 13 && (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
              parse(line.substr(9, 3), 10, status) && line[12] == ' ' && all_visible(line);
  if (!good || status < 100 || status > 599) return wrong("status line \"" + std::string(line) + "\"");
  answer.status = static_cast<int>(status);
  answer.minor = line[7] - '0';
  while (!head.empty()) {
    end = head.find("\r\n");
    if (!read_field(answer, head.substr(0, end))) return false;
    head.remove_prefix(end + 2);
  }
  if (status < 200) {
    if (status == 101 || !answer.fields.empty()) return wrong("an interim answer with fields");
    interim_++;
    return true;
  }
  answers_.push_back(std::move(answer));
  return begin_body(answers_.back());
}

bool AnswerReader::read_field(Answer& answer, std::string_view line) {
  size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon)) || !all_visible(line))
    return wrong("field \"" + std::string(line) + "\"");
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  bool single = name == "content-length" || name == "transfer-encoding" || name == "connection";
  if (single && !answer.get(name).empty()) return wrong("two fields " + name);
  answer.fields.emplace_back(std::move(name), std::string(value));
  return true;
}

bool AnswerReader::begin_body(Answer& answer) {
  if (answers_.size() > head_only_.size()) return wrong("an answer that nobody asked for");
  std::string length = answer.get("content-length"), coding = answer.get("transfer-encoding");
  if (!length.empty() && !coding.empty()) return wrong("both lengths");
  if (!coding.empty() && coding != "chunked") return wrong("transfer-encoding " + coding);
  if (!length.empty() && !parse(length, 10, left_)) return wrong("content-length " + length);
  // Whoever answers 408 has not read what method it was.
  bool head_only = head_only_[answers_.size() - 1] && answer.status != 408;
  if (head_only || answer.status == 204 || answer.status == 304) return finish();
  if (!coding.empty()) {
    state_ = State::chunk_size;
  } else if (!length.empty()) {
    state_ = State::length;
  } else {
    state_ = State::until_close;
    answer.until_close = true;
  }
  return true;
}

bool AnswerReader::finish() {
  answers_.back().whole = true;
  whole_++;
  state_ = answers_.back().says_close() ? State::closed : State::head;
  return true;
}

bool AnswerReader::end(bool in_order) {
  if (!complaint_.empty()) return false;
  if (state_ == State::until_close && in_order) return finish();
  if (state_ == State::head && in_order && !buffer_.empty()) return wrong("half a head");
  return true;
}

}  // namespace lb::sim
