#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>

namespace stayd {
namespace {

// A certificate for one name that has signed itself, and its key.
struct Identity {
  explicit Identity(const std::string& name, int days = 100) {
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -86'400L * 200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400L * days);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void write(const std::string& certificate_file, const std::string& key_file) const {
    FILE* file = std::fopen(certificate_file.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
  }
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
};

// The other side: OpenSSL's own server in memory, which echoes.
class EchoServer {
 public:
  explicit EchoServer(const Identity& identity) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_, identity.certificate);
    SSL_CTX_use_PrivateKey(context_, identity.key);
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_);
  }
  ~EchoServer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  std::string answer(const std::string& cipher) {
    BIO_write(SSL_get_rbio(ssl_), cipher.data(), static_cast<int>(cipher.size()));
    char buffer[1024];
    for (int got; (got = SSL_read(ssl_, buffer, sizeof buffer)) > 0;) SSL_write(ssl_, buffer, got);
    return output();
  }
  std::string close() {
    SSL_shutdown(ssl_);
    return output();
  }

 private:
  std::string output() {
    std::string out(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
    BIO_read(SSL_get_wbio(ssl_), out.data(), static_cast<int>(out.size()));
    return out;
  }
  SSL_CTX* context_;
  SSL* ssl_;
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() { std::filesystem::create_directories(folder); }
  ~TlsTest() override { std::filesystem::remove_all(folder); }

  // The error of the handshake with a server of this identity; "": it worked, and so does an echo.
  std::string talk(const Identity& identity, const TlsOptions& options, const std::string& host,
                   std::size_t bytes_at_once = 100'000) {
    const auto context = TlsContext::load(TlsRole::client, options);
    if (!context) return context.error().message;
    EchoServer server(identity);
    TlsStream stream(**context, host);
    std::string plain, error;
    const auto exchange = [&] {
      for (std::string out; error.empty() && !(out = stream.take_output()).empty();) {
        std::string in = server.answer(out);
        for (; error.empty() && !in.empty(); in.erase(0, bytes_at_once)) {
          const auto received = stream.receive(in.substr(0, bytes_at_once), plain);
          if (!received) error = received.error().message;
        }
      }
    };
    stream.start();
    exchange();
    if (!error.empty()) return error;
    EXPECT_TRUE(stream.established());
    stream.send("PING\r\n");
    exchange();
    EXPECT_EQ(plain, "PING\r\n");
    EXPECT_NEAR(stream.not_after_s(), std::time(nullptr) + 86'400 * 100, 86'400 * 201);
    EXPECT_TRUE(stream.receive(server.close(), plain));
    EXPECT_TRUE(stream.ended());
    return error;
  }

  const std::string folder = ::testing::TempDir() + "stayd-tls-" + std::to_string(::getpid());
  const std::string cert_file = folder + "/cert.pem", key_file = folder + "/key.pem";
};

TEST_F(TlsTest, TalksToWhomItsAuthorityCertifies) {
  const Identity identity("cache.test");
  identity.write(cert_file, key_file);
  const TlsOptions options{.ca_file = cert_file};
  EXPECT_EQ(talk(identity, options, "cache.test"), "");
  EXPECT_EQ(talk(identity, options, "cache.test", 1), "") << "byte by byte";
}

TEST_F(TlsTest, RefusesWhomItDoesNotKnow) {
  const Identity identity("cache.test"), other("cache.test"), old("cache.test", -1);
  identity.write(cert_file, key_file);
  TlsOptions options{.ca_file = cert_file};
  const std::string start = "TLS: the certificate of ";
  EXPECT_EQ(talk(identity, options, "other.test"),
            start + "other.test is not accepted: hostname mismatch");
  EXPECT_EQ(talk(identity, options, "127.0.0.1"),
            start + "127.0.0.1 is not accepted: IP address mismatch");
  EXPECT_EQ(talk(identity, options, "[::1]"), start + "[::1] is not accepted: IP address mismatch");
  EXPECT_TRUE(talk(other, options, "cache.test").starts_with(start + "cache.test is not"));
  options.server_name = "cache.test";
  EXPECT_EQ(talk(identity, options, "other.test"), "");
  options.verify = false;
  EXPECT_EQ(talk(other, options, "anything"), "");
  old.write(cert_file, key_file);
  options.verify = true;
  EXPECT_EQ(talk(old, options, "x"), start + "cache.test is not accepted: certificate has expired");
}

TEST_F(TlsTest, SaysWhichFileDoesNotRead) {
  const Identity identity("cache.test"), other("other.test");
  identity.write(cert_file, key_file);
  const auto error = [](const TlsOptions& options) {
    const auto loaded = TlsContext::load(TlsRole::client, options);
    return loaded ? std::string() : loaded.error().message;
  };
  EXPECT_EQ(error({.cert_file = cert_file, .key_file = key_file}), "");
  EXPECT_EQ(error({.ca_file = folder + "/none"}),
            "[redis] tls_ca_file = \"" + folder + "/none\": No such file or directory");
  std::ofstream(folder + "/junk") << "junk";
  EXPECT_EQ(error({.ca_file = folder + "/junk"}).substr(0, 20), "[redis] tls_ca_file ");
  EXPECT_EQ(error({.cert_file = folder + "/junk", .key_file = key_file}),
            "[redis] tls_cert_file = \"" + folder + "/junk\": no start line");
  other.write(folder + "/o", folder + "/other.key");
  EXPECT_EQ(error({.cert_file = cert_file, .key_file = folder + "/other.key"}),
            "[redis] tls_key_file = \"" + folder + "/other.key\": key values mismatch");
}

TEST_F(TlsTest, NoiseIsNoHandshake) {
  const auto context = TlsContext::load(TlsRole::client, {.verify = false});
  ASSERT_TRUE(context);
  TlsStream stream(**context, "h");
  stream.start();
  std::string plain;
  const auto received = stream.receive("-ERR unknown command\r\n", plain);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().message, "TLS: wrong version number: is this a port without TLS?");
}

}  // namespace
}  // namespace stayd
