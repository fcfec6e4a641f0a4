#include <array>

#include "base/rng.h"
#include "world.h"

namespace {

using namespace lb;
using namespace lb::test;

// One direction of a connection: what was written must come, in order, and whole unless an end is closed.
struct Way {
  ConnId from = 0, to = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  size_t pending = 0;
};

char byte_at(uint64_t place, ConnId from) { return static_cast<char>((place * 31 + (place >> 8) * 7 + from) & 0xff); }

// Connections that live and die at random, under random back-pressure. Seeded: a failure comes again.
class Soak {
 public:
  explicit Soak(uint64_t seed) : rng_(seed) {
    world_.keep = true;
    listener_ = world_.listen();
  }

  void run(int steps) {
    for (int i = 0; i < steps; i++) {
      act();
      world_.turn(0);
      for (auto& pair : ways_)
        for (Way& way : pair) check(way);
    }
    for (auto& pair : ways_)
      for (Way& way : pair) world_.net().read(way.to, true);
    world_.until([&] {
      bool done = true;
      for (auto& pair : ways_)
        for (Way& way : pair) {
          check(way);
          done = done && (way.received == way.sent || closed(way.to) || world_[way.to].ended);
        }
      return done;
    });
  }
  uint64_t moved = 0;

 private:
  bool closed(ConnId conn) { return gone_.contains(conn) || world_[conn].closed; }

  void act() {
    if (ways_.size() < 30 && rng_.below(10) == 0) {
      World::Pair ends = world_.pair(listener_);
      ways_.push_back({Way{ends.client, ends.server}, Way{ends.server, ends.client}});
    }
    if (ways_.empty()) return;
    auto& pair = ways_[rng_.below(ways_.size())];
    Way& way = pair[rng_.below(2)];
    switch (rng_.below(8)) {
      case 0:
      case 1:
      case 2:
        return write(way);
      case 3:
        return world_.net().read(way.to, false);
      case 4:
      case 5:
      case 6:
        return world_.net().read(way.to, true);
      case 7:
        if (rng_.below(20) != 0 || closed(way.from) || closed(way.to)) return;
        gone_[way.from] = true;
        return world_.net().close(way.from, rng_.below(4) != 0);
    }
  }

  void write(Way& way) {
    if (closed(way.from)) return;
    Chain chain;
    for (uint64_t parts = 1 + rng_.below(4); parts > 0; parts--) {
      std::string bytes(rng_.below(3) == 0 ? rng_.below(200'000) : rng_.below(3000), '\0');
      for (char& c : bytes) c = byte_at(way.sent++, way.from);
      chain.push(Chunk::copy(bytes));
    }
    way.pending += world_.net().write(way.from, std::move(chain));
  }

  void check(Way& way) {
    Seen& to = world_[way.to];
    for (char c : to.data) assert_int_equal(c, byte_at(way.received++, way.from));
    moved += to.data.size();
    to.data.clear();
    assert_true(way.received <= way.sent);
    assert_true(world_[way.from].written <= way.pending);
    if (!closed(way.from) && way.received == way.sent && !closed(way.to))
      assert_true(world_[way.from].written == way.pending || pending_is_on_its_way(way));
  }
  // The bytes came, and the report that they went is of the same turn or the next.
  bool pending_is_on_its_way(Way& way) {
    for (int i = 0; i < 100 && world_[way.from].written != way.pending; i++) world_.turn(1);
    return world_[way.from].written == way.pending;
  }

  Rng rng_;
  World world_;
  ListenerId listener_;
  std::vector<std::array<Way, 2>> ways_;
  std::map<ConnId, bool> gone_;
};

void soak(void**) {
  for (uint64_t seed = 1; seed <= 3; seed++) {
    Soak one(seed);
    one.run(1000);
    assert_true(one.moved > 10'000'000);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(soak)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
