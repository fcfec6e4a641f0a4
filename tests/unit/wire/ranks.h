// Rank files made by hand: all bytes, so that every text has a count, and before them the tokens that are named.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wire/bpe.h"

namespace lb {

inline std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = i; j < i + 3; j++) bits = bits << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0);
    for (size_t j = 0; j < 4; j++) out += i + j > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * j) & 63];
  }
  return out;
}

inline std::string rank_lines(const std::vector<std::string>& tokens) {
  std::string out;
  size_t rank = 0;
  for (const std::string& token : tokens) out += base64(token) + ' ' + std::to_string(rank++) + '\n';
  for (int byte = 0; byte < 256; byte++)
    out += base64(std::string(1, static_cast<char>(byte))) + ' ' + std::to_string(rank++) + '\n';
  return out;
}

inline std::shared_ptr<const Bpe> ranks_of(const std::vector<std::string>& tokens, Encoding encoding) {
  return Bpe::load(rank_lines(tokens), encoding).value();
}

}  // namespace lb
