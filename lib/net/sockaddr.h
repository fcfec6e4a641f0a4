// Address as the system's sockaddr, and back. Pure.
#pragma once

#include <sys/socket.h>

#include "engine/ports.h"

namespace lb {

// The length of what was written; 0 when the path of a unix socket is empty or longer than the system takes.
socklen_t to_sockaddr(const Address& address, sockaddr_storage& out);
Address from_sockaddr(const sockaddr* in);

}  // namespace lb
