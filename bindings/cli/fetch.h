// One GET over plain HTTP or a unix socket, blocking, for `lb stats`: no TLS, no redirects, no keep-alive.
#pragma once

#include <string>
#include <string_view>

namespace cli {

struct Place {
  std::string host, port, path;  // Of http://host:port/path.
  std::string socket;            // Of unix:/path; "" for TCP.
};

// False when `url` is neither "http://host:port", "host:port" nor "unix:/path"; `why` says what to write.
bool parse_place(std::string_view url, Place& out, std::string& why);

// The body of an answer with status 200, or false and why.
bool fetch(const Place& place, std::string_view path, std::string& body, std::string& why);

}  // namespace cli
