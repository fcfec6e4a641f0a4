#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "world.h"

namespace {

using namespace lb;
using namespace lb::test;

void time_goes_on(void**) {
  Instant before = Loop::now();
  usleep(1000);
  assert_true(Loop::now() - before >= Duration::from_ms(1));
  assert_true(Loop::unix_time_s() > 1'600'000'000);
  assert_true(Loop::random_seed() != Loop::random_seed());
}

// The timer is one, and the last word counts; a turn never comes before its time.
void wake_at(void**) {
  World world;
  world.net().turn_once();  // A new loop has its own descriptors to watch first.
  assert_int_equal(world.net().timeout_ms(), -1);
  Instant start = Loop::now();
  world.net().wake_at(start + Duration::from_s(3600));
  int timeout = world.net().timeout_ms();
  assert_true(timeout > 3'590'000 && timeout <= 3'600'001);
  for (int ms : {5, 1, 20, 0, 7}) {
    Instant due = Loop::now() + Duration::from_ms(ms);
    world.net().wake_at(due);
    size_t turns = world.turns;
    world.until([&] { return world.turns > turns; });
    assert_true(world.turned >= due);
    assert_int_equal(world.turns, turns + 1);
  }
  size_t turns = world.turns;
  world.settle();
  assert_int_equal(world.turns, turns);  // Once.
}

void wake_at_is_replaced(void**) {
  World world;
  Instant now = Loop::now();
  world.net().wake_at(now + Duration::from_ms(1));
  world.net().timeout_ms();  // Armed.
  world.net().wake_at(now + Duration::from_ms(60));
  world.until([&] { return world.turns > 0; });
  assert_true(world.turned >= now + Duration::from_ms(60));
  world.net().wake_at(Loop::now() + Duration::from_ms(1));
  world.net().wake_at(Instant::never());
  world.settle();
  assert_int_equal(world.turns, 1);
  world.net().wake_at(Instant{});  // Long past.
  assert_int_equal(world.net().timeout_ms(), 0);
  world.net().turn_once();
  assert_int_equal(world.turns, 2);
}

void no_turn_without_work(void**) {
  World world;
  for (int i = 0; i < 10; i++) world.net().turn_once();
  assert_int_equal(world.turns, 0);
  world.net().poke();
  world.net().poke();
  world.until([&] { return world.turns > 0; });
  world.settle(5);
  assert_int_equal(world.turns, 1);
}

// The descriptor becomes readable for each kind of work: what a host's own loop relies on.
void descriptor_tells(void**) {
  World world;
  ListenerId listener = world.listen();
  auto readable = [&](int wait_ms) {
    pollfd ready{world.net().fd(), POLLIN, 0};
    return poll(&ready, 1, wait_ms) == 1;
  };
  auto drained = [&] {
    while (world.net().timeout_ms() == 0 || readable(0)) world.net().turn_once();
    return !readable(0);
  };
  assert_true(drained());
  world.net().poke();
  assert_true(readable(1000));
  assert_true(drained());
  Peer peer(Peer::dial(world.net().bound(listener)));
  assert_true(readable(1000));
  assert_true(drained());
  assert_int_equal(world.accepted.size(), 1);
  peer.send("x");
  assert_false(readable(20));  // Reading is off.
  world.net().read(world.accepted[0], true);
  assert_true(world.net().timeout_ms() == 0 || readable(1000));
  assert_true(drained());
  assert_string_equal(world[world.accepted[0]].data.c_str(), "x");
  peer.send("y");
  assert_true(readable(1000));
  assert_true(drained());
  assert_string_equal(world[world.accepted[0]].data.c_str(), "xy");
  assert_int_equal(world.net().timeout_ms(), -1);
}

// The engine thread: run, pokes from other threads, stop, and again.
struct Counting final : TurnHost {
  void turn(std::vector<Completion>& completions, Instant) override {
    turns.fetch_add(1);
    if (!work.exchange(false)) return;
    done.fetch_add(1);
    for (Completion& c : completions) static_cast<void>(c);
  }
  std::atomic<int> turns{0};
  std::atomic<int> done{0};
  std::atomic<bool> work{false};
};

void runs_on_a_thread(void**) {
  Counting host;
  std::unique_ptr<Loop> loop = std::move(Loop::open(host).value());
  for (int round = 0; round < 3; round++) {
    std::thread engine([&] { loop->run(); });
    std::vector<std::thread> pokers;
    for (int i = 0; i < 4; i++)
      pokers.emplace_back([&] {
        for (int n = 0; n < 500; n++) {
          host.work = true;
          loop->poke();
        }
      });
    for (std::thread& poker : pokers) poker.join();
    for (int i = 0; i < 10'000 && host.work; i++) usleep(1000);
    assert_false(host.work);  // The last poke was heard.
    loop->stop();
    engine.join();
  }
  assert_true(host.done > 0);
  assert_true(host.turns <= 3 * 2000 + 3);
}

void stop_before_run(void**) {
  Counting host;
  std::unique_ptr<Loop> loop = std::move(Loop::open(host).value());
  loop->stop();
  loop->run();
  std::thread stopper([&] {
    usleep(5000);
    loop->stop();
  });
  loop->run();
  stopper.join();
}

void stop_from_a_turn(void**) {
  static Loop* running;
  struct Stopping final : TurnHost {
    void turn(std::vector<Completion>&, Instant) override {
      if (++turns == 3) running->stop();
      running->wake_at(Loop::now());
    }
    int turns = 0;
  } host;
  std::unique_ptr<Loop> loop = std::move(Loop::open(host).value());
  running = loop.get();
  loop->wake_at(Loop::now());
  loop->run();
  assert_int_equal(host.turns, 3);
}

// A poke and a timer are served while a connection brings bytes without end.
void nothing_starves(void**) {
  World world;
  world.keep = false;
  ListenerId listener = world.listen();
  Address address = world.net().bound(listener);
  std::atomic<bool> over{false};
  std::thread flood([&] {
    Peer peer(Peer::dial(address));
    std::string bytes(1 << 16, 'x');
    while (!over)
      if (::send(peer.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) break;
  });
  world.until([&] { return world.accepted.size() == 1; });
  world.net().read(world.accepted[0], true);
  world.until([&] { return world[world.accepted[0]].bytes > 10 << 20; });
  Instant due = Loop::now() + Duration::from_ms(3);
  world.net().wake_at(due);
  world.until([&] { return world.turned >= due; });
  ConnId other = world.connect(address);
  world.until([&] { return world[other].connected && world.accepted.size() == 2; });
  over = true;
  world.net().close(world.accepted[0], false);
  flood.join();
}

// A write that libuv had queued meets a reset: the host's SIGPIPE, at its default, does not end the process.
void no_sigpipe(void**) {
  struct sigaction before, standard{};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &standard, &before);
  World world;
  ListenerId listener = world.listen();
  for (int i = 0; i < 5; i++) {
    Peer peer(Peer::dial(world.net().bound(listener), 4096));
    size_t had = world.accepted.size();
    world.until([&] { return world.accepted.size() > had; });
    ConnId conn = world.accepted.back();
    assert_true(world.write(conn, pattern(8 << 20)) > 0);
    world.settle(2);
    if (i % 2)
      peer.reset();
    else
      peer.close();
    world.until([&] { return world[conn].closed; });
    assert_true(world[conn].status == Status::BROKEN);
  }
  sigset_t pending;
  sigpending(&pending);
  assert_int_equal(sigismember(&pending, SIGPIPE), 0);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  assert_int_equal(sigismember(&mask, SIGPIPE), 0);
  sigaction(SIGPIPE, &before, nullptr);
}

void many_loops(void**) {
  std::vector<std::unique_ptr<World>> worlds;
  for (int i = 0; i < 50; i++) worlds.push_back(std::make_unique<World>());
  for (auto& world : worlds) {
    ListenerId listener = world->listen();
    World::Pair ends = world->pair(listener);
    ConnId client = ends.client, server = ends.server;
    world->net().read(server, true);
    world->write(client, "x");
    ConnId to = server;
    world->until([&] { return (*world)[to].data == "x"; });
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(time_goes_on),
      cmocka_unit_test(wake_at),
      cmocka_unit_test(wake_at_is_replaced),
      cmocka_unit_test(no_turn_without_work),
      cmocka_unit_test(descriptor_tells),
      cmocka_unit_test(runs_on_a_thread),
      cmocka_unit_test(stop_before_run),
      cmocka_unit_test(stop_from_a_turn),
      cmocka_unit_test(nothing_starves),
      cmocka_unit_test(no_sigpipe),
      cmocka_unit_test(many_loops),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
