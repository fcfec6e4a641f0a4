// One line of JSON about this library: what it was built from. The LB_BUILD_* texts come from meson.build; of libuv, of
// which a host may have another, it is the one that answers.
#pragma once

#include <string>

#include "net/loop.h"

namespace lb {

inline std::string build_info() {
  return "{\"name\":\"lb\",\"version\":\"" LB_BUILD_VERSION "\",\"abi\":" LB_BUILD_ABI ",\"libuv\":\"" +
         std::string(Loop::library_version()) +
         "\",\"mbedtls\":\"" LB_BUILD_MBEDTLS "\",\"llhttp\":\"" LB_BUILD_LLHTTP "\",\"cjson\":\"" LB_BUILD_CJSON
         "\",\"linkage\":\"" LB_BUILD_LINKAGE "\",\"sanitizers\":\"" LB_BUILD_SANITIZERS "\"}";
}

}  // namespace lb
