// Addresses as people write them: a URL reads back as it is printed, in whatever case its scheme and host were; proxies
// and listeners are taken or refused with words.
#include "config/url.h"

#include "base/address.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  lb::Result<lb::Url> url = lb::parse_url(text);
  if (url.ok()) {
    std::string printed = url.value().text();
    lb::Result<lb::Url> again = lb::parse_url(printed);
    require(again.ok(), "what was printed is no URL: " + printed);
    require_same(again.value().text(), printed, "what was printed is another URL");
    require(printed.find_first_of(std::string_view(" \r\n\t\0", 5)) == printed.npos, "a URL that breaks a head");
    require(url.value().port > 0 && !url.value().host.empty(), "a URL without a host or a port");
  } else {
    require(!url.error().message.empty(), "an error without words");
  }
  lb::Result<lb::ProxyConfig> proxy = lb::parse_proxy(text);
  if (proxy.ok()) {
    const std::string& authorization = proxy.value().authorization;
    require(authorization.find_first_of(std::string_view("\r\n\0", 3)) == authorization.npos,
            "a proxy that breaks a head");
    require(proxy.value().port > 0 && !proxy.value().host.empty(), "a proxy without a host or a port");
  } else {
    // A password must not get into a log: another one of its length gives the same words.
    std::string other(text);
    size_t from = std::min(text.find("://"), text.size());
    size_t end = text.find_first_of("/?#", from + 3);
    size_t at = text.substr(0, end).rfind('@');
    for (size_t i = from; at != text.npos && i < at; i++)
      if (text[i] >= '0' && text[i] <= '9') other[i] = static_cast<char>('0' + ('9' - text[i]));
    lb::Result<lb::ProxyConfig> changed = lb::parse_proxy(other);
    if (!changed.ok()) require_same(changed.error().message, proxy.error().message, "an error tells a password");
  }
  lb::Address address;
  bool parsed = lb::parse_listen(text, address);
  require(parsed == lb::is_listen_address(text), "two opinions on a listener's address");
  if (!parsed) return 0;
  std::string printed = lb::to_string(address);
  lb::Address again;
  require(lb::parse_listen(printed, again), "what was printed is no address: " + printed);
  require_same(lb::to_string(again), printed, "what was printed is another address");
  return 0;
}
