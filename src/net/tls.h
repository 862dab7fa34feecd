// TLS towards Redis: what the files say (TlsContext), and one connection's records (TlsStream).
// Sans-I/O: bytes from the network go in, bytes for the network come out; the sockets are others'
// (tls_dialer.h, daemon/blocking_client.h). TLS 1.2 and 1.3, by OpenSSL. One thread each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct ssl_ctx_st;
struct ssl_st;

namespace stayd {

struct TlsOptions {
  std::string ca_file;      // PEM; empty: the authorities that the system trusts
  std::string cert_file;    // PEM, our own with its chain; empty: none is shown
  std::string key_file;     // PEM without a passphrase, of cert_file
  std::string server_name;  // for SNI and the certificate; empty: the host that is dialled
  bool verify = true;       // false: any certificate will do (encrypted, to nobody knows whom)
};

class TlsContext {
 public:
  // Reads the files. Errors: invalid, with the file's name and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> load(const TlsOptions& options);
  ~TlsContext();

  const TlsOptions& options() const { return options_; }
  ssl_ctx_st* get() const { return context_; }
  // End of our own certificate, seconds since the epoch; 0: there is none.
  std::int64_t not_after_s() const { return not_after_s_; }

 private:
  TlsContext(const TlsOptions& options, ssl_ctx_st* context)
      : options_(options), context_(context) {}
  Result<void> read_files();

  TlsOptions options_;
  ssl_ctx_st* context_;
  std::int64_t not_after_s_ = 0;
};

// A client's side of one connection.
class TlsStream {
 public:
  // Keeps what it needs of the context. `host`: whom the certificate must name, unless the options
  // say otherwise.
  TlsStream(const TlsContext& context, const std::string& host);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // The first bytes of the handshake are output.
  void start();
  // Takes what has arrived, and appends what it says to `plain`. An error ends the stream; what is
  // output then (an alert) may still be sent. Errors: unavailable, a sentence for people.
  Result<void> receive(std::string_view cipher, std::string& plain);
  // Requires established().
  void send(std::string_view plain);
  // Bytes for the network since it was last asked.
  std::string take_output();

  bool established() const { return established_; }
  bool ended() const { return ended_; }  // the server has said that nothing follows
  // The earliest end in the server's chain of certificates, seconds since the epoch; 0: not known.
  std::int64_t not_after_s() const;

 private:
  Error failure() const;

  ssl_st* ssl_;
  std::string name_;
  bool established_ = false;
  bool ended_ = false;
};

}  // namespace stayd
