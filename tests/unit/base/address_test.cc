#include "base/address.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Address;
using lb::parse_ip;
using lb::to_string;

void assert_text(const Address& address, const char* text) { assert_string_equal(to_string(address).c_str(), text); }

Address parsed(std::string_view text, uint16_t port) {
  Address address;
  assert_true(parse_ip(text, port, address));
  return address;
}

void v4_both_ways(void**) {
  Address address = parsed("127.0.0.1", 80);
  assert_true(address.family == Address::Family::v4);
  assert_int_equal(address.ip[0], 127);
  assert_int_equal(address.ip[3], 1);
  assert_int_equal(address.ip[4], 0);
  assert_text(address, "127.0.0.1:80");
  assert_text(parsed("255.255.255.255", 65535), "255.255.255.255:65535");
  assert_text(Address{}, "0.0.0.0:0");
}

void v6_both_ways(void**) {
  Address address = parsed("::1", 443);
  assert_true(address.family == Address::Family::v6);
  assert_int_equal(address.ip[15], 1);
  assert_text(address, "[::1]:443");
  assert_text(parsed("2001:DB8:0:0:1:0:0:1", 1), "[2001:db8::1:0:0:1]:1");
  assert_text(parsed("::ffff:192.0.2.1", 2), "[::ffff:192.0.2.1]:2");
  assert_text(parsed("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 3),
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:3");
}

void local_has_its_path(void**) {
  Address address;
  address.family = Address::Family::local;
  address.path = "/run/lb.sock";
  assert_text(address, "unix:/run/lb.sock");
}

void names_are_not_addresses(void**) {
  Address address = parsed("10.0.0.1", 7);
  const Address before = address;
  for (std::string_view text :
       {"", "localhost", "example.com", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "[::1]", "::1%lo",
        ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g", "127.0.0.1:80", "unix:/x",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555"})
    assert_false(parse_ip(text, 80, address));
  assert_false(parse_ip(std::string_view("1.2.3.4\0", 8), 80, address));
  assert_false(parse_ip(std::string(100'000, '1'), 80, address));
  assert_true(address == before);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(v4_both_ways),
      cmocka_unit_test(v6_both_ways),
      cmocka_unit_test(local_has_its_path),
      cmocka_unit_test(names_are_not_addresses),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
