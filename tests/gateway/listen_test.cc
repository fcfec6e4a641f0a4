#include "gateway/listen.h"

#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::Address;
using lb::ConnId;
using lb::Error;
using lb::Status;

void addresses_in_text(void**) {
  for (const char* text : {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535", "unix:/run/lb.sock"}) {
    Address address;
    assert_true(lb::parse_listen(text, address));
    assert_text(lb::to_string(address), text);
  }
  for (const char* text : {"", "127.0.0.1", ":80", "localhost:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:",
                           "::1:80", "[::1]", "[127.0.0.1]:80", "[]:80", "unix:"}) {
    Address address;
    if (lb::parse_listen(text, address)) fail_msg("took %s", text);
  }
}

std::string listening(const std::string& list) {
  return "listen: [" + list + "]\ndeployments:\n  - {name: east, kind: echo}\n";
}

size_t open_ports(World& w) {
  size_t n = 0;
  for (auto& [id, port] : w.net.ports) n += port.open;
  return n;
}

void a_reload_keeps_opens_and_closes(void**) {
  World w(listening("{name: a, address: '127.0.0.1:0'}, {name: b, address: '127.0.0.1:0'}, {address: 'unix:/x'}"));
  std::string a = w.gateway->address("a").value(), b = w.gateway->address("b").value();
  assert_true(a != b);
  assert_text(w.gateway->address("").value(), a);
  assert_text(w.gateway->address("default").value(), "unix:/x");
  assert_false(w.gateway->address("c").ok());
  ConnId on_a = w.net.dial(a), on_b = w.net.dial(b);
  w.turn();
  auto next = configuration(
      listening("{name: b, address: '127.0.0.1:0'}, {name: c, address: '127.0.0.1:9'}, {name: d, address: 'unix:/x'}"));
  assert_int_equal(w.gateway->configure(*next, w.now, nullptr), Status::OK);
  w.engine->configure(next);
  w.turn();
  assert_int_equal(open_ports(w), 3);
  assert_false(w.gateway->address("a").ok());
  assert_text(w.gateway->address("b").value(), b);
  assert_text(w.gateway->address("c").value(), "127.0.0.1:9");
  assert_text(w.gateway->address("d").value(), "unix:/x");  // Of another name, and the same socket.
  assert_int_equal(w.net.dial(a), 0);
  // Connections go on, of a listener that is closed as well.
  for (ConnId client : {on_a, on_b}) {
    w.send(client, get("/healthz"));
    assert_int_equal(w.answer(client).status, 200);
  }
}

void an_address_in_use_changes_nothing(void**) {
  World w(listening("{name: a, address: '127.0.0.1:0'}"));
  Address taken;
  assert_true(lb::parse_listen("127.0.0.1:7", taken));
  assert_true(w.net.listen(1, taken).ok());
  std::string a = w.gateway->address("a").value();
  auto next = configuration(listening("{name: b, address: '127.0.0.1:6'}, {name: c, address: '127.0.0.1:7'}"));
  Error why;
  assert_int_equal(w.gateway->configure(*next, w.now, &why), Status::CONFIG);
  assert_text(why.where, "/listen/1/address");
  assert_has(why.message, "127.0.0.1:7");
  assert_int_equal(open_ports(w), 2);
  assert_text(w.gateway->address("a").value(), a);
  assert_false(w.gateway->address("b").ok());
  assert_int_equal(w.ask(get("/healthz")).status, 200);
}

void without_listeners_there_is_nothing_to_do(void**) {
  World w("deployments:\n  - {name: east, kind: echo}\n");
  assert_int_equal(open_ports(w), 0);
  assert_false(w.gateway->address("").ok());
  assert_true(w.gateway->idle());
  assert_true(w.gateway->next_wake() == lb::Instant::never());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(addresses_in_text),
      cmocka_unit_test(a_reload_keeps_opens_and_closes),
      cmocka_unit_test(an_address_in_use_changes_nothing),
      cmocka_unit_test(without_listeners_there_is_nothing_to_do),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
