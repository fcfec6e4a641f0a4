#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "world.h"

namespace {

using namespace lb;
using namespace lb::test;

Address local(const char* name) {
  Address address;
  address.family = Address::Family::local;
  address.path = "/tmp/lb-" + std::string(name) + "-" + std::to_string(getpid());
  return address;
}

bool exists(const Address& address) {
  struct stat file;
  return lstat(address.path.c_str(), &file) == 0;
}

void port_zero_takes_any(void**) {
  World world;
  ListenerId one = world.listen(), two = world.listen();
  assert_true(one != 0 && one != two);
  Address bound = world.net().bound(one);
  assert_true(bound.port != 0 && bound.port != world.net().bound(two).port);
  assert_string_equal(to_string(bound).c_str(), ("127.0.0.1:" + std::to_string(bound.port)).c_str());
  Address v6;
  v6.family = Address::Family::v6;
  v6.ip[15] = 1;
  if (auto listener = world.net().listen(1, v6); listener) {  // Where there is IPv6.
    ConnId conn = world.connect(world.net().bound(listener.value()));
    world.until([&] { return world[conn].connected; });
  }
  assert_true(world.net().bound(12345).port == 0);
}

void in_use(void**) {
  World world;
  ListenerId listener = world.listen();
  Address taken = world.net().bound(listener);
  auto second = world.net().listen(1, taken);
  assert_false(second.ok());
  assert_contains(second.error().message, to_string(taken) + " is in use");
  world.net().unlisten(listener);
  assert_true(world.net().listen(1, taken).ok());  // Free at once.
  Address elsewhere;
  elsewhere.ip = {192, 0, 2, 1};  // Of nobody (RFC 5737).
  assert_contains(world.net().listen(1, elsewhere).error().message, "not an address of this machine");
  Address nowhere = local("x");
  nowhere.path = "/nonexistent/lb.sock";
  assert_contains(world.net().listen(1, nowhere).error().message, "the folder of unix:/nonexistent/lb.sock");
}

void unlisten_refuses(void**) {
  World world;
  ListenerId listener = world.listen();
  Address address = world.net().bound(listener);
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  world.net().unlisten(listener);
  world.net().unlisten(listener);
  world.net().accept(listener, true);
  ConnId refused = world.connect(address);
  world.until([&] { return world[refused].closed; });
  world.net().read(server, true);  // What was accepted stays.
  world.write(client, "x");
  world.until([&] { return world[server].data == "x"; });
}

void accept_pauses(void**) {
  World world;
  ListenerId listener = world.listen();
  world.net().accept(listener, false);
  ConnId client = world.connect(world.net().bound(listener));
  world.until([&] { return world[client].connected; });  // The system's backlog took it.
  world.settle();
  assert_true(world.accepted.empty());
  world.net().accept(listener, true);
  world.until([&] { return world.accepted.size() == 1; });
  world.net().accept(listener, false);
  world.net().accept(listener, true);
  world.connect(world.net().bound(listener));
  world.until([&] { return world.accepted.size() == 2; });
}

// More clients than a turn takes are taken by the next ones.
void accepts_of_a_turn_are_bounded(void**) {
  static size_t most, had;
  most = had = 0;
  World world;
  ListenerId listener = world.listen();
  world.net().accept(listener, false);
  constexpr size_t kClients = 2 * Loop::kAcceptsPerTurn + 1;
  std::vector<std::unique_ptr<Peer>> peers;
  Address address = world.net().bound(listener);
  for (size_t i = 0; i < kClients; i++) peers.push_back(std::make_unique<Peer>(Peer::dial(address)));
  world.on_turn = [](World& w) {
    most = std::max(most, w.accepted.size() - had);
    had = w.accepted.size();
  };
  world.net().accept(listener, true);
  world.until([&] { return world.accepted.size() == kClients; });
  assert_int_equal(most, Loop::kAcceptsPerTurn);
}

// Out of descriptors, clients wait instead of being dropped, and the loop does not spin.
void out_of_descriptors(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer peer(Peer::dial(world.net().bound(listener)));
  rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  int highest = fcntl(0, F_DUPFD, 0);
  ::close(highest);
  rlimit none{static_cast<rlim_t>(highest), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  world.settle(20);
  assert_true(world.accepted.empty());
  int timeout = world.net().timeout_ms();
  assert_true(timeout > 0 && timeout <= Loop::kAcceptPause.ms_ceil());
  ConnId outward = world.connect(world.net().bound(listener));
  world.until([&] { return world[outward].closed; });
  assert_contains(world[outward].message, "raise the limit of open files");
  assert_true(world[outward].status == Status::FULL);  // No fault of the peer.
  setrlimit(RLIMIT_NOFILE, &before);
  world.until([&] { return world.accepted.size() == 1; });
  world.net().read(world.accepted[0], true);
  peer.send("patient");
  world.until([&] { return world[world.accepted[0]].data == "patient"; });
}

void file_of_a_unix_socket(void**) {
  Address address = local("file");
  {
    World world;
    ListenerId listener = world.net().listen(1, address).value();
    assert_true(exists(address));
    auto second = world.net().listen(1, address);  // It lives.
    assert_contains(second.error().message, "in use by another server");
    world.net().unlisten(listener);
    assert_false(exists(address));
    assert_true(world.net().listen(1, address).ok());
  }
  assert_false(exists(address));
}

void stale_file_is_removed(void**) {
  Address address = local("stale");
  sockaddr_storage name;
  socklen_t size = to_sockaddr(address, name);
  int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(dead, reinterpret_cast<sockaddr*>(&name), size), 0);
  ::close(dead);
  assert_true(exists(address));
  World world;
  ListenerId listener = world.net().listen(1, address).value();
  ConnId conn = world.connect(address);
  world.until([&] { return world[conn].connected && world.accepted.size() == 1; });
  // Somebody else has taken the path over: that file is not ours to remove.
  unlink(address.path.c_str());
  int other = open(address.path.c_str(), O_CREAT | O_WRONLY, 0600);
  ::close(other);
  world.net().unlisten(listener);
  assert_true(exists(address));
  assert_contains(world.net().listen(1, address).error().message, "in use");  // No socket: not removed either.
  assert_true(exists(address));
  unlink(address.path.c_str());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(port_zero_takes_any),
      cmocka_unit_test(in_use),
      cmocka_unit_test(unlisten_refuses),
      cmocka_unit_test(accept_pauses),
      cmocka_unit_test(accepts_of_a_turn_are_bounded),
      cmocka_unit_test(out_of_descriptors),
      cmocka_unit_test(file_of_a_unix_socket),
      cmocka_unit_test(stale_file_is_removed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
