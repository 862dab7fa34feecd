// TLS: what the files say (TlsContext), and one connection's records (TlsStream).
// Sans-I/O: bytes from the network go in, bytes for the network come out; the sockets are others'
// (tls_dialer.h, resp_listener.h, daemon/blocking_client.h). TLS 1.2 and 1.3, by OpenSSL. One
// thread each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct ssl_ctx_st;
struct ssl_st;

namespace stayd {

// Of a client (towards Redis), or of a server (the Redis port).
enum class TlsRole : std::uint8_t { client, server };

struct TlsOptions {
  // PEM. Of a client, empty: the authorities that the system trusts. Of a server: its clients must
  // show a certificate of this authority; empty: they need none.
  std::string ca_file;
  std::string cert_file;    // PEM, our own with its chain; empty: none is shown (a client)
  std::string key_file;     // PEM without a passphrase, of cert_file
  std::string server_name;  // of a client: for SNI and the certificate; empty: the host dialled
  bool verify = true;       // of a client; false: any certificate will do, nobody knows whose
};

class TlsContext {
 public:
  // Reads the files. Errors: invalid, with the setting ("[redis] tls_ca_file"), the file's name and
  // what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> load(TlsRole role, const TlsOptions& options);
  ~TlsContext();

  const TlsOptions& options() const { return options_; }
  ssl_ctx_st* get() const { return context_; }
  // End of our own certificate, seconds since the epoch; 0: there is none.
  std::int64_t not_after_s() const { return not_after_s_; }

 private:
  TlsContext(TlsRole role, const TlsOptions& options, ssl_ctx_st* context)
      : role_(role), options_(options), context_(context) {}
  Result<void> read_files();
  Error unreadable(std::string_view key, const std::string& file) const;

  TlsRole role_;
  TlsOptions options_;
  ssl_ctx_st* context_;
  std::int64_t not_after_s_ = 0;
};

// Our side of one connection. Keeps what it needs of the context.
class TlsStream {
 public:
  // A client's. `host`: whom the certificate must name, unless the options say otherwise.
  TlsStream(const TlsContext& context, const std::string& host);
  // A server's.
  explicit TlsStream(const TlsContext& context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // A client's first bytes are output.
  void start();
  // Takes what has arrived, and appends what it says to `plain`. An error ends the stream; what is
  // output then (an alert) may still be sent. Errors: unavailable, a sentence for people.
  Result<void> receive(std::string_view cipher, std::string& plain);
  // Requires established().
  void send(std::string_view plain);
  // Bytes for the network since it was last asked.
  std::string take_output();

  bool established() const { return established_; }
  bool ended() const { return ended_; }  // the other side has said that nothing follows
  // The earliest end in the other side's chain of certificates, seconds since the epoch; 0: not
  // known.
  std::int64_t not_after_s() const;

 private:
  Error failure() const;

  ssl_st* ssl_;
  std::string name_;
  bool established_ = false;
  bool ended_ = false;
};

}  // namespace stayd
