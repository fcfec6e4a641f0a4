// For targets that use a test's world, which is full of CMocka's asserts. There is no test here that could fail: they
// end the process.
#pragma once

#include <cstdlib>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
inline int end_on_failed_assert() { return setenv("CMOCKA_TEST_ABORT", "1", 1); }
