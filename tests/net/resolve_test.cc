#include <dlfcn.h>
#include <netdb.h>
#include <sys/wait.h>

#include <algorithm>

#include "world.h"

// Stands before the system's: one name takes long, as with a name server that does not answer.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  if (std::string_view(host) == "slow.test") {
    sleep(2);
    return EAI_AGAIN;
  }
  auto* real = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, found);
}

namespace {

using namespace lb;
using namespace lb::test;

void address_in_text(void**) {
  World world;
  world.net().resolve(11, "127.0.0.1", 80);
  world.net().resolve(12, "::1", 443);
  assert_true(world.resolved.empty());  // Never from inside the call.
  assert_int_equal(world.net().timeout_ms(), 0);
  world.net().turn_once();
  assert_int_equal(world.resolved.size(), 2);
  assert_int_equal(world.resolved[0].tag, 11);
  assert_true(world.resolved[0].status == Status::OK);
  assert_string_equal(to_string(world.resolved[0].addresses.at(0)).c_str(), "127.0.0.1:80");
  assert_string_equal(to_string(world.resolved[1].addresses.at(0)).c_str(), "[::1]:443");
}

void name(void**) {
  World world;
  world.net().resolve(5, "localhost", 8080);
  world.until([&] { return world.resolved.size() == 1; });
  const Completion& answer = world.resolved[0];
  assert_true(answer.status == Status::OK && answer.tag == 5);
  assert_false(answer.addresses.empty());
  for (const Address& address : answer.addresses) {
    std::string text = to_string(address);
    assert_true(text == "127.0.0.1:8080" || text == "[::1]:8080");
  }
}

void no_such_name(void**) {
  World world;
  world.net().resolve(6, "nonexistent.invalid", 1);
  world.net().resolve(7, std::string(300, 'x') + ".invalid", 1);
  world.until([&] { return world.resolved.size() == 2; });
  for (const Completion& answer : world.resolved) {
    assert_true(answer.status == Status::CONNECT);
    assert_true(answer.addresses.empty());
    assert_contains(answer.message, "cannot resolve \"");
    assert_contains(answer.message, ".invalid\"");
  }
}

void many_at_once(void**) {
  World world;
  for (uint64_t i = 0; i < 50; i++) world.net().resolve(i, "localhost", static_cast<uint16_t>(i));
  world.until([&] { return world.resolved.size() == 50; });
  uint64_t tags = 0;
  for (const Completion& answer : world.resolved) {
    assert_int_equal(answer.addresses.at(0).port, answer.tag);
    tags |= uint64_t{1} << answer.tag;
  }
  assert_true(tags == (uint64_t{1} << 50) - 1);
}

// A loop does not wait for a resolver that hangs, and the answer that comes later hurts nobody. In a child, because
// what the resolver still needs is left to it on purpose.
void loop_leaves_a_slow_look_up(void**) {
  pid_t child = fork();
  if (child == 0) {
    auto world = std::make_unique<World>();
    world->net().resolve(1, "slow.test", 1);
    world->settle(5);
    Instant start = Loop::now();
    world->drop_loop();
    bool quick = Loop::now() - start < Duration::from_ms(1900);
    sleep(2);
    World after;
    after.net().resolve(2, "localhost", 1);
    after.until([&] { return after.resolved.size() == 1; });
    _exit(quick && after.resolved[0].status == Status::OK ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

void loop_goes_during_look_ups(void**) {
  for (int i = 0; i < 20; i++) {
    World world;
    for (uint64_t tag = 0; tag < 10; tag++) world.net().resolve(tag, "localhost", 1);
    if (i % 2) world.settle(1);
    world.drop_loop();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(loop_leaves_a_slow_look_up),  // First: a child has no threads of its parent's.
      cmocka_unit_test(address_in_text),
      cmocka_unit_test(name),
      cmocka_unit_test(no_such_name),
      cmocka_unit_test(many_at_once),
      cmocka_unit_test(loop_goes_during_look_ups),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
