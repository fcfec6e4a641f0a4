// Gemini's stream without alt=sse: one JSON array, whose elements are what the events of the other form have as data.
// Fed with any split of the bytes; each element comes as an event, so that whoever reads the one form reads the other.
#pragma once

#include <string>
#include <string_view>

#include "wire/sse.h"

namespace lb {

class GeminiArray {
 public:
  // Feeds one piece, and calls for each element that it completes, as SseParser::next does. Elements are found by their
  // brackets; whether they are JSON is for the reader to see. The view in `event` holds until the next call.
  bool next(std::string_view& bytes, SseEvent& event);
  bool ended() const { return state_ == State::ended; }   // The array is closed: nothing but white space may follow.
  bool faulty() const { return state_ == State::faulty; }  // No array, or an element above SseParser::kEventMax.

  // The same the other way: what the data of an event is in the array, and how it ends.
  static void append(std::string& out, std::string_view data, bool first);
  static constexpr std::string_view kEnd = "\n]\n";

 private:
  // What is expected: the array's beginning, an element or its end, the rest of an element, a comma or the end.
  enum class State : uint8_t { begin, element, inside, behind, ended, faulty };
  bool step(char c);

  State state_ = State::begin;
  size_t depth_ = 0;       // Of brackets within the element.
  bool string_ = false;
  bool escaped_ = false;
  bool alone_ = false;     // An object in place of the array: an error comes so.
  bool done_ = false;      // `element_` has been given.
  std::string element_;
};

}  // namespace lb
