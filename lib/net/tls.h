// TLS without sockets: ciphertext in, plaintext out, and back. The client's side only. TlsContexts holds what the
// connections of a loop share: the parsed certificates and keys of each TlsSpec, the system's CA bundle, and sessions
// to resume. Owned by a Loop; its thread. Never reads the environment, never logs.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/chunk.h"
#include "base/result.h"
#include "engine/ports.h"

namespace lb {

struct TlsContext;  // Of one TlsSpec.

class TlsContexts {
 public:
  // Sessions kept for resumption, for each spec: as many addresses as one name has in practice.
  static constexpr size_t kSessionsMax = 64;

  // `bundles`: the files in which a system keeps its CA certificates; the first that is there is used. None: the
  // common ones.
  explicit TlsContexts(std::span<const char* const> bundles = {});
  ~TlsContexts();
  TlsContexts(const TlsContexts&) = delete;
  TlsContexts& operator=(const TlsContexts&) = delete;

  // Parses the spec once. Status TLS and what is wrong with it, else.
  Result<std::shared_ptr<TlsContext>> find(const std::shared_ptr<const TlsSpec>& spec);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

class TlsSession {
 public:
  enum class Progress : uint8_t {
    done,     // The handshake is over; or `read` gave plaintext.
    more,     // It needs ciphertext from the peer.
    ended,    // The peer sent close_notify.
    failed,   // See `fault`.
  };

  // `peer` names the peer in messages; `address` is under which a session is kept.
  static std::unique_ptr<TlsSession> start(std::shared_ptr<TlsContext> context, std::string peer, std::string address);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Ciphertext that came. It is not copied: until it is used up it must stay, or be kept.
  void feed(std::string_view ciphertext);
  void keep_rest();
  bool has_rest() const;

  Progress handshake();
  // The peer has closed in the middle of the handshake: what to say of it.
  std::string cut_short() const;
  // Up to `size` bytes of plaintext.
  Progress read(char* out, size_t size, size_t& n);
  // False: failed.
  bool write(std::string_view plaintext);
  void close_notify();
  // Ciphertext to be sent; the caller takes it out.
  Chain& output();

  const std::string& fault() const;

 private:
  struct State;
  explicit TlsSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lb
