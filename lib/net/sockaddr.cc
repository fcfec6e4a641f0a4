#include "net/sockaddr.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace lb {

namespace {

// The system's structures overlap; copying keeps to the aliasing rules.
template <typename T>
socklen_t put(const T& value, sockaddr_storage& out) {
  static_assert(sizeof(T) <= sizeof(sockaddr_storage));
  std::memcpy(&out, &value, sizeof value);
  return sizeof value;
}

template <typename T>
T get(const sockaddr* in) {
  T value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

}  // namespace

socklen_t to_sockaddr(const Address& address, sockaddr_storage& out) {
  switch (address.family) {
    case Address::Family::v4: {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(address.port);
      std::memcpy(&v4.sin_addr, address.ip.data(), 4);
      return put(v4, out);
    }
    case Address::Family::v6: {
      sockaddr_in6 v6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(address.port);
      std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
      return put(v6, out);
    }
    case Address::Family::local: {
      sockaddr_un local{};
      local.sun_family = AF_UNIX;
      if (address.path.empty() || address.path.size() >= sizeof local.sun_path) return 0;
      std::memcpy(local.sun_path, address.path.data(), address.path.size());
      return put(local, out);
    }
  }
  return 0;
}

Address from_sockaddr(const sockaddr* in) {
  Address address;
  if (in->sa_family == AF_INET) {
    auto v4 = get<sockaddr_in>(in);
    address.port = ntohs(v4.sin_port);
    std::memcpy(address.ip.data(), &v4.sin_addr, 4);
  } else if (in->sa_family == AF_INET6) {
    auto v6 = get<sockaddr_in6>(in);
    address.family = Address::Family::v6;
    address.port = ntohs(v6.sin6_port);
    std::memcpy(address.ip.data(), &v6.sin6_addr, 16);
  }
  return address;
}

}  // namespace lb
