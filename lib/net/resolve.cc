#include <netdb.h>

#include "net/conn.h"
#include "net/fault.h"
#include "net/sockaddr.h"

namespace lb {

struct Loop::Lookup {
  Loop* loop;
  uint64_t tag;
  uint16_t port;
  std::string host;
  uv_getaddrinfo_t request;
};

void Loop::resolve(uint64_t tag, std::string_view host, uint16_t port) {
  Address address;
  if (parse_ip(host, port, address)) {
    Completion& completion = arrived_.emplace_back();
    completion.kind = Completion::Kind::resolved;
    completion.tag = tag;
    completion.addresses.push_back(std::move(address));
    return;
  }
  auto lookup = std::make_unique<Lookup>(Lookup{this, tag, port, std::string(host), {}});
  lookup->request.data = lookup.get();
  // Without AI_ADDRCONFIG, which would find nothing on a machine that has a loopback alone. Addresses that cannot be
  // reached come last anyway (RFC 6724).
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  int error = uv_getaddrinfo(uv_.get(), &lookup->request, [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
    std::unique_ptr<Lookup> done(static_cast<Lookup*>(request->data));
    done->loop->lookups_--;
    done->loop->resolved(done->tag, done->host, done->port, status, found);
    uv_freeaddrinfo(found);
  }, lookup->host.c_str(), nullptr, &hints);
  if (error != 0) return resolved(tag, lookup->host, port, error, nullptr);
  lookups_++;
  static_cast<void>(lookup.release());  // The callback's now.
}

void Loop::resolved(uint64_t tag, const std::string& host, uint16_t port, int error, const addrinfo* found) {
  Completion& completion = arrived_.emplace_back();
  completion.kind = Completion::Kind::resolved;
  completion.tag = tag;
  for (const addrinfo* at = found; at; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    Address address = from_sockaddr(at->ai_addr);
    address.port = port;
    completion.addresses.push_back(std::move(address));
  }
  if (!completion.addresses.empty()) return;
  completion.status = Status::CONNECT;
  bool temporary = error == UV_EAI_AGAIN;
  completion.message = "cannot resolve \"" + host + "\": " + error_text(error == 0 ? UV_EAI_NONAME : error) +
                       (temporary ? "; the name server does not answer: check the network and /etc/resolv.conf"
                                  : "; check its spelling, and that this machine knows the name");
}

}  // namespace lb
