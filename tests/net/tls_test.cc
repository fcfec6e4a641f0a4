#include <algorithm>

#include "tls_server.h"

namespace {

using namespace lb;
using namespace lb::test;

// Everything that is issued once for all tests.
struct Papers {
  Random random;
  Identity ca = issue(random, {.subject = "CN=test CA", .authority = true});
  Identity other_ca = issue(random, {.subject = "CN=other CA", .authority = true});
  Identity good = issue(random, {.subject = "CN=server", .names = {"api.test", "*.wild.test"},
                                 .ips = {std::string("\x7f\0\0\1", 4)}}, &ca);
  Identity expired = issue(random, {.subject = "CN=old", .names = {"api.test"}, .to = "20210203000000"}, &ca);
  Identity future = issue(random, {.subject = "CN=new", .names = {"api.test"}, .from = "20490506000000"}, &ca);
  Identity foreign = issue(random, {.subject = "CN=foreign", .names = {"api.test"}}, &other_ca);
  Identity client = issue(random, {.subject = "CN=client"}, &ca);
};

const Papers& papers(void** state) { return *static_cast<Papers*>(*state); }

TlsSpec trusting(const Papers& with, const char* name = "api.test") {
  TlsSpec spec;
  spec.server_name = name;
  spec.ca_pem = with.ca.cert_pem;
  return spec;
}

ConnectSpec to(const Address& address, TlsSpec tls) {
  ConnectSpec spec;
  spec.address = address;
  spec.tls = std::make_shared<const TlsSpec>(std::move(tls));
  return spec;
}

void echo(TlsServer::Visit& visit) {
  for (std::string bytes = visit.read(); !bytes.empty(); bytes = visit.read())
    if (!visit.write(bytes)) return;
  visit.notify();
}

// Connects to a server with that identity; the message of the failure, or "".
std::string attempt(const Identity& identity, TlsSpec tls, TlsServer::Setup more = {}) {
  more.identity = identity;
  TlsServer server(std::move(more));
  World world;
  ConnId conn = world.settle_connect(to(server.address(), std::move(tls)));
  if (world[conn].connected) return "";
  assert_true(world[conn].status == Status::TLS);
  assert_contains(world[conn].message, to_string(server.address()));
  return world[conn].message;
}

void good(void** state) {
  TlsServer server({.identity = papers(state).good, .script = [](TlsServer::Visit& visit) {
    visit.write("hello, " + visit.server_name + " by " + mbedtls_ssl_get_version(&visit.ssl) + ": ");
    echo(visit);
  }});
  World world;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  assert_true(world[conn].connected);
  world.settle();
  assert_int_equal(world[conn].bytes, 0);  // Reading is off.
  world.net().read(conn, true);
  world.until([&] { return world[conn].bytes > 0; });
  Chain chain;
  for (std::string_view part : {"in ", "three ", "parts"}) chain.push(Chunk::copy(part));
  assert_int_equal(world.net().write(conn, std::move(chain)), 0);
  std::string expected = "hello, api.test by TLSv1.2: in three parts";
  world.until([&] { return world[conn].data.size() >= expected.size(); });
  assert_string_equal(world[conn].data.c_str(), expected.c_str());
  world.net().close(conn, true);
  world.settle(5);
}

void wildcard_and_address(void** state) {
  assert_string_equal(attempt(papers(state).good, trusting(papers(state), "eu.wild.test")).c_str(), "");
  assert_string_equal(attempt(papers(state).good, trusting(papers(state), "127.0.0.1")).c_str(), "");
}

void wrong_host(void** state) {
  std::string text = attempt(papers(state).good, trusting(papers(state), "api.prod"));
  assert_contains(text, "is for api.test, *.wild.test, 127.0.0.1, not for api.prod");
  assert_contains(attempt(papers(state).good, trusting(papers(state), "127.0.0.2")), "not for 127.0.0.2");
  assert_contains(attempt(papers(state).good, trusting(papers(state), "::1")), "not for ::1");
  assert_contains(attempt(papers(state).client, trusting(papers(state), "::1")), "is for no name at all");
}

void expired_and_future(void** state) {
  assert_contains(attempt(papers(state).expired, trusting(papers(state))), "has expired (its own on 2021-02-03)");
  assert_contains(attempt(papers(state).future, trusting(papers(state))), "not valid yet (its own from 2049-05-06)");
}

void unknown_ca(void** state) {
  assert_contains(attempt(papers(state).foreign, trusting(papers(state))), "not signed by a CA that is trusted");
  TlsSpec lax = trusting(papers(state));
  lax.verify = false;
  assert_string_equal(attempt(papers(state).foreign, lax).c_str(), "");
  lax.ca_pem.clear();
  assert_string_equal(attempt(papers(state).expired, lax).c_str(), "");
}

void client_certificate(void** state) {
  TlsServer::Setup demanding{.identity = papers(state).good, .client_ca = papers(state).ca.cert_pem, .visits = 3};
  TlsServer server(demanding);
  World world;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  assert_true(world[conn].closed && world[conn].status == Status::TLS);
  assert_contains(world[conn].message, "wants a client certificate");
  TlsSpec with = trusting(papers(state));
  with.cert_pem = papers(state).client.cert_pem;
  with.key_pem = papers(state).client.key_pem;
  conn = world.settle_connect(to(server.address(), with));
  assert_true(world[conn].connected);
  world.until([&] { return server.client_certificates == 1; });
  with.cert_pem = papers(state).foreign.cert_pem;
  with.key_pem = papers(state).foreign.key_pem;
  conn = world.settle_connect(to(server.address(), with));
  assert_true(world[conn].closed && world[conn].status == Status::TLS);
}

void spec_that_cannot_be_used(void** state) {
  struct Case {
    const char* says;
    std::function<void(TlsSpec&)> spoil;
  };
  const Case cases[] = {
      {"tls.ca is not a list of certificates", [](TlsSpec& spec) { spec.ca_pem = "nonsense"; }},
      {"tls.cert is not a certificate", [](TlsSpec& spec) { spec.cert_pem = "nonsense"; }},
      {"tls.key is not a private key", [](TlsSpec& spec) { spec.key_pem = "nonsense"; }},
      {"tls.key does not belong to tls.cert", [&](TlsSpec& spec) { spec.key_pem = papers(state).good.key_pem; }},
  };
  for (const Case& c : cases) {
    TlsSpec spec = trusting(papers(state));
    spec.cert_pem = papers(state).client.cert_pem;
    spec.key_pem = papers(state).client.key_pem;
    c.spoil(spec);
    assert_contains(attempt(papers(state).good, spec), c.says);
  }
}

void bundles(void** state) {
  auto spec = std::make_shared<TlsSpec>();
  spec->server_name = "api.test";
  const char* nowhere[] = {"/nonexistent/a.pem", "/nonexistent/b.pem"};
  TlsContexts none(nowhere);
  auto context = none.find(spec);
  assert_false(context.ok());
  assert_contains(context.error().message, "/nonexistent/a.pem, /nonexistent/b.pem");
  assert_contains(context.error().message, "install the package ca-certificates");

  char path[] = "/tmp/lb-bundle-XXXXXX";
  int fd = mkstemp(path);
  const std::string& pem = papers(state).ca.cert_pem;
  assert_int_equal(::write(fd, pem.data(), pem.size()), pem.size());
  const char* second[] = {"/nonexistent/a.pem", path};
  TlsContexts found(second);
  context = found.find(spec);
  assert_true(context.ok());
  assert_true(found.find(spec).value() == context.value());  // Parsed once.
  ::close(fd);
  ::unlink(path);
}

void sessions_are_resumed(void** state) {
  TlsServer server({.identity = papers(state).good, .visits = 5, .script = echo});
  World world;
  ConnectSpec spec = to(server.address(), trusting(papers(state)));
  ConnectSpec stranger = to(server.address(), trusting(papers(state)));
  int visits = 0;
  for (const ConnectSpec* each : {&spec, &spec, &spec, &stranger, &spec}) {
    server.forgetful = visits == 4;
    ConnId conn = world.settle_connect(*each);
    assert_true(world[conn].connected);
    world.net().read(conn, true);
    world.write(conn, "hello");
    world.until([&] { return world[conn].data == "hello"; });
    world.net().close(conn, true);
    visits++;
    assert_int_equal(server.handshakes, visits);
    assert_int_equal(server.resumed, std::min(visits - 1, 2));  // Another spec shares nothing.
  }
}

void not_tls(void** state) {
  PeerListener listener;
  World world;
  ConnId conn = world.net().connect(1, to(listener.address, trusting(papers(state))));
  world.settle(1);
  Peer peer(listener.take());
  peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  world.until([&] { return world[conn].closed; });
  assert_true(world[conn].status == Status::TLS);
  assert_contains(world[conn].message, "does not speak TLS: it said \"HTTP/1.1 400 Bad Request");
}

// Starts like TLS and is none.
void garbage(void** state) {
  PeerListener listener;
  World world;
  using Bytes = std::string_view;
  for (Bytes bytes : {Bytes("\x16\x03\x03\xff\xff", 5), Bytes("\x16\x03\x03\0\4abcd", 9),
                      Bytes("\x15\x03\x03\0\2\2\x28", 7), Bytes("\x16zzzzzzzzz", 10)}) {
    ConnId conn = world.net().connect(1, to(listener.address, trusting(papers(state))));
    world.settle(1);
    Peer peer(listener.take());
    peer.send(bytes);
    world.until([&] { return world[conn].closed; });
    assert_true(world[conn].status == Status::TLS);
    if (bytes[0] == 0x15) assert_contains(world[conn].message, "handshake_failure");
  }
}

// A record that nobody has signed.
void forged_record(void** state) {
  TlsServer server({.identity = papers(state).good, .script = [](TlsServer::Visit& visit) {
    visit.write("true");
    visit.write_raw(std::string("\x17\x03\x03\0\x20", 5) + std::string(32, 'f'));
    visit.read();
  }});
  World world;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  world.net().read(conn, true);
  world.until([&] { return world[conn].closed; });
  assert_true(world[conn].status == Status::TLS);
  assert_string_equal(world[conn].data.c_str(), "true");
  assert_contains(world[conn].message, "broke: ");
}

void closed_in_the_handshake(void** state) {
  PeerListener listener;
  World world;
  for (bool reset : {false, true}) {
    ConnId conn = world.net().connect(1, to(listener.address, trusting(papers(state))));
    world.settle(1);
    Peer peer(listener.take());
    if (reset)
      peer.reset();
    else
      peer.close();
    world.until([&] { return world[conn].closed; });
    assert_true(world[conn].status == Status::TLS);
    assert_contains(world[conn].message, "in the middle of the TLS handshake");
  }
}

void stall_and_close(void** state) {
  PeerListener listener;
  World world;
  ConnId conn = world.net().connect(1, to(listener.address, trusting(papers(state))));
  Peer peer(listener.take());
  world.settle();
  assert_false(world[conn].connected || world[conn].closed);
  world.net().close(conn, false);
  world.settle(5);
  assert_true(!peer.receive().empty());  // The ClientHello.
  std::string end = peer.receive();
  assert_true(end.empty() || end == "!");
}

void old_protocol(void** state) {
  std::string text = attempt(papers(state).good, trusting(papers(state)), {.max_minor = MBEDTLS_SSL_MINOR_VERSION_2});
  assert_contains(text, "TLS 1.2");
}

// close_notify is an end; a FIN without it is a break.
void ends(void** state) {
  for (bool notify : {true, false}) {
    TlsServer server({.identity = papers(state).good, .script = [notify](TlsServer::Visit& visit) {
      visit.write("all there is");
      if (notify) visit.notify();
    }});
    World world;
    ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
    world.net().read(conn, true);
    world.until([&] { return world[conn].ended || world[conn].closed; });
    assert_string_equal(world[conn].data.c_str(), "all there is");
    assert_int_equal(world[conn].ended, notify);
    if (!notify) {
      assert_true(world[conn].status == Status::BROKEN);
      assert_contains(world[conn].message, "without TLS's close_notify");
    }
  }
}

constexpr size_t kBulk = 10 << 20;

void wait_for(const std::atomic<bool>& gate) {
  for (int i = 0; i < 10'000 && !gate; i++) usleep(1000);
}

// A reader that stops and starts, and a writer that outruns it: all bytes arrive, and they are counted right.
void bulk_both_ways(void** state) {
  std::atomic<bool> gate{false};
  TlsServer server({.identity = papers(state).good, .script = [&gate](TlsServer::Visit& visit) {
    wait_for(gate);
    std::string all;
    while (all.size() < kBulk) {
      std::string part = visit.read();
      if (part.empty()) return;
      all += part;
    }
    visit.write(all);
    visit.notify();
  }});
  World world;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  std::string sent = pattern(kBulk);
  size_t pending = 0;
  constexpr size_t kPiece = 300'000;
  for (size_t at = 0; at < kBulk; at += kPiece) pending += world.write(conn, std::string_view(sent).substr(at, kPiece));
  assert_true(pending > 0);
  gate = true;
  world.until([&] { return world[conn].written >= pending; });
  static ConnId watched;
  watched = conn;
  world.on_turn = [](World& w) {
    w.net().read(watched, w.turns % 4 != 0);
    w.net().wake_at(w.turned);
  };
  world.net().read(conn, true);
  world.until([&] { return world[conn].ended; });
  assert_int_equal(world[conn].written, pending);
  assert_true(world[conn].data == sent);
}

void off_holds_the_peer_back(void** state) {
  TlsServer server({.identity = papers(state).good, .script = [](TlsServer::Visit& visit) {
    std::string much = pattern(1 << 20);
    for (int i = 0; i < 64; i++)
      if (!visit.write(much)) return;
    visit.notify();
  }});
  World world;
  world.keep = false;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  world.net().read(conn, true);
  world.until([&] { return world[conn].bytes > 0; });
  world.net().read(conn, false);
  size_t had = world[conn].bytes;
  world.settle();
  assert_int_equal(world[conn].bytes, had);
  world.net().read(conn, true);
  world.until([&] { return world[conn].ended; });
  assert_int_equal(world[conn].bytes, 64 << 20);
}

// What is pending at `close(flush)` arrives, and close_notify behind it.
void close_flushes(void** state) {
  std::atomic<size_t> received{0};
  std::atomic<int> last{0};
  std::atomic<bool> gate{false};
  TlsServer server({.identity = papers(state).good, .script = [&](TlsServer::Visit& visit) {
    std::string part(16384, '\0');
    wait_for(gate);
    for (;;) {
      int n = mbedtls_ssl_read(&visit.ssl, reinterpret_cast<unsigned char*>(part.data()), part.size());
      if (n > 0) {
        received += static_cast<size_t>(n);
        continue;
      }
      last = n;
      return;
    }
  }});
  World world;
  ConnId conn = world.settle_connect(to(server.address(), trusting(papers(state))));
  assert_true(world.write(conn, pattern(kBulk)) > 0);
  world.net().close(conn, true);
  gate = true;
  world.until([&] { return last != 0; });
  assert_int_equal(received, kBulk);
  assert_int_equal(last, MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

int issue_papers(void** state) {
  *state = new Papers;
  return 0;
}

int burn_papers(void** state) {
  delete static_cast<Papers*>(*state);
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(good),
      cmocka_unit_test(wildcard_and_address),
      cmocka_unit_test(wrong_host),
      cmocka_unit_test(expired_and_future),
      cmocka_unit_test(unknown_ca),
      cmocka_unit_test(client_certificate),
      cmocka_unit_test(spec_that_cannot_be_used),
      cmocka_unit_test(bundles),
      cmocka_unit_test(sessions_are_resumed),
      cmocka_unit_test(not_tls),
      cmocka_unit_test(garbage),
      cmocka_unit_test(forged_record),
      cmocka_unit_test(closed_in_the_handshake),
      cmocka_unit_test(stall_and_close),
      cmocka_unit_test(old_protocol),
      cmocka_unit_test(ends),
      cmocka_unit_test(bulk_both_ways),
      cmocka_unit_test(off_holds_the_peer_back),
      cmocka_unit_test(close_flushes),
  };
  return cmocka_run_group_tests(tests, issue_papers, burn_papers);
}
