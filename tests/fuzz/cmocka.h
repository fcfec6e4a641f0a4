// For targets that use a test's world: CMocka's asserts, which those worlds contain, end the process when they fail.
// They are no tests here.
#pragma once

#include <cstdlib>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
inline int end_on_failed_assert() { return setenv("CMOCKA_TEST_ABORT", "1", 1); }
