// What an upstream of a case does with a request, and the requests themselves: the words of a case, and the same as
// HTTP.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "wire/http1.h"

namespace lb::cases {

struct Answer {
  enum class Kind : uint8_t {
    response,  // One with `status`.
    refused,   // No connection.
    timeout,   // Nothing, ever.
    cut,       // The connection closes before there is any content.
    cut_late,  // It closes in the middle of a stream; as `cut` for an answer that is no stream.
  };
  Kind kind = Kind::response;
  uint16_t status = 200;
  Duration after;                    // From the request on.
  std::vector<Head::Field> fields;
  std::string given;                 // Instead of the usual body.
  bool has_given = false;
  std::string code;                  // error.code of the usual error body.
  std::optional<uint64_t> input, output, cached;

  // A word for what it is and then its properties: "429 retry-after=2", "ok usage=10/20 after=200ms".
  static Result<Answer> parse(std::span<const std::string> words);
  Head head(bool stream) const;
  std::string body(bool stream) const;
  // The whole, as bytes of a connection that closes behind it.
  std::string http(bool stream) const;
  // A success whose body is an error, or whose stream begins with one.
  bool holds_error() const;
};

// What the upstreams do: of each a list, of which the last is for ever.
class Upstreams {
 public:
  void set(const std::string& deployment, std::deque<Answer> answers) { scripts_[deployment] = std::move(answers); }
  // What it does next, and does again afterwards unless more are listed.
  const Answer& peek(const std::string& deployment);
  Answer take(const std::string& deployment);

 private:
  std::map<std::string, std::deque<Answer>> scripts_;
};

// A call as the case tells it.
struct CallText {
  uint64_t number = 0;
  std::string model;
  bool held = false;        // Its upstream says nothing before `finish`.
  bool stream = false;
  std::string text;         // Of the only message.
  std::string messages;     // Instead: the JSON of all messages.
  uint64_t max = 0, choices = 1;
  std::string session, user, cache_key, caller, priority;

  static Result<CallText> parse(uint64_t number, std::span<const std::string> words);
  Head head() const;
  std::string body() const;
};

}  // namespace lb::cases
