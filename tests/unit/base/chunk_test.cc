#include "base/chunk.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "dies.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Chain;
using lb::Chunk;
using lb::Rng;

void an_empty_chunk_has_no_buffer(void**) {
  Chunk chunk;
  assert_true(chunk.empty());
  assert_null(chunk.data());
  assert_false(chunk.unique());
  assert_true(Chunk::copy("").empty());
  assert_null(Chunk::copy("").data());
  Chunk other = chunk;
  assert_true(other.view().empty());
}

void a_copy_shares_its_bytes(void**) {
  Chunk chunk = Chunk::copy("hello world");
  assert_true(chunk.unique());
  Chunk other = chunk;
  assert_false(chunk.unique());
  assert_ptr_equal(chunk.data(), other.data());
  other = Chunk();
  assert_true(chunk.unique());
  Chunk moved = std::move(chunk);
  assert_true(moved.unique());
  assert_true(chunk.empty());  // NOLINT: what moving leaves is part of the contract
  assert_null(chunk.data());
  Chunk& same = moved;
  moved = same;
  assert_true(moved.view() == "hello world");
}

void a_slice_outlives_its_chunk(void**) {
  Chunk slice;
  {
    Chunk chunk = Chunk::copy("hello world");
    slice = chunk.slice(6, 5);
    assert_true(chunk.slice(11, 0).empty());
    assert_true(chunk.slice(chunk.view().substr(0, 5)).view() == "hello");
    assert_true(chunk.slice(0, 11).view() == chunk.view());
  }
  assert_true(slice.view() == "world");
  assert_true(slice.unique());
  assert_true(slice.slice(1, 3).view() == "orl");
}

void what_is_written_is_kept_and_cut(void**) {
  Chunk chunk = Chunk::make(100);
  assert_int_equal(chunk.size(), 100);
  std::memcpy(chunk.writable(), "0123456789", 10);
  chunk.truncate(10);
  assert_true(chunk.view() == "0123456789");
  chunk.drop_front(4);
  assert_true(chunk.view() == "456789");
  chunk.drop_front(6);
  assert_true(chunk.empty());
  chunk.truncate(0);
}

void what_lies_outside_is_a_defect(void**) {
  assert_true(dies([] { Chunk::copy("abc").slice(4, 0); }));
  assert_true(dies([] { Chunk::copy("abc").slice(1, 3); }));
  assert_true(dies([] { Chunk::copy("abc").slice(SIZE_MAX, 2); }));
  assert_true(dies([] { Chunk::copy("abc").slice(1, SIZE_MAX); }));
  assert_true(dies([] { Chunk::copy("abc").truncate(4); }));
  assert_true(dies([] { Chunk::copy("abc").drop_front(4); }));
  assert_true(dies([] { Chain().pop(); }));
  assert_true(dies([] { Chain(Chunk::copy("abc")).consume(4); }));
  assert_false(dies([] { Chain(Chunk::copy("abc")).consume(3); }));
}

void the_last_reference_may_go_on_another_thread(void**) {
  for (int i = 0; i < 100; i++) {
    Chunk chunk = Chunk::copy("shared");
    std::thread other([part = chunk.slice(1, 2)]() mutable { part = Chunk(); });
    chunk = Chunk();
    other.join();
  }
}

Chain of(std::initializer_list<const char*> parts) {
  Chain chain;
  for (const char* part : parts) chain.push(Chunk::copy(part));
  return chain;
}

void a_chain_is_a_queue(void**) {
  Chain chain = of({"ab", "", "c", "def", "g"});
  assert_int_equal(chain.count(), 4);  // Nothing is not queued.
  assert_int_equal(chain.bytes(), 7);
  assert_true(chain[2].view() == "def");
  assert_string_equal(chain.to_string().c_str(), "abcdefg");
  assert_true(chain.pop().view() == "ab");
  chain.consume(2);
  assert_true(chain[0].view() == "ef");
  assert_int_equal(chain.count(), 2);
  chain.push(Chunk::copy("h"));
  assert_string_equal(chain.to_string().c_str(), "efgh");
  chain.consume(4);
  assert_true(chain.empty());
  assert_int_equal(chain.count(), 0);
  chain.consume(0);
  chain.push(Chunk::copy("again"));
  assert_string_equal(chain.to_string().c_str(), "again");
  chain.clear();
  assert_true(chain.empty());
}

void chains_are_joined_in_order(void**) {
  Chain chain = of({"a", "b"});
  chain.push(of({"c", "d", "e"}));
  chain.push(Chain());
  assert_string_equal(chain.to_string().c_str(), "abcde");
  Chain other;
  other.push(std::move(chain));
  assert_string_equal(other.to_string().c_str(), "abcde");
  assert_true(chain.empty());  // NOLINT: what moving leaves is part of the contract
  assert_int_equal(chain.count(), 0);
}

void moving_leaves_an_empty_chain_and_copying_shares(void**) {
  for (size_t size : {0u, 1u, 2u, 3u, 9u}) {
    Chain chain;
    std::string text;
    for (size_t i = 0; i < size; i++) {
      chain.push(Chunk::copy("part"));
      text += "part";
    }
    Chain copy = chain;
    Chain moved = std::move(chain);
    assert_true(chain.empty() && chain.count() == 0);  // NOLINT: as above
    assert_string_equal(moved.to_string().c_str(), text.c_str());
    assert_string_equal(copy.to_string().c_str(), text.c_str());
    chain = std::move(moved);
    assert_int_equal(chain.bytes(), text.size());
    assert_true(moved.empty());  // NOLINT: as above
  }
}

// The same steps with a string for a model.
void a_chain_behaves_as_its_bytes_do(void**) {
  for (uint64_t seed = 1; seed <= 50; seed++) {
    Rng rng(seed);
    Chain chain;
    std::string model;
    uint64_t pushes = 1 + rng.below(4);  // Of ten steps, how many add: short chains and long ones.
    for (int step = 0; step < 600; step++) {
      uint64_t what = rng.below(10);
      if (what < 3 + pushes) {
        std::string part(1 + rng.below(5), static_cast<char>('a' + rng.below(26)));
        chain.push(Chunk::copy(part));
        model += part;
      } else if (what == 9 && !chain.empty()) {
        std::string front(chain.pop().view());
        assert_memory_equal(front.data(), model.data(), front.size());
        model.erase(0, front.size());
      } else {
        size_t n = rng.below(model.size() + 1);
        if (n > 12) n = 12;
        chain.consume(n);
        model.erase(0, n);
      }
      assert_int_equal(chain.bytes(), model.size());
      std::string joined;
      for (size_t i = 0; i < chain.count(); i++) joined += chain[i].view();
      assert_true(joined == model);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_chunk_has_no_buffer),
      cmocka_unit_test(a_copy_shares_its_bytes),
      cmocka_unit_test(a_slice_outlives_its_chunk),
      cmocka_unit_test(what_is_written_is_kept_and_cut),
      cmocka_unit_test(what_lies_outside_is_a_defect),
      cmocka_unit_test(the_last_reference_may_go_on_another_thread),
      cmocka_unit_test(a_chain_is_a_queue),
      cmocka_unit_test(chains_are_joined_in_order),
      cmocka_unit_test(moving_leaves_an_empty_chain_and_copying_shares),
      cmocka_unit_test(a_chain_behaves_as_its_bytes_do),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
