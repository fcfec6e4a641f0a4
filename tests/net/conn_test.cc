#include <algorithm>

#include "world.h"

namespace {

using namespace lb;
using namespace lb::test;

void connects_and_carries_bytes(void**) {
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  assert_int_equal(world[client].tag, 1);
  assert_int_equal(world[server].tag, 7);
  world.net().adopt(server, 99);
  world.net().read(server, true);
  world.net().read(client, true);
  assert_int_equal(world.write(client, "ping"), 0);
  world.until([&] { return world[server].data == "ping"; });
  assert_int_equal(world[server].tag, 99);
  assert_int_equal(world.write(server, "pong"), 0);
  world.until([&] { return world[client].data == "pong"; });
  world.net().close(client, false);
  world.until([&] { return world[server].ended; });
  world.net().close(server, false);
}

void ids_are_not_used_again(void**) {
  World world;
  ListenerId listener = world.listen();
  std::vector<ConnId> ids;
  for (int i = 0; i < 20; i++) {
    World::Pair ends = world.pair(listener);
    ConnId client = ends.client, server = ends.server;
    world.net().close(client, false);
    world.net().close(server, false);
    world.settle(1);
    ids.push_back(client);
    ids.push_back(server);
  }
  std::sort(ids.begin(), ids.end());
  assert_true(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  assert_true(ids.front() != 0);
}

// Bytes that the socket does not take are pending, and each of them is reported once.
void pending_is_written(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer slow(Peer::dial(world.net().bound(listener), 4096));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  std::string sent = pattern(8 << 20);
  size_t pending = world.write(conn, sent);
  assert_true(pending > 0 && pending < sent.size());
  std::string more = pattern(100'000, 2);
  assert_int_equal(world.write(conn, more), more.size());  // Behind the others, all of it.
  pending += more.size();
  world.settle();
  assert_int_equal(world[conn].written, 0);
  std::string received;
  while (received.size() < sent.size() + more.size()) {
    received += slow.receive();
    world.turn(0);
  }
  world.until([&] { return world[conn].written == pending; });
  assert_true(received == sent + more);
  assert_int_equal(world.write(conn, "x"), 0);
  world.settle();
  assert_int_equal(world[conn].written, pending);
}

// Many small chunks, more than one system call takes.
void chunks_stay_in_order(void**) {
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  world.net().read(server, true);
  Chain chain;
  std::string all;
  for (int i = 0; i < 3000; i++) {
    std::string part = "<" + std::to_string(i) + ">";
    all += part;
    chain.push(Chunk::copy(part));
  }
  assert_int_equal(world.net().write(client, std::move(chain)), 0);
  world.until([&] { return world[server].bytes == all.size(); });
  assert_true(world[server].data == all);
}

void half_close(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer peer(Peer::dial(world.net().bound(listener)));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  world.net().read(conn, true);
  peer.send("last words");
  shutdown(peer.fd(), SHUT_WR);
  world.until([&] { return world[conn].ended; });
  assert_string_equal(world[conn].data.c_str(), "last words");
  assert_false(world[conn].closed);
  assert_int_equal(world.write(conn, "answer"), 0);
  assert_string_equal(peer.receive().c_str(), "answer");
  world.net().close(conn, true);
  assert_string_equal(peer.receive().c_str(), "");
}

void reset_is_noticed(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer peer(Peer::dial(world.net().bound(listener)));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  world.net().read(conn, true);
  world.settle(1);
  peer.reset();
  world.until([&] { return world[conn].closed; });
  assert_true(world[conn].status == Status::BROKEN);
  assert_contains(world[conn].message, "reset by");
}

void reset_while_reading_is_off(void**) {
  World world;
  ListenerId listener = world.listen();
  for (bool by_write : {false, true}) {
    Peer peer(Peer::dial(world.net().bound(listener)));
    size_t before = world.accepted.size();
    world.until([&] { return world.accepted.size() > before; });
    ConnId conn = world.accepted.back();
    peer.reset();
    world.settle(5);
    if (by_write)
      assert_int_equal(world.write(conn, "x"), 0);
    else
      world.net().read(conn, true);
    world.until([&] { return world[conn].closed; });
    assert_true(world[conn].status == Status::BROKEN);
  }
}

// A server that answers early and closes: its answer is not lost to the write that fails.
void early_answer_survives_a_failed_write(void**) {
  World world;
  PeerListener listener;
  ConnId conn = world.connect(listener.address);
  world.until([&] { return world[conn].connected; });
  Peer peer(listener.take());
  world.write(conn, "unread");
  peer.send("413");
  world.settle(5);
  peer.close();  // With bytes unread: a RST.
  world.net().read(conn, true);
  for (int i = 0; i < 3; i++) world.write(conn, "more");
  world.until([&] { return world[conn].closed; });
  assert_true(world[conn].status == Status::BROKEN);
  assert_false(world[conn].ended);
  assert_string_equal(world[conn].data.c_str(), "413");
}

// While reading is off nothing comes, and the peer is held back.
void read_off_pushes_back(void**) {
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  world.keep = false;
  std::string much = pattern(64 << 20);
  size_t pending = world.write(client, much);
  world.settle();
  assert_int_equal(world[server].bytes, 0);
  assert_true(world[client].written < pending);
  world.net().read(server, true);
  world.until([&] { return world[server].bytes > 0; });
  world.net().read(server, false);
  size_t had = world[server].bytes;
  world.settle();
  assert_int_equal(world[server].bytes, had);
  assert_true(world[client].written < pending);
  world.net().read(server, true);
  world.until([&] { return world[server].bytes == much.size() && world[client].written == pending; });
}

// Between two turns no connection brings more than its share.
void reads_of_a_turn_are_bounded(void**) {
  static size_t most, had;
  most = had = 0;
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  static ConnId watched;
  watched = server;
  world.write(client, pattern(4 << 20));
  world.settle();
  world.on_turn = [](World& w) {
    most = std::max(most, w[watched].bytes - had);
    had = w[watched].bytes;
  };
  world.net().read(server, true);
  world.until([&] { return world[server].bytes == 4 << 20; });
  assert_true(most >= Loop::kReadPerTurn);
  assert_true(most < 2 * Loop::kReadPerTurn);
}

// Before it is connected: then from its first byte on.
void read_is_asked_for_early(void**) {
  World world;
  PeerListener listener;
  ConnId conn = world.connect(listener.address);
  world.net().read(conn, true);
  Peer peer(listener.take());
  peer.send("first");
  world.until([&] { return world[conn].data == "first"; });
  assert_true(world[conn].connected);
}

// Switched off and on within a turn: nothing is lost.
void switching_loses_nothing(void**) {
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  static ConnId watched;
  watched = server;
  world.on_turn = [](World& w) {
    w.net().read(watched, w.turns % 3 != 0);
    w.net().wake_at(w.turned);
  };
  std::string sent = pattern(3 << 20);
  size_t pending = world.write(client, sent);
  world.net().poke();
  world.until([&] { return world[server].bytes == sent.size() && world[client].written == pending; });
  assert_true(world[server].data == sent);
}

void close_flushes(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer slow(Peer::dial(world.net().bound(listener), 4096));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  slow.send("a request that is never read");
  std::string sent = pattern(6 << 20);
  assert_true(world.write(conn, sent) > 0);
  world.net().close(conn, true);
  assert_int_equal(world.write(conn, "x"), 0);
  std::string received;
  for (;;) {
    std::string part = slow.receive();
    if (part.empty()) break;
    assert_string_not_equal(part.c_str(), "!");
    received += part;
    world.turn(0);
  }
  assert_true(received == sent);
  slow.close();
  world.settle(5);
  assert_int_equal(world[conn].written, 0);
  assert_false(world[conn].ended);
}

// A client that goes on sending still gets the answer, and not a RST before it.
void close_lingers(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer peer(Peer::dial(world.net().bound(listener)));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  peer.send(pattern(200'000));
  world.write(conn, "413");
  world.net().close(conn, true);
  world.settle(5);
  peer.send(pattern(Loop::kLingerBytesMax - 200'000));  // At the bound.
  world.settle(5);
  assert_string_equal(peer.receive().c_str(), "413");
  assert_string_equal(peer.receive().c_str(), "");
  peer.send("!");  // One over.
  world.settle(5);
  // Closed for good: what is sent now meets a RST.
  world.until([&] { return ::send(peer.fd(), "?", 1, MSG_NOSIGNAL) < 0; });
}

// A peer that reads nothing, and one that never ends, do not hold a socket for ever.
void closing_is_bounded(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer deaf(Peer::dial(world.net().bound(listener), 4096)), endless(Peer::dial(world.net().bound(listener)));
  world.until([&] { return world.accepted.size() == 2; });
  assert_true(world.write(world.accepted[0], pattern(8 << 20)) > 0);
  Instant start = Loop::now();
  for (ConnId conn : world.accepted) world.net().close(conn, true);
  assert_string_equal(endless.receive().c_str(), "");
  // A socket that is closed answers with a RST.
  world.until([&] { return ::send(endless.fd(), "?", 1, MSG_NOSIGNAL) < 0; });
  assert_true(Loop::now() - start >= Loop::kLingerMax);
  world.until([&] { return ::send(deaf.fd(), "?", 1, MSG_NOSIGNAL) < 0; });
  assert_true(Loop::now() - start >= Loop::kFlushMax);
}

void close_without_flush_drops(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer slow(Peer::dial(world.net().bound(listener), 4096));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  std::string sent = pattern(8 << 20);
  size_t pending = world.write(conn, sent);
  world.net().close(conn, false);
  world.settle(5);
  size_t received = 0;
  for (std::string part = slow.receive(); part.size() > 1; part = slow.receive()) received += part.size();
  assert_true(received <= sent.size() - pending);
  assert_int_equal(world[conn].written, 0);
}

void many_connections(void**) {
  World world;
  ListenerId listener = world.listen();
  constexpr size_t kMany = 1000;
  std::vector<ConnId> clients;
  for (size_t i = 0; i < kMany; i++) clients.push_back(world.connect(world.net().bound(listener)));
  world.until([&] {
    return world.accepted.size() == kMany &&
           std::all_of(clients.begin(), clients.end(), [&](ConnId id) { return world[id].connected; });
  });
  for (ConnId id : world.accepted) world.net().read(id, true);
  for (ConnId id : clients) world.net().read(id, true);
  for (ConnId id : clients) world.write(id, "hello from " + std::to_string(id));
  world.until([&] {
    return std::all_of(world.accepted.begin(), world.accepted.end(), [&](ConnId id) { return world[id].bytes > 0; });
  });
  for (ConnId id : world.accepted) world.write(id, world[id].data);
  world.until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [&](ConnId id) { return world[id].data == "hello from " + std::to_string(id); });
  });
  for (size_t i = 0; i < kMany; i += 2) world.net().close(clients[i], false);
  world.until([&] {
    return std::count_if(world.accepted.begin(), world.accepted.end(), [&](ConnId id) { return world[id].ended; }) ==
           kMany / 2;
  });
}

// Closed in the turn in which a write failed: nothing comes any more.
void nothing_after_close(void**) {
  World world;
  ListenerId listener = world.listen();
  Peer peer(Peer::dial(world.net().bound(listener)));
  world.until([&] { return !world.accepted.empty(); });
  ConnId conn = world.accepted[0];
  peer.reset();
  world.settle(5);
  world.write(conn, "x");
  world.net().close(conn, false);
  world.settle(5);
  assert_false(world[conn].closed);
  ConnId going = world.connect(world.net().bound(listener));
  world.net().close(going, false);
  world.settle(5);
  assert_false(world[going].connected);
}

void loop_goes_with_everything_open(void**) {
  World world;
  ListenerId listener = world.listen();
  World::Pair ends = world.pair(listener);
  ConnId client = ends.client, server = ends.server;
  world.net().read(client, true);
  world.write(client, pattern(16 << 20));
  world.connect(world.net().bound(listener));
  world.net().resolve(1, "localhost", 1);
  world.net().close(server, true);
  world.drop_loop();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(connects_and_carries_bytes),
      cmocka_unit_test(ids_are_not_used_again),
      cmocka_unit_test(pending_is_written),
      cmocka_unit_test(chunks_stay_in_order),
      cmocka_unit_test(half_close),
      cmocka_unit_test(reset_is_noticed),
      cmocka_unit_test(reset_while_reading_is_off),
      cmocka_unit_test(early_answer_survives_a_failed_write),
      cmocka_unit_test(read_off_pushes_back),
      cmocka_unit_test(reads_of_a_turn_are_bounded),
      cmocka_unit_test(read_is_asked_for_early),
      cmocka_unit_test(switching_loses_nothing),
      cmocka_unit_test(close_flushes),
      cmocka_unit_test(close_lingers),
      cmocka_unit_test(closing_is_bounded),
      cmocka_unit_test(close_without_flush_drops),
      cmocka_unit_test(many_connections),
      cmocka_unit_test(nothing_after_close),
      cmocka_unit_test(loop_goes_with_everything_open),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
