// A TLS server on a thread of its own, with blocking sockets: the peer of the tests. One connection after the other.
#pragma once

#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

#include "authority.h"
#include "world.h"

namespace lb::test {

class TlsServer {
 public:
  class Visit {
   public:
    // "": the end, or an error.
    std::string read(size_t most = 16384) {
      std::string bytes(most, '\0');
      int n = mbedtls_ssl_read(&ssl, reinterpret_cast<unsigned char*>(bytes.data()), most);
      bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
      return bytes;
    }
    bool write(std::string_view bytes) {
      while (!bytes.empty()) {
        int n = mbedtls_ssl_write(&ssl, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(n));
      }
      return true;
    }
    void write_raw(std::string_view bytes) { static_cast<void>(::write(fd, bytes.data(), bytes.size())); }
    void notify() { mbedtls_ssl_close_notify(&ssl); }
    std::string server_name;  // What the client asked for.
    mbedtls_ssl_context ssl;
    int fd = -1;
  };
  struct Setup {
    Identity identity;
    std::string client_ca;          // Asks for a client certificate.
    int max_minor = MBEDTLS_SSL_MINOR_VERSION_3;
    size_t visits = 1;
    std::function<void(Visit&)> script;
  };

  explicit TlsServer(Setup setup) : setup_(std::move(setup)), thread_([this] { serve(); }) {}
  ~TlsServer() {
    listener_stop();
    thread_.join();
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  Address address() const { return listener_.address; }
  std::atomic<int> resumed{0};
  std::atomic<int> handshakes{0};
  std::atomic<int> failures{0};
  std::atomic<int> client_certificates{0};
  std::atomic<bool> forgetful{false};  // It knows no ticket any more, as after a restart.

 private:
  void listener_stop() {
    // Wakes accept().
    sockaddr_storage name;
    socklen_t size = to_sockaddr(listener_.address, name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stopping_ = true;
    ::connect(fd, reinterpret_cast<sockaddr*>(&name), size);
    ::close(fd);
  }

  void serve() {
    sigset_t pipe;  // mbedtls_net_send raises SIGPIPE; this is about the other side's not doing so.
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    Random random;
    mbedtls_x509_crt own, clients;
    mbedtls_pk_context key;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt_init(&own);
    mbedtls_x509_crt_init(&clients);
    mbedtls_pk_init(&key);
    mbedtls_ssl_config_init(&conf);
    mbedtls_ssl_ticket_init(&tickets_);
    auto pem = [](const std::string& text) { return reinterpret_cast<const unsigned char*>(text.c_str()); };
    const Identity& identity = setup_.identity;
    check(mbedtls_x509_crt_parse(&own, pem(identity.cert_pem), identity.cert_pem.size() + 1));
    check(mbedtls_pk_parse_key(&key, pem(identity.key_pem), identity.key_pem.size() + 1, nullptr, 0));
    check(mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM, 0));
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random.drbg);
    mbedtls_ssl_conf_max_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, setup_.max_minor);
    check(mbedtls_ssl_conf_own_cert(&conf, &own, &key));
    if (!setup_.client_ca.empty()) {
      check(mbedtls_x509_crt_parse(&clients, pem(setup_.client_ca), setup_.client_ca.size() + 1));
      mbedtls_ssl_conf_ca_chain(&conf, &clients, nullptr);
      mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    check(mbedtls_ssl_ticket_setup(&tickets_, mbedtls_ctr_drbg_random, &random.drbg, MBEDTLS_CIPHER_AES_256_GCM, 3600));
    mbedtls_ssl_conf_session_tickets_cb(&conf, write_ticket, parse_ticket, this);
    mbedtls_ssl_conf_sni(&conf, note_name, this);
    for (size_t i = 0; i < setup_.visits && !stopping_; i++) visit(conf);
    mbedtls_ssl_ticket_free(&tickets_);
    mbedtls_ssl_config_free(&conf);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&clients);
    mbedtls_x509_crt_free(&own);
  }

  void visit(mbedtls_ssl_config& conf) {
    int fd = listener_.take();
    if (stopping_) {
      ::close(fd);
      return;
    }
    timeval patience{30, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    mbedtls_net_context net{fd};
    Visit visit;
    visit.fd = fd;
    name_.clear();
    mbedtls_ssl_init(&visit.ssl);
    check(mbedtls_ssl_setup(&visit.ssl, &conf));
    mbedtls_ssl_set_bio(&visit.ssl, &net, mbedtls_net_send, mbedtls_net_recv, nullptr);
    if (mbedtls_ssl_handshake(&visit.ssl) == 0) {
      handshakes++;
      if (mbedtls_ssl_get_peer_cert(&visit.ssl)) client_certificates++;
      visit.server_name = name_;
      if (setup_.script) setup_.script(visit);
    } else {
      failures++;
    }
    mbedtls_ssl_free(&visit.ssl);
    mbedtls_net_free(&net);
  }

  static int note_name(void* to, mbedtls_ssl_context*, const unsigned char* name, size_t size) {
    static_cast<TlsServer*>(to)->name_.assign(reinterpret_cast<const char*>(name), size);
    return 0;
  }
  static int write_ticket(void* to, const mbedtls_ssl_session* session, unsigned char* start, const unsigned char* end,
                          size_t* size, uint32_t* lifetime) {
    return mbedtls_ssl_ticket_write(&static_cast<TlsServer*>(to)->tickets_, session, start, end, size, lifetime);
  }
  static int parse_ticket(void* to, mbedtls_ssl_session* session, unsigned char* bytes, size_t size) {
    auto* server = static_cast<TlsServer*>(to);
    if (server->forgetful) return MBEDTLS_ERR_SSL_INVALID_MAC;
    int error = mbedtls_ssl_ticket_parse(&server->tickets_, session, bytes, size);
    if (error == 0) server->resumed++;
    return error;
  }

  Setup setup_;
  PeerListener listener_;
  std::atomic<bool> stopping_{false};
  mbedtls_ssl_ticket_context tickets_;
  std::string name_;
  std::thread thread_;
};

}  // namespace lb::test
