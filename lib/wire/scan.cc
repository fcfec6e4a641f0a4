#include "wire/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "base/text.h"
#include "wire/escape.h"
#include "wire/quote.h"

namespace lb {

namespace {

// A name of the greatest length, each letter as \uXXXX. A key that is cut here is too long to match anything.
constexpr size_t kKeyMax = 6 * ScanPaths::kNameMax;
// Frames that need no second allocation: few requests or answers are deeper, schemas of tools aside.
constexpr size_t kFramesReserved = 12;
// Bytes of the texts of most requests and answers: a model, numbers, a reason.
constexpr size_t kTextsReserved = 128;
// A string whose bytes are wanted is gone through by so much at a time: what its end is looked for in is then still
// in the first cache (32 KiB on the smallest machines of today) when the listener reads it.
constexpr size_t kHearWindow = 16 * 1024;

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// What numbers and literals consist of.
constexpr std::array<bool, 256> scalar_chars() {
  std::array<bool, 256> out{};
  for (char c = '0'; c <= '9'; c++) out[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; c++) out[static_cast<unsigned char>(c)] = true;
  for (char c : {'-', '+', '.', 'E'}) out[static_cast<unsigned char>(c)] = true;
  return out;
}
constexpr std::array<bool, 256> kScalarChars = scalar_chars();

// Of what a value is that begins with this byte; `absent` if none does.
constexpr std::array<JsonType, 256> types_by_first() {
  std::array<JsonType, 256> out{};
  for (char c = '0'; c <= '9'; c++) out[static_cast<unsigned char>(c)] = JsonType::number;
  out['-'] = JsonType::number;
  out['"'] = JsonType::string;
  out['{'] = JsonType::object;
  out['['] = JsonType::array;
  out['t'] = out['f'] = JsonType::boolean;
  out['n'] = JsonType::null;
  return out;
}
constexpr std::array<JsonType, 256> kTypesByFirst = types_by_first();

// Behind the string, number or literal that begins at `at`; null if it does not, or if not two more bytes are at hand.
const char* end_of_scalar(const char* at, const char* end) {
  JsonType type = kTypesByFirst[static_cast<unsigned char>(*at)];
  if (type == JsonType::absent || type == JsonType::object || type == JsonType::array) return nullptr;
  bool escaped = false;
  if (type == JsonType::string)
    at = std::min(find_quote(at + 1, end, escaped) + 1, end);
  else
    while (at < end && kScalarChars[static_cast<unsigned char>(*at)]) at++;
  return end - at < 2 ? nullptr : at;
}

}  // namespace

JsonScan::JsonScan(const ScanPaths& paths) : paths_(&paths) { frames_.reserve(kFramesReserved); }

void JsonScan::reset() {
  for (; touched_ != 0; touched_ &= touched_ - 1) found_[static_cast<size_t>(std::countr_zero(touched_))] = {};
  texts_.clear();
  offset_ = 0;
  frames_.clear();
  expect_ = Expect::value;
  token_ = Token::none;
  escape_ = faulty_ = is_object_ = hears_string_ = false;
  want_ = key_node_ = heard_ = raw_ = -1;
}

bool JsonScan::complete() const { return expect_ == Expect::nothing && !faulty_; }
bool JsonScan::faulty() const { return faulty_; }
bool JsonScan::is_object() const { return is_object_; }

// In one piece: what it calls are a few instructions each, and every member of a document takes most of them.
[[gnu::flatten]] bool JsonScan::feed(std::string_view bytes, ScanListener* listener) {
  size_t at = 0;
  listener_ = listener;
  raw_from_ = 0;
  while (at < bytes.size() && !faulty_) {
    if (token_ == Token::none)
      at = is_space(bytes[at]) ? at + 1 : read_mark(bytes, at);
    else
      at = token_ == Token::scalar ? read_scalar(bytes, at) : read_string(bytes, at);
  }
  if (raw_ >= 0) hear_container(bytes.substr(0, at));
  listener_ = nullptr;
  offset_ += at;
  return !faulty_;
}

// The rest of a string up to its closing quote. Most bytes of a request are in long strings.
size_t JsonScan::read_string(std::string_view bytes, size_t at) {
  const size_t from = at;
  size_t to = bytes.size();
  if (hears_string_ && to - at > kHearWindow) to = at + kHearWindow;
  at = static_cast<size_t>(find_quote(bytes.data() + at, bytes.data() + to, escape_) - bytes.data());
  std::string_view part(bytes.data() + from, at - from);
  bool ended = at < to;
  if (token_ == Token::key) {
    if (ended)
      end_key(part);
    else if (frames_.back().node >= 0 && key_.size() <= kKeyMax)
      key_.append(part.substr(0, kKeyMax + 1 - key_.size()));
  } else {
    string_nonempty_ = string_nonempty_ || !part.empty();
    capture(part);
    if (hears_string_) hear_string(part);
    if (ended) {
      capture("\"");
      end_value(offset_ + at + 1, string_nonempty_);
    }
  }
  if (!ended) return at;
  token_ = Token::none;
  return at + 1;
}

// What a key leads to is looked up with its escapes decoded: "mod\u0065l" is the model for whoever reads on.
int16_t JsonScan::node_called(int16_t node, std::string_view raw) const {
  int16_t found = paths_->child(node, raw);
  if (found < 0 && node >= 0 && raw.find('\\') != raw.npos) found = paths_->child(node, decode_inner(raw));
  return found;
}

void JsonScan::end_key(std::string_view last_part) {
  int16_t node = frames_.back().node;
  expect_ = Expect::colon;
  key_node_ = -1;
  if (node < 0) return;
  std::string_view raw = last_part;
  if (!key_.empty()) raw = key_.append(last_part.substr(0, kKeyMax + 1));
  key_node_ = node_called(node, raw);
}

// The rest of a number or literal. What ends it is read next.
size_t JsonScan::read_scalar(std::string_view bytes, size_t at) {
  size_t from = at;
  while (at < bytes.size() && kScalarChars[static_cast<unsigned char>(bytes[at])]) at++;
  capture(bytes.substr(from, at - from));
  if (at == bytes.size()) return at;
  token_ = Token::none;
  end_value(offset_ + at, scalar_first_ != 'n');
  return at;
}

// What begins at `at`, outside of strings and scalars and not with white space. Returns where to read on.
size_t JsonScan::read_mark(std::string_view bytes, size_t at) {
  char c = bytes[at];
  switch (expect_) {
    case Expect::value_or_end:
    case Expect::value:
      if (c != ']' || expect_ == Expect::value) return begin_value(bytes, at);
      end_container(bytes, at);
      return at + 1;
    case Expect::key_or_end:
    case Expect::key:
      if (c == '"') return read_member(bytes, at);
      if (c == '}' && expect_ == Expect::key_or_end)
        end_container(bytes, at);
      else
        faulty_ = true;
      return at + 1;
    case Expect::colon:
      faulty_ = c != ':';
      expect_ = Expect::value;
      return at + 1;
    case Expect::comma_or_end:
      if (c != ',') {
        end_container(bytes, at);
        return at + 1;
      }
      expect_ = frames_.back().object ? Expect::key : Expect::value;
      at++;
      return expect_ == Expect::key && at < bytes.size() && bytes[at] == '"' ? read_member(bytes, at) : at;
    case Expect::nothing:
      faulty_ = true;
      return at + 1;
  }
  return at + 1;
}

// From the quote of a name on: the member that is at hand, if it is written as most are. What is not is left to the
// next marks. Members that nobody asked for are gone over at once while they are at hand whole, with what follows them,
// and hold no others.
size_t JsonScan::read_member(std::string_view bytes, size_t at) {
  frames_.back().nonempty = true;
  const int16_t node = frames_.back().node;
  const char* const end = bytes.data() + bytes.size();
  const char* next = bytes.data() + at;
  while (true) {
    bool escaped = false;
    const char* quote = find_quote(next + 1, end, escaped);
    if (end - quote < 4 || quote[1] != ':') break;
    const char* value = quote[2] == ' ' ? quote + 3 : quote + 2;
    if (is_space(*value)) break;
    key_node_ = node_called(node, std::string_view(next + 1, static_cast<size_t>(quote - next - 1)));
    const char* after = key_node_ < 0 ? end_of_scalar(value, end) : nullptr;
    if (!after) {
      expect_ = Expect::value;
      return begin_value(bytes, static_cast<size_t>(value - bytes.data()));
    }
    next = after + 1;
    if (after[0] == ',' && after[1] == '"') continue;
    expect_ = Expect::comma_or_end;
    return static_cast<size_t>(after - bytes.data());
  }
  token_ = Token::key;
  key_.clear();
  return static_cast<size_t>(next + 1 - bytes.data());
}

size_t JsonScan::begin_value(std::string_view bytes, size_t at) {
  char c = bytes[at];
  int16_t node = 0;
  if (!frames_.empty()) {
    node = frames_.back().object ? key_node_ : paths_->element(frames_.back().node);
    frames_.back().nonempty = true;
  }
  JsonType type = kTypesByFirst[static_cast<unsigned char>(c)];
  if (type == JsonType::absent) {
    faulty_ = true;
    return at + 1;
  }
  if (frames_.empty()) is_object_ = type == JsonType::object;
  int16_t want = paths_->want(node);
  if (want >= 0) {
    touched_ |= uint32_t{1} << want;
    Found& found = found_[static_cast<size_t>(want)];
    found.type = type;
    found.begin = offset_ + at;
    found.end = 0;
    found.times++;
    found.cut = false;
    found.text_size = 0;
    if (texts_.size() > kTextsMax) compact_texts();
    found.text_at = static_cast<uint32_t>(texts_.size());
  }
  int16_t heard = paths_->heard(node);
  if (heard >= 0) begin_heard(heard, type, at);
  if (type == JsonType::object || type == JsonType::array) {
    faulty_ = frames_.size() == kDepthMax;
    frames_.push_back({type == JsonType::object, node, want, false});
    expect_ = type == JsonType::object ? Expect::key_or_end : Expect::value_or_end;
    return at + 1;
  }
  want_ = want;
  heard_ = type == JsonType::string ? heard : int16_t{-1};
  if (type != JsonType::string) {
    token_ = Token::scalar;
    scalar_first_ = c;
    return read_scalar(bytes, at);
  }
  token_ = Token::string;
  string_nonempty_ = false;
  capture("\"");
  return at + 1 < bytes.size() ? read_string(bytes, at + 1) : at + 1;
}

void JsonScan::begin_heard(int16_t heard, JsonType type, size_t at) {
  bool wanted = listener_ && listener_->begin(heard, type);
  if (type == JsonType::string) {
    hears_string_ = wanted;
  } else if (wanted && raw_ < 0 && (type == JsonType::object || type == JsonType::array)) {
    raw_ = heard;
    raw_depth_ = frames_.size();
    raw_from_ = at;
  }
}

void JsonScan::hear_string(std::string_view part) {
  hears_string_ = part.empty() || (listener_ && listener_->bytes(heard_, part));
}

// `bytes` is what is at hand up to where the container ends, or all of it.
void JsonScan::hear_container(std::string_view bytes) {
  std::string_view part = bytes.substr(raw_from_);
  raw_from_ = bytes.size();
  if (!part.empty() && !(listener_ && listener_->bytes(raw_, part))) raw_ = -1;
}

void JsonScan::end_container(std::string_view bytes, size_t at) {
  faulty_ = frames_.empty() || bytes[at] != (frames_.back().object ? '}' : ']');
  if (faulty_) return;
  Frame frame = frames_.back();
  frames_.pop_back();
  want_ = frame.want;
  heard_ = paths_->heard(frame.node);
  if (raw_ >= 0 && raw_depth_ == frames_.size()) {
    hear_container(bytes.substr(0, at + 1));
    raw_ = -1;
  }
  end_value(offset_ + at + 1, frame.nonempty);
}

void JsonScan::end_value(uint64_t end, bool nonempty) {
  expect_ = frames_.empty() ? Expect::nothing : Expect::comma_or_end;
  if (heard_ >= 0) {
    hears_string_ = false;
    if (listener_) listener_->end(heard_);
    heard_ = -1;
  }
  if (want_ < 0) return;
  Found& found = found_[static_cast<size_t>(want_)];
  found.end = end;
  found.nonempty = found.nonempty || nonempty;
  bool speaks = found.type == JsonType::string || found.type == JsonType::object || found.type == JsonType::array;
  found.spoken = found.spoken || (nonempty && speaks);
  want_ = -1;
}

void JsonScan::capture_wanted(std::string_view bytes) {
  Found& found = found_[static_cast<size_t>(want_)];
  std::string_view kept = bytes.substr(0, kCaptureMax - found.text_size);
  found.cut = found.cut || kept.size() < bytes.size();
  found.text_size = static_cast<uint16_t>(found.text_size + kept.size());
  if (texts_.empty()) texts_.reserve(kTextsReserved);
  texts_.append(kept);
}

// Of paths that were seen again and again only the last texts stay. Too rare to be a part of feed().
[[gnu::noinline]] void JsonScan::compact_texts() {
  std::string texts;
  for (uint32_t left = touched_; left != 0; left &= left - 1) {
    Found& found = found_[static_cast<size_t>(std::countr_zero(left))];
    std::string_view text = std::string_view(texts_).substr(found.text_at, found.text_size);
    found.text_at = static_cast<uint32_t>(texts.size());
    texts.append(text);
  }
  texts_ = std::move(texts);
}

std::string JsonScan::string(size_t path) const {
  const Found& found = found_[path];
  if (found.type != JsonType::string || found.text_size == 0) return "";
  std::string_view raw = text(path).substr(1);
  if (found.end != 0 && !found.cut) raw.remove_suffix(1);
  return decode_inner(raw);
}

bool JsonScan::integer(size_t path, uint64_t& out) const {
  const Found& found = found_[path];
  if (found.type != JsonType::number || found.end == 0 || found.cut) return false;
  std::optional<uint64_t> value = parse_u64(text(path));
  if (value) out = *value;
  return value.has_value();
}

}  // namespace lb
