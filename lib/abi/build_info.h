// One line of JSON about this library: what it was built from. The LB_BUILD_* texts come from meson.build.
#pragma once

namespace lb {

inline constexpr char kBuildInfo[] =
    "{\"name\":\"lb\",\"version\":\"" LB_BUILD_VERSION "\",\"abi\":" LB_BUILD_ABI ",\"libuv\":\"" LB_BUILD_LIBUV
    "\",\"mbedtls\":\"" LB_BUILD_MBEDTLS "\",\"llhttp\":\"" LB_BUILD_LLHTTP "\",\"cjson\":\"" LB_BUILD_CJSON
    "\",\"linkage\":\"" LB_BUILD_LINKAGE "\",\"sanitizers\":\"" LB_BUILD_SANITIZERS "\"}";

}  // namespace lb
