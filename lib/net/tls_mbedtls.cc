#include <mbedtls/asn1.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "net/tls.h"

namespace lb {

namespace {

// Debian and Alpine; Fedora and RHEL; OpenSSL's own and BSD; SUSE.
constexpr const char* kBundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                    "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"};

// An mbedTLS object that is initialised and freed in the C manner.
template <typename T, void (*init)(T*), void (*release)(T*)>
struct Owned {
  Owned() { init(&value); }
  ~Owned() { release(&value); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T* get() { return &value; }
  T value;
};
using Chainlet = Owned<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using Key = Owned<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using Conf = Owned<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using Ssl = Owned<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;
using Saved = Owned<mbedtls_ssl_session, mbedtls_ssl_session_init, mbedtls_ssl_session_free>;
using Entropy = Owned<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free>;
using Drbg = Owned<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free>;

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.c_str());
}

std::string mbedtls_text(int error) {
  char text[160];
  mbedtls_strerror(error, text, sizeof text);
  return text;
}

Error bad_spec(std::string message) { return {Status::TLS, "", std::move(message)}; }

// What a certificate says it is for.
struct Subject {
  std::vector<std::string> names;
  std::vector<std::string> ips;  // 4 or 16 raw bytes.
};

using Span = std::string_view;

// Takes one DER element with that tag off `rest`. False: it is something else.
bool take_der(Span& rest, int tag, Span& content) {
  auto* start = reinterpret_cast<unsigned char*>(const_cast<char*>(rest.data()));
  unsigned char* at = start;
  size_t size = 0;
  if (rest.empty() || mbedtls_asn1_get_tag(&at, start + rest.size(), &size, tag) != 0) return false;
  content = rest.substr(static_cast<size_t>(at - start), size);
  rest.remove_prefix(static_cast<size_t>(at - start) + size);
  return true;
}

// The list of alternative names is read here because mbedTLS 2.28 leaves the IP addresses out of its own.
Subject subject_of(const mbedtls_x509_crt& certificate) {
  constexpr int kSequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
  Subject subject;
  Span all(reinterpret_cast<const char*>(certificate.v3_ext.p), certificate.v3_ext.len);
  Span extensions, extension;
  if (!take_der(all, kSequence, extensions)) return subject;
  while (take_der(extensions, kSequence, extension)) {
    Span oid, critical, value, list;
    if (!take_der(extension, MBEDTLS_ASN1_OID, oid) || oid != Span(MBEDTLS_OID_SUBJECT_ALT_NAME)) continue;
    take_der(extension, MBEDTLS_ASN1_BOOLEAN, critical);
    if (!take_der(extension, MBEDTLS_ASN1_OCTET_STRING, value) || !take_der(value, kSequence, list)) continue;
    while (!list.empty()) {
      int tag = static_cast<unsigned char>(list[0]);
      Span name;
      if (!take_der(list, tag, name)) break;
      if (tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2)) subject.names.emplace_back(name);
      if (tag == (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7)) subject.ips.emplace_back(name);
    }
  }
  return subject;
}

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 100)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

std::string date_of(const mbedtls_x509_time& time) {
  auto two = [](int n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return std::to_string(time.year) + "-" + two(time.mon) + "-" + two(time.day);
}

// "a.example, b.example, 10.0.0.1 and 3 more".
std::string list_of(const Subject& subject) {
  constexpr size_t kShown = 3;
  std::vector<std::string> all;
  for (const std::string& name : subject.names) all.push_back(printable(name));
  for (const std::string& raw : subject.ips) {
    Address address;
    if (raw.size() == 16) address.family = Address::Family::v6;
    std::copy_n(raw.begin(), std::min<size_t>(raw.size(), 16), address.ip.begin());
    std::string text = to_string(address);
    all.push_back(text.substr(0, text.rfind(':')));
  }
  if (all.empty()) return "no name at all";
  std::string out;
  for (size_t i = 0; i < std::min(all.size(), kShown); i++) out += (i > 0 ? ", " : "") + all[i];
  if (all.size() > kShown) out += " and " + std::to_string(all.size() - kShown) + " more";
  return out;
}

// RFC 5246 §7.2 and RFC 8446 §6: those that a server sends to a client, with what helps.
std::string alert_text(int description) {
  switch (description) {
    case 40: return "handshake_failure: no cipher in common, or it wants a client certificate (tls.cert, tls.key)";
    case 42: case 43: case 44: case 45: case 46:
      return "bad certificate (" + std::to_string(description) + "): it does not accept tls.cert";
    case 48: return "unknown_ca: it does not know the CA of tls.cert";
    case 49: return "access_denied";
    case 70: return "protocol_version: it does not speak TLS 1.2, which is what lb speaks";
    case 71: return "insufficient_security: it wants stronger ciphers";
    case 80: return "internal_error: its own trouble";
    case 112: return "unrecognized_name: it does not serve that name; correct the host, or tls.server_name";
    case 116: return "certificate_required: give it one with tls.cert and tls.key";
    case 120: return "no_application_protocol: it does not speak HTTP/1.1 there";
    default: return "alert " + std::to_string(description);
  }
}

}  // namespace

// --- What connections share ---

struct TlsContexts::Shared {
  std::vector<const char*> bundles;
  Entropy entropy;
  Drbg drbg;
  bool seeded = false;
  std::shared_ptr<Chainlet> system_roots;  // Parsed at first need.
  struct Entry {
    std::weak_ptr<const TlsSpec> spec;
    std::shared_ptr<TlsContext> context;
  };
  std::map<const TlsSpec*, Entry> contexts;

  Result<std::shared_ptr<Chainlet>> roots(const TlsSpec& spec);
};

struct TlsContext {
  std::shared_ptr<Chainlet> roots;
  Chainlet certificate;
  Key key;
  Conf conf;
  std::string server_name;
  bool verify = true;
  std::string server_ip;  // Raw; when the name is an address.
  std::map<std::string, std::unique_ptr<Saved>> sessions;  // By address.

  // "": fine.
  std::string set_up(const TlsSpec& spec, mbedtls_ctr_drbg_context* drbg);
};

namespace {

// mbedTLS keeps the pointer.
constexpr const char* kProtocols[] = {"http/1.1", nullptr};

std::string parse_key(const TlsSpec& spec, Key& key, [[maybe_unused]] mbedtls_ctr_drbg_context* drbg) {
#if MBEDTLS_VERSION_MAJOR >= 3
  int error = mbedtls_pk_parse_key(key.get(), bytes_of(spec.key_pem), spec.key_pem.size() + 1, nullptr, 0,
                                   mbedtls_ctr_drbg_random, drbg);
#else
  int error = mbedtls_pk_parse_key(key.get(), bytes_of(spec.key_pem), spec.key_pem.size() + 1, nullptr, 0);
#endif
  if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED) return "tls.key is encrypted; give it without a password";
  if (error != 0) return "tls.key is not a private key in PEM (" + mbedtls_text(error) + ")";
  return "";
}

}  // namespace

std::string TlsContext::set_up(const TlsSpec& spec, mbedtls_ctr_drbg_context* drbg) {
  server_name = spec.server_name;
  verify = spec.verify;
  Address ip;
  if (parse_ip(server_name, 0, ip))
    server_ip.assign(reinterpret_cast<const char*>(ip.ip.data()), ip.family == Address::Family::v6 ? 16 : 4);
  mbedtls_ssl_config* to = conf.get();
  int error = mbedtls_ssl_config_defaults(to, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                          MBEDTLS_SSL_PRESET_DEFAULT);
  if (error != 0) return mbedtls_text(error);
  mbedtls_ssl_conf_min_version(to, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);  // TLS 1.2
#if MBEDTLS_VERSION_MAJOR >= 3
  mbedtls_ssl_conf_max_version(to, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
  mbedtls_ssl_conf_rng(to, mbedtls_ctr_drbg_random, drbg);
  mbedtls_ssl_conf_authmode(to, verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
  if (roots) mbedtls_ssl_conf_ca_chain(to, roots->get(), nullptr);
  error = mbedtls_ssl_conf_alpn_protocols(to, const_cast<const char**>(kProtocols));
  if (error != 0) return mbedtls_text(error);
  if (spec.cert_pem.empty()) return "";
  error = mbedtls_x509_crt_parse(certificate.get(), bytes_of(spec.cert_pem), spec.cert_pem.size() + 1);
  if (error != 0) return "tls.cert is not a certificate in PEM (" + mbedtls_text(error) + ")";
  if (std::string fault = parse_key(spec, key, drbg); !fault.empty()) return fault;
#if MBEDTLS_VERSION_MAJOR >= 3
  error = mbedtls_pk_check_pair(&certificate.value.pk, key.get(), mbedtls_ctr_drbg_random, drbg);
#else
  error = mbedtls_pk_check_pair(&certificate.value.pk, key.get());
#endif
  if (error != 0) return "tls.key does not belong to tls.cert";
  error = mbedtls_ssl_conf_own_cert(to, certificate.get(), key.get());
  return error == 0 ? "" : mbedtls_text(error);
}

Result<std::shared_ptr<Chainlet>> TlsContexts::Shared::roots(const TlsSpec& spec) {
  if (!spec.ca_pem.empty()) {
    auto own = std::make_shared<Chainlet>();
    int error = mbedtls_x509_crt_parse(own->get(), bytes_of(spec.ca_pem), spec.ca_pem.size() + 1);
    if (error != 0) return bad_spec("tls.ca is not a list of certificates in PEM (" + mbedtls_text(error) + ")");
    return own;
  }
  if (system_roots) return system_roots;
  std::string looked_at;
  for (const char* path : bundles) {
    struct stat file;
    looked_at += (looked_at.empty() ? "" : ", ") + std::string(path);
    if (::stat(path, &file) != 0 || !S_ISREG(file.st_mode)) continue;
    auto parsed = std::make_shared<Chainlet>();
    // A few certificates that mbedTLS does not understand do not spoil the bundle: it counts them and goes on.
    int error = mbedtls_x509_crt_parse_file(parsed->get(), path);
    if (error < 0) return bad_spec(std::string(path) + " holds no CA certificates: " + mbedtls_text(error));
    system_roots = std::move(parsed);
    return system_roots;
  }
  return bad_spec("no bundle of CA certificates on this machine (looked at " + looked_at +
                  "); install the package ca-certificates, or set tls.ca");
}

TlsContexts::TlsContexts(std::span<const char* const> bundles) : shared_(std::make_unique<Shared>()) {
  std::span<const char* const> usual(kBundles);
  if (bundles.empty()) bundles = usual;
  shared_->bundles.assign(bundles.begin(), bundles.end());
}

TlsContexts::~TlsContexts() = default;

Result<std::shared_ptr<TlsContext>> TlsContexts::find(const std::shared_ptr<const TlsSpec>& spec) {
  auto place = shared_->contexts.find(spec.get());
  if (place != shared_->contexts.end() && !place->second.spec.expired()) return place->second.context;
  std::erase_if(shared_->contexts, [](const auto& entry) { return entry.second.spec.expired(); });
  if (!shared_->seeded) {
    int error = mbedtls_ctr_drbg_seed(shared_->drbg.get(), mbedtls_entropy_func, shared_->entropy.get(), nullptr, 0);
    if (error != 0) return bad_spec("the system gives no randomness: " + mbedtls_text(error));
    shared_->seeded = true;
  }
  auto context = std::make_shared<TlsContext>();
  if (spec->verify) {
    auto roots = shared_->roots(*spec);
    if (!roots) return roots.error();
    context->roots = std::move(roots.value());
  }
  std::string fault = context->set_up(*spec, shared_->drbg.get());
  if (!fault.empty()) return bad_spec(std::move(fault));
  shared_->contexts[spec.get()] = {spec, context};
  return context;
}

// --- One connection ---

namespace {

std::string cut_short_text(const std::string& peer) {
  return peer + " closed the connection in the middle of the TLS handshake; see whether it speaks TLS there, and "
         "whether it wants a client certificate (tls.cert, tls.key)";
}

}  // namespace

struct TlsSession::State {
  std::shared_ptr<TlsContext> context;
  Ssl ssl;
  std::string peer;
  std::string address;
  std::string_view input;
  std::string kept;
  Chain output;
  std::string fault;
  bool over = false;      // The handshake.
  bool begun = false;     // The peer has said something.
  int alert = -1;         // Description of the last alert in plain text.
  Subject subject;        // Of the peer's certificate; and its dates.
  std::string valid_from, valid_to;

  int take(unsigned char* out, size_t size) {
    if (input.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
    size_t n = std::min(size, input.size());
    std::copy_n(input.data(), n, out);
    input.remove_prefix(n);
    return static_cast<int>(n);
  }
  int put(const unsigned char* bytes, size_t size) {
    output.push(Chunk::copy({reinterpret_cast<const char*>(bytes), size}));
    return static_cast<int>(size);
  }
  int verify(mbedtls_x509_crt* certificate, int depth, uint32_t* flags) {
    if (depth != 0) return 0;
    subject = subject_of(*certificate);
    valid_from = date_of(certificate->valid_from);
    valid_to = date_of(certificate->valid_to);
    const std::string& ip = context->server_ip;
    if (!ip.empty() && std::find(subject.ips.begin(), subject.ips.end(), ip) == subject.ips.end())
      *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return 0;
  }
  void save();
  std::string verify_fault(uint32_t flags) const;
  std::string handshake_fault(int error) const;
};

TlsSession::TlsSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsSession::~TlsSession() = default;

std::unique_ptr<TlsSession> TlsSession::start(std::shared_ptr<TlsContext> context, std::string peer,
                                              std::string address) {
  auto state = std::make_unique<State>();
  state->context = std::move(context);
  state->peer = std::move(peer);
  state->address = std::move(address);
  TlsContext& from = *state->context;
  mbedtls_ssl_context* ssl = state->ssl.get();
  int error = mbedtls_ssl_setup(ssl, &from.conf.value);
  // An address is no SNI (RFC 6066 §3); `verify` above looks for it in the certificate.
  if (error == 0 && from.server_ip.empty()) error = mbedtls_ssl_set_hostname(ssl, from.server_name.c_str());
  if (error != 0) {
    state->fault = "TLS with " + state->peer + " cannot start: " + mbedtls_text(error);
    return std::unique_ptr<TlsSession>(new TlsSession(std::move(state)));
  }
  mbedtls_ssl_set_verify(ssl, [](void* to, mbedtls_x509_crt* certificate, int depth, uint32_t* flags) {
    return static_cast<State*>(to)->verify(certificate, depth, flags);
  }, state.get());
  mbedtls_ssl_set_bio(ssl, state.get(),
    [](void* to, const unsigned char* bytes, size_t size) { return static_cast<State*>(to)->put(bytes, size); },
    [](void* to, unsigned char* out, size_t size) { return static_cast<State*>(to)->take(out, size); }, nullptr);
  auto saved = from.sessions.find(state->address);
  if (saved != from.sessions.end()) mbedtls_ssl_set_session(ssl, saved->second->get());
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(state)));
}

void TlsSession::feed(std::string_view ciphertext) {
  State& s = *state_;
  constexpr size_t kAlertRecord = 7;  // Type 21, version, length 2, level, description.
  if (!s.over && ciphertext.size() >= kAlertRecord) {
    std::string_view last = ciphertext.substr(ciphertext.size() - kAlertRecord);
    if (last[0] == 21 && last[1] == 3 && last[3] == 0 && last[4] == 2) s.alert = static_cast<unsigned char>(last[6]);
  }
  if (s.input.empty()) {
    s.input = ciphertext;
    return;
  }
  keep_rest();
  s.kept += ciphertext;
  s.input = s.kept;
}

void TlsSession::keep_rest() {
  State& s = *state_;
  if (s.input.empty()) return;
  std::string rest(s.input);
  s.kept = std::move(rest);
  s.input = s.kept;
}

bool TlsSession::has_rest() const { return !state_->input.empty(); }

TlsSession::Progress TlsSession::handshake() {
  State& s = *state_;
  if (!s.fault.empty()) return Progress::failed;
  if (!s.begun && !s.input.empty()) {
    s.begun = true;
    // The first byte is the type of a record: a handshake message, or an alert.
    if (s.input[0] != 22 && s.input[0] != 21) {
      s.fault = s.peer + " does not speak TLS: it said \"" + printable(s.input.substr(0, 40)) +
                "\"; write http:// instead of https://, or correct the port";
      return Progress::failed;
    }
  }
  int error = mbedtls_ssl_handshake(s.ssl.get());
  if (error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE) return Progress::more;
  if (error != 0) {
    s.fault = s.handshake_fault(error);
    s.context->sessions.erase(s.address);
    return Progress::failed;
  }
  s.over = true;
  s.save();
  return Progress::done;
}

// For the next connection to the same address.
void TlsSession::State::save() {
  auto& sessions = context->sessions;
  auto fresh = std::make_unique<Saved>();
  if (mbedtls_ssl_get_session(ssl.get(), fresh->get()) != 0) return;
  if (sessions.size() >= TlsContexts::kSessionsMax && !sessions.contains(address)) sessions.erase(sessions.begin());
  sessions[address] = std::move(fresh);
}

std::string TlsSession::State::verify_fault(uint32_t flags) const {
  std::string whose = "the certificate of " + peer;
  if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
    return whose + ", or one above it, has expired (its own on " + valid_to + "); it must be renewed there";
  if (flags & MBEDTLS_X509_BADCERT_FUTURE)
    return whose + ", or one above it, is not valid yet (its own from " + valid_from + "); check this machine's clock";
  if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
    return whose + " is not signed by a CA that is trusted here; set tls.ca to the CA that signed it";
  if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
    return whose + " is for " + list_of(subject) + ", not for " + context->server_name +
           "; correct the host in the URL, or set tls.server_name";
  char text[512] = "";
  mbedtls_x509_crt_verify_info(text, sizeof text, "", flags);
  std::string words(text);
  std::replace(words.begin(), words.end(), '\n', ' ');
  return whose + " cannot be trusted: " + words;
}

std::string TlsSession::State::handshake_fault(int error) const {
  switch (error) {
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
      return verify_fault(mbedtls_ssl_get_verify_result(&ssl.value));
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
      return peer + " refused the TLS handshake: " + (alert < 0 ? "by an alert" : alert_text(alert));
    case MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION:
      return peer + " does not speak TLS 1.2, which is what lb speaks; configure it there";
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
      return cut_short_text(peer);
    default:
      return "the TLS handshake with " + peer + " failed: " + mbedtls_text(error);
  }
}

std::string TlsSession::cut_short() const { return cut_short_text(state_->peer); }

TlsSession::Progress TlsSession::read(char* out, size_t size, size_t& n) {
  State& s = *state_;
  int got = mbedtls_ssl_read(s.ssl.get(), reinterpret_cast<unsigned char*>(out), size);
  n = got > 0 ? static_cast<size_t>(got) : 0;
  if (got > 0) return Progress::done;
  if (got == MBEDTLS_ERR_SSL_WANT_READ || got == MBEDTLS_ERR_SSL_WANT_WRITE) return Progress::more;
  if (got == 0 || got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return Progress::ended;
  s.fault = "TLS with " + s.peer + " broke: " + mbedtls_text(got);
  return Progress::failed;
}

bool TlsSession::write(std::string_view plaintext) {
  State& s = *state_;
  while (!plaintext.empty()) {
    auto* bytes = reinterpret_cast<const unsigned char*>(plaintext.data());
    int done = mbedtls_ssl_write(s.ssl.get(), bytes, plaintext.size());
    if (done <= 0) {
      s.fault = "TLS with " + s.peer + " broke: " + mbedtls_text(done);
      return false;
    }
    plaintext.remove_prefix(static_cast<size_t>(done));
  }
  return true;
}

void TlsSession::close_notify() { mbedtls_ssl_close_notify(state_->ssl.get()); }

Chain& TlsSession::output() { return state_->output; }

const std::string& TlsSession::fault() const { return state_->fault; }

}  // namespace lb
