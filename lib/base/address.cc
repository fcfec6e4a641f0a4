#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"

namespace lb {

namespace {

// sun_path of Linux holds 108 bytes with the final NUL.
constexpr size_t kUnixPathBytes = 107;

}  // namespace

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

bool parse_listen(std::string_view text, Address& out) {
  if (text.starts_with("unix:")) {
    out = {};
    out.family = Address::Family::local;
    out.path = std::string(text.substr(5));
    return !out.path.empty() && out.path.size() <= kUnixPathBytes;
  }
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::optional<uint64_t> port = parse_u64(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (!bracketed && host.find(':') != std::string_view::npos) return false;
  if (bracketed) host = host.substr(1, host.size() - 2);
  return port && *port <= 65535 && parse_ip(host, static_cast<uint16_t>(*port), out) &&
         bracketed == (out.family == Address::Family::v6);
}

}  // namespace lb
