// Where a MySQL or MariaDB is, out of its URL. Pure; any thread.
//
//   mysql://user:password@host:port/database?ssl-mode=...&ssl-ca=...&ssl-cert=...&ssl-key=...
//   mysql://user@/database?socket=/run/mysqld/mysqld.sock
//
// `mariadb://` means the same. %XX stands for a byte. The last "@" ends the password, so that one
// that holds an "@", "/" or "?" may stand as it is; an "@" behind it is written %40. ssl-mode:
// `required`, which is the default over TCP (encrypted, whoever the server is), `verify_identity`
// (and it must be the host, by ssl-ca or the system's authorities), `disabled`. By socket there is
// no TLS.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace stayd::mysql {

enum class Tls : std::uint8_t { disabled, required, verify_identity };

struct Target {
  std::string host;    // empty with a socket
  std::string socket;  // empty: TCP
  std::uint16_t port = 3306;
  std::string user, password;  // empty: none
  std::string database;
  Tls tls = Tls::required;
  std::string ca, certificate, key;  // files; empty: none
};

// Begins as such a URL does.
bool is_url(std::string_view text);

// Errors: invalid, and never with the password.
Result<Target> parse_url(std::string_view text);

}  // namespace stayd::mysql
