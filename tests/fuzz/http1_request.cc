// Requests, as clients send them to the gateway.
#include "fuzz/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lb::fuzz::Http1Laws(lb::Http1Parser::Kind::request, lb::fuzz::split_input(data, size)).check();
  return 0;
}
