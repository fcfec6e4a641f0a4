// Responses, as upstreams send them.
#include "fuzz/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lb::fuzz::Http1Laws(lb::Http1Parser::Kind::response, lb::fuzz::split_input(data, size)).check();
  return 0;
}
