#include "config/yaml.h"

#include <yaml.h>

#include <map>
#include <set>

#include "config/place.h"
#include "config/scalar.h"
#include "wire/json.h"

namespace lb {

namespace {

std::string_view view_of(const yaml_char_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string_view view_of(const yaml_char_t* text) {
  return reinterpret_cast<const char*>(text);
}

// One event of the parser, freed with it.
struct Event {
  yaml_event_t raw{};
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&raw); }
};

// Events in, JSON text out. An anchor is the part of the text that its node became; an alias copies it.
class Converter {
 public:
  explicit Converter(std::string_view text);
  ~Converter() { yaml_parser_delete(&parser_); }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  Problem run();
  std::string take() { return std::move(out_); }

 private:
  struct Span {
    size_t begin;
    size_t end;
  };

  Problem next(Event& event);
  Problem node(const yaml_event_t& event, int depth);
  Problem content(const yaml_event_t& event, int depth);
  Problem scalar(const yaml_event_t& event);
  Problem alias(const yaml_event_t& event);
  Problem sequence(int depth);
  Problem mapping(int depth);
  Problem key(const yaml_event_t& event, std::set<std::string, std::less<>>& keys);
  Problem syntax_error() const;
  Problem error(const yaml_mark_t& mark, std::string message) const;

  std::string_view text_;
  yaml_parser_t parser_;
  std::string out_;
  std::map<std::string, Span, std::less<>> anchors_;
};

Converter::Converter(std::string_view text) : text_(text) {
  // Fails for want of memory only, which ends the process elsewhere too.
  LB_CHECK(yaml_parser_initialize(&parser_));
  yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                               text.size());
}

Problem Converter::error(const yaml_mark_t& mark, std::string message) const {
  std::string at = "line " + std::to_string(mark.line + 1) + " column " +
                   std::to_string(mark.column + 1) + ": ";
  return Error{Status::CONFIG, "", at + message};
}

// The parser's own words, with a remedy for the most common slip.
Problem Converter::syntax_error() const {
  std::string problem = parser_.problem ? parser_.problem : "not YAML";
  yaml_mark_t mark = parser_.problem_mark;
  if (parser_.error == YAML_READER_ERROR) {  // Knows its offset only.
    mark = {};
    size_t offset = std::min(parser_.problem_offset, text_.size());
    for (char c : text_.substr(0, offset)) {
      mark.line += c == '\n' ? 1 : 0;
      mark.column = c == '\n' ? 0 : mark.column + 1;
    }
  }
  bool tab = mark.index < text_.size() && text_[mark.index] == '\t';
  if (tab) problem += "; indent with spaces, not tabs";
  return error(mark, problem);
}

Problem Converter::next(Event& event) {
  yaml_event_delete(&event.raw);
  if (!yaml_parser_parse(&parser_, &event.raw)) return syntax_error();
  return std::nullopt;
}

Problem Converter::run() {
  Event event;
  if (Problem problem = next(event)) return problem;  // STREAM-START
  if (Problem problem = next(event)) return problem;
  if (event.raw.type == YAML_STREAM_END_EVENT)
    return Error{Status::CONFIG, "", "empty; write deployments: and at least one below it"};
  if (Problem problem = next(event)) return problem;  // After DOCUMENT-START.
  if (Problem problem = node(event.raw, 0)) return problem;
  if (Problem problem = next(event)) return problem;  // DOCUMENT-END
  if (Problem problem = next(event)) return problem;
  if (event.raw.type == YAML_STREAM_END_EVENT) return std::nullopt;
  return error(event.raw.start_mark, "a second document begins; write one document a file");
}

std::string_view anchor_of(const yaml_event_t& event) {
  const yaml_char_t* anchor = nullptr;
  if (event.type == YAML_SCALAR_EVENT) anchor = event.data.scalar.anchor;
  if (event.type == YAML_SEQUENCE_START_EVENT) anchor = event.data.sequence_start.anchor;
  if (event.type == YAML_MAPPING_START_EVENT) anchor = event.data.mapping_start.anchor;
  return anchor ? view_of(anchor) : std::string_view();
}

bool has_tag(const yaml_event_t& event) {
  if (event.type == YAML_SCALAR_EVENT) return event.data.scalar.tag;
  if (event.type == YAML_SEQUENCE_START_EVENT) return event.data.sequence_start.tag;
  return event.type == YAML_MAPPING_START_EVENT && event.data.mapping_start.tag;
}

Problem Converter::node(const yaml_event_t& event, int depth) {
  if (depth >= kYamlDepthMax)
    return error(event.start_mark, "nested too deeply; write at most 64 levels");
  if (has_tag(event)) return error(event.start_mark, "tags are not taken; leave out the ! and its word");
  size_t begin = out_.size();
  if (Problem problem = content(event, depth)) return problem;
  if (out_.size() > kYamlBytesMax)
    return error(event.start_mark, "aliases expand to more than 16 MiB; write less");
  std::string_view anchor = anchor_of(event);
  if (!anchor.empty()) anchors_.insert_or_assign(std::string(anchor), Span{begin, out_.size()});
  return std::nullopt;
}

Problem Converter::content(const yaml_event_t& event, int depth) {
  switch (event.type) {
    case YAML_SCALAR_EVENT: return scalar(event);
    case YAML_ALIAS_EVENT: return alias(event);
    case YAML_SEQUENCE_START_EVENT: return sequence(depth);
    case YAML_MAPPING_START_EVENT: return mapping(depth);
    case YAML_NO_EVENT: case YAML_STREAM_START_EVENT: case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT: case YAML_DOCUMENT_END_EVENT: case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      break;
  }
  return error(event.start_mark, "a value is missing; write one");
}

Problem Converter::scalar(const yaml_event_t& event) {
  std::string_view text = view_of(event.data.scalar.value, event.data.scalar.length);
  if (text.find('\0') != std::string_view::npos)
    return error(event.start_mark, "the text holds a zero byte; leave it out");
  bool plain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  out_ += plain ? plain_scalar_json(text) : string_json(text);
  return std::nullopt;
}

Problem Converter::alias(const yaml_event_t& event) {
  std::string_view name = view_of(event.data.alias.anchor);
  auto found = anchors_.find(name);
  if (found == anchors_.end())
    return error(event.start_mark, "no anchor of that name ends before here; write &name there");
  auto [begin, end] = found->second;
  out_.append(std::string(out_, begin, end - begin));
  return std::nullopt;
}

Problem Converter::sequence(int depth) {
  Event event;
  out_ += '[';
  for (bool first = true;; first = false) {
    if (Problem problem = next(event)) return problem;
    if (event.raw.type == YAML_SEQUENCE_END_EVENT) break;
    if (!first) out_ += ',';
    if (Problem problem = node(event.raw, depth + 1)) return problem;
  }
  out_ += ']';
  return std::nullopt;
}

// Names are texts, however they look: a model may be called 4.
Problem Converter::key(const yaml_event_t& event, std::set<std::string, std::less<>>& keys) {
  if (event.type != YAML_SCALAR_EVENT)
    return error(event.start_mark, "a name must be plain text; write it without [, { or *");
  if (has_tag(event)) return error(event.start_mark, "tags are not taken; leave out the ! and its word");
  std::string_view name = view_of(event.data.scalar.value, event.data.scalar.length);
  if (name == "<<" && event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
    return error(event.start_mark, "merging with << is not taken; write the keys themselves");
  if (name.find('\0') != std::string_view::npos)
    return error(event.start_mark, "the name holds a zero byte; leave it out");
  if (!keys.emplace(name).second)
    return error(event.start_mark, "duplicate key; leave one of the two out");
  out_ += string_json(name);
  out_ += ':';
  return std::nullopt;
}

Problem Converter::mapping(int depth) {
  Event event;
  std::set<std::string, std::less<>> keys;
  out_ += '{';
  while (true) {
    if (Problem problem = next(event)) return problem;
    if (event.raw.type == YAML_MAPPING_END_EVENT) break;
    if (!keys.empty()) out_ += ',';
    if (Problem problem = key(event.raw, keys)) return problem;
    if (Problem problem = next(event)) return problem;
    if (Problem problem = node(event.raw, depth + 1)) return problem;
  }
  out_ += '}';
  return std::nullopt;
}

}  // namespace

Result<std::string> yaml_to_json(std::string_view text) {
  Converter converter(text);
  if (Problem problem = converter.run()) return std::move(*problem);
  return converter.take();
}

}  // namespace lb
