#include "net/conn.h"
#include "net/fault.h"
#include "net/sockaddr.h"

namespace lb {

ConnId Loop::connect(uint64_t tag, const ConnectSpec& spec) {
  Conn& conn = add_conn(tag);
  conn.peer = to_string(spec.address);
  sockaddr_storage address;
  bool local = spec.address.family == Address::Family::local;
  int error = 0;
  auto done = [](uv_connect_t* request, int status) {
    Conn& made = *static_cast<Conn*>(request->data);
    made.loop->connected(made, status);
  };
  conn.connect_req.data = &conn;
  if (local) {
    uv_pipe_init(uv_.get(), &conn.pipe, 0);
    if (to_sockaddr(spec.address, address) == 0)
      error = UV_ENAMETOOLONG;
    else
      uv_pipe_connect(&conn.connect_req, &conn.pipe, spec.address.path.c_str(), done);
  } else {
    uv_tcp_init(uv_.get(), &conn.tcp);
    uv_tcp_nodelay(&conn.tcp, 1);
    to_sockaddr(spec.address, address);
    error = uv_tcp_connect(&conn.connect_req, &conn.tcp, reinterpret_cast<sockaddr*>(&address), done);
  }
  conn.handle.data = &conn;
  ConnId id = conn.id;
  if (error != 0) lose(conn, Status::CONNECT, connect_fault(error, conn.peer));
  return id;
}

void Loop::connected(Conn& conn, int status) {
  if (conn.state == Conn::State::gone) return;
  if (status == 0) status = uv_fileno(&conn.handle, &conn.fd);
  if (status != 0) return lose(conn, Status::CONNECT, connect_fault(status, conn.peer));
  opened(conn);
}

}  // namespace lb
