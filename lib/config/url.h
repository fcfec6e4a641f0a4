// Addresses as people write them: of an upstream (parse_url, in config.h), a proxy, a listener.
#pragma once

#include <string_view>

#include "config/config.h"

namespace lb {

// "http://user:password@host:port". `where` of the error is left empty; the text is never part of it.
Result<ProxyConfig> parse_proxy(std::string_view text);

// "127.0.0.1:8080", "[::1]:0", "unix:/run/lb.sock". Names are not taken: what a listener is bound to must not depend on
// a resolver.
bool is_listen_address(std::string_view text);

}  // namespace lb
