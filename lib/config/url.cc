#include "config/url.h"

#include <algorithm>

#include "base/address.h"
#include "base/text.h"

namespace lb {

namespace {

// RFC 1035, section 2.3.4, without the final dot.
constexpr size_t kHostBytes = 253;
constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

Error bad(std::string message) { return {Status::CONFIG, "", std::move(message)}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) { return hex_value(c) >= 0; }

bool is_host_char(char c) {
  bool letter = ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
  return letter || is_digit(c) || c == '-' || c == '.' || c == '_';
}

// Enough to tell an address from a slip of the pen; the operating system judges the rest.
bool is_ipv6(std::string_view text) {
  auto fits = [](char c) { return is_hex(c) || c == ':' || c == '.'; };
  return std::count(text.begin(), text.end(), ':') >= 2 &&
         std::all_of(text.begin(), text.end(), fits);
}

struct Split {
  bool tls = false;
  std::string_view userinfo;
  bool has_userinfo = false;
  std::string_view host_port;
  std::string_view rest;  // Path, query and fragment.
};

Result<Split> split_url(std::string_view text, const char* example) {
  size_t colon = text.find("://");
  if (colon == std::string_view::npos)
    return bad(std::string("missing scheme; write ") + example);
  Split split;
  std::string_view scheme = text.substr(0, colon);
  split.tls = iequals(scheme, "https");
  if (!split.tls && !iequals(scheme, "http"))
    return bad(std::string("the scheme is neither http nor https; write ") + example);
  text.remove_prefix(colon + 3);
  size_t end = std::min(text.find_first_of("/?#"), text.size());
  split.host_port = text.substr(0, end);
  split.rest = text.substr(end);
  size_t at = split.host_port.rfind('@');
  if (at != std::string_view::npos) {
    split.has_userinfo = true;
    split.userinfo = split.host_port.substr(0, at);
    split.host_port.remove_prefix(at + 1);
  }
  return split;
}

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

Result<HostPort> parse_host(std::string_view text) {
  if (text.empty()) return bad("missing host; write it after ://");
  std::string host;
  for (char c : text) host += ascii_lower(c);
  if (text.size() > kHostBytes) return bad("the host has more than 253 characters; write a name");
  if (!std::all_of(host.begin(), host.end(), is_host_char))
    return bad("the host holds a character that no name may have; write letters, digits, dots and "
               "dashes (xn--... for others)");
  return HostPort{std::move(host), 0};
}

Result<HostPort> parse_bracketed(std::string_view text) {
  size_t end = text.find(']');
  if (end == std::string_view::npos) return bad("missing ] after the IPv6 address; write [::1]:port");
  std::string_view inside = text.substr(1, end - 1);
  if (!is_ipv6(inside)) return bad("there is no IPv6 address in the brackets; write [::1]:port");
  std::string_view after = text.substr(end + 1);
  if (!after.empty() && after.front() != ':') return bad("text after ]; write [::1]:port");
  return HostPort{std::string(inside), 0};
}

Result<HostPort> parse_host_port(std::string_view text, uint16_t default_port) {
  bool bracketed = text.starts_with('[');
  if (!bracketed && std::count(text.begin(), text.end(), ':') > 1)
    return bad("more than one colon in the host; write an IPv6 address in brackets, as [::1]:port");
  size_t colon = text.find(':', bracketed ? std::min(text.find(']'), text.size()) : 0);
  std::string_view host = text.substr(0, colon);
  Result<HostPort> parsed = bracketed ? parse_bracketed(text) : parse_host(host);
  if (!parsed.ok()) return parsed;
  parsed.value().port = default_port;
  if (colon == std::string_view::npos) return parsed;
  std::optional<uint64_t> port = parse_u64(text.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535)
    return bad("the port is not a number from 1 to 65535; write host:port");
  parsed.value().port = static_cast<uint16_t>(*port);
  return parsed;
}

Result<std::string> parse_path(std::string_view text) {
  for (char c : text) {
    if (c == '?') return bad("a query is not taken here; write the URL without ? and what follows");
    if (c == '#') return bad("a fragment is not taken here; write the URL without # and the rest");
    if (c <= ' ' || c > '~')
      return bad("the path holds a character that must be escaped; write %20 for a space");
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

// "%40" -> "@". Nothing for a percent sign without two digits.
std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return std::nullopt;
    out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    size_t count = std::min<size_t>(3, text.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; j++)
      bits = bits << 8 | (j < count ? static_cast<unsigned char>(text[i + j]) : 0u);
    for (size_t j = 0; j < 4; j++)
      out += j <= count ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace

std::string Url::text() const { return (tls ? "https://" : "http://") + authority() + path; }

std::string Url::authority() const {
  bool ipv6 = host.find(':') != std::string::npos;
  std::string text = ipv6 ? "[" + host + "]" : host;
  if (port != (tls ? kHttpsPort : kHttpPort)) text += ":" + std::to_string(port);
  return text;
}

Result<Url> parse_url(std::string_view text) {
  Result<Split> split = split_url(text, "https://host/path");
  if (!split.ok()) return split.error();
  const Split& parts = split.value();
  if (parts.has_userinfo)
    return bad("a URL with a user or password is not taken; write the secret as key");
  Result<HostPort> host = parse_host_port(parts.host_port, parts.tls ? kHttpsPort : kHttpPort);
  if (!host.ok()) return host.error();
  Result<std::string> path = parse_path(parts.rest);
  if (!path.ok()) return path.error();
  return Url{parts.tls, std::move(host.value().host), host.value().port, std::move(path.value())};
}

Result<ProxyConfig> parse_proxy(std::string_view text) {
  Result<Split> split = split_url(text, "http://host:port");
  if (!split.ok()) return split.error();
  const Split& parts = split.value();
  if (parts.tls) return bad("TLS to the proxy itself is not supported; write http://host:port");
  if (!parts.rest.empty() && parts.rest != "/")
    return bad("a proxy has no path; write http://host:port");
  Result<HostPort> host = parse_host_port(parts.host_port, kHttpPort);
  if (!host.ok()) return host.error();
  ProxyConfig proxy{std::move(host.value().host), host.value().port, ""};
  if (!parts.has_userinfo) return proxy;
  std::optional<std::string> user = unescape(parts.userinfo);
  if (!user) return bad("a % in user or password is not an escape; write %25 for the sign itself");
  if (user->find(':') == std::string::npos) *user += ':';
  proxy.authorization = "Basic " + base64(*user);
  return proxy;
}

bool is_listen_address(std::string_view text) {
  Address address;
  return parse_listen(text, address);
}

}  // namespace lb
