#include "net/fault.h"

#include <uv.h>

namespace lb {

std::string error_text(int error) {
  char text[128];
  return uv_strerror_r(error, text, sizeof text);
}

std::string connect_fault(int error, const std::string& peer) {
  switch (error) {
    case UV_ECONNREFUSED:
      return "connection refused by " + peer + "; start the server, or correct its address";
    case UV_ETIMEDOUT:
      return "no answer from " + peer + "; check the address, and firewalls between here and there";
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
      return "no route to " + peer + "; check the address and this machine's network";
    case UV_EACCES:
    case UV_EPERM:
      return "not permitted to connect to " + peer + "; check firewall rules, or the permissions of the socket";
    case UV_ENOENT:
      return "there is no " + peer + "; start the server, or correct the path";
    case UV_EMFILE:
    case UV_ENFILE:
      return "no file descriptor left to connect to " + peer + "; raise the limit of open files (ulimit -n)";
    case UV_EADDRNOTAVAIL:
      return "no local port left to connect to " + peer + "; keep connections alive, or widen ip_local_port_range";
    case UV_ENAMETOOLONG:
      return "the path of " + peer + " is empty, or longer than the system takes; shorten it";
    default:
      return "cannot connect to " + peer + ": " + error_text(error);
  }
}

bool is_shortage(int error) {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_EADDRNOTAVAIL || error == UV_ENOBUFS ||
         error == UV_ENOMEM;
}

std::string broken_fault(int error, const std::string& peer) {
  switch (error) {
    case UV_ECONNRESET:
    case UV_EPIPE:
      return "connection reset by " + peer;
    case UV_ETIMEDOUT:
      return "the network to " + peer + " fell silent";
    default:
      return "connection with " + peer + " broke: " + error_text(error);
  }
}

std::string listen_fault(int error, const std::string& address) {
  switch (error) {
    case UV_EADDRINUSE:
      return address + " is in use by another server; stop it, or listen elsewhere";
    case UV_EADDRNOTAVAIL:
      return address + " is not an address of this machine; listen on one that is, or on 0.0.0.0";
    case UV_EACCES:
    case UV_EPERM:
      return "not permitted to listen on " + address + "; choose a port above 1023, or a folder that may be written to";
    case UV_ENOENT:
    case UV_ENOTDIR:
      return "the folder of " + address + " does not exist; make it";
    case UV_ENAMETOOLONG:
      return "the path of " + address + " is empty, or longer than the system takes; shorten it";
    default:
      return "cannot listen on " + address + ": " + error_text(error);
  }
}

}  // namespace lb
