#include "cases/answer.h"

#include <algorithm>

#include "cases/text.h"
#include "wire/escape.h"
#include "wire/openai.h"
#include "wire/scan.h"

namespace lb::cases {

namespace {

Error wrong(std::string message) { return Error{Status::INVALID, "", std::move(message)}; }

struct Named {
  std::string_view word;
  Answer::Kind kind;
  uint16_t status;
  std::string_view code;
};
constexpr Named kNamed[] = {
    {"ok", Answer::Kind::response, 200, ""},
    {"refused", Answer::Kind::refused, 0, ""},
    {"timeout", Answer::Kind::timeout, 0, ""},
    {"cut", Answer::Kind::cut, 0, ""},
    {"cut_late", Answer::Kind::cut_late, 200, ""},
    {"insufficient_quota", Answer::Kind::response, 429, "insufficient_quota"},
    {"context_length", Answer::Kind::response, 400, "context_length_exceeded"},
    {"content_filter", Answer::Kind::response, 400, "content_filter"},
};

bool read_usage(std::string_view text, Answer& out) {
  std::string_view rest = text;
  out.input = parse_u64(split_off(rest, '/'));
  out.output = parse_u64(rest);
  return out.input && out.output;
}

// "\\n" in a word is the end of a line.
std::string with_line_ends(std::string_view text) {
  std::string out;
  for (size_t at; (at = text.find("\\n")) != text.npos; text.remove_prefix(at + 2))
    out.append(text, 0, at).append("\n");
  return out.append(text);
}

// A property that is not known is a field of the answer's head.
bool read_property(const Pair& pair, Answer& out) {
  if (pair.key == "after") {
    std::optional<Duration> after = parse_duration(pair.value);
    if (after) out.after = *after;
    return after.has_value();
  }
  if (pair.key == "usage") return read_usage(pair.value, out);
  if (pair.key == "cached") return (out.cached = parse_u64(pair.value)).has_value();
  if (pair.key == "code") {
    out.code = pair.value;
  } else if (pair.key == "body") {
    out.given = with_line_ends(pair.value);
    out.has_given = true;
  } else {
    out.fields.push_back({pair.key, pair.value});
  }
  return true;
}

std::string usage_json(const Answer& answer) {
  if (!answer.input) return "";
  std::string cached =
      answer.cached ? ",\"prompt_tokens_details\":{\"cached_tokens\":" + std::to_string(*answer.cached) + "}" : "";
  return ",\"usage\":{\"prompt_tokens\":" + std::to_string(*answer.input) +
         ",\"completion_tokens\":" + std::to_string(*answer.output) + cached + "}";
}

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

// As many characters as that many tokens are taken to be.
std::string text_of(uint64_t tokens, const std::string& beginning) {
  std::string text = beginning + " ";
  text.resize(tokens * 4, 'x');
  return text;
}

}  // namespace

Result<Answer> Answer::parse(std::span<const std::string> words) {
  Answer out;
  if (words.empty()) return wrong("an answer is missing");
  auto named = std::find_if(std::begin(kNamed), std::end(kNamed), [&](const Named& n) { return n.word == words[0]; });
  if (named != std::end(kNamed)) {
    out.kind = named->kind;
    out.status = named->status;
    out.code = named->code;
  } else if (std::optional<uint64_t> status = parse_u64(words[0]); status && *status >= 200 && *status < 600) {
    out.status = static_cast<uint16_t>(*status);
  } else {
    return wrong("no such answer: " + words[0]);
  }
  for (const std::string& word : words.subspan(1)) {
    std::optional<Pair> pair = parse_pair(word);
    if (!pair || !read_property(*pair, out)) return wrong("no such property of an answer: " + word);
  }
  return out;
}

Head Answer::head(bool stream) const {
  Head out;
  out.status = status;
  out.reason = "X";
  out.fields = fields;
  bool events = stream && status < 300;
  if (!out.find("content-type")) out.add("content-type", events ? "text/event-stream" : "application/json");
  return out;
}

std::string Answer::body(bool stream) const {
  if (has_given) return given;
  if (status >= 300)
    return "{\"error\":{\"message\":\"said so\",\"type\":\"said_so\",\"code\":" +
           (code.empty() ? "null" : json_quote(code)) + "}}";
  if (!stream)
    return R"({"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}])" +
           usage_json(*this) + "}";
  std::string out = event("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}");
  if (kind == Kind::cut_late) return out;
  out += event("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
  if (input) out += event("{\"choices\":[]" + usage_json(*this) + "}");
  return out + event("[DONE]");
}

std::string Answer::http(bool stream) const {
  Head all = head(stream);
  std::string text = body(stream);
  // One that is cut says that more would come.
  all.add("content-length", std::to_string(text.size() + (kind == Kind::cut_late ? 1 : 0)));
  all.add("connection", "close");
  std::string out;
  write_response_head(all, out);
  if (kind == Kind::cut_late && !stream) text.resize(text.size() / 2);
  return out + text;
}

bool Answer::holds_error() const {
  if (kind != Kind::response || status >= 300 || !has_given) return false;
  std::string_view json = given;
  if (json.starts_with("data: ")) json.remove_prefix(6);  // The first event of a stream.
  return OpenAiAnswer(OpenAiAnswer::Form::json, false).bytes(json) == OpenAiAnswer::Sign::error;
}

const Answer& Upstreams::peek(const std::string& deployment) {
  std::deque<Answer>& script = scripts_[deployment];
  if (script.empty()) script.emplace_back();
  return script.front();
}

Answer Upstreams::take(const std::string& deployment) {
  Answer out = peek(deployment);
  std::deque<Answer>& script = scripts_[deployment];
  if (script.size() > 1) script.pop_front();
  return out;
}

Result<CallText> CallText::parse(uint64_t number, std::span<const std::string> words) {
  if (words.empty()) return wrong("a call names its model first");
  CallText out;
  out.number = number;
  out.model = words[0];
  uint64_t tokens = 1;
  std::string beginning = "#" + std::to_string(number);
  for (const std::string& word : words.subspan(1)) {
    std::optional<Pair> pair = parse_pair(word);
    if (word == "stream") out.stream = true;
    else if (!pair) return wrong("no such property of a call: " + word);
    else if (pair->key == "tokens") tokens = parse_u64(pair->value).value_or(0);
    else if (pair->key == "max") out.max = parse_u64(pair->value).value_or(0);
    else if (pair->key == "n") out.choices = parse_u64(pair->value).value_or(1);
    else if (pair->key == "begins") beginning = pair->value;
    else if (pair->key == "text") out.text = pair->value;
    else if (pair->key == "messages") out.messages = pair->value;
    else if (pair->key == "session") out.session = pair->value;
    else if (pair->key == "user") out.user = pair->value;
    else if (pair->key == "cache_key") out.cache_key = pair->value;
    else if (pair->key == "caller") out.caller = pair->value;
    else if (pair->key == "priority") out.priority = pair->value;
    else return wrong("no such property of a call: " + word);
  }
  if (out.text.empty()) out.text = text_of(tokens, beginning);
  return out;
}

Head CallText::head() const {
  Head out;
  out.method = "POST";
  out.target = "/v1/chat/completions";
  out.add("content-type", "application/json");
  out.add("x-case-call", std::to_string(number));
  if (!session.empty()) out.add("x-lb-affinity", session);
  if (!caller.empty()) out.add("x-lb-caller", caller);
  if (!priority.empty()) out.add("x-lb-priority", priority);
  return out;
}

std::string CallText::body() const {
  std::string all = messages.empty() ? "[{\"role\":\"user\",\"content\":" + json_quote(text) + "}]" : messages;
  std::string out = "{\"model\":" + json_quote(model) + ",\"messages\":" + all;
  if (max) out += ",\"max_tokens\":" + std::to_string(max);
  if (choices > 1) out += ",\"n\":" + std::to_string(choices);
  if (!user.empty()) out += ",\"user\":" + json_quote(user);
  if (!cache_key.empty()) out += ",\"prompt_cache_key\":" + json_quote(cache_key);
  if (stream) out += ",\"stream\":true";
  return out + "}";
}

}  // namespace lb::cases
