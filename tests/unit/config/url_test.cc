#include "config/url.h"

#include "fixture.h"

namespace lb {
namespace {

std::string url_text(std::string_view text) {
  Result<Url> url = parse_url(text);
  if (!url.ok()) return url.error().where + "! " + url.error().message;
  const Url& u = url.value();
  return std::string(u.tls ? "tls " : "tcp ") + u.host + ' ' + std::to_string(u.port) + ' ' + u.path + " <" +
         u.authority() + '>';
}

void urls(void**) {
  assert_text(url_text("https://api.openai.com/v1"), "tls api.openai.com 443 /v1 <api.openai.com>");
  assert_text(url_text("http://host"), "tcp host 80  <host>");
  assert_text(url_text("HTTP://HOST:8080/A//"), "tcp host 8080 /A <host:8080>");
  assert_text(url_text("https://host:80/"), "tls host 80  <host:80>");
  assert_text(url_text("http://host:443"), "tcp host 443  <host:443>");
  assert_text(url_text("https://[::1]:9/v1"), "tls ::1 9 /v1 <[::1]:9>");
  assert_text(url_text("https://[2001:db8::1]"), "tls 2001:db8::1 443  <[2001:db8::1]>");
  assert_text(url_text("http://127.0.0.1:1/a%20b"), "tcp 127.0.0.1 1 /a%20b <127.0.0.1:1>");
  assert_text(url_text("https://host:65535"), "tls host 65535  <host:65535>");
}

void bad_urls(void**) {
  const std::string port = "! the port is not a number from 1 to 65535; write host:port";
  assert_text(url_text(""), "! missing scheme; write https://host/path");
  assert_text(url_text("host/path"), "! missing scheme; write https://host/path");
  assert_text(url_text("ftp://host"), "! the scheme is neither http nor https; write https://host/path");
  assert_text(url_text("https://"), "! missing host; write it after ://");
  assert_text(url_text("https:///v1"), "! missing host; write it after ://");
  assert_text(url_text("https://:80"), "! missing host; write it after ://");
  for (const char* text : {"https://h:", "https://h:0", "https://h:65536", "https://h:-1", "https://h:1x",
                           "https://[::1]:x"})
    assert_text(url_text(text), port);
  assert_text(url_text("https://a:b:c"),
              "! more than one colon in the host; write an IPv6 address in brackets, as [::1]:port");
  assert_text(url_text("https://[::1"), "! missing ] after the IPv6 address; write [::1]:port");
  assert_text(url_text("https://[host]"), "! there is no IPv6 address in the brackets; write [::1]:port");
  assert_text(url_text("https://[::1]x"), "! text after ]; write [::1]:port");
  assert_text(url_text("https://u:p@host"), "! a URL with a user or password is not taken; write the secret as key");
  assert_text(url_text("https://host/?api-version=1"),
              "! a query is not taken here; write the URL without ? and what follows");
  assert_text(url_text("https://host?x"), "! a query is not taken here; write the URL without ? and what follows");
  assert_text(url_text("https://host/#x"), "! a fragment is not taken here; write the URL without # and the rest");
  for (const char* text : {"https://host/a b", "https://host/a\r\nX: y", "https://host/\x7f", "https://host/\xc3\xbc"})
    assert_text(url_text(text), "! the path holds a character that must be escaped; write %20 for a space");
  for (const char* text : {"https://ho st", "https://h\xc3\xbc", "https://ho\rst", "https://ho%20st"})
    assert_true(url_text(text).starts_with("! the host holds a character that no name may have"));
}

void a_host_has_253_bytes(void**) {
  assert_true(parse_url("https://" + std::string(253, 'a')).ok());
  assert_text(url_text("https://" + std::string(254, 'a')), "! the host has more than 253 characters; write a name");
}

std::string proxy_text(std::string_view text) {
  Result<ProxyConfig> proxy = parse_proxy(text);
  if (!proxy.ok()) return "! " + proxy.error().message;
  return proxy.value().host + ' ' + std::to_string(proxy.value().port) + ' ' + proxy.value().authorization;
}

void proxies(void**) {
  assert_text(proxy_text("http://proxy"), "proxy 80 ");
  assert_text(proxy_text("http://proxy:3128/"), "proxy 3128 ");
  assert_text(proxy_text("http://Aladdin:open%20sesame@proxy:3128"), "proxy 3128 Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  assert_text(proxy_text("http://user@proxy"), "proxy 80 Basic dXNlcjo=");
  assert_text(proxy_text("http://u:p%40%3a@proxy"), "proxy 80 Basic dTpwQDo=");
  assert_text(proxy_text("http://u:p@ss@proxy"), "proxy 80 Basic dTpwQHNz");
  assert_text(proxy_text("http://[::1]:1"), "::1 1 ");
}

void bad_proxies(void**) {
  assert_text(proxy_text("proxy:3128"), "! missing scheme; write http://host:port");
  assert_text(proxy_text("socks5://proxy"), "! the scheme is neither http nor https; write http://host:port");
  assert_text(proxy_text("https://proxy"), "! TLS to the proxy itself is not supported; write http://host:port");
  assert_text(proxy_text("http://proxy/path"), "! a proxy has no path; write http://host:port");
  for (const char* text : {"http://u:%@proxy", "http://u:%4@proxy", "http://u:%zz@proxy"})
    assert_text(proxy_text(text), "! a % in user or password is not an escape; write %25 for the sign itself");
}

void listen_addresses(void**) {
  for (const char* text : {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:0", "[::]:65535", "[::ffff:1.2.3.4]:1",
                           "unix:/run/lb.sock", "unix:lb.sock"})
    assert_true(is_listen_address(text));
  for (const char* text : {"", ":", ":80", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "1.2.3:1",
                           "1.2.3.4.5:1", "256.1.1.1:1", "1..2.3:1", "1.2.3.:1", "0001.1.1.1:1", "localhost:80",
                           "::1:80", "[::1]", "[::1:80", "[]:80", "[x]:80", "unix:"})
    assert_false(is_listen_address(text));
  assert_true(is_listen_address("unix:" + std::string(107, 'a')));
  assert_false(is_listen_address("unix:" + std::string(108, 'a')));
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::urls),          cmocka_unit_test(lb::bad_urls),
      cmocka_unit_test(lb::a_host_has_253_bytes), cmocka_unit_test(lb::proxies),
      cmocka_unit_test(lb::bad_proxies),   cmocka_unit_test(lb::listen_addresses),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
