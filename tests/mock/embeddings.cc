// The part of Wording that embeds, for OpenAI and Gemini.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/rng.h"
#include "mock/text.h"
#include "mock/wording.h"

namespace lb::mock {

namespace {

// Value by value: the same input has the same vector in every mock, and in both dialects.
class Vector {
 public:
  explicit Vector(uint32_t input) : rng_(input + 1) {}
  float next() { return static_cast<float>(rng_.below(2001)) / 1000 - 1; }  // Three digits: exact enough to compare.

 private:
  Rng rng_;
};

void add_base64(std::string_view bytes, std::string* out) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; k++)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; k++) *out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
  }
}

}  // namespace

void Wording::embeddings(std::string* out) const {
  const uint32_t dimensions = ask_->dimensions ? ask_->dimensions : behaviour_->dimensions;
  *out += "{\"object\":\"list\",\"data\":[";
  std::string bytes;
  for (uint32_t input = 0; input < ask_->inputs; input++) {
    add(out, input ? "," : "", "{\"object\":\"embedding\",\"index\":", input, ",\"embedding\":",
        ask_->base64 ? "\"" : "[");
    Vector vector(input);
    bytes.clear();
    for (uint32_t i = 0; i < dimensions; i++) {
      const float value = vector.next();
      if (ask_->base64) {
        char raw[4];
        std::memcpy(raw, &value, 4);
        if constexpr (std::endian::native == std::endian::big) std::reverse(raw, raw + 4);
        bytes.append(raw, 4);
      } else {
        add(out, i ? "," : "", value);
      }
    }
    add_base64(bytes, out);
    *out += ask_->base64 ? "\"}" : "]}";
  }
  add(out, "],\"model\":\"", ask_->model, "\",\"usage\":{\"prompt_tokens\":", prompt_tokens_, ",\"total_tokens\":",
      prompt_tokens_, "}}");
}

void Wording::contents_embeddings(std::string* out) const {
  const bool batch = endpoint_ == Endpoint::embed_batch;
  const uint32_t dimensions = ask_->dimensions ? ask_->dimensions : behaviour_->dimensions;
  *out += batch ? "{\"embeddings\":[" : "{\"embedding\":";
  for (uint32_t input = 0; input < ask_->inputs; input++) {
    *out += input ? ",{\"values\":[" : "{\"values\":[";
    Vector vector(input);
    for (uint32_t i = 0; i < dimensions; i++) add(out, i ? "," : "", vector.next());
    *out += "]}";
  }
  *out += batch ? "]}" : "}";
}

}  // namespace lb::mock
