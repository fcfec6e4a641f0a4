// Where a socket is, as a value, and as people write it. Names are not addresses: nothing here asks a resolver.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace lb {

struct Address {
  enum class Family : uint8_t { v4, v6, local };
  Family family = Family::v4;
  std::array<uint8_t, 16> ip{};  // Network order; the first four for v4.
  uint16_t port = 0;
  std::string path;  // Of a unix socket.

  bool operator==(const Address&) const = default;
};

// "127.0.0.1:80", "[::1]:80", "unix:/path".
std::string to_string(const Address& address);
// An address in text: "127.0.0.1", "::1". False when it is a name.
bool parse_ip(std::string_view text, uint16_t port, Address& out);
// What `to_string` writes, the other way: where a listener is to be.
bool parse_listen(std::string_view text, Address& out);

}  // namespace lb
