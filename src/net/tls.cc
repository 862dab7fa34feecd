#include "net/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <ctime>

#include "base/address.h"

namespace stayd {

namespace {

constexpr std::size_t kRecordBytes = 16u << 10;

// The first of OpenSSL's errors, from which the others follow; all are forgotten.
std::string first_error() {
  const auto code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  return code == 0 ? "no reason is given" : fmt::format("error {:x}", code);
}

std::int64_t end_of(const X509* certificate) {
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return 0;
  return ::timegm(&end);
}

// Nobody sits at a terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::load(TlsRole role,
                                                           const TlsOptions& options) {
  ERR_clear_error();
  const bool client = role == TlsRole::client;
  SSL_CTX* context = SSL_CTX_new(client ? TLS_client_method() : TLS_server_method());
  if (context == nullptr) return make_error(Errc::limit, "OpenSSL: " + first_error());
  const std::shared_ptr<TlsContext> out(new TlsContext(role, options, context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // Without one, a client that resumes a session in which it has shown a certificate is refused.
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("stayd"), 5);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  const bool verify = client ? options.verify : !options.ca_file.empty();
  SSL_CTX_set_verify(context,
                     verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
                     nullptr);
  if (const auto read = out->read_files(); !read) return read.error();
  return std::shared_ptr<const TlsContext>(out);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

Error TlsContext::unreadable(std::string_view key, const std::string& file) const {
  const auto section = role_ == TlsRole::client ? "redis" : "listen";
  return make_error(Errc::invalid,
                    fmt::format("[{}] {} = \"{}\": {}", section, key, file, first_error()));
}

Result<void> TlsContext::read_files() {
  if (options_.ca_file.empty()) {
    if (role_ == TlsRole::client) SSL_CTX_set_default_verify_paths(context_);
  } else if (SSL_CTX_load_verify_file(context_, options_.ca_file.c_str()) != 1) {
    return unreadable("tls_ca_file", options_.ca_file);
  }
  if (options_.cert_file.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context_, options_.cert_file.c_str()) != 1) {
    return unreadable("tls_cert_file", options_.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context_, options_.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context_) != 1) {
    return unreadable("tls_key_file", options_.key_file);
  }
  not_after_s_ = end_of(SSL_CTX_get0_certificate(context_));
  return {};
}

TlsStream::TlsStream(const TlsContext& context, const std::string& host)
    : ssl_(SSL_new(context.get())),
      name_(context.options().server_name.empty() ? host : context.options().server_name) {
  STAYD_ASSERT(ssl_ != nullptr);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));  // owned by ssl_
  if (const Address address = Address::numeric(name_); address.size != 0) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), address.host_text().c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_, name_.c_str());
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl_, name_.c_str());
  }
  SSL_set_connect_state(ssl_);
}

TlsStream::TlsStream(const TlsContext& context)
    : ssl_(SSL_new(context.get())), name_("the client") {
  STAYD_ASSERT(ssl_ != nullptr);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl_);
}

TlsStream::~TlsStream() {
  SSL_free(ssl_);
}

void TlsStream::start() {
  SSL_do_handshake(ssl_);
}

Result<void> TlsStream::receive(std::string_view cipher, std::string& plain) {
  ERR_clear_error();
  while (!cipher.empty()) {
    const auto part = std::min<std::size_t>(cipher.size(), INT_MAX);
    BIO_write(SSL_get_rbio(ssl_), cipher.data(), static_cast<int>(part));
    cipher.remove_prefix(part);
  }
  if (!established_) {
    const int done = SSL_do_handshake(ssl_);
    if (done != 1) {
      if (SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ) return {};
      return failure();
    }
    established_ = true;
  }
  for (;;) {
    char record[kRecordBytes];
    const int got = SSL_read(ssl_, record, sizeof record);
    if (got > 0) {
      plain.append(record, static_cast<std::size_t>(got));
      continue;
    }
    const int why = SSL_get_error(ssl_, got);
    if (why == SSL_ERROR_WANT_READ) return {};
    if (why != SSL_ERROR_ZERO_RETURN) return failure();
    ended_ = true;
    return {};
  }
}

Error TlsStream::failure() const {
  const long verdict = SSL_get_verify_result(ssl_);
  if (!established_ && verdict != X509_V_OK && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE) {
    ERR_clear_error();
    const char* why = X509_verify_cert_error_string(verdict);
    return make_error(Errc::unavailable,
                      fmt::format("TLS: the certificate of {} is not accepted: {}", name_, why));
  }
  const auto code = ERR_peek_error();
  const bool no_tls = !established_ && (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
                                        ERR_GET_REASON(code) == SSL_R_PACKET_LENGTH_TOO_LONG);
  return make_error(Errc::unavailable, fmt::format("TLS: {}{}", first_error(),
                                                   no_tls ? ": is this a port without TLS?" : ""));
}

void TlsStream::send(std::string_view plain) {
  ERR_clear_error();
  while (!plain.empty()) {
    const auto part = std::min<std::size_t>(plain.size(), INT_MAX);
    // Into memory: all of it, or the stream has failed, which the next receive() tells.
    if (SSL_write(ssl_, plain.data(), static_cast<int>(part)) <= 0) return;
    plain.remove_prefix(part);
  }
}

std::string TlsStream::take_output() {
  BIO* out = SSL_get_wbio(ssl_);
  std::string bytes(BIO_ctrl_pending(out), '\0');
  if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

std::int64_t TlsStream::not_after_s() const {
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_);
  std::int64_t earliest = 0;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const auto end = end_of(sk_X509_value(chain, i));
    if (end != 0 && (earliest == 0 || end < earliest)) earliest = end;
  }
  return earliest;
}

}  // namespace stayd
