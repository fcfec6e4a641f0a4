#include "base/batch.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::empty_batch;
using lb::kBatchKept;

void it_keeps_its_room_up_to_the_bound_and_no_more(void**) {
  std::vector<int> batch;
  batch.reserve(kBatchKept);
  batch.assign(kBatchKept, 7);
  const int* at = batch.data();
  empty_batch(batch);
  assert_true(batch.empty());
  assert_int_equal(batch.capacity(), kBatchKept);
  batch.push_back(1);
  assert_ptr_equal(batch.data(), at);

  batch.reserve(kBatchKept + 1);
  empty_batch(batch);
  assert_int_equal(batch.capacity(), 0);
}

void what_was_in_it_is_gone(void**) {
  for (size_t size : {size_t{1}, kBatchKept + 1}) {
    std::vector<std::string> batch(size, std::string(100, 'x'));
    empty_batch(batch);
    assert_true(batch.empty());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_keeps_its_room_up_to_the_bound_and_no_more),
      cmocka_unit_test(what_was_in_it_is_gone),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
