// What a failed connection is said to be, in words for people: what happened, with whom, and what to do. Pure.
#pragma once

#include <string>

namespace lb {

// `error` is one of libuv's. connect() to `peer` failed.
std::string connect_fault(int error, const std::string& peer);
// It failed for want of something of this machine: what it says of the peer is nothing.
bool is_shortage(int error);
// A connection with `peer` that was up broke.
std::string broken_fault(int error, const std::string& peer);
// listen() on `address` failed.
std::string listen_fault(int error, const std::string& address);
// libuv's word for an error, without its process-wide buffers.
std::string error_text(int error);

}  // namespace lb
