#include "base/text.h"
#include "net/conn.h"
#include "net/fault.h"
#include "net/sockaddr.h"

namespace lb {

namespace {

// A port of this machine that nobody listens on may be the very one that the system chose for our end. TCP then
// connects the socket to itself, and a request would come back as its answer.
bool connected_to_itself(int fd) {
  sockaddr_storage here, there;
  socklen_t here_size = sizeof here, there_size = sizeof there;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &here_size) != 0) return false;
  if (here.ss_family == AF_UNIX) return false;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&there), &there_size) != 0) return false;
  return from_sockaddr(reinterpret_cast<sockaddr*>(&here)) == from_sockaddr(reinterpret_cast<sockaddr*>(&there));
}

}  // namespace

ConnId Loop::connect(uint64_t tag, const ConnectSpec& spec) {
  Conn& conn = add_conn(tag);
  conn.peer = to_string(spec.address);
  sockaddr_storage address;
  int error = 0;
  auto done = [](uv_connect_t* request, int status) {
    Conn& made = *static_cast<Conn*>(request->data);
    made.loop->connected(made, status);
  };
  conn.connect_req.data = &conn;
  socklen_t size = to_sockaddr(spec.address, address);
  if (spec.address.family == Address::Family::local) {
    uv_pipe_init(uv_.get(), &conn.pipe, 0);
    if (size == 0)
      error = UV_ENAMETOOLONG;
    else
      uv_pipe_connect(&conn.connect_req, &conn.pipe, spec.address.path.c_str(), done);
  } else {
    uv_tcp_init(uv_.get(), &conn.tcp);
    uv_tcp_nodelay(&conn.tcp, 1);
    error = uv_tcp_connect(&conn.connect_req, &conn.tcp, reinterpret_cast<sockaddr*>(&address), done);
  }
  conn.handle.data = &conn;
  if (spec.tls || !spec.tunnel.empty()) conn.setup = std::make_unique<Setup>(Setup{spec, ""});
  if (!spec.tunnel.empty()) conn.peer = "the proxy " + conn.peer;
  ConnId id = conn.id;
  if (error != 0) broke(conn, error);
  return id;
}

void Loop::connected(Conn& conn, int status) {
  if (conn.state == Conn::State::gone) return;
  if (status == 0) status = uv_fileno(&conn.handle, &conn.fd);
  if (status == 0 && connected_to_itself(conn.fd)) status = UV_ECONNREFUSED;
  if (status != 0) return broke(conn, status);
  if (!conn.setup) return opened(conn);
  if (!conn.setup->spec.tunnel.empty()) return start_tunnel(conn);
  start_tls(conn);
}

// --- The tunnel through a proxy ---

void Loop::start_tunnel(Conn& conn) {
  conn.state = Conn::State::tunnelling;
  const ConnectSpec& spec = conn.setup->spec;
  std::string request = "CONNECT " + spec.tunnel + " HTTP/1.1\r\nHost: " + spec.tunnel + "\r\n";
  if (!spec.tunnel_authorization.empty()) request += "Proxy-Authorization: " + spec.tunnel_authorization + "\r\n";
  request += "\r\n";
  Chain chain;
  chain.push(Chunk::copy(request));
  if (send_unowned(conn, std::move(chain))) start_polling(conn);
}

namespace {

// "407 Proxy Authentication Required", or nothing if that is no answer of HTTP.
std::string status_of(std::string_view reply) {
  std::string_view line = reply.substr(0, reply.find_first_of("\r\n"));
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return "";
  std::string status;
  for (char c : line.substr(9, 60)) status += c >= ' ' && c <= '~' ? c : '?';
  return parse_u64(std::string_view(status).substr(0, 3)) ? status : "";
}

std::string refusal(const std::string& proxy, const std::string& status, const std::string& target) {
  std::string text = proxy + " refused the tunnel to " + target + ": " + status;
  if (status.starts_with("407")) return text + "; write http://user:password@host:port in the proxy's URL";
  if (status.starts_with("403")) return text + "; allow that host and port there";
  return text;
}

}  // namespace

void Loop::take_reply(Conn& conn, std::string_view bytes) {
  std::string& reply = conn.setup->reply;
  const std::string target = conn.setup->spec.tunnel;
  size_t before = reply.size();
  reply += bytes.substr(0, kTunnelHeadMax + 1 - before);
  size_t end = reply.find("\r\n\r\n", before > 3 ? before - 3 : 0);
  size_t head = end == std::string::npos ? reply.size() : end + 4;
  if (head > kTunnelHeadMax)
    return lose(conn, Status::CONNECT, conn.peer + " answered CONNECT by a head of more than " +
                                       std::to_string(kTunnelHeadMax) + " bytes; see whether it is an HTTP proxy");
  if (end == std::string::npos) return;
  std::string status = status_of(reply);
  if (status.empty())
    return lose(conn, Status::CONNECT, conn.peer + " did not answer CONNECT in HTTP; see whether it is a proxy");
  if (status[0] != '2') return lose(conn, Status::CONNECT, refusal(conn.peer, status, target));
  // What came behind the head is the peer's already.
  std::string_view early = bytes.substr(head - before);
  conn.peer = target + " (by " + conn.peer + ")";
  if (conn.setup->spec.tls) {
    start_tls(conn);
    if (!early.empty() && conn.state == Conn::State::securing) take_ciphertext(conn, early);
    return;
  }
  if (!early.empty()) conn.early.push(Chunk::copy(early));
  opened(conn);
}

}  // namespace lb
