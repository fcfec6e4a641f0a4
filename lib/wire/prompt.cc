#include "wire/prompt.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "base/rng.h"

namespace lb {

namespace {

// Two of the four secrets of wyhash (Wang Yi, public domain), whose way to mix this is: the upper and the lower half
// of a product of 128 bits.
constexpr uint64_t kSecret = 0xa0761d6478bd642fu, kOtherSecret = 0xe7037ed1a0b428dbu;

uint64_t fold(uint64_t a, uint64_t b) {
  Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// 0 if all of them are.
uint64_t joined(std::initializer_list<uint64_t> hashes) {
  if (std::all_of(hashes.begin(), hashes.end(), [](uint64_t hash) { return hash == 0; })) return 0;
  uint64_t out = kSecret;
  for (uint64_t hash : hashes) out = fold(out ^ hash, kOtherSecret);
  return out == 0 ? 1 : out;
}

// The types of parts; and of Gemini's, which have none, the media type.
bool is_image(std::string_view type) {
  return type == "image_url" || type == "input_image" || type == "image" || type.starts_with("image/");
}
bool is_container(JsonType type) { return type == JsonType::object || type == JsonType::array; }

}  // namespace

void PrefixHash::add(std::string_view bytes) {
  bytes = bytes.substr(0, kHashedMax - size_);
  size_t rest = size_ % kStep;
  size_ += bytes.size();
  if (rest > 0) {
    size_t more = std::min(kStep - rest, bytes.size());
    std::memcpy(rest_.data() + rest, bytes.data(), more);
    if (rest + more < kStep) return;
    bytes.remove_prefix(more);
    step(rest_.data());
  }
  for (; bytes.size() >= kStep; bytes.remove_prefix(kStep)) step(bytes.data());
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
}

void PrefixHash::step(const char* bytes) {
  uint64_t first, second;
  std::memcpy(&first, bytes, sizeof first);
  std::memcpy(&second, bytes + sizeof first, sizeof second);
  state_ = fold(first ^ kSecret, second ^ state_ ^ kOtherSecret);
}

uint64_t PrefixHash::value() const {
  if (size_ == 0) return 0;
  PrefixHash last = *this;
  std::fill(last.rest_.begin() + size_ % kStep, last.rest_.end(), '\0');
  if (size_ % kStep > 0) last.step(last.rest_.data());
  uint64_t out = fold(last.state_ ^ kSecret, size_ ^ kOtherSecret);
  return out == 0 ? 1 : out;
}

uint64_t Prompt::prefix_hash() const { return joined({system_, leading_system_, tools_, user_}); }

void Prompt::open(Open what) {
  open_ = what;
  role_ = Role::other;
  hash_ = PrefixHash();
}

void Prompt::close() {
  uint64_t hash = hash_.value();
  switch (open_) {
    case Open::nothing:
      break;
    case Open::system:
      system_ += hash;  // Of `system` and `instructions` in either order.
      break;
    case Open::tools:
      tools_ = hash;
      break;
    case Open::only_turn:
      role_ = Role::user;
      end_turn(hash);
      break;
    case Open::turn:
      end_turn(hash);
      break;
  }
  open_ = Open::nothing;
}

// Only now is it certain whose turn it was: `role` may stand behind `content`.
void Prompt::end_turn(uint64_t hash) {
  if (role_ == Role::system && leading_) leading_system_ = joined({leading_system_, hash});
  if (role_ == Role::user && !user_found_) user_ = hash;
  leading_ = leading_ && role_ == Role::system;
  user_found_ = user_found_ || role_ == Role::user;
}

bool Prompt::begin(int16_t as, JsonType type) {
  in_string_ = type == JsonType::string;
  if (in_string_) text_.begin();
  switch (as) {
    case kSystem:
      open(Open::system);
      return in_string_;
    case kTools:
      if (is_container(type)) open(Open::tools);
      return is_container(type);
    case kOnlyTurn:
      if (in_string_) open(Open::only_turn);
      return in_string_;
    case kTurn:
      if (type == JsonType::object) open(Open::turn);
      if (type == JsonType::number) other_characters_ += kTokenCharacters;
      return in_string_;
    case kRole:
    case kType:
      word_size_ = 0;
      return in_string_;
    case kText:
      return in_string_;
    case kArguments:
      return in_string_ || is_container(type);
    case kMedia:
      return hashes() && !hash_.full();
  }
  return false;
}

bool Prompt::bytes(int16_t as, std::string_view raw) {
  if (as == kRole || as == kType) {
    size_t size = std::min(raw.size(), word_.size() - word_size_);
    std::copy_n(raw.begin(), size, word_.begin() + word_size_);
    word_size_ = static_cast<uint8_t>(word_size_ + size);
    return word_size_ < word_.size();
  }
  bool hashed = as != kArguments && hashes();
  if (hashed) hash_.add(raw);
  if (as == kMedia) return hashed && !hash_.full();
  if (in_string_)
    text_.add(raw);
  else
    other_characters_ += raw.size();
  return true;
}

void Prompt::end(int16_t as) {
  bool was_string = in_string_;
  in_string_ = false;
  if (was_string && (as == kRole || as == kType)) {
    end_word(as);
  } else if (was_string && as != kArguments && hashes()) {
    hash_.add("\"");  // No string has one: so "ab" is not "a" and "b", but it is [{"text": "ab"}].
  }
  if (as == kSystem || as == kTools || as == kOnlyTurn || as == kTurn) close();
}

void Prompt::end_word(int16_t as) {
  std::string_view word(word_.data(), word_size_);
  if (as == kType) {
    if (is_image(word)) images_++;
  } else {
    role_ = word == "user"                               ? Role::user
            : word == "system" || word == "developer" ? Role::system
                                                         : Role::other;
  }
}

}  // namespace lb
