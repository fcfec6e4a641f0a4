#include "wire/dialect/gemini_array.h"

namespace lb {

namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

bool GeminiArray::next(std::string_view& bytes, SseEvent& event) {
  if (done_) element_.clear();
  done_ = false;
  while (!bytes.empty() && !done_ && !faulty()) {
    done_ = step(bytes.front());
    bytes.remove_prefix(1);
  }
  if (faulty()) bytes = {};
  if (!done_) return false;
  event = {};
  event.data = element_;
  return true;
}

// True: this byte completes an element.
bool GeminiArray::step(char c) {
  if (state_ != State::inside) {
    if (is_space(c)) return false;
    bool opens = c == '{' && (state_ == State::begin || state_ == State::element);
    alone_ = alone_ || (opens && state_ == State::begin);
    if (opens)
      state_ = State::inside;
    else if (c == '[' && state_ == State::begin)
      state_ = State::element;
    else if (c == ',' && state_ == State::behind)
      state_ = State::element;
    else
      state_ = c == ']' && (state_ == State::behind || state_ == State::element) ? State::ended : State::faulty;
    if (!opens) return false;
  }
  if (element_.size() == SseParser::kEventMax) {
    state_ = State::faulty;
    return false;
  }
  element_.push_back(c);
  if (string_) {
    string_ = escaped_ || c != '"';
    escaped_ = c == '\\' && !escaped_;
  } else if (c == '"') {
    string_ = true;
  } else if (c == '{' || c == '[') {
    depth_++;
  } else if (c == '}' || c == ']') {
    depth_--;
  }
  if (depth_ > 0) return false;
  state_ = alone_ ? State::ended : State::behind;
  return true;
}

void GeminiArray::append(std::string& out, std::string_view data, bool first) {
  out.append(first ? "[" : ",\n").append(data);
}

}  // namespace lb
