// Certificates for the tests, made on the spot: their keys never leave the process.
#pragma once

#include <mbedtls/asn1write.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace lb::test {

struct Random {
  Random() {
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    if (mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, nullptr, 0) != 0) std::abort();
  }
  ~Random() {
    mbedtls_ctr_drbg_free(&drbg);
    mbedtls_entropy_free(&entropy);
  }
  Random(const Random&) = delete;
  Random& operator=(const Random&) = delete;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context drbg;
};

struct Wish {
  std::string subject;               // "CN=server"
  std::vector<std::string> names;    // Alternative names.
  std::vector<std::string> ips;      // Raw.
  const char* from = "20200101000000";
  const char* to = "20500101000000";
  bool authority = false;
};

struct Identity {
  std::string subject, cert_pem, key_pem;
};

inline void check(int result) {
  if (result < 0) std::abort();
}

// One certificate, signed by `issuer`, or by itself.
inline Identity issue(Random& random, const Wish& wish, const Identity* issuer = nullptr) {
  mbedtls_pk_context key, issuer_key;
  mbedtls_pk_init(&key);
  mbedtls_pk_init(&issuer_key);
  check(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)));
  check(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), mbedtls_ctr_drbg_random, &random.drbg));
  if (issuer) {
    auto* pem = reinterpret_cast<const unsigned char*>(issuer->key_pem.c_str());
    check(mbedtls_pk_parse_key(&issuer_key, pem, issuer->key_pem.size() + 1, nullptr, 0));
  }
  mbedtls_x509write_cert out;
  mbedtls_x509write_crt_init(&out);
  mbedtls_mpi serial;
  mbedtls_mpi_init(&serial);
  check(mbedtls_mpi_fill_random(&serial, 8, mbedtls_ctr_drbg_random, &random.drbg));
  check(mbedtls_x509write_crt_set_serial(&out, &serial));
  mbedtls_x509write_crt_set_version(&out, MBEDTLS_X509_CRT_VERSION_3);
  mbedtls_x509write_crt_set_md_alg(&out, MBEDTLS_MD_SHA256);
  mbedtls_x509write_crt_set_subject_key(&out, &key);
  mbedtls_x509write_crt_set_issuer_key(&out, issuer ? &issuer_key : &key);
  check(mbedtls_x509write_crt_set_subject_name(&out, wish.subject.c_str()));
  check(mbedtls_x509write_crt_set_issuer_name(&out, (issuer ? issuer->subject : wish.subject).c_str()));
  check(mbedtls_x509write_crt_set_validity(&out, wish.from, wish.to));
  check(mbedtls_x509write_crt_set_basic_constraints(&out, wish.authority, -1));
  std::string list;  // GeneralNames: all short, so a length is one byte.
  for (const std::string& name : wish.names) list += std::string{'\x82', static_cast<char>(name.size())} + name;
  for (const std::string& ip : wish.ips) list += std::string{'\x87', static_cast<char>(ip.size())} + ip;
  if (!list.empty()) {
    if (list.size() > 127) std::abort();
    std::string der = std::string{'\x30', static_cast<char>(list.size())} + list;
    check(mbedtls_x509write_crt_set_extension(&out, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                              MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                              reinterpret_cast<const unsigned char*>(der.data()), der.size()));
  }
  std::array<unsigned char, 8192> pem;
  Identity identity{wish.subject, "", ""};
  check(mbedtls_x509write_crt_pem(&out, pem.data(), pem.size(), mbedtls_ctr_drbg_random, &random.drbg));
  identity.cert_pem = reinterpret_cast<const char*>(pem.data());
  check(mbedtls_pk_write_key_pem(&key, pem.data(), pem.size()));
  identity.key_pem = reinterpret_cast<const char*>(pem.data());
  mbedtls_mpi_free(&serial);
  mbedtls_x509write_crt_free(&out);
  mbedtls_pk_free(&key);
  mbedtls_pk_free(&issuer_key);
  return identity;
}

}  // namespace lb::test
