// Reads the answers of an HTTP/1.1 server to the letter of RFC 9112, and complains of everything else. It shares no
// code with lib/: an error in lb's own parser or writer must not be invisible here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::sim {

class AnswerReader {
 public:
  struct Answer {
    int status = 0;
    int minor = 1;
    std::vector<std::pair<std::string, std::string>> fields;  // Names in small letters.
    std::string body;
    bool whole = false;       // It has ended as its framing says.
    bool until_close = false; // Only the end of the connection ends it.
    // The one field of that name; "" if there is none.
    std::string get(std::string_view name) const;
    bool says_close() const { return get("connection") == "close"; }
  };

  // The next answer but those announced is to a request of that method: HEAD has no body.
  void announce(bool head_only) { head_only_.push_back(head_only); }
  // False: `complaint` says why.
  bool feed(std::string_view bytes);
  // The connection has ended, in order or not.
  bool end(bool in_order);

  const std::vector<Answer>& answers() const { return answers_; }  // The last may not be whole.
  size_t whole() const { return whole_; }
  size_t interim() const { return interim_; }
  const std::string& complaint() const { return complaint_; }

 private:
  enum class State { head, length, chunk_size, chunk_data, chunk_end, trailer, until_close, closed };
  bool wrong(const std::string& what);
  bool step();
  bool read_head(std::string_view head);
  bool read_field(Answer& answer, std::string_view line);
  bool begin_body(Answer& answer);
  bool finish();

  std::string buffer_;
  State state_ = State::head;
  size_t left_ = 0;
  std::vector<bool> head_only_;
  std::vector<Answer> answers_;
  size_t whole_ = 0, interim_ = 0;
  std::string complaint_;
};

}  // namespace lb::sim
