#include <sys/un.h>

#include "tls_server.h"

namespace {

using namespace lb;
using namespace lb::test;

void refused(void**) {
  World world;
  PeerListener once;
  once.close();
  ConnectSpec spec;
  spec.address = once.address;
  ConnId conn = world.settle_connect(spec, 5);
  assert_true(conn != 0);
  assert_true(world[conn].status == Status::CONNECT);
  assert_int_equal(world[conn].tag, 5);
  assert_contains(world[conn].message, "refused by " + to_string(once.address));
  assert_int_equal(world.write(conn, "x"), 0);  // Gone.
  world.net().read(conn, true);
  world.net().close(conn, true);
}

// Nobody listens on that port, until the system gives it to our own end.
void never_connected_to_itself(void**) {
  World world;
  PeerListener once;
  Address address = once.address;
  once.close();
  address.port = static_cast<uint16_t>(address.port & ~1);  // connect() takes even ports first.
  for (int i = 0; i < 40'000; i++) {
    ConnId conn = world.connect(address);
    world.until([&] { return world[conn].closed || world[conn].connected; });
    assert_false(world[conn].connected);
    world.seen.erase(conn);
  }
}

void over_a_unix_socket(void**) {
  World world;
  Address address;
  address.family = Address::Family::local;
  address.path = "/tmp/lb-connect-" + std::to_string(getpid());
  ConnectSpec spec;
  spec.address = address;
  ConnId nobody = world.settle_connect(spec);
  assert_true(world[nobody].status == Status::CONNECT);
  assert_contains(world[nobody].message, "there is no unix:/tmp/lb-connect-");
  ListenerId listener = world.net().listen(7, address).value();
  assert_true(world.net().bound(listener) == address);
  ConnId conn = world.settle_connect(spec);
  world.until([&] { return !world.accepted.empty(); });
  ConnId server = world.accepted[0];
  world.net().read(server, true);
  std::string sent = pattern(1 << 20);
  size_t pending = world.write(conn, sent);
  world.until([&] { return world[server].bytes == sent.size() && world[conn].written == pending; });
  assert_true(world[server].data == sent);
  world.net().close(conn, true);
  world.until([&] { return world[server].ended; });
}

void path_of_a_unix_socket_is_bounded(void**) {
  World world;
  ConnectSpec spec;
  spec.address.family = Address::Family::local;
  size_t most = sizeof(sockaddr_un{}.sun_path) - 1;
  for (size_t size : {size_t{0}, most, most + 1}) {
    spec.address.path = size == 0 ? "" : "/tmp/" + std::string(size - 5, 'x');
    ConnId conn = world.settle_connect(spec);
    assert_true(world[conn].status == Status::CONNECT);
    assert_contains(world[conn].message, size == most ? "there is no" : "empty, or longer than the system takes");
    auto listener = world.net().listen(1, spec.address);
    assert_int_equal(listener.ok(), size == most);
    if (listener) world.net().unlisten(listener.value());
  }
}

// --- CONNECT ---

struct Proxied {
  World world;
  PeerListener listener;
  ConnId conn = 0;
  std::unique_ptr<Peer> proxy;
  std::string request;

  explicit Proxied(ConnectSpec spec = {}) {
    spec.address = listener.address;
    if (spec.tunnel.empty()) spec.tunnel = "api.test:443";
    conn = world.net().connect(3, spec);
    proxy = std::make_unique<Peer>(listener.take());
    world.settle(2);
    request = proxy->receive();
  }
  // The message with which the connection failed.
  const std::string& fails(std::string_view answer) {
    if (answer.empty())
      proxy->close();
    else
      proxy->send(answer);
    world.until([&] { return world[conn].closed; });
    assert_true(world[conn].status == Status::CONNECT);
    assert_contains(world[conn].message, "the proxy " + to_string(listener.address));
    return world[conn].message;
  }
};

void tunnel(void**) {
  Proxied to;
  assert_string_equal(to.request.c_str(), "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n");
  for (std::string_view part : {"HTTP/1.1 200 Connection established\r", "\nVia: x\r\n\r", "\nfirst words"}) {
    assert_false(to.world[to.conn].connected);
    to.proxy->send(part);
    to.world.settle(5);
  }
  to.world.until([&] { return to.world[to.conn].connected; });
  to.world.settle(5);
  assert_int_equal(to.world[to.conn].bytes, 0);  // Reading is off.
  assert_int_equal(to.world.write(to.conn, "request"), 0);
  assert_string_equal(to.proxy->receive().c_str(), "request");
  to.proxy->send(", more words");
  to.world.settle(5);
  to.world.net().read(to.conn, true);
  to.world.until([&] { return to.world[to.conn].data == "first words, more words"; });
  to.proxy->close();
  to.world.until([&] { return to.world[to.conn].ended; });
}

void tunnel_authorized(void**) {
  ConnectSpec spec;
  spec.tunnel = "[::1]:8443";
  spec.tunnel_authorization = "Basic c2VjcmV0";
  Proxied to(spec);
  assert_string_equal(to.request.c_str(), "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n"
                                          "Proxy-Authorization: Basic c2VjcmV0\r\n\r\n");
  const std::string& text = to.fails("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  assert_contains(text, "refused the tunnel to [::1]:8443: 407 Proxy Authentication Required; write http://user");
  assert_true(text.find("c2VjcmV0") == std::string::npos);
}

void tunnel_refused(void**) {
  assert_contains(Proxied().fails("HTTP/1.0 403 Forbidden\r\n\r\n"), "403 Forbidden; allow that host");
  assert_contains(Proxied().fails("HTTP/1.1 502 \x1b[31mBad\r\n\r\n"), "502 ?[31mBad");
  assert_contains(Proxied().fails("HTTP/1.1 100 Continue\r\n\r\n"), "refused");
  assert_contains(Proxied().fails("SSH-2.0-OpenSSH_9\r\n\r\n"), "did not answer CONNECT in HTTP");
  assert_contains(Proxied().fails("HTTP/1.1 abc\r\n\r\n"), "did not answer CONNECT in HTTP");
  assert_contains(Proxied().fails(""), "closed the connection before it answered CONNECT");
}

void tunnel_head_is_bounded(void**) {
  std::string head = "HTTP/1.1 200 OK\r\nX: ";
  head += std::string(Loop::kTunnelHeadMax - head.size() - 4, 'x');
  Proxied at;
  at.proxy->send(head + "\r\n\r\nearly");
  at.world.until([&] { return at.world[at.conn].connected; });
  at.world.net().read(at.conn, true);
  at.world.until([&] { return at.world[at.conn].data == "early"; });
  assert_contains(Proxied().fails(head + "x\r\n\r\n"), "a head of more than 8192 bytes");
  assert_contains(Proxied().fails(head + std::string(100'000, 'x')), "a head of more than 8192 bytes");
}

// Through a proxy on a thread, then TLS.
void tunnel_with_tls(void**) {
  Random random;
  Identity ca = issue(random, {.subject = "CN=CA", .authority = true});
  Identity own = issue(random, {.subject = "CN=server", .names = {"api.test"}}, &ca);
  TlsServer server({.identity = own, .script = [](TlsServer::Visit& visit) {
    std::string bytes = visit.read();
    visit.write("echo " + bytes);
    visit.notify();
  }});
  World world;
  PeerListener listener;
  ConnectSpec spec;
  spec.address = listener.address;
  spec.tunnel = "api.test:443";
  TlsSpec tls;
  tls.server_name = "api.test";
  tls.ca_pem = ca.cert_pem;
  spec.tls = std::make_shared<const TlsSpec>(tls);
  ConnId conn = world.net().connect(1, spec);
  Peer near(listener.take());
  Peer far(Peer::dial(server.address()));
  world.settle(2);
  near.receive();
  near.send("HTTP/1.1 200 OK\r\n\r\n");
  bool asked = false;
  world.until([&] {
    while (near.readable()) {
      std::string bytes = near.receive();
      if (bytes.empty()) break;
      far.send(bytes);
    }
    while (far.readable()) {
      std::string bytes = far.receive();
      if (bytes.empty()) break;
      near.send(bytes);
    }
    if (world[conn].connected && !asked) {
      asked = true;
      world.net().read(conn, true);
      world.write(conn, "hello");
    }
    return world[conn].ended;
  });
  assert_string_equal(world[conn].data.c_str(), "echo hello");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(refused),
      cmocka_unit_test(never_connected_to_itself),
      cmocka_unit_test(over_a_unix_socket),
      cmocka_unit_test(path_of_a_unix_socket_is_bounded),
      cmocka_unit_test(tunnel),
      cmocka_unit_test(tunnel_authorized),
      cmocka_unit_test(tunnel_refused),
      cmocka_unit_test(tunnel_head_is_bounded),
      cmocka_unit_test(tunnel_with_tls),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
