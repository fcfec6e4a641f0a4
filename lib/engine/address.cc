#include <arpa/inet.h>

#include <algorithm>

#include "engine/ports.h"

namespace lb {

std::string to_string(const Address& address) {
  if (address.family == Address::Family::local) return "unix:" + address.path;
  bool v6 = address.family == Address::Family::v6;
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(v6 ? AF_INET6 : AF_INET, address.ip.data(), text, sizeof text);
  std::string port = std::to_string(address.port);
  return v6 ? "[" + std::string(text) + "]:" + port : std::string(text) + ":" + port;
}

bool parse_ip(std::string_view text, uint16_t port, Address& out) {
  char terminated[INET6_ADDRSTRLEN];  // The longest text there is, with its NUL.
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), terminated);
  terminated[text.size()] = '\0';
  bool v6 = text.find(':') != std::string_view::npos;
  Address address;
  address.family = v6 ? Address::Family::v6 : Address::Family::v4;
  address.port = port;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, terminated, address.ip.data()) != 1) return false;
  out = std::move(address);
  return true;
}

}  // namespace lb
